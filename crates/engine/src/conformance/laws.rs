//! Promises about values: finite, repeatable, per example, in pixel units, `ce` at zero.

use super::found::Found;
use super::network::{CLASSES, FIRST, INPUT, LAST, Smooth};
use super::subject::{SEED, Subject, batch, teacher};
use crate::{Result, TrainingStep, Tricks};
use candle_core::{Device, Tensor};
use gauntlet_core::optimiser::{Optimiser, OptimiserState};
use gauntlet_core::position::Position;
use gauntlet_core::{Batch, Network, Param, ParamKind, Pass, Precision, Weights};
use serde_json::json;
use std::sync::Arc;

/// Error that rounding may cause, as a share of the values.
const ROUNDING: f64 = 1e-10;

/// Largest |a − b| as a share of the largest value (of 1, if all are smaller); lengths that differ are infinitely far.
fn apart(a: &[f64], b: &[f64]) -> f64 {
    if a.len() != b.len() {
        return f64::INFINITY;
    }
    let size = a.iter().chain(b).fold(1.0f64, |m, v| m.max(v.abs()));
    // A NaN must not get lost in a comparison.
    a.iter().zip(b).fold(0.0, |m, (a, b)| if ((a - b) / size).abs() <= m { m } else { ((a - b) / size).abs() })
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|v| v.to_bits()).collect()
}

/// One finite value per example and term; the total is the weighted sum of the means.
pub(super) fn terms(subject: &Subject<'_>) -> Result<Found> {
    let images = batch(8, INPUT, CLASSES, Precision::F64)?;
    let mut memory = subject.memory(&*subject.network, Precision::F64)?;
    let (total, terms) = subject.loss(&subject.network, &subject.weights()?.leaves(), &images, &mut memory)?;
    let total: f64 = total.tensor().sum_all()?.to_scalar()?;
    let mut sum = 0.0;
    for (name, weight, values) in &terms {
        if values.len() != images.len() {
            let why = format!("term {name} has {} values for {} examples", values.len(), images.len());
            return Ok(Found::Broken(format!("{why}: a term is one value per example, `Term` takes its mean itself")));
        }
        if let Some(at) = values.iter().position(|v| !v.is_finite()) {
            return Ok(Found::Broken(format!("term {name} is {} for example {at}", values[at])));
        }
        if *weight != 0.0 {
            sum += weight * values.iter().sum::<f64>() / values.len() as f64;
        }
    }
    if apart(&[total], &[sum]) > ROUNDING {
        let why = format!("the total is {total}, the weighted means of its terms add up to {sum}");
        return Ok(Found::Broken(why));
    }
    let names: Vec<String> = terms.iter().map(|(name, weight, _)| format!("{weight} · {name}")).collect();
    Ok(Found::Holds(format!("{}: finite, one value per example", names.join(" + "))))
}

/// The same step twice gives the same bits.
pub(super) fn repeats(subject: &Subject<'_>) -> Result<Found> {
    let (first, again) = (subject.here()?, subject.again()?.here()?);
    if let Some(((name, ..), _)) = first.terms.iter().zip(&again.terms).find(|(a, b)| bits(&a.2) != bits(&b.2)) {
        return Ok(Found::Broken(format!(
            "term {name} differs when the same step is taken again: draw from `step.normal` or `step.uniform`, which are \
             keyed by seed, example and step"
        )));
    }
    if first.total.to_bits() != again.total.to_bits() || bits(&first.gradient) != bits(&again.gradient) {
        return Ok(Found::Broken("total or gradient differ when the same step is taken again".into()));
    }
    Ok(Found::Holds("the same step twice gives the same bits".into()))
}

/// Two halves, averaged, are the whole.
pub(super) fn halves(subject: &Subject<'_>) -> Result<Found> {
    let weights = subject.weights()?;
    let whole = batch(8, INPUT, CLASSES, Precision::F64)?;
    let half = |start: usize| -> Result<Batch> {
        Ok(Batch {
            x: whole.x.narrow(0, start, 4)?.contiguous()?,
            y: whole.y.narrow(0, start, 4)?.contiguous()?,
            ids: whole.ids[start..start + 4].to_vec(),
        })
    };
    let see = |images: &Batch| subject.step(&subject.network, &weights, images);
    let (all, first, second) = (see(&whole)?, see(&half(0)?)?, see(&half(4)?)?);
    for ((name, _, values), (a, b)) in all.terms.iter().zip(first.terms.iter().zip(&second.terms)) {
        let joined: Vec<f64> = a.2.iter().chain(&b.2).copied().collect();
        if apart(values, &joined) > ROUNDING {
            return Ok(Found::Broken(format!(
                "term {name} of an example depends on the rest of its batch (by {:.1e}): no sum, mean or size of the \
                 batch, no place in it may enter",
                apart(values, &joined)
            )));
        }
    }
    let averaged: Vec<f64> = first.gradient.iter().zip(&second.gradient).map(|(a, b)| (a + b) / 2.0).collect();
    let error = apart(&all.gradient, &averaged);
    if error > ROUNDING {
        return Ok(Found::Broken(format!("the gradient of a batch is not the mean of its halves' (by {error:.1e})")));
    }
    Ok(Found::Holds(format!("halves of a batch average to the whole (to {error:.1e})")))
}

