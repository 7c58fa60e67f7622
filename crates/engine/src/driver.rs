//! The continuous driver: slots are refilled from a queue, so that the batch stays full and no gradient is spent on an
//! example that is already broken.

use crate::evaluator::Cost;
use crate::referee::{self, Judgement};
use crate::{Error, Examples, Result};
use gauntlet_autograd::kernels::awake;
use gauntlet_core::attack::{self, Open, Outcome, Want};
use gauntlet_core::record::Fate;
use gauntlet_core::{Attack, Clean, Job, Key, Target, ThreatModel, Verdict};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};

/// Takes verdicts as they are given, with the index of the example.
pub(crate) type Found<'f> = &'f mut dyn FnMut(&[(usize, Verdict)]) -> Result<()>;

/// One attack at one ε on the examples that need it.
pub(crate) struct Drive<'a> {
    pub(crate) target: &'a dyn Target,
    pub(crate) examples: &'a Examples,
    pub(crate) attack: &'a dyn Attack,
    pub(crate) threat: ThreatModel,
    pub(crate) key: Key,
    pub(crate) width: usize,
    pub(crate) interrupt: &'a AtomicBool,
}

/// An example on its way through its jobs, which run one after the other: what it costs and how it ends is a function
/// of the example alone, whatever runs beside it.
struct Runner {
    jobs: Vec<Job>,
    next: usize,
    forwards: u32,
    backwards: u32,
    /// The job that came closest so far, for examples that withstand them all.
    closest: Option<(Judgement, u32)>,
}

impl Drive<'_> {
    /// Runs until every listed example has a verdict; `found` takes each as it is given, with the example's index.
    pub(crate) fn run(&self, pending: &[Clean], cost: &mut Cost, found: Found<'_>) -> Result<()> {
        awake(|| self.attend(pending, cost, found))
    }

    fn attend(&self, pending: &[Clean], cost: &mut Cost, found: Found<'_>) -> Result<()> {
        let mut runners: Vec<Option<Runner>> = (0..self.examples.len()).map(|_| None).collect();
        let mut queue: VecDeque<usize> = VecDeque::new();
        for clean in pending {
            let jobs = self.attack.jobs(clean);
            if jobs.is_empty() {
                return Err(Error::message(format!(
                    "attack {} has no job for example {}",
                    self.attack.name(),
                    clean.id
                )));
            }
            runners[clean.index] = Some(Runner { jobs, next: 0, forwards: 0, backwards: 0, closest: None });
            queue.push_back(clean.index);
        }
        if queue.is_empty() {
            return Ok(());
        }
        let mut width = self.width.clamp(1, queue.len());
        let (_, c, h, w) = self.examples.pixels().dims4()?;
        let mut slots = self.attack.open(&Open {
            width,
            input: (c, h, w),
            classes: self.target.info().classes,
            threat: self.threat,
            key: self.key,
            dtype: self.examples.pixels().dtype(),
            lockstep: false,
        })?;
        let mut taken: Vec<Option<usize>> = vec![None; width];
        loop {
            for (slot, holder) in taken.iter_mut().enumerate().filter(|(_, holder)| holder.is_none()) {
                let Some(index) = queue.pop_front() else { break };
                if let Some(runner) = &mut runners[index] {
                    slots.load(slot, &runner.jobs[runner.next], &self.examples.image(index)?)?;
                    runner.next += 1;
                    *holder = Some(index);
                }
            }
            let busy: Vec<usize> = (0..width).filter(|s| taken[*s].is_some()).collect();
            if busy.is_empty() {
                return Ok(());
            }
            // The queue is empty here if a slot is free. A copy of the slots is cheap beside a forward of idle ones.
            if width - busy.len() > width / 8 {
                slots.shrink(&busy)?;
                taken = busy.iter().map(|s| taken[*s]).collect();
                width = busy.len();
            }
            if self.interrupt.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            let ask = slots.ask()?;
            cost.forwards += width as u64;
            cost.backwards += width as u64
                * match &ask.want {
                    Want::Logits => 0,
                    Want::Ascend(..) => 1,
                    Want::Classes(classes) => classes.len() as u64,
                };
            slots.tell(&attack::answer(self.target, &ask)?)?;
            let ended = slots.poll()?;
            let outcomes = self.claim(ended, &mut taken)?;
            cost.forwards += outcomes.len() as u64;
            let judged = referee::judge(self.target, self.examples, &self.threat, self.attack.name(), &outcomes)?;
            let mut verdicts = Vec::new();
            for (outcome, judgement) in outcomes.iter().zip(judged) {
                let index = outcome.job.index;
                let Some(runner) = &mut runners[index] else { continue };
                match runner.judged(outcome, judgement) {
                    Some(verdict) => verdicts.push((index, verdict)),
                    None => queue.push_back(index),
                }
            }
            if !verdicts.is_empty() {
                found(&verdicts)?;
            }
        }
    }

    /// Frees the slots of ended jobs; an outcome that does not belong to its slot is the attack's mistake.
    fn claim(&self, ended: Vec<(usize, Outcome)>, taken: &mut [Option<usize>]) -> Result<Vec<Outcome>> {
        let mut outcomes = Vec::with_capacity(ended.len());
        for (slot, outcome) in ended {
            let holder = taken.get_mut(slot).and_then(Option::take);
            if holder != Some(outcome.job.index) {
                return Err(Error::message(format!(
                    "attack {} reported the end of example {} in slot {slot}, which does not hold it",
                    self.attack.name(),
                    outcome.job.id
                )));
            }
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }
}

impl Runner {
    /// Takes a judged job into account: the example's verdict, or `None` if its next job has to run.
    fn judged(&mut self, outcome: &Outcome, judgement: Judgement) -> Option<Verdict> {
        self.forwards += outcome.forwards;
        self.backwards += outcome.backwards;
        let verdict = |fate, restart, steps, j: Judgement| Verdict {
            id: outcome.job.id,
            fate,
            restart,
            steps,
            size: j.size,
            margin: j.margin,
            forwards: self.forwards,
            backwards: self.backwards,
        };
        if judgement.broken {
            return Some(verdict(Fate::Broken, outcome.job.restart, outcome.steps, judgement));
        }
        // The smallest margin stays; a NaN stays too, so that it is seen.
        let closest = match self.closest {
            Some(old) if old.0.margin.is_nan() || judgement.margin >= old.0.margin => old,
            _ => (judgement, outcome.steps),
        };
        self.closest = Some(closest);
        if self.next < self.jobs.len() {
            return None;
        }
        Some(verdict(Fate::Robust, 0, closest.1, closest.0))
    }
}
