//! How far an attack can get.

/// How far an attack's steps lead at most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reach {
    /// Steps of one run.
    pub steps: u32,
    /// Length of a step, in the norm.
    pub alpha: f64,
    /// Whether a run begins elsewhere than at the clean image.
    pub random_start: bool,
}

impl Reach {
    /// steps × α, in the norm.
    pub fn length(&self) -> f64 {
        f64::from(self.steps) * self.alpha
    }
}
