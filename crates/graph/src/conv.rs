//! A convolution on its way into a graph.

use crate::{Builder, Layer, NodeId, Start, Windows, torch_default};
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
    uneven: Option<[usize; 4]>,
    groups: usize,
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
            uneven: None,
            groups: 1,
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
    /// Zeros above, left of, below and right of the image, where they are not the same.
    pub fn pads(self, pads: [usize; 4]) -> Self {
        Conv { uneven: Some(pads), ..self }
    }
    /// Parts that channels are split into, each with kernels of its own.
    pub fn groups(self, groups: usize) -> Self {
        Conv { groups, ..self }
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
        let Conv { builder, name, channels, size, stride, padding, uneven, groups, bias, start } = self;
        let weight = vec![channels, builder.shape(x)?[0] / groups.max(1), size, size];
        let specs = builder.weights(&name, weight, bias, start);
        let op = if groups == 1 && uneven.is_none() {
            Layer::Conv2d { stride, padding }
        } else {
            let windows = Windows {
                size: (size, size),
                strides: (stride, stride),
                pads: uneven.unwrap_or([padding; 4]),
                dilations: (1, 1),
            };
            Layer::Conv { windows, groups }
        };
        builder.push_with(op, &[x], name, specs)
    }
}
