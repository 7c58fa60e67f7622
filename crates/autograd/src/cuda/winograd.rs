//! Convolutions of stride 1 in f32 with fewer multiplications: F(4×4, 3×3) and F(4×4, 5×5), as 36 or 64 matrix products in one
//! call between two transformations.

use super::arg::{Arg, Tiles};
use super::gemm::{Product, Steps};
use super::launch::{Grid, at, device, image, launch, of, place, place_of, tensor, unwritten};
use super::{Element, dense, int};
use crate::Result;
use crate::kernels::conv::Geometry;
use candle_core::{CudaDevice, DType, Tensor, WithDType};

/// Side of a tile of outputs.
const TILE: usize = 4;
/// Elements of a transformed image at a time: 1 GiB.
const ELEMENTS: usize = 1 << 28;
/// Channels below which the transformations cost more than the products save.
const CHANNELS: usize = 16;

/// Whether a convolution goes this way.
pub(super) fn pays<T: Element + WithDType>(g: &Geometry) -> bool {
    let square = g.kh == g.kw && (g.kh == 3 || g.kh == 5) && g.stride == 1 && g.padding < g.kh;
    T::DTYPE == DType::F32 && square && g.c >= CHANNELS && g.o >= CHANNELS && g.n > 0
}

/// One convolution's form and tiles: outputs are those of the direction, so an input gradient's are the input's.
struct Form {
    /// Side of a tile of pixels.
    side: usize,
    across: usize,
    tiles: usize,
}

impl Form {
    fn new(kernel: usize, (h, w): (usize, usize)) -> Self {
        let across = w.div_ceil(TILE);
        Form { side: kernel + TILE - 1, across, tiles: across * h.div_ceil(TILE) }
    }
    /// Positions of the product basis.
    fn positions(&self) -> usize {
        self.side * self.side
    }
    fn named(&self, six: &'static str, eight: &'static str) -> &'static str {
        if self.side == 6 { six } else { eight }
    }
    fn layout(&self, n: usize, (channels, h, w): (usize, usize, usize), padding: usize, parts: usize) -> Arg {
        let part = n * self.tiles / parts;
        let [n, channels, h, w, padding] = [n, channels, h, w, padding].map(|x| x as u32);
        let [tiles, across, part] = [self.tiles, self.across, part].map(|x| x as u32);
        Arg::Tiles(Tiles { n, channels, h, w, padding, tiles, across, part })
    }
    /// Images at a time, as (first, count).
    fn chunks(&self, n: usize, channels: usize) -> impl Iterator<Item = (usize, usize)> + use<> {
        let most = (ELEMENTS / (self.positions() * channels * self.tiles)).max(1);
        (0..n).step_by(most).map(move |first| (first, most.min(n - first)))
    }
}

/// An image's transformation from an address on: (parts, positions, channels, tiles of a part).
struct Source {
    from: u64,
    /// channels, height, width
    dims: (usize, usize, usize),
    padding: usize,
    n: usize,
    parts: usize,
}

fn pixels(device: &CudaDevice, form: &Form, source: &Source, to: u64) -> Result<()> {
    let count = source.dims.0 * source.n * form.tiles;
    let layout = form.layout(source.n, source.dims, source.padding, source.parts);
    let args = [int(count), layout, Arg::At(source.from), Arg::At(to)];
    launch::<f32>(device, form.named("winograd_pixels_6", "winograd_pixels_8"), Grid::Elements(count), &args)
}

/// `weight` as it lies, (O, C), or turned for the input gradient.
fn weights(device: &CudaDevice, g: &Geometry, form: &Form, weight: u64, turned: bool, to: u64) -> Result<()> {
    let count = g.o * g.c;
    let name = form.named("winograd_weights_6", "winograd_weights_8");
    let args = [int(count), int(usize::from(turned)), Arg::At(weight), Arg::At(to)];
    launch::<f32>(device, name, Grid::Elements(count), &args)
}

/// Products one behind the other; never with factors rounded to TF32, which the bases would multiply.
fn together(p: Product, count: usize) -> Steps {
    Steps { count, a: p.m * p.k, b: p.k * p.n, c: p.m * p.n, tf32: false }
}

