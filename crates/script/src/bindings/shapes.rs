//! Values moved without being changed.

use super::binder::Binder;
use super::values::{whole, wholes};
use crate::loan::{growing, operation};
use crate::ran::Ran;
use gauntlet_autograd::Var;
use rhai::{Array, Dynamic};

pub(super) fn bind(b: &mut Binder<'_>) {
    macro_rules! to_dims {
        ($($name:ident $doc:literal)*) => {
            $(b.bind(concat!(stringify!($name), "(x, dims)"), $doc, |x: Var, dims: Array| {
                let dims = wholes("dims", dims)?;
                growing(Some(dims.clone()), || x.$name(&dims))
            });)*
        };
    }
    to_dims! {
        reshape "the same values in another shape"
        broadcast_to "repeats to `dims` by numpy's rules"
        broadcast_channels "repeats `(C,)` to `dims = (N, C, ..)`"
    }
    b.bind("flatten(x)", "`(N, ..)` to `(N, rest)`, in the order C, H, W", |x: Var| operation(|| x.flatten()));
    b.bind("transpose(x, a, b)", "swaps two dimensions", |x: Var, a: i64, b: i64| {
        let (a, b) = (whole("a", a)?, whole("b", b)?);
        operation(|| x.transpose(a, b))
    });
    b.bind(
        "narrow(x, dim, start, len)",
        "`len` entries of a dimension from `start` on",
        |x: Var, dim: i64, start: i64, len: i64| {
            let (dim, start, len) = (whole("dim", dim)?, whole("start", start)?, whole("len", len)?);
            operation(|| x.narrow(dim, start, len))
        },
    );
    b.bind(
        "pad_zeros(x, dim, before, after)",
        "zeros before and after along a dimension",
        |x: Var, dim: i64, before: i64, after: i64| {
            let (dim, before, after) = (whole("dim", dim)?, whole("before", before)?, whole("after", after)?);
            let padded = |n: usize| n.saturating_add(before).saturating_add(after);
            growing(longer(&x, dim, padded), || x.pad_zeros(dim, before, after))
        },
    );
    b.bind("unsqueeze(x, dim)", "a new dimension of size one", |x: Var, dim: i64| {
        let dim = whole("dim", dim)?;
        operation(|| x.unsqueeze(dim))
    });
    b.bind("squeeze(x, dim)", "removes a dimension of size one", |x: Var, dim: i64| {
        let dim = whole("dim", dim)?;
        operation(|| x.squeeze(dim))
    });
    b.bind("cat(parts, dim)", "joins a list of Vars along a dimension", |parts: Array, dim: i64| {
        let dim = whole("dim", dim)?;
        let parts = parts.into_iter().map(variable).collect::<Ran<Vec<Var>>>()?;
        let whole = |_| parts.iter().filter_map(|p| p.dims().get(dim)).fold(0usize, |n, side| n.saturating_add(*side));
        let shape = parts.first().and_then(|first| longer(first, dim, whole));
        growing(shape, || Var::cat(&parts.iter().collect::<Vec<_>>(), dim))
    });
    b.bind("dims(x)", "the dimensions, a list of numbers", |x: Var| -> Array {
        x.dims().iter().map(|n| Dynamic::from(*n as i64)).collect()
    });
    b.bind("dim(x, i)", "one dimension", |x: Var, i: i64| {
        let i = whole("i", i)?;
        operation(|| Ok(x.dim(i)? as i64))
    });
}

/// The shape of `x` with another length of one dimension, if it has that.
fn longer(x: &Var, dim: usize, length: impl Fn(usize) -> usize) -> Option<Vec<usize>> {
    let mut shape = x.dims().to_vec();
    let side = shape.get_mut(dim)?;
    *side = length(*side);
    Some(shape)
}

fn variable(value: Dynamic) -> Ran<Var> {
    let kind = value.type_name();
    value.try_cast().ok_or_else(|| format!("cat joins Vars, got {kind}").into())
}