/// Pixel units: what the model divides by is the model's business.
pub(super) fn pixels(subject: &Subject<'_>) -> Result<Found> {
    const STD: f64 = 0.3;
    let images = batch(8, INPUT, CLASSES, Precision::F64)?;
    let weights = subject.weights()?;
    let mut absorbed = weights.clone();
    // Of a network that the recipe trains beside this one too.
    for (name, first, _) in weights.iter().filter(|(name, ..)| name.ends_with(FIRST)) {
        absorbed.set(name, first.affine(1.0 / STD, 0.0)?)?;
    }
    let inside: Arc<dyn Network> = Arc::new(Smooth::new(STD));
    let (a, b) = (subject.step(&inside, &weights, &images)?, subject.step(&subject.network, &absorbed, &images)?);
    for ((name, _, values), (_, _, other)) in a.terms.iter().zip(&b.terms) {
        if apart(values, other) > ROUNDING {
            return Ok(Found::Broken(format!(
                "term {name} changes (by {:.1e}) when the model's normalisation moves into its first layer: lengths are \
                 in pixels of images in [0,1]",
                apart(values, other)
            )));
        }
    }
    let error = apart(&[a.total], &[b.total]);
    if error > ROUNDING {
        return Ok(Found::Broken(format!("weights change (by {error:.1e}) when the model's normalisation moves")));
    }
    Ok(Found::Holds(format!("absorbing the model's normalisation changes nothing (to {error:.1e})")))
}

/// At nothing, every recipe on a cross-entropy is plain training.
pub(super) fn zero(subject: &Subject<'_>) -> Result<Found> {
    let (budgets, weights): (Vec<_>, Vec<_>) = {
        // Constants of scripts are written large.
        let named = |p: &Param, what: &str| p.name.eq_ignore_ascii_case(what);
        let budget = |p: &&Param| named(p, "eps") || (p.kind == ParamKind::Eps && p.default.is_empty());
        let weight = |p: &&Param| named(p, "weight") || p.name.to_ascii_lowercase().ends_with("_weight");
        (subject.params.iter().filter(budget).collect(), subject.params.iter().filter(weight).collect())
    };
    let changed = if weights.is_empty() || !(subject.is_penalty() || budgets.is_empty()) { budgets } else { weights };
    if changed.is_empty() {
        return Ok(Found::Skipped("no budget and no `weight` to set to 0".into()));
    }
    let here = subject.here()?;
    if !subject.is_penalty() && !here.terms.iter().any(|(name, w, _)| *w != 0.0 && ["ce", "adv_ce"].contains(&&**name))
    {
        let names: Vec<&str> = here.terms.iter().map(|(name, ..)| name.as_str()).collect();
        return Ok(Found::Skipped(format!("no term `ce` or `adv_ce` to be left over, only {}", names.join(", "))));
    }
    let names: Vec<&str> = changed.iter().map(|p| p.name.as_str()).collect();
    let names = names.join(" = ");
    let nothing =
        changed.iter().map(|p| (p.name.clone(), if p.kind == ParamKind::Eps { json!("0") } else { json!(0.0) }));
    let nothing = match subject.with(nothing) {
        Ok(nothing) => nothing.here()?,
        Err(error) => return Ok(Found::Skipped(format!("{names} = 0 is refused: {error}"))),
    };
    let ce = subject.ce()?.here()?;
    if bits(&nothing.gradient) == bits(&ce.gradient) {
        return Ok(Found::Holds(format!("{names} = 0 is `ce` bit for bit")));
    }
    let error = apart(&nothing.gradient, &ce.gradient);
    if error > ROUNDING {
        return Ok(Found::Broken(format!("with {names} = 0 the gradient is not that of `ce` (by {error:.1e})")));
    }
    Ok(Found::Holds(format!("{names} = 0 is `ce` (to {error:.1e})")))
}

