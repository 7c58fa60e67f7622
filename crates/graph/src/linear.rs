//! A linear layer on its way into a graph.

use crate::{Builder, Layer, NodeId, Start, torch_default};
use gauntlet_core::Result;

/// A linear layer that is being told: see [`Builder::linear`].
#[must_use = "a layer is part of the network once it is told what it is a layer `of`"]
pub struct Linear<'g> {
    builder: &'g mut Builder,
    name: String,
    outputs: usize,
    start: Start,
}

impl Builder {
    /// A linear layer to `outputs` values, with a bias.
    pub fn linear(&mut self, name: impl Into<String>, outputs: usize) -> Linear<'_> {
        Linear { builder: self, name: name.into(), outputs, start: torch_default }
    }
}

impl Linear<'_> {
    /// How weight and bias start; PyTorch's default where it is not told.
    pub fn start(self, start: Start) -> Self {
        Linear { start, ..self }
    }
    /// The layer's value at `x`.
    ///
    /// # Errors
    /// No vector; a name that is taken.
    pub fn of(self, x: NodeId) -> Result<NodeId> {
        let Linear { builder, name, outputs, start } = self;
        let specs = builder.weights(&name, vec![outputs, builder.shape(x)?[0]], true, start);
        builder.push_with(Layer::Linear, &[x], name, specs)
    }
}
