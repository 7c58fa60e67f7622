//! Per-example reductions: `(N, ..)` to `(N,)`.

use crate::kernels::by_dtype;
use crate::kernels::reduce::largest_rows;
use crate::{Result, Var};
use candle_core::Tensor;

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
    /// Rows whose largest entry is below 10⁻¹⁸: too small for a direction in f32.
    pub fn negligible_per_example(&self) -> Result<Vec<bool>> {
        Ok(self.largest_per_example()?.iter().map(|s| *s < NEGLIGIBLE).collect())
    }
    fn largest_per_example(&self) -> Result<Vec<f64>> {
        by_dtype!("largest_per_example", self.tensor(), T => largest_rows::<T>("largest_per_example", self.tensor()))
    }
    /// Every row divided by its largest entry, a constant; negligible rows become zero.
    fn unit_scale(&self) -> Result<Var> {
        let scale = self.largest_per_example()?.into_iter().map(|s| if s < NEGLIGIBLE { 0.0 } else { 1.0 / s });
        let scale: Vec<f64> = scale.collect();
        let mut dims = vec![1; self.dims().len()];
        dims[0] = scale.len();
        let scale = Tensor::from_vec(scale, dims, self.device())?.to_dtype(self.dtype())?;
        self.broadcast_mul(&Var::constant(scale))
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
