//! Sums and maxima.

use super::arg::Arg;
use super::launch::{Grid, at, countable, device, launch, of, tensor, unwritten};
use super::{Element, dense, int};
use crate::Result;
use candle_core::Tensor;

/// Elements up to which one block sums everything.
const SMALL: usize = 1 << 14;
/// Elements of a part, where there are several.
const PART: usize = 1 << 12;
/// Elements of a row up to which one thread sums it.
const SHORT: usize = 64;
/// Blocks that keep a large GPU busy.
const BLOCKS: usize = 1 << 10;
/// Elements for which a block of their own pays.
const LEAST: usize = 1 << 11;

/// Σ over everything, shape `()`.
pub(crate) fn sum_all<T: Element>(x: &Tensor) -> Result<Tensor> {
    countable("a sum", x)?;
    let (device, x) = (device(x)?, dense(x)?);
    let n = x.elem_count();
    let out = unwritten::<T>(&device, 1)?;
    if n <= SMALL {
        let args = [int(1), int(n), of::<T>(&device, &x)?, at(&device, &out)];
        launch::<T>(&device, "sum_rows", Grid::Blocks(1), &args)?;
    } else {
        let count = n.div_ceil(PART);
        let parts = unwritten::<f64>(&device, count)?;
        let args = [int(n), int(PART), of::<T>(&device, &x)?, at(&device, &parts)];
        launch::<T>(&device, "sum_parts", Grid::Blocks(count), &args)?;
        launch::<T>(&device, "sum_of_parts", Grid::Blocks(1), &[int(count), at(&device, &parts), at(&device, &out)])?;
    }
    Ok(tensor(&device, out, &[]))
}

fn rows_of(x: &Tensor) -> (usize, usize) {
    let rows = x.dims().first().copied().unwrap_or(1);
    (rows, x.elem_count() / rows.max(1))
}

/// Σ over all but the first dimension.
pub(crate) fn sum_rows<T: Element>(x: &Tensor) -> Result<Tensor> {
    countable("a sum", x)?;
    let (device, x) = (device(x)?, dense(x)?);
    let (rows, width) = rows_of(&x);
    let out = unwritten::<T>(&device, rows)?;
    let args = [int(rows), int(width), of::<T>(&device, &x)?, at(&device, &out)];
    if width <= SHORT {
        launch::<T>(&device, "sum_short_rows", Grid::Elements(rows), &args)?;
    } else {
        launch::<T>(&device, "sum_rows", Grid::Blocks(rows), &args)?;
    }
    Ok(tensor(&device, out, &[rows]))
}

/// Parts into which the images are divided where something is summed per channel: enough blocks for a large GPU, enough
/// elements for each.
pub(super) fn parts_of_channels(n: usize, channels: usize, area: usize) -> usize {
    BLOCKS.div_ceil(channels.max(1)).min(n * area / LEAST).min(n).max(1)
}

/// Σ over all but the second dimension.
pub(crate) fn sum_channels<T: Element>(x: &Tensor) -> Result<Tensor> {
    let dims = x.dims().to_vec();
    if dims.len() < 2 {
        return Err(crate::error::shape("sum_channels", format!("expected (N, C, ..), got {dims:?}")));
    }
    countable("a sum", x)?;
    let (device, x) = (device(x)?, dense(x)?);
    let (n, channels, area) = (dims[0], dims[1], dims[2..].iter().product());
    let out = unwritten::<T>(&device, channels)?;
    let parts = parts_of_channels(n, channels, area);
    if parts == 1 {
        let args = [int(n), int(channels), int(area), of::<T>(&device, &x)?, at(&device, &out)];
        launch::<T>(&device, "sum_channels", Grid::Blocks(channels), &args)?;
    } else {
        let sums = unwritten::<f64>(&device, channels * parts)?;
        let args = [int(n), int(channels), int(area), int(parts), of::<T>(&device, &x)?, at(&device, &sums)];
        launch::<T>(&device, "channel_parts", Grid::Blocks(channels * parts), &args)?;
        let args = [int(channels), int(parts), at(&device, &sums), at(&device, &out)];
        launch::<T>(&device, "sum_of_channel_parts", Grid::Elements(channels), &args)?;
    }
    Ok(tensor(&device, out, &[channels]))
}

/// Σ over these dimensions, which vanish: they are brought to the end first.
pub(crate) fn sum_dims<T: Element>(x: &Tensor, over: &[usize]) -> Result<Tensor> {
    let kept: Vec<usize> = (0..x.dims().len()).filter(|d| !over.contains(d)).collect();
    let order: Vec<usize> = kept.iter().chain(over).copied().collect();
    let dims: Vec<usize> = kept.iter().map(|d| x.dims()[*d]).collect();
    let rows = dims.iter().product::<usize>();
    let moved = dense(&x.permute(order)?)?.reshape((rows, x.elem_count() / rows.max(1)))?;
    Ok(sum_rows::<T>(&moved)?.reshape(dims)?)
}

fn extremes<T: Element>(x: &Tensor, factor: bool, negligible: f64) -> Result<Tensor> {
    countable("a sum", x)?;
    let (device, x) = (device(x)?, dense(x)?);
    let (rows, width) = rows_of(&x);
    let out = unwritten::<T>(&device, rows)?;
    let args = [
        int(rows),
        int(width),
        int(usize::from(factor)),
        Arg::Double(negligible),
        of::<T>(&device, &x)?,
        at(&device, &out),
    ];
    launch::<T>(&device, "largest_rows", Grid::Blocks(rows), &args)?;
    Ok(tensor(&device, out, &[rows]))
}

/// max |x| per row, `(N,)`; a NaN is larger than anything.
pub(crate) fn largest_rows<T: Element>(x: &Tensor) -> Result<Tensor> {
    extremes::<T>(x, false, 0.0)
}

/// 1 / max |x| per row, 0 where the largest is negligible.
pub(crate) fn scale_rows<T: Element>(x: &Tensor, negligible: f64) -> Result<Tensor> {
    extremes::<T>(x, true, negligible)
}