/// Finite at saturated softmaxes, tiny gradients and a constant network.
pub(super) fn saturation(subject: &Subject<'_>) -> Result<Found> {
    let start = subject.weights()?;
    let mut cases = 0;
    for precision in [Precision::F64, Precision::F32] {
        for scale in [0.0, 30.0, 100.0, 1e4] {
            for right in [true, false] {
                let mut weights = start.clone();
                for name in LAST {
                    weights.set(name, start.get(name)?.affine(scale, 0.0)?)?;
                }
                let weights = weights.to_precision(precision)?;
                let images = labelled(batch(6, INPUT, CLASSES, precision)?, subject, &weights, right)?;
                let seen = subject.step(&subject.network, &weights, &images)?;
                let odd = seen.terms.iter().find(|(_, _, values)| values.iter().any(|v| !v.is_finite()));
                let what = match odd {
                    Some((name, ..)) => format!("term {name} is"),
                    None if !seen.total.is_finite() => "the total is".to_string(),
                    None if seen.gradient.iter().any(|g| !g.is_finite()) => "the gradient is".to_string(),
                    None => {
                        cases += 1;
                        continue;
                    }
                };
                let side = if right { "right" } else { "wrong" };
                return Ok(Found::Broken(format!(
                    "{what} not finite in {} when logits are scaled by {scale} and all answers {side}: norms and \
                     cosines need their guarded forms where a gradient vanishes",
                    precision.name()
                )));
            }
        }
    }
    Ok(Found::Holds(format!("finite in {cases} cases of saturated, tiny and vanishing gradients, f64 and f32")))
}

/// The same images, labelled as the network sees them, or by its last guess.
fn labelled(images: Batch, subject: &Subject<'_>, weights: &Weights, right: bool) -> Result<Batch> {
    let x = gauntlet_autograd::Var::constant(images.x.clone());
    let z = subject.network.forward(&weights.constants(), &x, &mut Pass::eval(&images.ids))?;
    let labels: Vec<u32> = gauntlet_core::attack::rows(z.tensor())?
        .iter()
        .map(|z| {
            let best = |a: &usize, b: &usize| if right { z[*a].total_cmp(&z[*b]) } else { z[*b].total_cmp(&z[*a]) };
            (0..z.len()).max_by(best).unwrap_or_default() as u32
        })
        .collect();
    let n = labels.len();
    Ok(Batch { y: Tensor::from_vec(labels, n, &Device::Cpu)?, ..images })
}

/// A few steps of the trainer.
pub(super) fn training(subject: &Subject<'_>) -> Result<Found> {
    const STEPS: u32 = 3;
    let images = batch(8, INPUT, CLASSES, Precision::F64)?;
    let (start, mut memory) = (subject.weights()?, subject.memory(&*subject.network, Precision::F64)?);
    let mut weights = start.clone();
    let optimiser = Optimiser::Sgd { lr: 1e-3, momentum: 0.0, nesterov: false, weight_decay: 0.0 };
    let step = TrainingStep {
        network: &subject.network,
        recipe: &*subject.recipe,
        optimiser: &optimiser,
        clip: None,
        teacher: Some(teacher(&subject.network, Precision::F64)?),
        graphs: None,
        tricks: &Tricks::NONE,
        mixed: None,
    };
    let mut state = OptimiserState::default();
    let mut losses = Vec::new();
    let replays = subject.recipe.replays().max(1);
    for number in 0..STEPS {
        for replay in 0..replays as u32 {
            let at = Position { epoch: 0, epochs: 1, step: number, steps: STEPS, replay };
            losses.push(step.take(&mut weights, &mut state, &mut memory, &images, (SEED, at, 1e-3))?.settle()?.loss);
        }
    }
    for (name, after, trained) in weights.iter() {
        let (before, after) = (start.get(name)?.flatten_all()?.to_vec1()?, after.flatten_all()?.to_vec1()?);
        if !after.iter().all(|v: &f64| v.is_finite()) {
            return Ok(Found::Broken(format!("{name} is not finite after {} steps", losses.len())));
        }
        if trained && bits(&before) == bits(&after) {
            return Ok(Found::Broken(format!("{name} did not move in {} steps: its gradient is zero", losses.len())));
        }
    }
    let shown = |loss: Option<&f64>| loss.copied().unwrap_or(f64::NAN);
    let (first, last) = (shown(losses.first()), shown(losses.last()));
    Ok(Found::Holds(format!("{} steps of the trainer, loss {first:.4} to {last:.4}", losses.len())))
}
