//! Batch normalisation.

use super::launch::{Arg, Grid, at, countable, device, launch, of, tensor, unwritten};
use super::{Element, dense, int};
use crate::Result;
use candle_core::Tensor;

fn sizes(x: &Tensor) -> Result<(usize, usize, usize)> {
    Ok((x.dim(0)?, x.dim(1)?, x.dims()[2..].iter().product()))
}

/// y, the batch's mean, and 1/√(var + eps).
pub(crate) fn batch_norm<T: Element>(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    eps: f64,
) -> Result<(Tensor, Tensor, Tensor)> {
    countable("batch_norm", x)?;
    let (device, x, gamma, beta) = (device(x)?, dense(x)?, dense(gamma)?, dense(beta)?);
    let (n, channels, area) = sizes(&x)?;
    let out = unwritten::<T>(&device, x.elem_count())?;
    let (mean, inverse) = (unwritten::<T>(&device, channels)?, unwritten::<T>(&device, channels)?);
    let args = [
        int(n),
        int(channels),
        int(area),
        Arg::Double(eps),
        of::<T>(&device, &x)?,
        of::<T>(&device, &gamma)?,
        of::<T>(&device, &beta)?,
        at(&device, &out),
        at(&device, &mean),
        at(&device, &inverse),
    ];
    launch::<T>(&device, "batch_norm", Grid::Blocks(channels), &args)?;
    let per_channel = |buffer| tensor(&device, buffer, &[channels]);
    Ok((tensor(&device, out, x.dims()), per_channel(mean), per_channel(inverse)))
}

/// Gradients by x, γ and β.
pub(crate) fn batch_norm_gradients<T: Element>(
    x: &Tensor,
    gamma: &Tensor,
    (mean, inverse): (&Tensor, &Tensor),
    g: &Tensor,
) -> Result<(Tensor, Tensor, Tensor)> {
    countable("batch_norm", x)?;
    let (device, x, gamma, g) = (device(x)?, dense(x)?, dense(gamma)?, dense(g)?);
    let (n, channels, area) = sizes(&x)?;
    let dx = unwritten::<T>(&device, x.elem_count())?;
    let (dgamma, dbeta) = (unwritten::<T>(&device, channels)?, unwritten::<T>(&device, channels)?);
    let args = [
        int(n),
        int(channels),
        int(area),
        of::<T>(&device, &x)?,
        of::<T>(&device, &gamma)?,
        of::<T>(&device, mean)?,
        of::<T>(&device, inverse)?,
        of::<T>(&device, &g)?,
        at(&device, &dx),
        at(&device, &dgamma),
        at(&device, &dbeta),
    ];
    launch::<T>(&device, "batch_norm_gradients", Grid::Blocks(channels), &args)?;
    let per_channel = |buffer| tensor(&device, buffer, &[channels]);
    Ok((tensor(&device, dx, x.dims()), per_channel(dgamma), per_channel(dbeta)))
}
