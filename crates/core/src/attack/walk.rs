//! One example on its way through one job.

use super::{Clean, Job, Open};
use gauntlet_autograd::kernels::Real;
use gauntlet_records::Norm;
use std::sync::Arc;

/// Where a walk begins.
pub struct Site<'a, T> {
    /// Threat model, key, mode.
    pub open: &'a Open,
    /// The job.
    pub job: &'a Job,
    /// The example.
    pub clean: &'a Clean,
    /// The clean image, C·H·W pixels.
    pub x0: Arc<[T]>,
    /// The point; the clean image at first, to be set to the starting point.
    pub x: &'a mut [T],
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Turn {
    /// Another forward at the point, which may have moved.
    Go,
    /// The same without a tape: the logits are wanted, a gradient there is not. [`Turn::Pull`] is no answer then.
    Peek,
    /// The gradients of the pulls asked for.
    Pull,
    /// Nothing: the point is the proposal.
    End(Ending),
}

/// How a walk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// The proposal is misclassified (and, where a budget is set, inside it).
    pub broken: bool,
    /// Steps taken up to the proposal.
    pub steps: u32,
}

impl Turn {
    /// The point is misclassified.
    pub fn broken(steps: u32) -> Turn {
        Turn::End(Ending { broken: true, steps })
    }
    /// The job failed.
    pub fn withstood(steps: u32) -> Turn {
        Turn::End(Ending { broken: false, steps })
    }
}

/// The cotangents that a walk wants pulled back: d(what it ascends) / d(logits), one row each.
pub struct Pulls<'a> {
    values: &'a mut Vec<f64>,
    classes: usize,
}

impl<'a> Pulls<'a> {
    pub(super) fn new(values: &'a mut Vec<f64>, classes: usize) -> Self {
        Pulls { values, classes }
    }
    /// One more pull-back: its cotangent, K zeros to be filled in.
    pub fn add(&mut self) -> &mut [f64] {
        let start = self.values.len();
        self.values.resize(start + self.classes, 0.0);
        &mut self.values[start..]
    }
    /// One more pull-back: of z_a − z_b.
    pub fn difference(&mut self, a: usize, b: usize) {
        let slope = self.add();
        slope[a] += 1.0;
        slope[b] -= 1.0;
    }
}

/// An attack on one example: told the logits at its point, it asks for gradients, moves, or ends.
///
/// Steps are those of the point `x` (C·H·W pixels), which belongs to the batch and is moved in place.
pub trait Walk<T>: Send {
    /// The logits at `x`, K of them. After [`Turn::Pull`] comes [`Walk::step`], else another look at the (moved) point.
    fn look(&mut self, x: &mut [T], logits: &[f64], pulls: &mut Pulls<'_>) -> Turn;
    /// The gradients of the pulls, in their order, each C·H·W. [`Turn::Pull`] is no answer here.
    fn step(&mut self, x: &mut [T], gradients: &[&[T]]) -> Turn;
}

impl<T: Real> Site<'_, T> {
    /// ‖a − clean image‖ in the threat model's norm.
    pub fn distance(norm: Norm, x: &[T], x0: &[T]) -> f64 {
        norm.of(x.iter().zip(x0).map(|(a, b)| a.wide() - b.wide()))
    }
}
