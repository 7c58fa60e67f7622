//! Attacks as step functions over slots; the lockstep driver for attacks inside recipes.
//!
//! A *slot* carries one example on its way through one *job* (restart × target class). The engine's continuous driver
//! refills slots from a queue; [`lockstep`] here drives every example of a training batch through every step.

use crate::{Goal, Key, Norm, Objective, Result, Target, ThreatModel};
use candle_core::Tensor;
use std::sync::Arc;

/// What is known about an example before it is attacked.
#[derive(Debug, Clone)]
pub struct Clean {
    /// Position in the evaluation (what the driver uses to find the pixels).
    pub index: usize,
    /// Data set row: what randomness is keyed by.
    pub id: u64,
    /// True label.
    pub label: u32,
    /// Clean logits, K of them.
    pub logits: Vec<f64>,
}

/// One run of an attack on one example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// [`Clean::index`].
    pub index: usize,
    /// [`Clean::id`].
    pub id: u64,
    /// True label.
    pub label: u32,
    /// Restart number, from 0.
    pub restart: u32,
    /// Target class of targeted runs.
    pub target: Option<u32>,
}

/// How slots are to be run.
#[derive(Debug, Clone, Copy)]
pub struct Open {
    /// Number of slots.
    pub width: usize,
    /// Channels, height, width.
    pub input: (usize, usize, usize),
    /// Classes K.
    pub classes: usize,
    /// Norm, budget, box.
    pub threat: ThreatModel,
    /// Root of the attack's randomness (streams are keyed by example id, restart and step below it).
    pub key: Key,
    /// f32 or f64.
    pub dtype: candle_core::DType,
    /// Every slot takes every step and ends with its last iterate: no success test, no early end.
    pub lockstep: bool,
}

/// What an attack wants to know about its points.
#[derive(Clone)]
pub enum Want {
    /// Logits only (a forward).
    Logits,
    /// Value and input gradient of an objective (a forward and a backward).
    Ascend(Arc<dyn Objective>, Goal),
    /// Input gradient of one logit each, for every listed tensor of classes `(width,)` u32 (a forward, that many backwards).
    Classes(Vec<Tensor>),
}

/// Points to be evaluated.
#[derive(Clone)]
pub struct Ask {
    /// `(width, C, H, W)`.
    pub points: Tensor,
    /// What about them.
    pub want: Want,
}

/// The answer to an [`Ask`].
#[derive(Debug, Clone)]
pub struct Answer {
    /// `(width, K)`.
    pub logits: Tensor,
    /// Objective values `(width,)`, for [`Want::Ascend`].
    pub values: Option<Tensor>,
    /// Input gradients `(width, C, H, W)`: one for [`Want::Ascend`], one per tensor of classes for [`Want::Classes`].
    pub gradients: Vec<Tensor>,
}

/// How a job ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The job.
    pub job: Job,
    /// The proposal `(C, H, W)`: the first misclassified iterate, or (not broken) the last one.
    pub x_adv: Tensor,
    /// Whether the attack saw the proposal misclassified (the referee decides for itself).
    pub broken: bool,
    /// Steps taken up to the proposal.
    pub steps: u32,
    /// Forwards this job needed up to the proposal (a function of the example alone).
    pub forwards: u32,
    /// Backwards likewise.
    pub backwards: u32,
}

/// An attack: which jobs an example needs, and slots that run them.
pub trait Attack: Send + Sync {
    /// Registered name.
    fn name(&self) -> &str;
    /// Norms it is defined for.
    fn norms(&self) -> &[Norm];
    /// Restart × target class, in order; the first success ends the example.
    fn jobs(&self, clean: &Clean) -> Vec<Job>;
    /// Fresh, empty slots.
    fn open(&self, open: &Open) -> Result<Box<dyn Slots>>;
}

/// A batch of slots in flight.
pub trait Slots: Send {
    /// Puts a job into a slot; `x (1, C, H, W)` is its clean image.
    fn load(&mut self, slot: usize, job: &Job, x: &Tensor) -> Result<()>;
    /// Keeps these slots, in this order; the width becomes their number.
    fn shrink(&mut self, keep: &[usize]) -> Result<()>;
    /// The next points to evaluate, for all slots.
    fn ask(&mut self) -> Result<Ask>;
    /// The answer: every slot takes one step.
    fn tell(&mut self, answer: &Answer) -> Result<()>;
    /// Slots whose job has ended since the last poll (they are empty then).
    fn poll(&mut self) -> Result<Vec<(usize, Outcome)>>;
}

/// Evaluates an [`Ask`] on a target.
pub fn answer(target: &dyn Target, ask: &Ask) -> Result<Answer> {
    match &ask.want {
        Want::Logits => Ok(Answer { logits: target.logits(&ask.points)?, values: None, gradients: Vec::new() }),
        Want::Ascend(objective, goal) => {
            let linear = target.linearise(&ask.points)?;
            let (values, cotangent) = objective.ascend(linear.logits(), goal)?;
            let gradient = linear.pull(&cotangent)?;
            Ok(Answer { logits: linear.logits().clone(), values: Some(values), gradients: vec![gradient] })
        }
        Want::Classes(classes) => {
            let linear = target.linearise(&ask.points)?;
            let logits = linear.logits().clone();
            let (_, k) = logits.dims2()?;
            let gradients = classes
                .iter()
                .map(|c| {
                    let columns = Tensor::arange(0u32, k as u32, logits.device())?.unsqueeze(0)?;
                    let onehot = c.unsqueeze(1)?.broadcast_eq(&columns)?.to_dtype(logits.dtype())?;
                    linear.pull(&onehot)
                })
                .collect::<Result<_>>()?;
            Ok(Answer { logits, values: None, gradients })
        }
    }
}

/// Runs the first job of every example of a batch in step and returns the last iterates `(N, C, H, W)`.
///
/// For attacks inside recipes: every example takes every step, so that train-mode batch norm sees the whole batch.
/// `x (N, C, H, W)` in `[0, 1]`, `labels (N,)`, `ids` data set rows.
pub fn lockstep(
    attack: &dyn Attack,
    target: &dyn Target,
    x: &Tensor,
    labels: &[u32],
    ids: &[u64],
    threat: ThreatModel,
    key: Key,
) -> Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    let open = Open {
        width: n,
        input: (c, h, w),
        classes: target.info().classes,
        threat,
        key,
        dtype: x.dtype(),
        lockstep: true,
    };
    let mut slots = attack.open(&open)?;
    for (slot, (&id, &label)) in ids.iter().zip(labels).enumerate() {
        let job = Job { index: slot, id, label, restart: 0, target: None };
        slots.load(slot, &job, &x.narrow(0, slot, 1)?)?;
    }
    let mut ends: Vec<Option<Tensor>> = vec![None; n];
    let mut open_slots = n;
    while open_slots > 0 {
        let ask = slots.ask()?;
        slots.tell(&answer(target, &ask)?)?;
        for (_, outcome) in slots.poll()? {
            if ends[outcome.job.index].replace(outcome.x_adv).is_none() {
                open_slots -= 1;
            }
        }
    }
    let rows: Vec<Tensor> = ends.into_iter().flatten().collect();
    Ok(Tensor::stack(&rows, 0)?)
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
    Ok(logits.to_dtype(candle_core::DType::F64)?.to_vec2()?)
}
