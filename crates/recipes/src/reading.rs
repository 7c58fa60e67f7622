//! The two readings of a loss that depends on the input gradient.

use gauntlet_autograd::Graph;
use gauntlet_core::{Args, ParamDoc, ParamKind, Result};

/// The parameter `graph`, shared by everything that looks at an input gradient.
pub(crate) const GRAPH: ParamDoc = ParamDoc {
    name: "graph",
    kind: ParamKind::Choice(&["keep", "cut"]),
    default: "\"keep\"",
    unit: "",
    doc: "keep: the input gradient is differentiated too (create_graph=True); cut: the popular snippet \
          (g = x.grad.clone()), in which the penalty is a constant and trains nothing",
};

/// Reads the parameter `graph`.
pub(crate) fn graph(args: &Args) -> Result<Graph> {
    Ok(match args.str("graph")? {
        "cut" => Graph::Free,
        _ => Graph::Keep,
    })
}
