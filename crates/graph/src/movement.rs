//! Values moved about: transposed, cut out, put together. Axes are those of the whole value, its batch included.

use gauntlet_autograd::Var;
use gauntlet_autograd::kernels::zeros_like;
use gauntlet_core::Result;

/// The axes behind the first `lead` in another order.
pub(crate) fn transpose(x: &Var, order: &[usize], lead: usize) -> Result<Var> {
    let mut y = x.clone();
    // Which axis stands where at the moment.
    let mut here: Vec<usize> = (0..order.len()).collect();
    for (i, wanted) in order.iter().enumerate() {
        let from = here.iter().position(|axis| axis == wanted).unwrap_or(i);
        if from != i {
            y = y.transpose(i + lead, from + lead)?;
            here.swap(i, from);
        }
    }
    Ok(y)
}

/// Every `step`th of an axis' entries from `start` on, `count` of them.
pub(crate) fn slice(x: &Var, axis: usize, start: usize, count: usize, step: usize) -> Result<Var> {
    if step == 1 {
        return if count == x.dim(axis)? { Ok(x.clone()) } else { Ok(x.narrow(axis, start, count)?) };
    }
    // As rows of `step` entries, of which the first is taken; the last row is filled up.
    let span = (count - 1) * step + 1;
    let y = x.narrow(axis, start, span)?.pad_zeros(axis, 0, step - 1)?;
    let (before, after) = (x.dims()[..axis].to_vec(), x.dims()[axis + 1..].to_vec());
    let y = y.reshape(&[&before[..], &[count, step], &after].concat())?.narrow(axis + 1, 0, 1)?;
    Ok(y.reshape(&[&before[..], &[count], &after].concat())?)
}

/// Entries of an axis by their places.
pub(crate) fn select(x: &Var, axis: usize, places: &[usize]) -> Result<Var> {
    let mut parts = Vec::new();
    let mut rest = places;
    while let Some(&first) = rest.first() {
        // Neighbours are cut out together.
        let run = rest.iter().enumerate().take_while(|(i, place)| **place == first + i).count();
        parts.push(x.narrow(axis, first, run)?);
        rest = &rest[run..];
    }
    if parts.len() == 1 {
        return Ok(parts.swap_remove(0));
    }
    Ok(Var::cat(&parts.iter().collect::<Vec<_>>(), axis)?)
}

/// `value` before and after along an axis.
pub(crate) fn pad(x: &Var, axis: usize, (before, after): (usize, usize), value: f64) -> Result<Var> {
    if value == 0.0 {
        return Ok(x.pad_zeros(axis, before, after)?);
    }
    let filled = |entries: usize| -> Result<Var> {
        let one = Var::constant(zeros_like(&x.tensor().narrow(axis, 0, 1)?.contiguous()?)?).affine(1.0, value)?;
        let mut dims = x.dims().to_vec();
        dims[axis] = entries;
        Ok(one.broadcast_to(&dims)?)
    };
    let mut parts = Vec::new();
    if before > 0 {
        parts.push(filled(before)?);
    }
    parts.push(x.clone());
    if after > 0 {
        parts.push(filled(after)?);
    }
    Ok(Var::cat(&parts.iter().collect::<Vec<_>>(), axis)?)
}
