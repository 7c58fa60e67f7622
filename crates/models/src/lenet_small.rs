//! The small strided LeNet of fast adversarial training on MNIST.

use crate::settings::{self, Input, Settings};
use gauntlet_core::registry::BuildModel;
use gauntlet_core::{Args, Result, Spec};
use gauntlet_graph::{Graph, Interpreter};
use std::sync::Arc;

/// Registration.
pub const SPEC: Spec<BuildModel> = Spec {
    name: "lenet-small",
    summary: "two strided convolutions and two linear layers, 166,406 parameters on MNIST",
    formula: "conv4×4/2 16 – act – conv4×4/2 32 – act – fc 100 – act – fc K",
    paper: "Wong, Rice & Kolter 2020",
    params: settings::PARAMS,
    numerics: 1,
    origin: "built-in",
    build: |args, task| Ok(Arc::new(Interpreter::new(graph(args, task.input, task.classes)?))),
};

/// `Sequential` with parameters at 0, 2, 5 and 7.
pub(crate) fn graph(args: &Args, input: Input, classes: usize) -> Result<Graph> {
    let (mut g, x) = Settings::new("lenet-small", args, input, classes)?.at_least(4)?.builder()?;
    let y = g.conv("0", 16, 4).stride(2).padding(1).of(x)?;
    let y = g.act(y)?;
    let y = g.conv("2", 32, 4).stride(2).padding(1).of(y)?;
    let y = g.act(y)?;
    let y = g.flatten(y)?;
    let y = g.linear("5", 100).of(y)?;
    let y = g.act(y)?;
    let z = g.linear("7", classes).of(y)?;
    g.finish(z)
}
