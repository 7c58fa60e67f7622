//! A target's answers before any attack.

use gauntlet_core::Clean;
use gauntlet_records::{CleanVerdict, Flag};

/// Every example before any attack.
#[derive(Debug, Clone)]
pub struct CleanPass {
    /// One entry per example. A prediction of K, one past the last class, stands for logits that are not finite.
    pub verdicts: Vec<CleanVerdict>,
    /// Logits, in the same order.
    pub logits: Vec<Vec<f64>>,
    /// The flag `randomised-model`, where images were answered in another way when asked again. Attacks go by it, so it is
    /// settled before the first.
    pub randomised: Option<Flag>,
}

impl CleanPass {
    /// The correctly classified examples, as attacks see them.
    pub fn correct(&self) -> Vec<Clean> {
        let all = self.verdicts.iter().zip(&self.logits).enumerate();
        all.filter(|(_, (v, _))| v.predicted == v.label)
            .map(|(index, (v, z))| Clean { index, id: v.id, label: v.label, logits: z.clone() })
            .collect()
    }
    /// That of the examples at these places.
    pub fn at(&self, places: &[usize]) -> CleanPass {
        let (verdicts, logits) = places.iter().map(|i| (self.verdicts[*i].clone(), self.logits[*i].clone())).unzip();
        CleanPass { verdicts, logits, randomised: self.randomised.clone() }
    }
    /// Correct ÷ all.
    pub fn accuracy(&self) -> f64 {
        CleanVerdict::accuracy(&self.verdicts)
    }
}
