//! Softmax regression.

use crate::normalise::{linear, normalise};
use crate::settings::{self, Settings};
use gauntlet_autograd::Var;
use gauntlet_core::registry::BuildModel;
use gauntlet_core::{ModelInfo, Network, ParamSpec, Params, Pass, Result, Spec};
use std::sync::Arc;

/// Registration.
pub const SPEC: Spec<BuildModel> = Spec {
    name: "linear",
    summary: "softmax regression: one linear layer",
    formula: "W x + b",
    paper: "-",
    params: settings::PARAMS,
    numerics: 1,
    origin: "built-in",
    build: |args, input, classes| Ok(Arc::new(Linear(Settings::new("linear", args, input, classes)?))),
};

/// `Sequential(Flatten, Linear)`.
struct Linear(Settings);

impl Network for Linear {
    fn info(&self) -> &ModelInfo {
        &self.0.info
    }
    fn specs(&self) -> Vec<ParamSpec> {
        let (c, h, w) = self.0.info.input;
        self.0.layer("1", &[self.0.info.classes, c * h * w], None).into()
    }
    fn forward(&self, params: &Params, x: &Var, _: &mut Pass<'_>) -> Result<Var> {
        linear(params, "1", &normalise(&self.0.info, x)?.flatten()?)
    }
}
