//! The input gradient of the cross-entropy for a recipe's own single-step examples: no parameter gradient is computed.

use candle_core::Tensor;
use gauntlet_autograd::{Graph, Var, grad};
use gauntlet_core::{AttackMode, Result, Step, Target};

/// Cross-entropy `(N,)` and its input gradient `(N, C, H, W)` at `x`, with the current weights as constants.
pub(crate) fn slope(step: &mut Step<'_>, x: &Tensor, mode: AttackMode) -> Result<(Tensor, Tensor)> {
    let target = step.frozen(mode);
    let linear = target.linearise(x)?;
    if mode == AttackMode::TrainMoving {
        step.stats.append(&mut target.seen());
    }
    let logits = Var::leaf(linear.logits().clone());
    let loss = logits.cross_entropy(step.labels())?;
    let cotangent = grad(&loss, &[&logits], Graph::Free)?.swap_remove(0);
    Ok((loss.tensor().clone(), linear.pull(cotangent.tensor())?))
}

/// sign(x) with sign(0) = 0.
pub(crate) fn sign(x: &Tensor) -> Result<Tensor> {
    Ok(Var::constant(x.clone()).sign()?.tensor().clone())
}
