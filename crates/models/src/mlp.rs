//! A fully connected network with one hidden layer.

use crate::normalise::{linear, linear_act, normalise};
use crate::settings::{self, Settings};
use gauntlet_autograd::Var;
use gauntlet_core::registry::BuildModel;
use gauntlet_core::{ModelInfo, Network, ParamSpec, Params, Pass, Result, Spec};
use std::sync::Arc;

/// Registration.
pub const SPEC: Spec<BuildModel> = Spec {
    name: "mlp",
    summary: "fully connected, one hidden layer of 1024",
    formula: "W₂ σ(W₁ x + b₁) + b₂",
    paper: "Croce, Andriushchenko & Hein 2019 (FC1)",
    params: settings::PARAMS,
    numerics: 1,
    origin: "built-in",
    build: |args, input, classes| Ok(Arc::new(Mlp(Settings::new("mlp", args, input, classes)?))),
};

const HIDDEN: usize = 1024;

/// `Sequential(Flatten, Linear(784, 1024), act, Linear(1024, 10))`.
struct Mlp(Settings);

impl Network for Mlp {
    fn info(&self) -> &ModelInfo {
        &self.0.info
    }
    fn specs(&self) -> Vec<ParamSpec> {
        let (c, h, w) = self.0.info.input;
        let mut specs = Vec::from(self.0.layer("1", &[HIDDEN, c * h * w], None));
        specs.extend(self.0.layer("3", &[self.0.info.classes, HIDDEN], None));
        specs
    }
    fn forward(&self, params: &Params, x: &Var, _: &mut Pass<'_>) -> Result<Var> {
        let h = linear_act(params, "1", &normalise(&self.0.info, x)?.flatten()?, self.0.info.activation)?;
        linear(params, "3", &h)
    }
}
