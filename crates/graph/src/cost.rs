//! What a network costs, without running it.

use crate::{Graph, Layer, Node};
use std::iter::Sum;

/// Parameters, and arithmetic for one example.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Trained parameters: no running statistics.
    pub parameters: usize,
    /// Multiplications, each with its addition, of a forward of one example in convolutions and linear layers, as their definition
    /// counts them (zeros of the padding included); all else is a few per value.
    pub multiply_adds: usize,
}

impl Sum for Cost {
    fn sum<I: Iterator<Item = Cost>>(costs: I) -> Cost {
        costs.fold(Cost::default(), |a, b| Cost {
            parameters: a.parameters + b.parameters,
            multiply_adds: a.multiply_adds + b.multiply_adds,
        })
    }
}

impl Graph {
    /// The cost of one layer.
    pub fn cost_of(&self, node: &Node) -> Cost {
        let specs = || node.params.iter().map(|id| self.param(*id));
        let parameters = specs().filter(|s| s.trainable).map(|s| s.shape.iter().product::<usize>()).sum();
        let multiply_adds = match node.op {
            // Every output is a sum over what one row of the weight covers.
            Layer::Conv2d { .. } | Layer::Conv { .. } | Layer::Conv1d { .. } | Layer::Linear => {
                let row: usize = specs().take(1).flat_map(|weight| &weight.shape[1..]).product();
                node.shape.iter().product::<usize>() * row
            }
            // Every input is multiplied with what one row of the weight covers.
            Layer::ConvTranspose { .. } => {
                let row: usize = specs().take(1).flat_map(|weight| &weight.shape[1..]).product();
                let inputs = node.inputs.first().map_or(0, |x| self.node(*x).shape.iter().product::<usize>());
                inputs * row
            }
            Layer::MatMul => {
                let inner = node.inputs.first().and_then(|a| self.node(*a).shape.last()).copied().unwrap_or_default();
                node.shape.iter().product::<usize>() * inner
            }
            _ => 0,
        };
        Cost { parameters, multiply_adds }
    }

    /// The cost of the whole network.
    pub fn cost(&self) -> Cost {
        self.nodes().iter().map(|node| self.cost_of(node)).sum()
    }
}
