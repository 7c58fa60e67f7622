//! Fully connected networks.

use crate::hidden::widths;
use crate::normalise::{linear, linear_act, normalise};
use crate::settings::{ACTIVATION, INIT, MEAN, STD, Settings};
use gauntlet_autograd::Var;
use gauntlet_core::registry::BuildModel;
use gauntlet_core::{ModelInfo, Network, ParamDoc, ParamSpec, Params, Pass, Result, Spec};
use std::sync::Arc;

/// Registration.
pub const SPEC: Spec<BuildModel> = Spec {
    name: "mlp",
    summary: "fully connected, by default one hidden layer of 1024",
    formula: "W₂ σ(W₁ x + b₁) + b₂, and deeper with more widths",
    paper: "Croce, Andriushchenko & Hein 2019 (FC1)",
    params: &[
        ParamDoc {
            name: "hidden",
            kind: "list of ints",
            default: "[1024]",
            unit: "units",
            doc: "widths of the hidden layers",
        },
        ACTIVATION,
        INIT,
        MEAN,
        STD,
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, input, classes| {
        let hidden = widths("mlp", args)?;
        Ok(Arc::new(Mlp { settings: Settings::new("mlp", args, input, classes)?, hidden }))
    },
};

/// `Sequential(Flatten, Linear, act, Linear, act, ..., Linear)`: parameters at 1, 3, 5, ...
struct Mlp {
    settings: Settings,
    hidden: Vec<usize>,
}

impl Network for Mlp {
    fn info(&self) -> &ModelInfo {
        &self.settings.info
    }
    fn specs(&self) -> Vec<ParamSpec> {
        let (c, h, w) = self.settings.info.input;
        let mut specs = Vec::new();
        let mut before = c * h * w;
        for (i, width) in self.hidden.iter().copied().chain([self.settings.info.classes]).enumerate() {
            specs.extend(self.settings.layer(&(2 * i + 1).to_string(), &[width, before], None));
            before = width;
        }
        specs
    }
    fn forward(&self, params: &Params, x: &Var, _: &mut Pass<'_>) -> Result<Var> {
        let info = &self.settings.info;
        let mut y = normalise(info, x)?.flatten()?;
        for i in 0..self.hidden.len() {
            y = linear_act(params, &(2 * i + 1).to_string(), &y, info.activation)?;
        }
        linear(params, &(2 * self.hidden.len() + 1).to_string(), &y)
    }
}
