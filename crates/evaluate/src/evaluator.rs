//! The evaluator: clean pass, attacks, verdicts.

use crate::driver::{Drive, Stage};
use crate::{AttackEntry, CleanPass, Cost, Done, Error, Examples, Result, Watch, suffices};
use gauntlet_core::attack;
use gauntlet_core::{Attack, Key, Plan, Purpose, Target, ThreatModel};
use gauntlet_records::{Attacked, CleanVerdict, Family, Fate, Norm, Verdict};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Images of a clean forward: bounds memory, changes no number.
const CLEAN_CHUNK: usize = 256;

/// A model under test and the examples it is tested on.
#[derive(Clone, Copy)]
pub struct Evaluator<'a> {
    /// The model, in eval mode.
    pub target: &'a dyn Target,
    /// The examples.
    pub examples: &'a Examples,
    /// Slots in flight; changes speed and memory, no result.
    pub width: usize,
    /// Seed of the attacks' randomness.
    pub attack_seed: u64,
    /// An example broken at a smaller ε counts as broken at the larger ones.
    pub carry: bool,
    /// Forwards that a proposal is judged on, at least 1. The first decides; a randomised model answers differently in
    /// each, and [`Verdict::fooled`] counts those that misclassify. With several, an example's jobs go on until a proposal
    /// fools all draws; else the one that fools most is judged anew.
    pub draws: u32,
    /// The model that transferred examples are crafted on.
    pub surrogate: Option<&'a dyn Target>,
    /// The clean pass over these examples, where it is known: [`evaluate`](crate::evaluate) then does a part of an evaluation.
    pub clean: Option<&'a CleanPass>,
    /// Set to stop at the next step.
    pub interrupt: &'a AtomicBool,
}

impl<'a> Evaluator<'a> {
    /// 256 slots, attack seed 0, nothing carried over, one draw, no surrogate, no clean pass yet.
    pub fn new(target: &'a dyn Target, examples: &'a Examples, interrupt: &'a AtomicBool) -> Self {
        let (surrogate, clean) = (None, None);
        Evaluator { target, examples, width: 256, attack_seed: 0, carry: false, draws: 1, surrogate, clean, interrupt }
    }

    /// Classifies every example, and asks about some once more (not counted): is the model randomised?
    ///
    /// # Errors
    /// A forward that fails; an example of another shape or a label the model has no class for; an interruption.
    pub fn clean(&self, cost: &mut Cost) -> Result<CleanPass> {
        let mut pass = self.classify(cost)?;
        pass.randomised = self.randomised(&pass)?;
        Ok(pass)
    }

    /// Classifies every example, of a model that is taken not to be randomised.
    pub fn classify(&self, cost: &mut Cost) -> Result<CleanPass> {
        let info = self.target.info();
        let (n, c, h, w) = self.examples.pixels().dims4()?;
        if (c, h, w) != info.input {
            let (a, b) = (info.input, (c, h, w));
            return Err(Error::message(format!(
                "{} takes images of {a:?} (C, H, W), the examples are {b:?}",
                info.name
            )));
        }
        if let Some(bad) = self.examples.labels().iter().find(|y| **y as usize >= info.classes) {
            let k = info.classes;
            return Err(Error::message(format!("{} has {k} classes, an example has label {bad}", info.name)));
        }
        let (mut verdicts, mut logits) = (Vec::with_capacity(n), Vec::with_capacity(n));
        for start in (0..n).step_by(CLEAN_CHUNK) {
            if self.interrupt.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            let x = self.examples.pixels().narrow(0, start, CLEAN_CHUNK.min(n - start))?;
            for row in attack::rows(&self.target.logits(&x)?)? {
                let i = verdicts.len();
                let (id, label) = (self.examples.ids()[i], self.examples.labels()[i]);
                let class = attack::predicted(&row);
                let margin = CleanVerdict::margin(if class.is_some() { attack::margin(&row, label) } else { f64::NAN });
                let predicted = class.unwrap_or(info.classes as u32);
                verdicts.push(CleanVerdict { id, label, predicted, margin });
                logits.push(row);
            }
        }
        cost.forwards += n as u64;
        Ok(CleanPass { verdicts, logits, randomised: None })
    }

    /// Runs one attack at every ε, upward, on the examples that are classified correctly; one [`Attacked`] per ε, in
    /// the entry's order.
    ///
    /// # Errors
    /// An invalid proposal, a forward or backward that fails, an interruption.
    pub fn attack(
        &self,
        entry: &AttackEntry,
        plan: &Plan,
        clean: &CleanPass,
        cost: &mut Cost,
    ) -> Result<Vec<Attacked>> {
        self.attack_with(entry, plan, clean, cost, &Done::new(), &mut ())
    }

