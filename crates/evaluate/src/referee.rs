//! The referee: attacks propose, the referee judges. It never alters a proposal.

use crate::{Cost, Examples, Result};
use candle_core::Tensor;
use gauntlet_core::attack::{self, Outcome};
use gauntlet_core::{Target, ThreatModel};

/// What the referee found out about one proposal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Judgement {
    /// Misclassified (as the class that alone counts, if there is one), finite, inside the ball and the box.
    pub(crate) broken: bool,
    /// ‖x_adv − x‖.
    pub(crate) size: f64,
    /// Margin at the proposal; NaN if a logit is not finite, which is never a success.
    pub(crate) margin: f64,
    /// Broken, and still misclassified when the proposal is rounded to 8 bits.
    pub(crate) rounded: bool,
    /// Of several draws: those that misclassify, the first, which is `broken`, included.
    pub(crate) fooled: Option<u32>,
}

/// Checks every proposal against the threat model and classifies it again with the target, broken ones also rounded to
/// 8 bits. `names`: the attack behind each outcome.
///
/// # Errors
/// [`gauntlet_core::Error::Proposal`]: a proposal outside the ball or the box, or not finite, names the attack and the
/// example: it is the attack's mistake, not a miss.
pub(crate) fn judge(
    target: &dyn Target,
    examples: &Examples,
    (threat, draws): (&ThreatModel, u32),
    names: &[&str],
    outcomes: &[Outcome],
    cost: &mut Cost,
) -> Result<Vec<Judgement>> {
    let mut sizes = Vec::with_capacity(outcomes.len());
    for (outcome, name) in outcomes.iter().zip(names) {
        let id = examples.ids()[outcome.index];
        let clean = examples.image(outcome.index)?.squeeze(0)?;
        let wrong = |why| gauntlet_core::Error::Proposal { attack: name.to_string(), example: id, why };
        if outcome.x_adv.dims() != clean.dims() {
            let why = format!("its shape is {:?}, the image's {:?}", outcome.x_adv.dims(), clean.dims());
            return Err(wrong(why).into());
        }
        sizes.push(threat.check(&outcome.x_adv, &clean)?.map_err(wrong)?);
    }
    let proposals: Vec<&Tensor> = outcomes.iter().map(|o| &o.x_adv).collect();
    let classify = |images: &[&Tensor], cost: &mut Cost| -> Result<Vec<Vec<f64>>> {
        cost.forwards += images.len() as u64;
        Ok(attack::rows(&target.logits(&Tensor::stack(images, 0)?)?)?)
    };
    let logits = classify(&proposals, cost)?;
    let mut judged: Vec<Judgement> = Vec::with_capacity(outcomes.len());
    for ((outcome, size), z) in outcomes.iter().zip(sizes).zip(&logits) {
        let label = examples.labels()[outcome.index];
        let class = attack::predicted(z);
        let margin = if class.is_some() { attack::margin(z, label) } else { f64::NAN };
        judged.push(Judgement {
            broken: attack::succeeded(z, label, outcome.aim),
            size,
            margin,
            rounded: false,
            fooled: None,
        });
    }
    if draws > 1 {
        let mut fooled: Vec<u32> = judged.iter().map(|j| u32::from(j.broken)).collect();
        for _ in 1..draws {
            for ((count, outcome), z) in fooled.iter_mut().zip(outcomes).zip(&classify(&proposals, cost)?) {
                *count += u32::from(attack::succeeded(z, examples.labels()[outcome.index], outcome.aim));
            }
        }
        judged.iter_mut().zip(fooled).for_each(|(j, count)| j.fooled = Some(count));
    }
    let broken: Vec<usize> = (0..judged.len()).filter(|i| judged[*i].broken).collect();
    if !broken.is_empty() {
        let rounded =
            broken.iter().map(|i| Ok(((proposals[*i] * 255.0)?.round()? / 255.0)?)).collect::<Result<Vec<Tensor>>>()?;
        let logits = classify(&rounded.iter().collect::<Vec<_>>(), cost)?;
        for (i, z) in broken.into_iter().zip(&logits) {
            let outcome = &outcomes[i];
            judged[i].rounded = attack::succeeded(z, examples.labels()[outcome.index], outcome.aim);
        }
    }
    Ok(judged)
}
