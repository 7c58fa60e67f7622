//! A linear inequality of the outputs.

/// Σⱼ cⱼ·Yⱼ + k ≥ 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Halfspace {
    /// (j, cⱼ), each output once.
    pub terms: Vec<(usize, f64)>,
    /// k.
    pub constant: f64,
}

impl Halfspace {
    /// Σⱼ cⱼ·yⱼ + k: at least 0 where the inequality holds.
    pub fn slack(&self, y: &[f64]) -> f64 {
        self.terms.iter().map(|(j, c)| c * y[*j]).sum::<f64>() + self.constant
    }
    /// Σⱼ |cⱼ·yⱼ| + |k|: what rounding errors of the slack are measured by.
    pub fn magnitude(&self, y: &[f64]) -> f64 {
        self.terms.iter().map(|(j, c)| (c * y[*j]).abs()).sum::<f64>() + self.constant.abs()
    }
}