    /// Like [`Evaluator::attack`], with verdicts that are known from before and someone who follows.
    pub fn attack_with(
        &self,
        entry: &AttackEntry,
        plan: &Plan,
        clean: &CleanPass,
        cost: &mut Cost,
        done: &Done,
        watch: &mut dyn Watch,
    ) -> Result<Vec<Attacked>> {
        if let Some(name) = plan.surrogate()
            && self.surrogate.is_none()
        {
            return Err(Error::message(format!("transfer needs its surrogate {name:?}, and there is none here")));
        }
        suffices(self.target.answers(), plan, entry.norm, &self.target.info().name, None)?;
        if plan.stages(entry.norm).is_empty() {
            return Err(Error::message(format!("{} is not defined for {}", plan.name(), entry.norm)));
        }
        if plan.minimal() {
            return self.smallest(entry, plan, clean, cost, done, watch);
        }
        let mut upward: Vec<usize> = (0..entry.eps.len()).collect();
        upward.sort_by(|a, b| entry.eps[*a].cmp(&entry.eps[*b]));
        let correct = clean.correct();
        let mut by_eps: BTreeMap<usize, Vec<Verdict>> = BTreeMap::new();
        let mut fallen: BTreeMap<usize, Verdict> = BTreeMap::new();
        for k in upward {
            let mut verdicts: Vec<Verdict> = clean.verdicts.iter().map(wrong).collect();
            for (index, verdict) in &fallen {
                verdicts[*index] = Verdict { fate: Fate::Carried, forwards: 0, backwards: 0, ..verdict.clone() };
            }
            let mut pending = Vec::new();
            for example in correct.iter().filter(|e| !fallen.contains_key(&e.index)) {
                match done.get(&(k, example.index)) {
                    Some(verdict) => verdicts[example.index] = verdict.clone(),
                    None => pending.push(example.clone()),
                }
            }
            watch.started(k, pending.len(), correct.len(), &verdicts);
            let drive = self.drive(plan, clean, (entry.norm, entry.eps[k].value()), false);
            drive.run(&pending, cost, &mut |found| {
                for (index, verdict, _) in found {
                    verdicts[*index] = verdict.clone();
                }
                watch.judged(k, found)
            })?;
            watch.finished(k, &verdicts);
            if self.carry && plan.carries() {
                let broken = verdicts.iter().enumerate().filter(|(_, v)| v.fate == Fate::Broken);
                fallen.extend(broken.map(|(i, v)| (i, v.clone())));
            }
            by_eps.insert(k, verdicts);
        }
        Ok(cells(entry, plan.family(), by_eps))
    }

    /// An attack for the smallest perturbation: one run, and every ε is read off it.
    fn smallest(
        &self,
        entry: &AttackEntry,
        plan: &Plan,
        clean: &CleanPass,
        cost: &mut Cost,
        done: &Done,
        watch: &mut dyn Watch,
    ) -> Result<Vec<Attacked>> {
        let mut verdicts: Vec<Verdict> = clean.verdicts.iter().map(wrong).collect();
        let (correct, mut pending) = (clean.correct(), Vec::new());
        for example in &correct {
            match done.get(&(0, example.index)) {
                Some(verdict) => verdicts[example.index] = verdict.clone(),
                None => pending.push(example.clone()),
            }
        }
        watch.started(0, pending.len(), correct.len(), &verdicts);
        let drive = self.drive(plan, clean, (entry.norm, f64::INFINITY), true);
        drive.run(&pending, cost, &mut |found| {
            for (index, verdict, _) in found {
                verdicts[*index] = verdict.clone();
            }
            watch.judged(0, found)
        })?;
        let mut by_eps = BTreeMap::new();
        for (k, eps) in entry.eps.iter().enumerate() {
            let threat = ThreatModel::new(entry.norm, eps.value());
            let mut own = verdicts.clone();
            for (index, verdict) in own.iter_mut().enumerate().filter(|(_, v)| v.fate == Fate::Broken) {
                if verdict.size > threat.allowed(&self.examples.image(index)?)? {
                    // What the smallest perturbation cannot do, the attack cannot; its size stays to be read.
                    verdict.fate = Fate::Robust;
                    verdict.margin = Verdict::margin(Fate::Robust, clean.verdicts[index].margin);
                    verdict.rounded = false;
                    verdict.fooled = verdict.fooled.map(|_| 0);
                    verdict.broken_by = String::new();
                }
            }
            watch.finished(k, &own);
            by_eps.insert(k, own);
        }
        Ok(cells(entry, plan.family(), by_eps))
    }

    fn drive(&self, plan: &Plan, clean: &CleanPass, (norm, eps): (Norm, f64), smallest: bool) -> Drive<'_> {
        let root = Key::new(self.attack_seed, Purpose::AttackStart);
        let stage = |attack: &Arc<dyn Attack>| {
            let name = if let Plan::Ensemble(_) = plan { attack.name() } else { plan.name() };
            let surrogate = self.surrogate.filter(|_| plan.surrogate().is_some());
            Stage { name: name.to_string(), key: root.named(name), surrogate, attack: attack.clone() }
        };
        Drive {
            target: self.target,
            examples: self.examples,
            stages: plan.stages(norm).iter().map(stage).collect(),
            threat: ThreatModel::new(norm, eps),
            smallest,
            draws: self.draws,
            randomised: clean.randomised.is_some(),
            width: self.width,
            interrupt: self.interrupt,
        }
    }
}

/// One entry per ε, in the suite's order.
fn cells(entry: &AttackEntry, family: Family, by_eps: BTreeMap<usize, Vec<Verdict>>) -> Vec<Attacked> {
    let parameters = entry.attack.describe();
    let cell = |(k, verdicts): (usize, Vec<Verdict>)| Attacked {
        attack: entry.label.clone(),
        parameters: parameters.clone(),
        family: Some(family),
        norm: entry.norm,
        eps: entry.eps[k].clone(),
        examples: None,
        verdicts,
    };
    by_eps.into_iter().map(cell).collect()
}
/// The verdict on an example that needs no attack.
fn wrong(clean: &CleanVerdict) -> Verdict {
    Verdict {
        id: clean.id,
        fate: Fate::Wrong,
        restart: 0,
        steps: 0,
        size: 0.0,
        margin: None,
        forwards: 0,
        backwards: 0,
        broken_by: String::new(),
        blind: 0,
        rounded: false,
        fooled: None,
    }
}
