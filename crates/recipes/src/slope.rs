//! The input gradient of the cross-entropy for a recipe's own single-step examples: no parameter gradient is computed.

use candle_core::Tensor;
use gauntlet_autograd::{Var, cross_entropy_slope};
use gauntlet_core::{AttackMode, Result, Step, Target};

/// Cross-entropy `(N,)` and its input gradient `(N, C, H, W)` at `x`, with the current weights as constants.
pub(crate) fn slope(step: &mut Step<'_>, x: &Tensor, mode: AttackMode) -> Result<(Var, Var)> {
    let target = step.frozen(mode);
    let linear = target.linearise(x)?;
    if mode == AttackMode::TrainMoving {
        step.stats.append(&mut target.seen());
    }
    let logits = linear.logits();
    let loss = Var::constant(logits.clone()).cross_entropy(step.labels())?;
    let g = linear.pull(&cross_entropy_slope(logits, step.labels())?)?;
    Ok((loss, Var::constant(g)))
}
