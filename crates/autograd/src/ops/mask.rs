//! Masks by comparison: what a piecewise function's derivative is made of. Linear and self-adjoint.

use super::unary::masked;
use crate::kernels::by_dtype;
use crate::{Op, Result, Saved, Saves, Var};
use candle_core::{DType, Tensor};

/// Passes an element where the element of another tensor fulfils a condition.
#[derive(Clone)]
pub(crate) struct Mask {
    of: Tensor,
    condition: Condition,
}

#[derive(Clone, Copy)]
enum Condition {
    Positive,
    Below(f64),
}

impl Mask {
    /// Passes where `of` > 0.
    pub(crate) fn positive(of: &Tensor) -> Result<Self> {
        Ok(Mask { of: of.detach(), condition: Condition::Positive })
    }
    /// Passes where `of` < bound.
    pub(crate) fn below(of: &Tensor, bound: f64) -> Result<Self> {
        Ok(Mask { of: of.detach(), condition: Condition::Below(bound) })
    }
}

impl Op for Mask {
    fn name(&self) -> &'static str {
        "mask"
    }
    fn forward(&self, inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
        let value = by_dtype!("mask", inputs[0], T => match self.condition {
            Condition::Positive => masked::<T>(inputs[0], &self.of, |m| m > 0.0),
            Condition::Below(bound) => masked::<T>(inputs[0], &self.of, move |m| m < bound as T),
        })?;
        Ok((value, Vec::new()))
    }
    fn saves(&self) -> Saves {
        Saves::nothing()
    }
    fn vjp(&self, _: &Saved<'_>, g: &Var, _: &[bool]) -> Result<Vec<Option<Var>>> {
        Ok(vec![Some(g.mask(self.clone())?)])
    }
}

/// A hash of a tensor of few distinct values (signs, indices).
pub(crate) fn piece_hash(t: &Tensor) -> Result<u64> {
    let values: Vec<f64> = t.flatten_all()?.to_dtype(DType::F64)?.to_vec1()?;
    Ok(values
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |h: u64, v| (h ^ v.to_bits()).wrapping_mul(0x0100_0000_01b3).rotate_left(7)))
}
