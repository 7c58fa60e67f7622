//! Sums, means, extremes and softmax along axes.

use crate::{Binary, movement};
use gauntlet_autograd::Var;
use gauntlet_core::Result;

/// What becomes of the values along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reduction {
    /// Their sum.
    Sum,
    /// Their mean.
    Mean,
    /// The largest; where several are, the derivative goes to one of them.
    Max,
    /// The smallest; where several are, the derivative goes to one of them.
    Min,
    /// Their product.
    Product,
}

impl Reduction {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Reduction::Sum => "sum",
            Reduction::Mean => "mean",
            Reduction::Max => "maximum over axes",
            Reduction::Min => "minimum over axes",
            Reduction::Product => "product over axes",
        }
    }
}

fn behind(axes: &[usize], lead: usize) -> Vec<usize> {
    axes.iter().map(|axis| axis + lead).collect()
}

/// What is made of the values over axes behind the first `lead`, which stay with size one or vanish.
pub(crate) fn reduce(x: &Var, kind: Reduction, axes: &[usize], lead: usize, keep: bool) -> Result<Var> {
    let over = behind(axes, lead);
    let reduced = match kind {
        Reduction::Sum => x.sum_keepdim(&over)?,
        Reduction::Mean => x.mean_keepdim(&over)?,
        Reduction::Max => in_pairs(x, Binary::Max, &over)?,
        Reduction::Min => in_pairs(x, Binary::Min, &over)?,
        Reduction::Product => in_pairs(x, Binary::Mul, &over)?,
    };
    if keep {
        return Ok(reduced);
    }
    let kept = x.dims().iter().enumerate().filter(|(i, _)| !over.contains(i)).map(|(_, n)| *n);
    Ok(reduced.reshape(&kept.collect::<Vec<_>>())?)
}

/// What an operation of two makes of all values over axes, the first half of them with the second until one is left.
fn in_pairs(x: &Var, of_two: Binary, axes: &[usize]) -> Result<Var> {
    let mut y = x.clone();
    for axis in axes {
        while y.dim(*axis)? > 1 {
            let n = y.dim(*axis)?;
            let half = n / 2;
            let both = of_two.apply(&y.narrow(*axis, half, half)?, &y.narrow(*axis, 0, half)?)?;
            y = if n % 2 == 0 { both } else { Var::cat(&[&both, &y.narrow(*axis, n - 1, 1)?], *axis)? };
        }
    }
    Ok(y)
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
