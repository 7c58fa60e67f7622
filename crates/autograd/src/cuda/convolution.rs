//! Convolutions as one matrix product per direction: columns (C·KH·KW, N·OH·OW) for many images at a time, or a product per
//! image, (C·KH·KW, OH·OW), which leaves its result where it belongs. Those of few taps and of stride 1 go their own ways.

use super::arg::{Arg, Shape};
use super::gemm::{Product, Steps};
use super::launch::{Grid, at, device, image, launch, of, place, place_of, tensor, unwritten};
use super::{Element, dense, int, winograd};
use crate::Result;
use crate::kernels::conv::Geometry;
use crate::kernels::work;
use candle_core::{CudaDevice, Tensor, WithDType};

/// Elements of columns at a time: 1 GiB in f32.
const COLUMNS: usize = 1 << 28;
/// Positions of an image from which on a product per image is large enough.
const LARGE: usize = 64;
/// Taps up to which a thread keeps all its pixels (`FEW` in convolution.cuh).
const FEW: usize = 32;
/// Threads of a block (`REDUCERS` in gpu.cuh).
const THREADS: usize = 256;

/// Images whose columns are made together, as (first, count).
fn parts(g: &Geometry) -> impl Iterator<Item = (usize, usize)> {
    let most = (COLUMNS / (g.k() * g.area()).max(1)).max(1);
    let n = g.n;
    (0..n).step_by(most).map(move |first| (first, most.min(n - first)))
}

/// Whether there is a product per image.
fn by_image(g: &Geometry) -> bool {
    g.area() >= LARGE
}

/// The shapes of `n` images, with how far apart taps and images are in the columns.
fn shape(g: &Geometry, n: usize, by_image: bool) -> Arg {
    let v = |x: usize| x as u32;
    let (tap, image) = if by_image { (g.area(), g.k() * g.area()) } else { (n * g.area(), g.area()) };
    Arg::Shape(Shape {
        n: v(n),
        c: v(g.c),
        h: v(g.h),
        w: v(g.w),
        kh: v(g.kh),
        kw: v(g.kw),
        stride: v(g.stride),
        padding: v(g.padding),
        oh: v(g.oh),
        ow: v(g.ow),
        tap: v(tap),
        image: v(image),
    })
}

/// Columns of `n` images from an address on.
fn im2col<T: Element>(
    device: &CudaDevice,
    g: &Geometry,
    (n, by_image): (usize, bool),
    from: u64,
    columns: u64,
) -> Result<()> {
    let count = g.c * n * g.area();
    let args = [int(count), shape(g, n, by_image), Arg::At(from), Arg::At(columns)];
    launch::<T>(device, "im2col", Grid::Elements(count), &args)
}

/// (N, O, area) to (O, N, area).
fn outputs_first<T: Element>(device: &CudaDevice, g: &Geometry, n: usize, from: u64, to: u64) -> Result<()> {
    let count = n * g.o * g.area();
    let args = [int(count), int(n), int(g.o), int(g.area()), Arg::At(from), Arg::At(to)];
    launch::<T>(device, "swap_leading", Grid::Elements(count), &args)
}

/// y = x ⋆ weight (+ bias), rectified if asked.
pub(crate) fn conv2d<T: Element + WithDType>(
    g: &Geometry,
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    relu: bool,
) -> Result<Tensor> {
    work::count(g.multiplications());
    if winograd::pays::<T>(g) {
        return winograd::conv2d(g, x, weight, bias, relu);
    }
    let (device, x, weight, bias) = (device(x)?, dense(x)?, dense(weight)?, bias.map(dense).transpose()?);
    let (k, area) = (g.k(), g.area());
    let out = unwritten::<T>(&device, g.n * g.o * area)?;
    let plain = bias.is_none() && !relu;
    let bias = || bias.as_ref().map_or(Ok(Arg::At(0)), |b| of::<T>(&device, b));
    let relu = || int(usize::from(relu));
    let w = place_of::<T>(&device, &weight)?;
    if k <= FEW && g.kh < 256 && g.kw < 256 {
        let shape = shape(g, g.n, false);
        let args = [shape, int(g.o), of::<T>(&device, &x)?, Arg::At(w), bias()?, relu(), at(&device, &out)];
        launch::<T>(&device, "conv_few", Grid::Blocks((g.n * area).div_ceil(THREADS)), &args)?;
        return Ok(tensor(&device, out, &[g.n, g.o, g.oh, g.ow]));
    }
    let by_image = by_image(g);
    for (first, n) in parts(g) {
        let columns = unwritten::<T>(&device, k * n * area)?;
        let from = image::<T>(place_of::<T>(&device, &x)?, first, g.image());
        im2col::<T>(&device, g, (n, by_image), from, place(&device, &columns))?;
        let to = image::<T>(place(&device, &out), first, g.o * area);
        let count = n * g.o * area;
        if by_image {
            let gemm = Product { m: g.o, n: area, k, ta: false, tb: false, onto: false };
            let steps = Steps { count: n, a: 0, b: k * area, c: g.o * area, tf32: true };
            gemm.several::<T>(&device, steps, w, place(&device, &columns), to)?;
            if !plain {
                let args = [int(count), int(g.o), int(area), bias()?, relu(), Arg::At(to)];
                launch::<T>(&device, "bias_relu", Grid::Elements(count), &args)?;
            }
            continue;
        }
        let product = unwritten::<T>(&device, g.o * n * area)?;
        let gemm = Product { m: g.o, n: n * area, k, ta: false, tb: false, onto: false };
        gemm.run::<T>(&device, w, place(&device, &columns), place(&device, &product))?;
        let args = [int(count), int(n), int(g.o), int(area), at(&device, &product), bias()?, relu(), Arg::At(to)];
        launch::<T>(&device, "conv_result", Grid::Elements(count), &args)?;
    }
    Ok(tensor(&device, out, &[g.n, g.o, g.oh, g.ow]))
}

