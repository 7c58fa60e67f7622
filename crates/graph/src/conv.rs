//! A convolution on its way into a graph.

use crate::{Builder, Layer, NodeId, Start, torch_default};
use gauntlet_core::Result;

/// A convolution that is being told: see [`Builder::conv`].
#[must_use = "a layer is part of the network once it is told what it is a layer `of`"]
pub struct Conv<'g> {
    builder: &'g mut Builder,
    name: String,
    channels: usize,
    size: usize,
    stride: usize,
    padding: usize,
    bias: bool,
    start: Start,
}

impl Builder {
    /// A convolution to `channels` channels by kernels of `size`×`size`, of stride 1, without padding, with a bias.
    pub fn conv(&mut self, name: impl Into<String>, channels: usize, size: usize) -> Conv<'_> {
        Conv {
            builder: self,
            name: name.into(),
            channels,
            size,
            stride: 1,
            padding: 0,
            bias: true,
            start: torch_default,
        }
    }
}

impl Conv<'_> {
    /// Pixels from one window to the next.
    pub fn stride(self, stride: usize) -> Self {
        Conv { stride, ..self }
    }
    /// Zeros on every side of the image.
    pub fn padding(self, padding: usize) -> Self {
        Conv { padding, ..self }
    }
    /// Without a bias, since batch norm follows.
    pub fn without_bias(self) -> Self {
        Conv { bias: false, ..self }
    }
    /// How weight and bias start; PyTorch's default where it is not told.
    pub fn start(self, start: Start) -> Self {
        Conv { start, ..self }
    }
    /// The layer's value at `x`.
    ///
    /// # Errors
    /// A kernel that does not fit the image; no image; a name that is taken.
    pub fn of(self, x: NodeId) -> Result<NodeId> {
        let Conv { builder, name, channels, size, stride, padding, bias, start } = self;
        let weight = vec![channels, builder.shape(x)?[0], size, size];
        let specs = builder.weights(&name, weight, bias, start);
        builder.push_with(Layer::Conv2d { stride, padding }, &[x], name, specs)
    }
}
