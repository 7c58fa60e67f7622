//! Per-example reductions: `(N, ..)` to `(N,)`.

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
    /// cos(x, y) per example; where either is zero the value is 0 and there is no gradient.
    pub fn cosine_per_example(&self, other: &Var) -> Result<Var> {
        let norms = self.norm_l2_per_example()?.mul(&other.norm_l2_per_example()?)?;
        self.dot_per_example(other)?.mul(&norms.guarded_recip()?)
    }
}
