//! The first examples of an evaluation as pictures: what the quick attack of the training's monitor does to them, and the
//! adversarial examples of the evaluation's strongest attacks.

use crate::store::description::{place, strongest};
use crate::train::monitor::input_gradient;
use crate::{Monitor, Result, Store};
use candle_core::{DType, Tensor};
use gauntlet_core::attack::{lockstep, rows};
use gauntlet_core::{Key, Purpose, Registry, Target, ThreatModel};
use gauntlet_evaluate::{AttackEntry, Cost, Evaluator, Examples, Watch, evaluate};
use gauntlet_records::{Attacked, Eps, Fate, Picture, Pictures, Record, Verdict, pictures::quantise};
use serde_json::Value;
use std::collections::BTreeMap;

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
    let examples = examples.first(SHOWN)?;
    let (x, labels) = (examples.pixels(), examples.labels());
    let (attack, _) = registry.attack(&monitor.attack.given())?;
    let threat = ThreatModel::new(monitor.norm, monitor.eps.value());
    let key = Key::new(attack_seed, Purpose::AttackStart);
    let x_adv = lockstep(&*attack, target, x, labels, examples.ids(), threat, key)?;
    let gradient = input_gradient(target, x, labels)?;
    let (_, c, h, w) = x.dims4()?;
    Ok(Pictures {
        shape: (c, h, w),
        attack: said(monitor),
        norm: monitor.norm,
        eps: monitor.eps.clone(),
        shown: drawn(target, &examples, &x_adv, Some(&gradient))?,
    })
}

/// The proposals that broke their examples.
#[derive(Default)]
pub(crate) struct Kept(pub(crate) BTreeMap<usize, Tensor>);

impl Watch for Kept {
    fn judged(&mut self, _: usize, verdicts: &[(usize, Verdict, Option<Tensor>)]) -> gauntlet_evaluate::Result<()> {
        self.0.extend(verdicts.iter().filter_map(|(i, _, x)| Some((*i, x.clone()?))));
        Ok(())
    }
}

/// Pictures of the first examples as an attack left them at one ε: those that withstood or were wrong before have no
/// perturbation. Attacks are functions of the example, so these few by themselves fare as they did among all.
///
/// # Errors
/// See [`evaluate`].
pub(crate) fn adversarial(
    evaluator: &Evaluator<'_>,
    entry: &AttackEntry,
    registry: &Registry,
    eps: &Eps,
) -> Result<Pictures> {
    let examples = evaluator.examples.first(SHOWN)?;
    let evaluator = Evaluator { examples: &examples, clean: None, ..*evaluator };
    let clean = evaluator.clean(&mut Cost::default())?;
    let evaluator = Evaluator { clean: Some(&clean), ..evaluator };
    // Of what is carried over from a smaller ε, the proposal was made there.
    let needed = |e: &&Eps| if evaluator.carry { *e <= eps } else { *e == eps };
    let entry = AttackEntry { eps: entry.eps.iter().filter(needed).cloned().collect(), ..entry.clone() };
    let mut kept = Kept::default();
    let cells = evaluate(&evaluator, std::slice::from_ref(&entry), registry, &mut kept)?.attacked;
    let verdicts = cells.iter().find(|c| c.eps == *eps).map_or(&[][..], |c| c.verdicts.as_slice());
    let mut images = Vec::new();
    for (i, verdict) in verdicts.iter().enumerate() {
        images.push(match kept.0.get(&i).filter(|_| matches!(verdict.fate, Fate::Broken | Fate::Carried)) {
            Some(x) => x.unsqueeze(0)?,
            None => examples.image(i)?,
        });
    }
    let x_adv = Tensor::cat(&images, 0)?;
    let (_, c, h, w) = x_adv.dims4()?;
    Ok(Pictures {
        shape: (c, h, w),
        attack: entry.label,
        norm: entry.norm,
        eps: eps.clone(),
        shown: drawn(evaluator.target, &examples, &x_adv, None)?,
    })
}

/// Every example with its perturbation and predictions.
fn drawn(target: &dyn Target, examples: &Examples, x_adv: &Tensor, gradient: Option<&Tensor>) -> Result<Vec<Picture>> {
    let x = examples.pixels();
    let (before, after) = (rows(&target.logits(x)?)?, rows(&target.logits(x_adv)?)?);
    let flat =
        |t: &Tensor, i: usize| -> Result<Vec<f32>> { Ok(t.get(i)?.flatten_all()?.to_dtype(DType::F32)?.to_vec1()?) };
    let mut shown = Vec::new();
    for i in 0..examples.len() {
        let (clean, moved) = (flat(x, i)?, flat(x_adv, i)?);
        let (delta, delta_scale) = quantise(&clean.iter().zip(&moved).map(|(x, a)| a - x).collect::<Vec<f32>>());
        let (gradient, gradient_scale) = match gradient {
            Some(gradient) => quantise(&flat(gradient, i)?),
            None => (Vec::new(), 0.0),
        };
        shown.push(Picture {
            id: examples.ids()[i],
            label: examples.labels()[i],
            x: clean.iter().map(|v| (v * 255.0).round() as u8).collect(),
            delta,
            delta_scale,
            gradient,
            gradient_scale,
            clean: likeliest(&before[i]),
            attacked: likeliest(&after[i]),
        });
    }
    Ok(shown)
}

/// The quick attack as a reader is told.
pub(crate) fn said(monitor: &Monitor) -> String {
    let steps = monitor.attack.args.get("steps").map(|s| format!(", {s} steps")).unwrap_or_default();
    format!("{}{steps}", monitor.attack.name)
}

/// What the store has for a record of the quick attack, where its checkpoint was judged here or its pictures were imported.
pub fn pictures_of(store: &Store, record: &Record) -> Option<Pictures> {
    store.get_pictures(&place(record, &Value::Null))
}

/// Likewise of its strongest attacks, one for each norm.
pub fn strongest_of(store: &Store, record: &Record) -> Vec<Pictures> {
    strongest(record).iter().filter_map(|(key, cell)| kept(store, key, cell)).collect()
}

/// The store's pictures of an evaluation at that ε.
pub(crate) fn kept(store: &Store, key: &str, cell: &Attacked) -> Option<Pictures> {
    let found = store.get_pictures(key)?;
    // Two suites may call the attack differently.
    let found = Pictures { attack: cell.attack.clone(), ..found };
    found.shows(cell).then_some(found)
}

/// The likeliest class and its softmax probability; of logits that are not numbers, the class past the last.
fn likeliest(z: &[f64]) -> (u32, f32) {
    let Some(top) = gauntlet_core::attack::predicted(z) else { return (z.len() as u32, f32::NAN) };
    let sum: f64 = z.iter().map(|v| (v - z[top as usize]).exp()).sum();
    (top, (1.0 / sum) as f32)
}