/// x (N, channels from, ..) to (N, channels to, ..): forward or input gradient.
fn convolve(
    g: &Geometry,
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    (relu, turned): (bool, bool),
) -> Result<Tensor> {
    let (device, x, weight, bias) = (device(x)?, dense(x)?, dense(weight)?, bias.map(dense).transpose()?);
    let (output, input) = ((g.o, g.oh, g.ow), (g.c, g.h, g.w));
    let (from, to, padding) = if turned { (output, input, g.kh - 1 - g.padding) } else { (input, output, g.padding) };
    let form = Form::new(g.kh, (to.1, to.2));
    let size = |(c, h, w): (usize, usize, usize)| c * h * w;
    let out = unwritten::<f32>(&device, g.n * size(to))?;
    let transformed = unwritten::<f32>(&device, form.positions() * g.o * g.c)?;
    weights(&device, g, &form, place_of::<f32>(&device, &weight)?, turned, place(&device, &transformed))?;
    for (first, n) in form.chunks(g.n, g.c.max(g.o)) {
        let tiles = n * form.tiles;
        let v = unwritten::<f32>(&device, form.positions() * from.0 * tiles)?;
        let products = unwritten::<f32>(&device, form.positions() * to.0 * tiles)?;
        let start = image::<f32>(place_of::<f32>(&device, &x)?, first, size(from));
        let source = Source { from: start, dims: from, padding, n, parts: 1 };
        pixels(&device, &form, &source, place(&device, &v))?;
        let gemm = Product { m: to.0, n: tiles, k: from.0, ta: turned, tb: false, onto: false };
        let (a, b, c) = (place(&device, &transformed), place(&device, &v), place(&device, &products));
        gemm.several::<f32>(&device, together(gemm, form.positions()), a, b, c)?;
        let count = to.0 * tiles;
        let bias = bias.as_ref().map_or(Ok(Arg::At(0)), |b| of::<f32>(&device, b))?;
        let start = image::<f32>(place(&device, &out), first, size(to));
        let layout = form.layout(n, to, 0, 1);
        let args = [int(count), layout, at(&device, &products), bias, int(usize::from(relu)), Arg::At(start)];
        let name = form.named("winograd_outputs_6", "winograd_outputs_8");
        launch::<f32>(&device, name, Grid::Elements(count), &args)?;
    }
    Ok(tensor(&device, out, &[g.n, to.0, to.1, to.2]))
}

/// y = x ⋆ weight (+ bias), rectified if asked.
pub(super) fn conv2d(g: &Geometry, x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, relu: bool) -> Result<Tensor> {
    convolve(g, x, weight, bias, (relu, false))
}

/// The input gradient: a convolution of the cotangent with the kernel turned by half a turn.
pub(super) fn conv2d_input_grad(g: &Geometry, cotangent: &Tensor, weight: &Tensor) -> Result<Tensor> {
    convolve(g, cotangent, weight, None, (false, true))
}

/// Parts of a batch whose sums are taken apart: the products of a weight gradient are small and long, and a GPU is wide.
fn parts(g: &Geometry, form: &Form, n: usize) -> usize {
    /// Tiles of the products that keep a large GPU busy.
    const BUSY: usize = 512;
    /// Side of such a tile.
    const SIDE: usize = 64;
    /// Summands for which a part of their own pays.
    const LEAST: usize = 128;
    let blocks = form.positions() * g.o.div_ceil(SIDE) * g.c.div_ceil(SIDE);
    let mut parts = 1;
    while parts * blocks < BUSY && n.is_multiple_of(2 * parts) && n * form.tiles / (2 * parts) >= LEAST {
        parts *= 2;
    }
    parts
}

/// The weight gradient: the three maps transposed.
pub(super) fn conv2d_weight_grad(g: &Geometry, x: &Tensor, cotangent: &Tensor) -> Result<Tensor> {
    let (device, x, cotangent) = (device(x)?, dense(x)?, dense(cotangent)?);
    let form = Form::new(g.kh, (g.oh, g.ow));
    let out = unwritten::<f32>(&device, g.o * g.k())?;
    for (first, n) in form.chunks(g.n, g.c.max(g.o)) {
        let (tiles, parts) = (n * form.tiles, parts(g, &form, n));
        let v = unwritten::<f32>(&device, form.positions() * g.c * tiles)?;
        let start = image::<f32>(place_of::<f32>(&device, &x)?, first, g.image());
        let source = Source { from: start, dims: (g.c, g.h, g.w), padding: g.padding, n, parts };
        pixels(&device, &form, &source, place(&device, &v))?;
        let z = unwritten::<f32>(&device, form.positions() * g.o * tiles)?;
        let start = image::<f32>(place_of::<f32>(&device, &cotangent)?, first, g.o * g.area());
        let layout = form.layout(n, (g.o, g.oh, g.ow), 0, parts);
        let count = g.o * tiles;
        let args = [int(count), layout, Arg::At(start), at(&device, &z)];
        let name = form.named("winograd_cotangents_6", "winograd_cotangents_8");
        launch::<f32>(&device, name, Grid::Elements(count), &args)?;
        let sums = unwritten::<f32>(&device, parts * form.positions() * g.o * g.c)?;
        let gemm = Product { m: g.o, n: g.c, k: tiles / parts, ta: false, tb: true, onto: false };
        let (a, b, c) = (place(&device, &z), place(&device, &v), place(&device, &sums));
        gemm.several::<f32>(&device, together(gemm, parts * form.positions()), a, b, c)?;
        let count = g.o * g.c;
        if parts > 1 {
            let args = [int(form.positions() * count), int(parts), at(&device, &sums)];
            launch::<f32>(&device, "fold", Grid::Elements(form.positions() * count), &args)?;
        }
        let args = [int(count), int(usize::from(first > 0)), at(&device, &sums), at(&device, &out)];
        let name = form.named("winograd_weights_back_6", "winograd_weights_back_8");
        launch::<f32>(&device, name, Grid::Elements(count), &args)?;
    }
    Ok(tensor(&device, out, &[g.o, g.c, g.kh, g.kw]))
}
