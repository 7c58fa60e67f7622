//! What an attack ascends.

use std::sync::Arc;

/// What an objective is told about an example beside its logits.
#[derive(Debug, Clone, Default)]
pub struct Goal {
    /// True label.
    pub label: usize,
    /// Target class of targeted objectives.
    pub target: Option<usize>,
    /// Fixed reference probabilities p(x) of KL objectives, K of them.
    pub reference: Option<Arc<[f64]>>,
}

/// A derivative by the logits that is made of tensor operations: what an attack on a GPU ascends without asking the CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slope {
    /// softmax(z) − onehot(y).
    CrossEntropy,
    /// softmax(z) − p(x), of the divergence from the clean image's probabilities.
    Divergence,
}

/// An objective of one example in closed form.
pub trait Objective: Send + Sync {
    /// Registered name.
    fn name(&self) -> &str;
    /// Classes that it needs at least.
    fn classes(&self) -> usize {
        1
    }
    /// Needs [`Goal::target`].
    fn targeted(&self) -> bool {
        false
    }
    /// Needs [`Goal::reference`].
    fn refers(&self) -> bool {
        false
    }
    /// Its derivative by the logits of a whole batch, where tensor operations have one.
    fn slope(&self) -> Option<Slope> {
        None
    }
    /// The value to be *maximised* at these logits; adds its derivative by them to `slope` (K zeros).
    fn ascend(&self, logits: &[f64], goal: &Goal, slope: &mut [f64]) -> f64;
}
