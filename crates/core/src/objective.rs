//! What an attack ascends.

use crate::Result;
use candle_core::Tensor;

/// What an objective is told about each example beside its logits.
#[derive(Debug, Clone)]
pub struct Goal {
    /// True labels, `(N,)` u32.
    pub labels: Tensor,
    /// Target classes of targeted objectives, `(N,)` u32.
    pub targets: Option<Tensor>,
    /// Fixed reference probabilities p(x) of KL objectives, `(N, K)`.
    pub reference: Option<Tensor>,
}

/// A per-example objective in closed form: value `(N,)` and its derivative by the logits `(N, K)`.
///
/// Rows are independent: the derivative of row n is that of value n alone, so summing over the batch scales nothing.
pub trait Objective: Send + Sync {
    /// Registered name.
    fn name(&self) -> &str;
    /// Values to be *maximised*, and their derivatives by the logits.
    fn ascend(&self, logits: &Tensor, goal: &Goal) -> Result<(Tensor, Tensor)>;
}
