//! Sums, means and softmax along axes.

use crate::movement;
use gauntlet_autograd::Var;
use gauntlet_core::Result;

/// What becomes of the values along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reduction {
    /// Their sum.
    Sum,
    /// Their mean.
    Mean,
}

fn behind(axes: &[usize], lead: usize) -> Vec<usize> {
    axes.iter().map(|axis| axis + lead).collect()
}

/// Sums or means over axes behind the first `lead`, which stay with size one or vanish.
pub(crate) fn reduce(x: &Var, kind: Reduction, axes: &[usize], lead: usize, keep: bool) -> Result<Var> {
    let over = behind(axes, lead);
    let reduced = match kind {
        Reduction::Sum => x.sum_keepdim(&over)?,
        Reduction::Mean => x.mean_keepdim(&over)?,
    };
    if keep {
        return Ok(reduced);
    }
    let kept = x.dims().iter().enumerate().filter(|(i, _)| !over.contains(i)).map(|(_, n)| *n);
    Ok(reduced.reshape(&kept.collect::<Vec<_>>())?)
}

/// (x − mean) / √(biased variance + eps) over axes behind the first `lead`.
pub(crate) fn standardise(x: &Var, axes: &[usize], lead: usize, eps: f64) -> Result<Var> {
    let over = behind(axes, lead);
    let centred = x.broadcast_sub(&x.mean_keepdim(&over)?)?;
    let deviation = centred.sqr()?.mean_keepdim(&over)?.affine(1.0, eps)?.sqrt()?;
    Ok(centred.broadcast_div(&deviation)?)
}

/// Softmax along an axis, or its logarithm.
pub(crate) fn softmax(x: &Var, axis: usize, log: bool) -> Result<Var> {
    let last = x.dims().len() - 1;
    let mut order: Vec<usize> = (0..=last).collect();
    order.swap(axis, last);
    let moved = movement::transpose(x, &order, 0)?;
    let classes = moved.dim(last)?;
    let rows = moved.tensor().elem_count() / classes.max(1);
    let y = moved.reshape(&[rows, classes])?.log_softmax()?;
    let y = if log { y } else { y.exp()? };
    movement::transpose(&y.reshape(moved.dims())?, &order, 0)
}
