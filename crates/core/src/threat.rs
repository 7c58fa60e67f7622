//! What an adversary may do: norm, budget, valid inputs.

use crate::Result;
use candle_core::{DType, Tensor};
use gauntlet_records::Norm;

/// Norm + budget + valid inputs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ThreatModel {
    /// The norm of the perturbation.
    pub norm: Norm,
    /// The budget ε in pixels.
    pub eps: f64,
    /// Valid inputs, `[0, 1]`.
    pub bounds: (f64, f64),
}

impl ThreatModel {
    /// A ball of radius `eps` in images of `[0, 1]`.
    pub fn new(norm: Norm, eps: f64) -> Self {
        ThreatModel { norm, eps, bounds: (0.0, 1.0) }
    }

    /// The largest ‖δ‖ that counts as inside the budget around the clean image `x`: ε + 10⁻⁶ · max(1, ‖x‖); in L0, a count, ε.
    pub fn allowed(&self, x: &Tensor) -> Result<f64> {
        if self.norm == Norm::L0 {
            return Ok(self.eps);
        }
        let x: Vec<f64> = x.flatten_all()?.to_dtype(DType::F64)?.to_vec1()?;
        Ok(self.eps + 1e-6 * self.norm.of(x.into_iter()).max(1.0))
    }

    /// The referee's test of a proposal `x_adv` for the clean image `x` (both `(C, H, W)`): finite, in the box, and
    /// ‖x_adv − x‖ ≤ ε + 10⁻⁶ · max(1, ‖x‖). Returns ‖x_adv − x‖, or what is violated and by how much.
    pub fn check(&self, x_adv: &Tensor, x: &Tensor) -> Result<std::result::Result<f64, String>> {
        let read = |t: &Tensor| -> Result<Vec<f64>> { Ok(t.flatten_all()?.to_dtype(DType::F64)?.to_vec1()?) };
        let (a, b) = (read(x_adv)?, read(x)?);
        if a.len() != b.len() {
            return Ok(Err(format!("it has {} pixels, the image {}", a.len(), b.len())));
        }
        if let Some(v) = a.iter().find(|v| !v.is_finite()) {
            return Ok(Err(format!("a pixel is {v}")));
        }
        // A float just outside [0,1] is rounding only below one unit in the last place of f32.
        let slack = 1e-7;
        if let Some(v) = a.iter().find(|v| **v < self.bounds.0 - slack || **v > self.bounds.1 + slack) {
            return Ok(Err(format!("a pixel is {v}, outside [{}, {}]", self.bounds.0, self.bounds.1)));
        }
        let size = self.norm.of(a.iter().zip(&b).map(|(a, b)| a - b));
        let allowed = self.allowed(x)?;
        if size > allowed {
            return Ok(Err(format!("‖δ‖ = {size} exceeds {} = {} + tolerance ({})", allowed, self.eps, self.norm)));
        }
        Ok(Ok(size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn the_referee_names_the_violated_constraint() {
        let t = |v: &[f32]| Tensor::new(v, &Device::Cpu).unwrap();
        let threat = ThreatModel::new(Norm::Linf, 0.1);
        let x = t(&[0.5, 0.0]);
        assert!((threat.check(&t(&[0.6, 0.1]), &x).unwrap().unwrap() - 0.1).abs() < 1e-6);
        for (bad, needle) in [(&[0.7f32, 0.0], "exceeds"), (&[0.5, -0.05], "outside"), (&[0.5, f32::NAN], "NaN")] {
            let why = threat.check(&t(bad), &x).unwrap().unwrap_err();
            assert!(why.contains(needle), "{why}");
        }
        // In L0 every value that differs counts, however little.
        let one = ThreatModel::new(Norm::L0, 1.0);
        assert_eq!(one.check(&t(&[0.9, 0.0]), &x).unwrap(), Ok(1.0));
        let why = one.check(&t(&[0.9, 1e-9]), &x).unwrap().unwrap_err();
        assert!(why.contains("‖δ‖ = 2 exceeds 1"), "{why}");
    }
}
