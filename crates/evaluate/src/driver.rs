//! The continuous driver: slots are refilled from a queue, so that the batch stays full and no gradient is spent on an
//! example that is already broken.

use crate::referee::{self, Judgement};
use crate::{Cost, Error, Examples, Result};
use candle_core::Tensor;
use gauntlet_autograd::kernels::{self, awake};
use gauntlet_core::attack::{Backwards, Open, Outcome, Slots, Walks, rows};
use gauntlet_core::{Attack, Clean, Job, Key, Precision, Target, ThreatModel};
use gauntlet_records::{Fate, Verdict};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Takes verdicts as they are given, with the index of the example and the proposal that broke it.
pub(crate) type Found<'f> = &'f mut dyn FnMut(&[(usize, Verdict, Option<Tensor>)]) -> Result<()>;

/// One attack of an ensemble, or the only one.
pub(crate) struct Stage<'a> {
    /// What it is called in verdicts.
    pub(crate) name: String,
    pub(crate) attack: Arc<dyn Attack>,
    pub(crate) key: Key,
    /// Where examples are crafted, if not on the target.
    pub(crate) surrogate: Option<&'a dyn Target>,
}

/// One attack (or ensemble) at one ε on the examples that need it.
pub(crate) struct Drive<'a> {
    pub(crate) target: &'a dyn Target,
    pub(crate) examples: &'a Examples,
    pub(crate) stages: Vec<Stage<'a>>,
    pub(crate) threat: ThreatModel,
    /// The smallest perturbation is wanted.
    pub(crate) smallest: bool,
    /// Forwards that a proposal is judged on.
    pub(crate) draws: u32,
    /// The model answers differently from draw to draw.
    pub(crate) randomised: bool,
    pub(crate) width: usize,
    pub(crate) interrupt: &'a AtomicBool,
}

/// An example on its way through its jobs, which run one after the other: what it costs and how it ends is a function
/// of the example alone, whatever runs beside it.
struct Runner {
    clean: Clean,
    /// Stage and job.
    jobs: Vec<(usize, Job)>,
    next: usize,
    forwards: u32,
    backwards: u32,
    blind: u32,
    /// The job that came closest so far, for examples that withstand them all.
    closest: Option<(Judgement, u32)>,
    /// The best job so far and its stage, where the first that breaks is not the end: with `smallest` the broken one of
    /// least size, with several draws the one that fools most of them.
    best: Option<(Judgement, Outcome, usize)>,
}

/// What comes after a judged job.
enum After {
    /// The next one.
    Next,
    /// The verdict, the stage that broke the example and the proposal.
    End(End),
    /// The proposal of several jobs that fooled most draws, and its stage, to be judged anew: the draws that chose it
    /// flatter it.
    Anew(Outcome, usize),
}

type End = (Verdict, usize, Option<Tensor>);

