//! Tensors of one number.

use super::arg::Arg;
use super::launch::{Grid, at, launch, tensor, unwritten};
use super::{Element, int, number};
use crate::Result;
use candle_core::{CudaDevice, Tensor};

/// The code of a constant among the functions of one number (elementwise.cuh).
const CONSTANT: u32 = 18;

/// The same number everywhere.
pub(crate) fn fill<T: Element>(device: &CudaDevice, value: f64, dims: &[usize]) -> Result<Tensor> {
    let n = dims.iter().product();
    let out = unwritten::<T>(device, n)?;
    // A constant does not look at its argument; the result itself serves.
    let args = [int(n), Arg::Int(CONSTANT), number::<T>(value), number::<T>(0.0), at(device, &out), at(device, &out)];
    launch::<T>(device, "unary", Grid::Elements(n), &args)?;
    Ok(tensor(device, out, dims))
}
