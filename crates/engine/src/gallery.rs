//! The first examples of an evaluation as pictures: what the quick attack of the training's monitor does to them.

use crate::monitor::input_gradient;
use crate::{Examples, Monitor, Result, Store, description, fingerprint};
use candle_core::{DType, Tensor};
use gauntlet_core::attack::{lockstep, rows};
use gauntlet_core::pictures::quantise;
use gauntlet_core::{Key, Picture, Pictures, Purpose, Record, Registry, Target, ThreatModel};
use serde_json::Value;

/// Examples that are shown.
const SHOWN: usize = 8;

/// Pictures of the first examples. Every example takes every step, also one that is wrong already: a reader wants to
/// see what the attack does.
///
/// # Errors
/// A forward, a backward or the attack fails.
pub(crate) fn pictures(
    target: &dyn Target,
    examples: &Examples,
    monitor: &Monitor,
    registry: &Registry,
    attack_seed: u64,
) -> Result<Pictures> {
    let n = SHOWN.min(examples.len());
    let x = examples.pixels().narrow(0, 0, n)?;
    let (labels, ids) = (&examples.labels()[..n], &examples.ids()[..n]);
    let (attack, _) = registry.attack(&monitor.attack.given())?;
    let threat = ThreatModel::new(monitor.norm, monitor.eps.value());
    let key = Key::new(attack_seed, Purpose::AttackStart);
    let x_adv = lockstep(&*attack, target, &x, labels, ids, threat, key)?;
    let gradient = input_gradient(target, &x, labels)?;
    let (before, after) = (rows(&target.logits(&x)?)?, rows(&target.logits(&x_adv)?)?);
    let flat =
        |t: &Tensor, i: usize| -> Result<Vec<f32>> { Ok(t.get(i)?.flatten_all()?.to_dtype(DType::F32)?.to_vec1()?) };
    let mut shown = Vec::new();
    for i in 0..n {
        let (clean, moved) = (flat(&x, i)?, flat(&x_adv, i)?);
        let (delta, delta_scale) = quantise(&clean.iter().zip(&moved).map(|(x, a)| a - x).collect::<Vec<f32>>());
        let (gradient, gradient_scale) = quantise(&flat(&gradient, i)?);
        shown.push(Picture {
            id: ids[i],
            label: labels[i],
            x: clean.iter().map(|v| (v * 255.0).round() as u8).collect(),
            delta,
            delta_scale,
            gradient,
            gradient_scale,
            clean: likeliest(&before[i]),
            attacked: likeliest(&after[i]),
        });
    }
    let (_, c, h, w) = x.dims4()?;
    Ok(Pictures { shape: (c, h, w), attack: said(monitor), norm: monitor.norm, eps: monitor.eps.clone(), shown })
}

/// The attack as a reader is told.
pub(crate) fn said(monitor: &Monitor) -> String {
    let steps = monitor.attack.args.get("steps").map(|s| format!(", {s} steps")).unwrap_or_default();
    format!("{}{steps}", monitor.attack.name)
}

/// What the store has for a record, where its checkpoint was judged here or its pictures were imported.
pub fn pictures_of(store: &Store, record: &Record) -> Option<Pictures> {
    let configuration = &record.result.configuration;
    let (conditions, model) = (&configuration["evaluation"], &configuration["training"]["model"]);
    let clean = description::evaluation(conditions, model, &record.result.checkpoint_sha256, &Value::Null);
    store.get_pictures(&fingerprint(&clean))
}

/// The likeliest class and its softmax probability; of logits that are not numbers, the class past the last.
fn likeliest(z: &[f64]) -> (u32, f32) {
    let Some(top) = gauntlet_core::attack::predicted(z) else { return (z.len() as u32, f32::NAN) };
    let sum: f64 = z.iter().map(|v| (v - z[top as usize]).exp()).sum();
    (top, (1.0 / sum) as f32)
}
