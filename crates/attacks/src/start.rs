//! Where attacks that go by decisions begin: a misclassified point.
//!
//! An image of another class, the other usual start, is none that a walk knows: what happens to an example depends on it alone, not on
//! which others are evaluated beside it.

use crate::query::{Decisions, Oracle};

/// Draws of noise before a start is given up.
const DRAWS: u32 = 10_000;

/// Uniform noise of the box until it is misclassified, then bisected towards the clean image until the share of noise in the blend
/// is known to 0.001 (the start of HopSkipJump's authors). `None`: no draw is misclassified.
pub(crate) async fn blended_noise(oracle: &mut Oracle<Decisions>) -> Option<Vec<f64>> {
    let ((low, high), n) = (oracle.threat().bounds, oracle.x0().len());
    for _ in 0..DRAWS {
        let noise: Vec<f64> = (0..n).map(|_| low + (high - low) * oracle.stream.uniform()).collect();
        if oracle.fools(&noise).await {
            return Some(bisect(oracle, &noise, 0.001).await);
        }
    }
    None
}

/// The last misclassified point of a bisection between the clean image and `x`, which is misclassified; `tolerance`: of the share
/// of `x` in the blend.
pub(crate) async fn bisect(oracle: &mut Oracle<Decisions>, x: &[f64], tolerance: f64) -> Vec<f64> {
    let (mut inside, mut outside) = (0.0, 1.0);
    while outside - inside > tolerance {
        let middle = 0.5 * (inside + outside);
        let point = oracle.blend(x, middle);
        *if oracle.fools(&point).await { &mut outside } else { &mut inside } = middle;
    }
    oracle.blend(x, outside)
}
