//! Logits and labels. Labels `(N,)` u32 stay on the device; one that is no class makes its row NaN.

use super::arg::Arg;
use super::launch::{Grid, at, device, launch, of, tensor, unwritten};
use super::{Element, dense, int};
use crate::Result;
use candle_core::Tensor;

/// What comes of every row of `(N, K)`.
fn rows<T: Element>(
    kernel: &'static str,
    z: &Tensor,
    labels: Option<&Tensor>,
    more: &[Option<&Tensor>],
    dims: &[usize],
) -> Result<Tensor> {
    let (device, z) = (device(z)?, dense(z)?);
    let (n, k) = z.dims2()?;
    let out = unwritten::<T>(&device, dims.iter().product())?;
    let mut args = vec![int(n), int(k), of::<T>(&device, &z)?];
    if let Some(labels) = labels {
        args.push(of::<u32>(&device, labels)?);
    }
    let more: Vec<Option<Tensor>> = more.iter().map(|t| t.map(dense).transpose()).collect::<Result<_>>()?;
    for tensor in &more {
        args.push(tensor.as_ref().map_or(Ok(Arg::At(0)), |t| of::<T>(&device, t))?);
    }
    args.push(at(&device, &out));
    launch::<T>(&device, kernel, Grid::Elements(n), &args)?;
    Ok(tensor(&device, out, dims))
}

/// Log-probabilities.
pub(crate) fn log_softmax<T: Element>(z: &Tensor) -> Result<Tensor> {
    rows::<T>("log_softmax", z, None, &[], z.dims())
}

/// Entry `labels[n]` of every row.
pub(crate) fn gather_labels<T: Element>(x: &Tensor, labels: &Tensor) -> Result<Tensor> {
    rows::<T>("gather_labels", x, Some(labels), &[], labels.dims())
}

/// Value n in column `labels[n]` of an otherwise zero row of k.
pub(crate) fn scatter_labels<T: Element>(x: &Tensor, labels: &Tensor, k: usize) -> Result<Tensor> {
    let (device, x) = (device(x)?, dense(x)?);
    let n = x.elem_count();
    let out = unwritten::<T>(&device, n * k)?;
    let args = [int(n), int(k), of::<T>(&device, &x)?, of::<u32>(&device, labels)?, at(&device, &out)];
    launch::<T>(&device, "scatter_labels", Grid::Elements(n * k), &args)?;
    Ok(tensor(&device, out, &[n, k]))
}

/// −log softmax(z)_y.
pub(crate) fn cross_entropy<T: Element>(z: &Tensor, labels: &Tensor) -> Result<Tensor> {
    rows::<T>("cross_entropy", z, Some(labels), &[], labels.dims())
}

/// (softmax(z) − onehot(y)) · g, g = 1 where there is none.
pub(crate) fn cross_entropy_slope<T: Element>(z: &Tensor, labels: &Tensor, g: Option<&Tensor>) -> Result<Tensor> {
    rows::<T>("cross_entropy_slope", z, Some(labels), &[g], z.dims())
}

/// The column of every row's largest entry, `(N,)` u32: the first of equal ones, not the label's where there are labels.
pub(crate) fn best_column<T: Element>(x: &Tensor, labels: Option<&Tensor>) -> Result<Tensor> {
    let (device, x) = (device(x)?, dense(x)?);
    let (rows, width) = x.dims2()?;
    let out = unwritten::<u32>(&device, rows)?;
    let labels = labels.map_or(Ok(Arg::At(0)), |l| of::<u32>(&device, l))?;
    let args = [int(rows), int(width), of::<T>(&device, &x)?, labels, at(&device, &out)];
    launch::<T>(&device, "best_column", Grid::Blocks(rows), &args)?;
    Ok(tensor(&device, out, &[rows]))
}

/// 1 in the column of every row, `(N, width)`.
pub(crate) fn one_hot<T: Element>(columns: &Tensor, width: usize) -> Result<Tensor> {
    let (device, rows) = (device(columns)?, columns.dims1()?);
    let out = unwritten::<T>(&device, rows * width)?;
    let args = [int(rows * width), int(width), of::<u32>(&device, columns)?, at(&device, &out)];
    launch::<T>(&device, "one_hot", Grid::Elements(rows * width), &args)?;
    Ok(tensor(&device, out, &[rows, width]))
}
