//! Steps of attacks that run on the device from start to end, and keyed draws: the numbers of `core`'s streams.

use super::arg::Arg;
use super::launch::{Grid, at, device, launch, of, tensor, unwritten};
use super::{Element, dense, int, number};
use crate::Result;
use candle_core::{CudaDevice, Device, Tensor};

/// x ← box(ball(x + α sign(g))) in L∞, all `(N, ..)`.
///
/// # Errors
/// A failed launch.
pub fn step_linf<T: Element>(
    (x, x0, g): (&Tensor, &Tensor, &Tensor),
    (alpha, eps): (f64, f64),
    (low, high): (f64, f64),
) -> Result<Tensor> {
    let (device, x, x0, g) = (device(x)?, dense(x)?, dense(x0)?, dense(g)?);
    let n = x.elem_count();
    let out = unwritten::<T>(&device, n)?;
    let mut args = vec![int(n)];
    args.extend([alpha, eps, low, high].map(number::<T>));
    args.extend([of::<T>(&device, &x)?, of::<T>(&device, &x0)?, of::<T>(&device, &g)?, at(&device, &out)]);
    launch::<T>(&device, "step_linf", Grid::Elements(n), &args)?;
    Ok(tensor(&device, out, x.dims()))
}

/// x ← box(ball(x + α g/‖g‖)) in L2, row by row.
///
/// # Errors
/// A failed launch.
pub fn step_l2<T: Element>(
    (x, x0, g): (&Tensor, &Tensor, &Tensor),
    (alpha, eps): (f64, f64),
    (low, high): (f64, f64),
) -> Result<Tensor> {
    let (device, x, x0, g) = (device(x)?, dense(x)?, dense(x0)?, dense(g)?);
    let (n, rows) = (x.elem_count(), x.dim(0)?);
    let out = unwritten::<T>(&device, n)?;
    let mut args = vec![int(rows), int(n / rows.max(1)), Arg::Double(alpha), Arg::Double(eps)];
    args.extend([low, high].map(number::<T>));
    args.extend([of::<T>(&device, &x)?, of::<T>(&device, &x0)?, of::<T>(&device, &g)?, at(&device, &out)]);
    launch::<T>(&device, "step_l2", Grid::Blocks(rows), &args)?;
    Ok(tensor(&device, out, x.dims()))
}

/// What is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Draw {
    /// U(low, high).
    Uniform(f64, f64),
    /// N(0, 1).
    Normal,
}

fn uploaded(device: &CudaDevice, ids: &[u64]) -> Result<Tensor> {
    // candle has no u64; the bits are what counts.
    let ids: Vec<i64> = ids.iter().map(|id| *id as i64).collect();
    let n = ids.len();
    Ok(Tensor::from_vec(ids, n, &Device::Cuda(device.clone()))?)
}

/// Streams of the rows: key, examples, epoch (or restart), step.
pub type Streams<'a> = (u64, &'a [u64], u32, u32);

/// The first numbers of every row's stream, `dims = (N, ..)`.
///
/// # Errors
/// A failed launch.
pub fn draw<T: Element>(
    device: &CudaDevice,
    what: Draw,
    (key, ids, epoch, step): Streams<'_>,
    dims: &[usize],
) -> Result<Tensor> {
    let n = dims.iter().product();
    let rows = uploaded(device, ids)?;
    let out = unwritten::<T>(device, n)?;
    let (kind, low, high) = match what {
        Draw::Uniform(low, high) => (0, low, high),
        Draw::Normal => (1, 0.0, 1.0),
    };
    let args = [
        int(n),
        int(n / ids.len().max(1)),
        Arg::Int(kind),
        Arg::Int(key as u32),
        Arg::Int((key >> 32) as u32),
        Arg::Int(epoch),
        Arg::Int(step),
        Arg::Double(low),
        Arg::Double(high),
        of::<i64>(device, &rows)?,
        at(device, &out),
    ];
    launch::<T>(device, "draw", Grid::Elements(n), &args)?;
    Ok(tensor(device, out, dims))
}

/// A point of the L∞ ball around every row of x0, clamped to the box.
///
/// # Errors
/// A failed launch.
pub fn start_linf<T: Element>(
    x0: &Tensor,
    (key, ids, epoch, step): Streams<'_>,
    eps: f64,
    (low, high): (f64, f64),
) -> Result<Tensor> {
    let (device, x0) = (device(x0)?, dense(x0)?);
    let n = x0.elem_count();
    let rows = uploaded(&device, ids)?;
    let out = unwritten::<T>(&device, n)?;
    let args = [
        int(n),
        int(n / ids.len().max(1)),
        Arg::Int(key as u32),
        Arg::Int((key >> 32) as u32),
        Arg::Int(epoch),
        Arg::Int(step),
        Arg::Double(eps),
        number::<T>(low),
        number::<T>(high),
        of::<i64>(&device, &rows)?,
        of::<T>(&device, &x0)?,
        at(&device, &out),
    ];
    launch::<T>(&device, "start_linf", Grid::Elements(n), &args)?;
    Ok(tensor(&device, out, x0.dims()))
}