impl Drive<'_> {
    /// Runs until every listed example has a verdict; `found` takes each as it is given, with the example's index.
    pub(crate) fn run(&self, pending: &[Clean], cost: &mut Cost, found: Found<'_>) -> Result<()> {
        for stage in &self.stages {
            stage.attack.fits(&self.open(stage))?;
            if let Some(surrogate) = stage.surrogate {
                let (own, other) = (self.target.info(), surrogate.info());
                if (own.input, own.classes) != (other.input, other.classes) {
                    return Err(Error::message(format!(
                        "surrogate {} takes images {:?} of {} classes, {} takes {:?} of {}",
                        other.name, other.input, other.classes, own.name, own.input, own.classes
                    )));
                }
            }
        }
        let mut attend = || match Precision::of(self.examples.pixels())? {
            Precision::F64 => self.attend::<f64>(pending, cost, found),
            Precision::F32 => self.attend::<f32>(pending, cost, found),
        };
        if self.target.computes_here() { awake(attend) } else { attend() }
    }

    fn open(&self, stage: &Stage<'_>) -> Open {
        let info = self.target.info();
        Open {
            input: info.input,
            classes: info.classes,
            threat: self.threat,
            key: stage.key,
            lockstep: stage.surrogate.is_some(),
            smallest: self.smallest,
            randomised: self.randomised || self.draws > 1,
        }
    }

    /// What the stage's attack knows of an example: on a surrogate, the surrogate's answer.
    fn known(&self, stage: &Stage<'_>, clean: &Clean) -> Result<Clean> {
        let mut known = clean.clone();
        if let Some(surrogate) = stage.surrogate.filter(|_| stage.attack.needs_clean()) {
            known.logits = rows(&surrogate.logits(&self.examples.image(clean.index)?)?)?.remove(0);
        }
        Ok(known)
    }

    fn runner(&self, clean: &Clean) -> Result<Runner> {
        let mut jobs = Vec::new();
        for (at, stage) in self.stages.iter().enumerate() {
            let own = stage.attack.jobs(&self.known(stage, clean)?, &self.threat);
            if own.is_empty() {
                let (name, id) = (&stage.name, clean.id);
                return Err(Error::message(format!("attack {name} has no job for example {id}")));
            }
            jobs.extend(own.into_iter().map(|job| (at, job)));
        }
        Ok(Runner {
            clean: clean.clone(),
            jobs,
            next: 0,
            forwards: 0,
            backwards: 0,
            blind: 0,
            closest: None,
            best: None,
        })
    }

    /// Neighbouring stages that ask for equally many gradients share their slots: an example goes from one to the next
    /// without waiting for the others.
    fn attend<T: Walks>(&self, pending: &[Clean], cost: &mut Cost, found: Found<'_>) -> Result<()> {
        let mut runners: Vec<Option<Runner>> = (0..self.examples.len()).map(|_| None).collect();
        let mut queue: VecDeque<usize> = VecDeque::new();
        for clean in pending {
            runners[clean.index] = Some(self.runner(clean)?);
            queue.push_back(clean.index);
        }
        let mut first = 0;
        while first < self.stages.len() && !queue.is_empty() {
            let kind = self.stages[first].attack.backwards();
            let alike = |s: &&Stage<'_>| s.attack.backwards() == kind && s.surrogate.is_none();
            let alike = self.stages[first..].iter().take_while(alike).count().max(1);
            let group = first..first + alike;
            queue = self.group::<T>(group, kind, &mut runners, queue, cost, found)?;
            first += alike;
        }
        Ok(())
    }

    /// Runs the jobs of some stages; the examples that go on to later ones, in the order of their indices.
    fn group<T: Walks>(
        &self,
        group: std::ops::Range<usize>,
        kind: Backwards,
        runners: &mut [Option<Runner>],
        mut queue: VecDeque<usize>,
        cost: &mut Cost,
        found: Found<'_>,
    ) -> Result<VecDeque<usize>> {
        let opens: Vec<Open> = self.stages.iter().map(|s| self.open(s)).collect();
        let (n, c, h, w) = self.examples.pixels().dims4()?;
        let values = kernels::values::<T>(self.examples.pixels()).map_err(gauntlet_core::Error::from)?;
        let pixels = values.len() / n.max(1);
        let crafted_on = self.stages[group.start].surrogate.unwrap_or(self.target);
        let mut slots = Slots::<T>::new(self.width.clamp(1, queue.len().max(1)), (c, h, w), opens[0].classes);
        let mut later = Vec::new();
        loop {
            for slot in slots.free() {
                let Some(index) = queue.pop_front() else { break };
                let Some(runner) = &mut runners[index] else { continue };
                let (at, job) = &runner.jobs[runner.next];
                let stage = &self.stages[*at];
                let x0 = &values[index * pixels..(index + 1) * pixels];
                slots.load(slot, &*stage.attack, &opens[*at], job, &self.known(stage, &runner.clean)?, x0);
            }
            if slots.busy() == 0 {
                later.sort_unstable();
                return Ok(later.into());
            }
            if self.interrupt.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            let turned = slots.turn(crafted_on, kind != Backwards::None)?;
            cost.forwards += turned.forwards as u64;
            cost.backwards += turned.backwards as u64;
            let outcomes = turned.ended;
            if outcomes.is_empty() {
                continue;
            }
            let stages: Vec<usize> =
                outcomes.iter().map(|o| runners[o.index].as_ref().map_or(0, |r| r.jobs[r.next].0)).collect();
            let judged = self.judge(&outcomes, &stages, cost)?;
            let (mut ends, mut anew) = (Vec::new(), Vec::new());
            for (outcome, judgement) in outcomes.into_iter().zip(judged) {
                let index = outcome.index;
                let Some(runner) = &mut runners[index] else { continue };
                match runner.judged(outcome, judgement, self) {
                    After::End(end) => ends.push((index, end)),
                    After::Anew(outcome, stage) => anew.push((outcome, stage)),
                    After::Next if group.contains(&runner.jobs[runner.next].0) => queue.push_back(index),
                    After::Next => later.push(index),
                }
            }
            if !anew.is_empty() {
                let (outcomes, stages): (Vec<Outcome>, Vec<usize>) = anew.into_iter().unzip();
                let judged = self.judge(&outcomes, &stages, cost)?;
                for ((outcome, stage), judgement) in outcomes.into_iter().zip(stages).zip(judged) {
                    let index = outcome.index;
                    ends.extend(runners[index].as_ref().map(|r| (index, r.end(judgement, outcome, stage))));
                }
            }
            let verdict = |(index, (mut verdict, stage, proposal)): (usize, End)| {
                if self.stages.len() > 1 && verdict.fate == Fate::Broken {
                    verdict.broken_by = self.stages[stage].name.clone();
                }
                (index, verdict, proposal)
            };
            let verdicts: Vec<_> = ends.into_iter().map(verdict).collect();
            if !verdicts.is_empty() {
                found(&verdicts)?;
            }
        }
    }

    fn judge(&self, outcomes: &[Outcome], stages: &[usize], cost: &mut Cost) -> Result<Vec<Judgement>> {
        let names: Vec<&str> = stages.iter().map(|at| self.stages[*at].name.as_str()).collect();
        referee::judge(self.target, self.examples, (&self.threat, self.draws), &names, outcomes, cost)
    }
}

