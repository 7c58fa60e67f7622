//! Convolutions as affine layers.

use super::{Lowering, MOST, Value, count, places};
use crate::affine::{Entry, Map};
use crate::network::{Node, Op};
use gauntlet_autograd::kernels::conv::Geometry;
use gauntlet_core::{Error, Result};
use gauntlet_graph::Windows;

impl Lowering<'_> {
    pub(super) fn conv(&mut self, i: usize, x: usize, shape: &[usize], stride: usize, padding: usize) -> Result<Value> {
        self.numbers(i, 0)?;
        let weight = self.weight(i, 0)?;
        let image = [&[1], shape].concat();
        let g = Geometry::new("conv2d", &image, weight.dims(), stride, padding).map_err(Error::from)?;
        let bias = self.bias(i, g.o, g.oh * g.ow)?;
        let size = bias.len();
        let value = self.affine(vec![x], Map::conv(g, &weight)?, bias, size);
        if let Some(Node { op: Op::Affine(affine), .. }) = self.nodes.last_mut() {
            affine.winograd = Geometry::winograd((g.kh, g.kw), stride, (g.c, g.o));
        }
        Ok(value)
    }

    /// A convolution in groups, with dilation, or with its own padding on every side, factor by factor.
    pub(super) fn any_conv(
        &mut self,
        i: usize,
        x: usize,
        shape: &[usize],
        windows: &Windows,
        groups: usize,
    ) -> Result<Value> {
        let node = &self.graph.nodes()[i];
        let (weight, dims) = (self.numbers(i, 0)?, self.weight(i, 0)?.dims().to_vec());
        let &[o, c, kh, kw] = dims.as_slice() else { return Err(self.no_bound()) };
        let area = count(&node.shape[1..]);
        if (o * area).saturating_mul(c * kh * kw) > MOST {
            return Err(self.without(&format!("has more than {MOST} factors")));
        }
        let bias = self.bias(i, o, area)?;
        let mut outputs = Vec::with_capacity(o * area);
        for (unit, constant) in bias.iter().enumerate() {
            let (channel, place) = (unit / area, unit % area);
            let first = channel / (o / groups) * c;
            let mut entries = Vec::new();
            for ((ki, kj), pixel) in places::taps(shape, &node.shape, windows, place) {
                for k in 0..c {
                    let factor = weight[((channel * c + k) * kh + ki) * kw + kj];
                    let place = (first + k) * shape[1] * shape[2] + pixel;
                    entries.push(Entry { source: 0, place: place as u32, factor });
                }
            }
            outputs.push((entries, *constant));
        }
        let value = self.sparse(vec![x], outputs, 0)?;
        if let Some(Node { op: Op::Affine(affine), .. }) = self.nodes.last_mut() {
            // It is computed with zeros between its taps, and at every place where its strides differ.
            let (dilations, strides) = (windows.dilations, windows.strides);
            let kernel = ((kh - 1) * dilations.0 + 1, (kw - 1) * dilations.1 + 1);
            let stride = if strides.0 == strides.1 { strides.0 } else { 1 };
            affine.winograd = Geometry::winograd(kernel, stride, (c, o / groups));
        }
        Ok(value)
    }
}
