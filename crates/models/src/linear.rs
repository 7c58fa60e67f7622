//! Softmax regression.

use crate::settings::{self, Input, Settings};
use gauntlet_core::registry::BuildModel;
use gauntlet_core::{Args, Result, Spec};
use gauntlet_graph::{Graph, Interpreter};
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
    build: |args, task| Ok(Arc::new(Interpreter::new(graph(args, task.input, task.classes)?))),
};

/// `Sequential(Flatten, Linear)`.
pub(crate) fn graph(args: &Args, input: Input, classes: usize) -> Result<Graph> {
    let (mut g, x) = Settings::new("linear", args, input, classes)?.builder()?;
    let y = g.flatten(x)?;
    let z = g.linear("1", classes).of(y)?;
    g.finish(z)
}
