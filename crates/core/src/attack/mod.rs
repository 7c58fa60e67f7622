//! Attacks as walks: one example on its way through one job, a batch of them in [`Slots`].
//!
//! A [`Walk`] sees plain pixels and logits of its own example and nothing else, so what it does cannot depend on the
//! batch. [`Slots`] makes forwards and pull-backs for many walks at once; the engine's driver refills them from a
//! queue, [`lockstep`] here takes every example of a training batch through every step.

mod ascent;
mod average;
mod clean;
mod job;
mod lockstep;
mod slots;
mod walk;

pub use ascent::{Ascent, Beginning};
pub use average::Average;
pub use clean::Clean;
pub use job::{Job, Open};
pub use lockstep::lockstep;
pub use slots::{Slots, Turned, Walks};
pub use walk::{Ending, Pulls, Site, Turn, Walk};

use crate::reach::Reach;
use crate::{Result, ThreatModel};
use candle_core::Tensor;
use gauntlet_records::{Family, Norm};

/// How a job ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// [`Clean::index`].
    pub index: usize,
    /// The job.
    pub job: Job,
    /// The proposal `(C, H, W)`: a misclassified iterate, or (not broken) the last one.
    pub x_adv: Tensor,
    /// Whether the attack saw the proposal misclassified (the referee decides for itself).
    pub broken: bool,
    /// Steps taken up to the proposal.
    pub steps: u32,
    /// Forwards this job needed (a function of the example alone).
    pub forwards: u32,
    /// Backwards likewise.
    pub backwards: u32,
    /// Backwards whose gradient was zero everywhere or not finite somewhere.
    pub blind: u32,
    /// The only class that counts as broken ([`Attack::aim`]); `None`: any but the label's.
    pub aim: Option<u32>,
}

/// How many pull-backs through one forward an attack asks for: walks of the same kind share a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backwards {
    /// Scores only.
    None,
    /// At most one.
    One,
    /// Up to one per class.
    PerClass,
}

/// An attack: which jobs an example needs, and walks that run them.
pub trait Attack: Send + Sync {
    /// Registered name.
    fn name(&self) -> &str;
    /// What it goes by, which decides what its results say beside those of others. Of an attack that says nothing: minimal
    /// where it is, scores where it asks for no gradient, else gradients.
    fn family(&self) -> Family {
        match self.backwards() {
            _ if self.minimal() => Family::Minimal,
            Backwards::None => Family::Scores,
            Backwards::One | Backwards::PerClass => Family::Gradient,
        }
    }
    /// Norms it is defined for; all, where its steps are those of the threat model.
    fn norms(&self) -> &[Norm] {
        &[Norm::Linf, Norm::L2, Norm::L1]
    }
    /// Whether it can run on such a model: too few classes, and the like.
    ///
    /// # Errors
    /// What is missing.
    fn fits(&self, _open: &Open) -> Result<()> {
        Ok(())
    }
    /// Restart × target class, in order, at least one; the first success ends the example. One untargeted run where nothing else is
    /// said.
    fn jobs(&self, _clean: &Clean, _threat: &ThreatModel) -> Vec<Job> {
        Job::restarts(1)
    }
    /// Pull-backs per step.
    fn backwards(&self) -> Backwards {
        Backwards::One
    }
    /// Looks for the smallest perturbation: one run answers every budget.
    fn minimal(&self) -> bool {
        false
    }
    /// Uses clean logits beyond its choice of jobs (inside recipes they cost a forward).
    fn needs_clean(&self) -> bool {
        false
    }
    /// The only class whose prediction counts as broken in this job; `None`: any but the label's.
    fn aim(&self, _job: &Job) -> Option<u32> {
        None
    }
    /// Whether a suite's `carry` may apply: an example that fell at a smaller ε is not attacked again.
    fn carries(&self) -> bool {
        true
    }
    /// How a batch is taken through it by tensor operations alone, where that is all there is to it.
    fn ascent(&self, _threat: &ThreatModel) -> Option<Ascent> {
        None
    }
    /// How far its steps lead at most, where that is settled beforehand; `None`: steps adapt, or one answer has every size.
    fn reach(&self, _threat: &ThreatModel) -> Option<Reach> {
        None
    }
    /// A walk in single precision; sets `site.x` to the starting point.
    fn walk_f32(&self, site: Site<'_, f32>) -> Box<dyn Walk<f32>>;
    /// A walk in double precision.
    fn walk_f64(&self, site: Site<'_, f64>) -> Box<dyn Walk<f64>>;
}

/// Both precisions from one generic method: `walks!()` inside `impl Attack for A` calls `A::walk::<T>(site)`.
#[macro_export]
macro_rules! walks {
    () => {
        fn walk_f32(&self, site: $crate::attack::Site<'_, f32>) -> Box<dyn $crate::attack::Walk<f32>> {
            self.walk(site)
        }
        fn walk_f64(&self, site: $crate::attack::Site<'_, f64>) -> Box<dyn $crate::attack::Walk<f64>> {
            self.walk(site)
        }
    };
}

/// The predicted class (the first of equal maxima, as PyTorch's argmax), or `None` if a logit is not finite: a NaN is
/// never a success.
pub fn predicted(logits: &[f64]) -> Option<u32> {
    if logits.is_empty() || logits.iter().any(|z| !z.is_finite()) {
        return None;
    }
    let best = (1..logits.len()).fold(0, |best, i| if logits[i] > logits[best] { i } else { best });
    Some(best as u32)
}

/// Whether these logits are finite and name another class.
pub fn misclassified(logits: &[f64], label: u32) -> bool {
    predicted(logits).is_some_and(|class| class != label)
}

/// Whether these logits are what the job is after: the class it aims at or, without one, any class but the label's.
pub fn succeeded(logits: &[f64], label: u32, aim: Option<u32>) -> bool {
    predicted(logits).is_some_and(|class| aim.map_or(class != label, |aim| class == aim))
}

/// Margin z_y − max_{j≠y} z_j of one row of logits (NaN if a logit is).
pub fn margin(logits: &[f64], label: u32) -> f64 {
    if logits.iter().any(|z| z.is_nan()) {
        return f64::NAN;
    }
    let others = logits.iter().enumerate().filter(|(i, _)| *i != label as usize).map(|(_, z)| *z);
    logits[label as usize] - others.fold(f64::NEG_INFINITY, f64::max)
}

/// Rows of `(N, K)` logits as f64.
pub fn rows(logits: &Tensor) -> Result<Vec<Vec<f64>>> {
    Ok(logits.to_device(&candle_core::Device::Cpu)?.to_dtype(candle_core::DType::F64)?.to_vec2()?)
}
