//! Masks by comparison: what a piecewise function's derivative is made of. Linear and self-adjoint.

use crate::kernels::map::map2;
use crate::kernels::{Real, by_dtype, on_gpu};
use crate::{Op, Result, Saved, Saves, Var};
use candle_core::{DType, Device, Tensor};

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

impl Mask {
    /// A choice, not a product, which would make NaN of ∞ · 0.
    fn eval<T: Real>(&self, x: &Tensor) -> Result<Tensor> {
        on_gpu!(
            x,
            match self.condition {
                Condition::Positive => crate::cuda::binary::<T>(crate::cuda::Binary::MaskPositive, x, &self.of),
                Condition::Below(bound) => crate::cuda::mask_below::<T>(x, &self.of, bound),
            }
        );
        let zero = T::zero();
        match self.condition {
            Condition::Positive => map2("mask", x, &self.of, |x: T, m: T| if m > zero { x } else { zero }),
            Condition::Below(bound) => {
                let bound = T::of(bound);
                map2("mask", x, &self.of, |x: T, m: T| if m < bound { x } else { zero })
            }
        }
    }
}

impl Op for Mask {
    fn name(&self) -> &'static str {
        "mask"
    }
    fn forward(&self, inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>)> {
        Ok((by_dtype!("mask", inputs[0], T => self.eval::<T>(inputs[0]))?, Vec::new()))
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
    let values: Vec<f64> = t.to_device(&Device::Cpu)?.flatten_all()?.to_dtype(DType::F64)?.to_vec1()?;
    Ok(values
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |h: u64, v| (h ^ v.to_bits()).wrapping_mul(0x0100_0000_01b3).rotate_left(7)))
}
