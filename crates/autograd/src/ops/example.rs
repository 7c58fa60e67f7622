//! Per-example reductions: `(N, ..)` to `(N,)`.

use super::mask::Mask;
use crate::kernels::reduce::{largest_rows, scale_rows};
use crate::kernels::{by_dtype, ones_like};
use crate::{Result, Var};

impl Var {
    /// Σ over everything but the example.
    pub fn sum_per_example(&self) -> Result<Var> {
        let n = self.dim(0)?;
        self.flatten()?.sum_keepdim(&[1])?.reshape(&[n])
    }
    /// Mean over everything but the example.
    pub fn mean_per_example(&self) -> Result<Var> {
        let count = self.tensor().elem_count() / self.dim(0)?.max(1);
        self.sum_per_example()?.affine(1.0 / count as f64, 0.0)
    }
    /// ‖x‖₁ per example.
    pub fn norm_l1_per_example(&self) -> Result<Var> {
        self.abs()?.sum_per_example()
    }
    /// ‖x‖₂ per example; a zero row has value 0 and gradient 0.
    pub fn norm_l2_per_example(&self) -> Result<Var> {
        self.sqr()?.sum_per_example()?.guarded_sqrt()
    }
    /// ⟨x, y⟩ per example.
    pub fn dot_per_example(&self, other: &Var) -> Result<Var> {
        self.mul(other)?.sum_per_example()
    }
    /// cos(x, y) per example; where either is negligible the value is 0 and there is no gradient.
    ///
    /// Both are first divided by their own largest entry, a constant: the cosine does not depend on lengths, and a
    /// saturated example's gradient of 10⁻²⁵ would underflow when squared in f32 and its reciprocal overflow.
    pub fn cosine_per_example(&self, other: &Var) -> Result<Var> {
        let (x, y) = (self.unit_scale()?, other.unit_scale()?);
        let norms = x.norm_l2_per_example()?.mul(&y.norm_l2_per_example()?)?;
        x.dot_per_example(&y)?.mul(&norms.guarded_recip()?)
    }
    /// 1 where a row's largest entry is below 10⁻¹⁸, too small for a direction in f32, else 0: `(N,)`, a constant.
    pub fn negligible_per_example(&self) -> Result<Var> {
        let x = self.tensor();
        let largest = by_dtype!("largest", x, T => largest_rows::<T>("largest", x))?;
        // Not below the bound: a NaN is not negligible.
        Var::constant(ones_like(&largest)?).mask(Mask::below(&largest, NEGLIGIBLE)?)
    }
    /// 1 / (largest entry) of every row, 0 where that is negligible.
    fn factors(&self) -> Result<candle_core::Tensor> {
        by_dtype!("unit_scale", self.tensor(), T => scale_rows::<T>("unit_scale", self.tensor(), NEGLIGIBLE))
    }
    /// Every row divided by its largest entry, a constant; negligible rows become zero.
    fn unit_scale(&self) -> Result<Var> {
        let scale = self.factors()?;
        let mut dims = vec![1; self.dims().len()];
        dims[0] = self.dim(0)?;
        self.broadcast_mul(&Var::constant(scale.reshape(dims)?))
    }
}

/// Below this a row has no direction: the square of its reciprocal would not be a finite f32.
const NEGLIGIBLE: f64 = 1e-18;

#[cfg(test)]
mod tests {
    use crate::{Graph, Var, grad};
    use candle_core::{Device, Tensor};

    #[test]
    fn the_cosine_of_tiny_rows_is_right_in_f32_to_second_order() {
        // 1 − cos(w · a, b) for saturated rows: the derivative by w is finite whatever the length of a.
        for size in [1.0f32, 1e-10, 1e-17, 1e-25, 1e-38, 0.0] {
            let w = Var::leaf(Tensor::new(&[[0.3f32, -0.4, 0.5]], &Device::Cpu).unwrap());
            let a = Var::constant(Tensor::new(&[[size, 2.0 * size, -size]], &Device::Cpu).unwrap());
            let b = Var::constant(Tensor::new(&[[1.0f32, 1.0, 2.0]], &Device::Cpu).unwrap());
            let cos = w.mul(&a).unwrap().cosine_per_example(&b).unwrap();
            let g = grad(&cos, &[&w], Graph::Keep).unwrap().swap_remove(0);
            let second = grad(&g.sqr().unwrap(), &[&w], Graph::Free).unwrap().swap_remove(0);
            for v in [&cos, &g, &second] {
                let values: Vec<f32> = v.tensor().flatten_all().unwrap().to_vec1().unwrap();
                assert!(values.iter().all(|x| x.is_finite()), "size {size}: {values:?}");
            }
            let value = cos.tensor().to_vec1::<f32>().unwrap()[0];
            let want = if size < 1e-17 { 0.0 } else { -1.5 / (0.98f32.sqrt() * 6.0f32.sqrt()) };
            assert!((value - want).abs() < 1e-5, "size {size}: {value} instead of {want}");
        }
    }
}
