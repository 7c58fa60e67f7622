//! Maxout networks.

use crate::hidden::widths;
use crate::settings::{INIT, Input, MEAN, STD, Settings};
use gauntlet_core::registry::BuildModel;
use gauntlet_core::{Args, Error, ParamDoc, Result, Spec};
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
            kind: "list of ints",
            default: "[240, 240]",
            unit: "units",
            doc: "widths of the hidden layers",
        },
        ParamDoc { name: "pieces", kind: "int", default: "5", unit: "", doc: "linear pieces of a unit" },
        INIT,
        MEAN,
        STD,
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, input, classes| Ok(Arc::new(Interpreter::new(graph(args, input, classes)?))),
};

/// Linear layers 1, 2, ..., each with its pieces one after the other: row p · units + u is piece p of unit u.
pub(crate) fn graph(args: &Args, input: Input, classes: usize) -> Result<Graph> {
    let hidden = widths("maxout", args)?;
    let pieces = args.usize("pieces", 2)?;
    if pieces > 100 {
        return Err(Error::value("maxout.pieces", format!("must be at most 100, got {pieces}")));
    }
    let (mut g, x) = Settings::new("maxout", args, input, classes)?.builder()?;
    let mut y = g.flatten(x)?;
    for (i, width) in hidden.iter().enumerate() {
        y = g.linear(format!("{}", i + 1), width * pieces).of(y)?;
        y = g.maxout(y, pieces)?;
    }
    let z = g.linear(format!("{}", hidden.len() + 1), classes).of(y)?;
    g.finish(z)
}