impl Runner {
    /// Takes a judged job into account.
    fn judged(&mut self, outcome: Outcome, judgement: Judgement, drive: &Drive<'_>) -> After {
        self.forwards += outcome.forwards;
        self.backwards += outcome.backwards;
        self.blind += outcome.blind;
        let (stage, steps) = (self.jobs[self.next].0, outcome.steps);
        self.next += 1;
        let last = self.next == self.jobs.len();
        if let Some(fooled) = judgement.fooled.filter(|_| !drive.smallest) {
            return self.over_draws((judgement, outcome, stage), last || fooled == drive.draws);
        }
        if judgement.broken && !drive.smallest {
            return After::End(self.end(judgement, outcome, stage));
        }
        if judgement.broken {
            if self.best.as_ref().is_none_or(|(least, ..)| judgement.size < least.size) {
                self.best = Some((judgement, outcome, stage));
            }
        } else {
            // The smallest margin stays; a NaN stays too, so that it is seen.
            let closest = match self.closest {
                Some(old) if old.0.margin.is_nan() || judgement.margin >= old.0.margin => old,
                _ => (judgement, steps),
            };
            self.closest = Some(closest);
        }
        if !last {
            return After::Next;
        }
        if let Some((judgement, outcome, stage)) = self.best.take() {
            return After::End(self.end(judgement, outcome, stage));
        }
        let (judgement, steps) = self.closest.unwrap_or((judgement, steps));
        After::End((self.verdict(Fate::Robust, 0, steps, judgement), stage, None))
    }

    /// The same where several draws judge: the proposal that fools most of them stays, of equal ones that of the smaller
    /// margin in the first, or a NaN.
    fn over_draws(&mut self, job: (Judgement, Outcome, usize), end: bool) -> After {
        let first = self.best.is_none();
        let new = job.0;
        let closer = |old: &Judgement| new.margin < old.margin || new.margin.is_nan();
        let better = |old: &Judgement| new.fooled > old.fooled || (new.fooled == old.fooled && closer(old));
        if self.best.as_ref().is_none_or(|(old, ..)| better(old)) {
            self.best = Some(job);
        }
        match self.best.take_if(|_| end) {
            None => After::Next,
            Some((judgement, outcome, stage)) if first => After::End(self.end(judgement, outcome, stage)),
            Some((_, outcome, stage)) => After::Anew(outcome, stage),
        }
    }

    /// The verdict on an example by the proposal that decides it.
    fn end(&self, judgement: Judgement, outcome: Outcome, stage: usize) -> End {
        let steps = outcome.steps;
        if judgement.broken {
            let verdict = self.verdict(Fate::Broken, outcome.job.restart, steps, judgement);
            (verdict, stage, Some(outcome.x_adv))
        } else {
            (self.verdict(Fate::Robust, 0, steps, judgement), stage, None)
        }
    }

    fn verdict(&self, fate: Fate, restart: u32, steps: u32, judgement: Judgement) -> Verdict {
        Verdict {
            id: self.clean.id,
            fate,
            restart,
            steps,
            size: judgement.size,
            margin: Verdict::margin(fate, judgement.margin),
            forwards: self.forwards,
            backwards: self.backwards,
            broken_by: String::new(),
            blind: self.blind,
            rounded: judgement.rounded,
            fooled: judgement.fooled,
        }
    }
}
