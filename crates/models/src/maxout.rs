//! Maxout networks.

use crate::hidden::widths;
use crate::settings::{INIT, Input, MEAN, STD, Settings};
use gauntlet_core::registry::BuildModel;
use gauntlet_core::{Args, ParamDoc, ParamKind, Range, Result, Spec};
use gauntlet_graph::{Graph, Interpreter};
use std::sync::Arc;

/// Registration.
pub const SPEC: Spec<BuildModel> = Spec {
    name: "maxout",
    summary: "fully connected maxout units, by default two layers of 240 with 5 pieces",
    formula: "y_u = max_p (W_p x + b_p)_u per layer, then a linear layer",
    paper: "Goodfellow et al. 2013; Goodfellow, Shlens & Szegedy 2015",
    params: &[
        ParamDoc {
            name: "hidden",
            kind: ParamKind::Ints(Range::at_least(1.0).at_most(65536.0)),
            default: "[240, 240]",
            unit: "units",
            doc: "widths of the hidden layers",
        },
        ParamDoc {
            name: "pieces",
            kind: ParamKind::Int(Range::at_least(2.0).at_most(100.0)),
            default: "5",
            unit: "",
            doc: "linear pieces of a unit",
        },
        INIT,
        MEAN,
        STD,
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, task| Ok(Arc::new(Interpreter::new(graph(args, task.input, task.classes)?))),
};

/// Linear layers 1, 2, ..., each with its pieces one after the other: row p · units + u is piece p of unit u.
pub(crate) fn graph(args: &Args, input: Input, classes: usize) -> Result<Graph> {
    let hidden = widths("maxout", args)?;
    let pieces = args.usize("pieces")?;
    let (mut g, x) = Settings::new("maxout", args, input, classes)?.builder()?;
    let mut y = g.flatten(x)?;
    for (i, width) in hidden.iter().enumerate() {
        y = g.linear(format!("{}", i + 1), width * pieces).of(y)?;
        y = g.maxout(y, pieces)?;
    }
    let z = g.linear(format!("{}", hidden.len() + 1), classes).of(y)?;
    g.finish(z)
}
