//! The one-layer network on which catastrophic overfitting was first taken apart.

use crate::settings::{self, Input, Settings};
use crate::start::{he, he_fan_out};
use gauntlet_core::registry::BuildModel;
use gauntlet_core::{Args, Result, Spec};
use gauntlet_graph::{Graph, Interpreter};
use std::sync::Arc;

/// Registration.
pub const SPEC: Spec<BuildModel> = Spec {
    name: "cnn4",
    summary: "one 3×3 convolution with four filters and a linear layer, 41,082 parameters on CIFAR-10",
    formula: "conv3×3 4 – act – fc K",
    paper: "Andriushchenko & Flammarion 2020",
    params: settings::PARAMS,
    numerics: 1,
    origin: "built-in",
    build: |args, task| Ok(Arc::new(Interpreter::new(graph(args, task.input, task.classes)?))),
};

/// `Sequential(Conv2d, ReLU, Flatten, Linear)`, He normal with fan_out (convolution) and fan_in (linear layer): the authors'
/// initialisation; PyTorch's own, six times smaller in the linear layer's variance, does not collapse.
pub(crate) fn graph(args: &Args, input: Input, classes: usize) -> Result<Graph> {
    let (mut g, x) = Settings::new("cnn4", args, input, classes)?.builder()?;
    let y = g.conv("0", 4, 3).padding(1).start(he_fan_out).of(x)?;
    let y = g.act(y)?;
    let y = g.flatten(y)?;
    let z = g.linear("3", classes).start(he).of(y)?;
    g.finish(z)
}
