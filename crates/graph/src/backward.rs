//! Another layer's derivatives in place of a layer's own: backward pass differentiable approximation.

use crate::{Function, Graph, Layer, NodeId};
use candle_core::Tensor;
use gauntlet_autograd::{Op, Saved, Saves, Var};
use gauntlet_core::{Activation, Error, Result};

/// What stands for a layer when gradients go back through it (BPDA, Athalye, Carlini & Wagner 2018): y = f(x), ∂y/∂x = ∂g/∂x.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Backward {
    /// g(x) = x: gradients pass as they are ("straight through").
    Identity,
    /// A nonlinearity.
    Act(Activation),
    /// An elementwise function, e.g. [`Function::HardSigmoid`] for [`Function::Step`].
    Map(Function),
}

impl Backward {
    /// f(x), which is known, with the derivatives of g at x.
    pub(crate) fn through(self, x: &Var, value: &Var) -> Result<Var> {
        let g = match self {
            Backward::Identity => x.clone(),
            Backward::Act(activation) => activation.apply(x)?,
            Backward::Map(function) => function.apply(x)?,
        };
        Ok(Var::apply(Stand(value.tensor().clone()), &[&g])?)
    }

    /// Whether it can stand for this node.
    pub(crate) fn fits(graph: &Graph, id: NodeId) -> Result<()> {
        let refused = |why: &str| Err(Error::value("backward", format!("of node {} {why}", id.index())));
        let Some(node) = graph.nodes().get(id.index()) else {
            return refused("cannot be replaced: the graph has no such node");
        };
        match (&node.op, &node.inputs[..]) {
            (
                Layer::Act(_)
                | Layer::Map(_)
                | Layer::Dropout { .. }
                | Layer::Softmax { .. }
                | Layer::Standardise { .. },
                [_],
            ) => Ok(()),
            (op, _) => refused(&format!(
                "cannot be replaced: it is a {}, and only layers of one input whose shape they keep have another's derivatives",
                op.kind()
            )),
        }
    }
}

/// A value to the bit, whatever its input's is; its gradient is the input's.
struct Stand(Tensor);

impl Op for Stand {
    fn name(&self) -> &'static str {
        "another backward"
    }
    fn forward(&self, _: &[&Tensor]) -> gauntlet_autograd::Result<(Tensor, Vec<Tensor>)> {
        Ok((self.0.clone(), Vec::new()))
    }
    fn saves(&self) -> Saves {
        Saves::nothing()
    }
    fn vjp(&self, _: &Saved<'_>, g: &Var, _: &[bool]) -> gauntlet_autograd::Result<Vec<Option<Var>>> {
        Ok(vec![Some(g.clone())])
    }
}
