//! The referee: attacks propose, the referee judges. It never alters a proposal.

use crate::Examples;
use candle_core::Tensor;
use gauntlet_core::attack::{self, Outcome};
use gauntlet_core::{Error, Result, Target, ThreatModel};

/// What the referee found out about one proposal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Judgement {
    /// Misclassified, finite, inside the ball and the box.
    pub(crate) broken: bool,
    /// ‖x_adv − x‖.
    pub(crate) size: f64,
    /// Margin at the proposal; NaN if a logit is not finite, which is never a success.
    pub(crate) margin: f64,
}

/// Checks every proposal against the threat model and classifies it again with the target.
///
/// # Errors
/// [`Error::Proposal`]: a proposal outside the ball or the box, or not finite, names the attack and the example: it is
/// the attack's mistake, not a miss.
pub(crate) fn judge(
    target: &dyn Target,
    examples: &Examples,
    threat: &ThreatModel,
    attack: &str,
    outcomes: &[Outcome],
) -> Result<Vec<Judgement>> {
    if outcomes.is_empty() {
        return Ok(Vec::new());
    }
    let mut sizes = Vec::with_capacity(outcomes.len());
    for outcome in outcomes {
        let clean = examples.image(outcome.job.index)?.squeeze(0)?;
        let wrong = |why| Error::Proposal { attack: attack.to_string(), example: outcome.job.id, why };
        if outcome.x_adv.dims() != clean.dims() {
            return Err(wrong(format!("its shape is {:?}, the image's {:?}", outcome.x_adv.dims(), clean.dims())));
        }
        sizes.push(threat.check(&outcome.x_adv, &clean)?.map_err(wrong)?);
    }
    let proposals: Vec<&Tensor> = outcomes.iter().map(|o| &o.x_adv).collect();
    let logits = attack::rows(&target.logits(&Tensor::stack(&proposals, 0)?)?)?;
    let judged = outcomes.iter().zip(sizes).zip(&logits).map(|((outcome, size), z)| {
        let class = attack::predicted(z);
        let margin = if class.is_some() { attack::margin(z, outcome.job.label) } else { f64::NAN };
        Judgement { broken: class.is_some_and(|k| k != outcome.job.label), size, margin }
    });
    Ok(judged.collect())
}