/// The input gradient of (cotangent, weight).
pub(crate) fn conv2d_input_grad<T: Element + WithDType>(
    g: &Geometry,
    cotangent: &Tensor,
    weight: &Tensor,
) -> Result<Tensor> {
    work::count(g.multiplications());
    if winograd::pays::<T>(g) {
        return winograd::conv2d_input_grad(g, cotangent, weight);
    }
    let (device, cotangent, weight) = (device(cotangent)?, dense(cotangent)?, dense(weight)?);
    let (k, area, by_image) = (g.k(), g.area(), by_image(g));
    let out = unwritten::<T>(&device, g.n * g.image())?;
    let w = place_of::<T>(&device, &weight)?;
    for (first, n) in parts(g) {
        let columns = unwritten::<T>(&device, k * n * area)?;
        let from = image::<T>(place_of::<T>(&device, &cotangent)?, first, g.o * area);
        if by_image {
            let gemm = Product { m: k, n: area, k: g.o, ta: true, tb: false, onto: false };
            let steps = Steps { count: n, a: 0, b: g.o * area, c: k * area, tf32: true };
            gemm.several::<T>(&device, steps, w, from, place(&device, &columns))?;
        } else {
            let turned = unwritten::<T>(&device, g.o * n * area)?;
            outputs_first::<T>(&device, g, n, from, place(&device, &turned))?;
            let gemm = Product { m: k, n: n * area, k: g.o, ta: true, tb: false, onto: false };
            gemm.run::<T>(&device, w, place(&device, &turned), place(&device, &columns))?;
        }
        let count = n * g.image();
        let to = image::<T>(place(&device, &out), first, g.image());
        let args = [int(count), shape(g, n, by_image), at(&device, &columns), Arg::At(to)];
        launch::<T>(&device, "col2im", Grid::Elements(count), &args)?;
    }
    Ok(tensor(&device, out, &[g.n, g.c, g.h, g.w]))
}

/// The weight gradient of (input, cotangent).
pub(crate) fn conv2d_weight_grad<T: Element + WithDType>(
    g: &Geometry,
    x: &Tensor,
    cotangent: &Tensor,
) -> Result<Tensor> {
    work::count(g.multiplications());
    if winograd::pays::<T>(g) {
        return winograd::conv2d_weight_grad(g, x, cotangent);
    }
    let (device, x, cotangent) = (device(x)?, dense(x)?, dense(cotangent)?);
    let (k, area) = (g.k(), g.area());
    if g.n == 0 {
        return super::fill::<T>(&device, 0.0, &[g.o, g.c, g.kh, g.kw]);
    }
    let out = unwritten::<T>(&device, g.o * k)?;
    for (first, n) in parts(g) {
        let turned = unwritten::<T>(&device, g.o * n * area)?;
        let columns = unwritten::<T>(&device, k * n * area)?;
        let from = image::<T>(place_of::<T>(&device, &cotangent)?, first, g.o * area);
        outputs_first::<T>(&device, g, n, from, place(&device, &turned))?;
        let from = image::<T>(place_of::<T>(&device, &x)?, first, g.image());
        im2col::<T>(&device, g, (n, false), from, place(&device, &columns))?;
        let gemm = Product { m: g.o, n: k, k: n * area, ta: false, tb: true, onto: first > 0 };
        gemm.run::<T>(&device, place(&device, &turned), place(&device, &columns), place(&device, &out))?;
    }
    Ok(tensor(&device, out, &[g.o, g.c, g.kh, g.kw]))
}
