//! What the referee tries on a model beside the attacks of the suite, to see whether its numbers can be trusted.

use crate::zero_gradient::{ZERO_GRADIENT, zero_gradient};
use crate::{AttackEntry, CleanPass, Component, Cost, Evaluator, Kind, Result, flags, gradient_check};
use gauntlet_core::attack::{predicted, rows};
use gauntlet_core::{Answers, Registry};
use gauntlet_records::{Flag, Norm, statistics::wilson, verdict::robust_accuracy};
use serde_json::{Map, Value, json};

/// Forwards of the same images, the clean pass included, and how many images: a deterministic model answers alike.
const REPEATS: usize = 5;
const IMAGES: usize = 64;
/// Largest L2 distance between normalised logits of two forwards of one image (AutoAttack's check).
const DRIFT: f64 = 1e-4;
/// Outputs within this of `[0, 1]` that sum to 1 within it are probabilities (AutoAttack's check).
const SIMPLEX: f64 = 1e-5;
/// Steps and images of the attack with ε = 1, which may turn any image into any other.
const BOUNDLESS_STEPS: u32 = 20;
const BOUNDLESS_IMAGES: usize = 100;

/// The flags of a model itself, which no attack of the suite raises.
pub const FLAGS: [&str; 6] =
    [RANDOMISED, "probabilities", "gradient-defect", "robust-at-eps-1", NO_GRADIENT, ZERO_GRADIENT];
/// Answers differ from draw to draw.
pub const RANDOMISED: &str = "randomised-model";
const NO_GRADIENT: &str = "no-gradient";

impl Evaluator<'_> {
    /// Flags of the model itself: `randomised-model`, `probabilities`, `gradient-defect`, `zero-gradient`, `robust-at-eps-1`,
    /// `no-gradient`.
    ///
    /// The first is the clean pass's. Costs at most 650 forwards of single images and 20 steps of PGD on 100 (where `pgd` is
    /// registered).
    ///
    /// # Errors
    /// See [`Evaluator::attack`].
    pub fn probe(&self, clean: &CleanPass, registry: &Registry) -> Result<Vec<Flag>> {
        let mut raised = Vec::new();
        raised.extend(clean.randomised.clone());
        // A class alone is written as a row of one 1.
        if self.target.answers() != Answers::Labels {
            raised.extend(probabilities(&clean.logits));
        }
        match gradient_check(self.target, self.examples) {
            Ok(defect) => {
                raised.extend(defect);
                raised.extend(zero_gradient(self.target, self.examples, clean, registry)?);
                raised.extend(self.boundless(clean, registry)?);
            }
            Err(error) => {
                raised.push(flags::flag(NO_GRADIENT, format!("no gradient can be had of this model: {error}")));
            }
        }
        Ok(raised)
    }

    /// Whether the same images are answered in another way when asked again.
    pub fn randomised(&self, clean: &CleanPass) -> Result<Option<Flag>> {
        let n = self.examples.len().min(IMAGES);
        let x = self.examples.pixels().narrow(0, 0, n)?;
        let mut answers = vec![clean.logits[..n].to_vec()];
        for _ in 1..REPEATS {
            answers.push(rows(&self.target.logits(&x)?)?);
        }
        let correct = |rows: &[Vec<f64>]| {
            rows.iter().zip(self.examples.labels()).filter(|(z, y)| predicted(z) == Some(**y)).count()
        };
        let counts: Vec<usize> = answers.iter().map(|a| correct(a)).collect();
        let (few, many) = counts.iter().fold((n, 0), |(few, many), c| (few.min(*c), many.max(*c)));
        let drift = answers[1..]
            .iter()
            .flat_map(|again| again.iter().zip(&answers[0]))
            .map(|(a, b)| distance(&normalised(a), &normalised(b)))
            .fold(0.0, f64::max);
        if few == many && drift <= DRIFT {
            return Ok(None);
        }
        Ok(Some(flags::flag(
            RANDOMISED,
            format!(
                "{REPEATS} forwards of the same {n} images classify {few} to {many} correctly and drift by {drift:.1e}: \
                 use eot-pgd or autoattack's version \"rand\", and read accuracies as one draw"
            ),
        )))
    }

    /// At ε = 1 every image is within reach of every other: an accuracy above chance says that the attack fails.
    fn boundless(&self, clean: &CleanPass, registry: &Registry) -> Result<Option<Flag>> {
        let n = self.examples.len().min(BOUNDLESS_IMAGES);
        if !registry.attacks.contains("pgd") {
            return Ok(None);
        }
        let given = Map::from_iter([
            ("name".to_string(), Value::from("pgd")),
            ("steps".to_string(), json!(BOUNDLESS_STEPS)),
            ("alpha".to_string(), json!("0.1")),
        ]);
        let entry = AttackEntry {
            label: "ε = 1".into(),
            attack: Component::resolve(Kind::Attack, registry, &given)?,
            norm: Norm::Linf,
            eps: vec!["1".parse()?],
            examples: None,
        };
        let (plan, _) = registry.plan(&entry.attack.given())?;
        let few = self.examples.first(n)?;
        let part = CleanPass {
            verdicts: clean.verdicts[..n].to_vec(),
            logits: clean.logits[..n].to_vec(),
            randomised: clean.randomised.clone(),
        };
        let evaluator = Evaluator { examples: &few, clean: None, ..*self };
        let cells = evaluator.attack(&entry, &plan, &part, &mut Cost::default())?;
        let robust = cells.first().map_or(0.0, |c| robust_accuracy(&c.verdicts));
        let chance = 1.0 / self.target.info().classes as f64;
        let (low, _) = wilson((robust * n as f64).round() as u64, n as u64, 1.96);
        Ok((low > chance).then(|| {
            flags::flag(
                "robust-at-eps-1",
                format!(
                    "{:.0} % of {n} images withstand PGD-{BOUNDLESS_STEPS} at linf ε = 1, where any image is allowed and \
                     chance is {:.0} %: gradients do not lead the attack, smaller budgets are not to be believed either",
                    100.0 * robust,
                    100.0 * chance
                ),
            )
        }))
    }
}

/// Whether the model ends in a softmax.
fn probabilities(logits: &[Vec<f64>]) -> Option<Flag> {
    let inside = |z: &Vec<f64>| {
        z.iter().all(|v| (-SIMPLEX..=1.0 + SIMPLEX).contains(v)) && (z.iter().sum::<f64>() - 1.0).abs() <= SIMPLEX
    };
    (!logits.is_empty() && logits.iter().all(inside)).then(|| {
        let why =
            "the model answers with probabilities instead of logits: gradients of the cross-entropy of a softmax \
                   vanish; attack its logits"
                .to_string();
        flags::flag("probabilities", why)
    })
}

fn normalised(z: &[f64]) -> Vec<f64> {
    let size = Norm::L2.of(z.iter().copied()).max(f64::MIN_POSITIVE);
    z.iter().map(|v| v / size).collect()
}

/// A distance to something that is not a number counts as no drift of its own: such logits have a flag of theirs.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    let d = Norm::L2.of(a.iter().zip(b).map(|(a, b)| a - b));
    if d.is_nan() { 0.0 } else { d }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_softmax_is_recognised_and_logits_are_not() {
        assert!(probabilities(&[vec![0.2, 0.8], vec![1.0, 0.0]]).is_some());
        assert!(probabilities(&[vec![0.2, 0.8], vec![1.5, -0.5]]).is_none());
        assert!(probabilities(&[vec![0.2, 0.7]]).is_none());
        assert!(probabilities(&[]).is_none());
    }
}
