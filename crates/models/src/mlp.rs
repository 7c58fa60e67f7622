//! Fully connected networks.

use crate::hidden::widths;
use crate::settings::{ACTIVATION, INIT, Input, MEAN, STD, Settings};
use gauntlet_core::registry::BuildModel;
use gauntlet_core::{Args, ParamDoc, ParamKind, Range, Result, Spec};
use gauntlet_graph::{Graph, Interpreter};
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
            kind: ParamKind::Ints(Range::at_least(1.0).at_most(65536.0)),
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
    build: |args, task| Ok(Arc::new(Interpreter::new(graph(args, task.input, task.classes)?))),
};

/// `Sequential(Flatten, Linear, act, Linear, act, ..., Linear)`: parameters at 1, 3, 5, ...
pub(crate) fn graph(args: &Args, input: Input, classes: usize) -> Result<Graph> {
    let hidden = widths("mlp", args)?;
    let (mut g, x) = Settings::new("mlp", args, input, classes)?.builder()?;
    let mut y = g.flatten(x)?;
    for (i, width) in hidden.iter().enumerate() {
        y = g.linear(format!("{}", 2 * i + 1), *width).of(y)?;
        y = g.act(y)?;
    }
    let z = g.linear(format!("{}", 2 * hidden.len() + 1), classes).of(y)?;
    g.finish(z)
}
