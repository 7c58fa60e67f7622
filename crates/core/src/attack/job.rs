//! One run of an attack on one example, and how runs are opened.

use crate::{Key, ThreatModel};

/// One run of an attack on one example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Restart number, from 0.
    pub restart: u32,
    /// Target class of targeted runs.
    pub target: Option<u32>,
}

impl Job {
    /// Untargeted runs, numbered from 0.
    pub fn restarts(n: u32) -> Vec<Job> {
        (0..n).map(|restart| Job { restart, target: None }).collect()
    }
    /// `restarts` runs into each of these classes.
    pub fn targets(classes: &[u32], restarts: u32) -> Vec<Job> {
        let runs =
            |target: &u32| (0..restarts).map(|restart| Job { restart, target: Some(*target) }).collect::<Vec<_>>();
        classes.iter().flat_map(runs).collect()
    }
}

/// How jobs are to be run.
#[derive(Debug, Clone, Copy)]
pub struct Open {
    /// Channels, height, width.
    pub input: (usize, usize, usize),
    /// Classes K.
    pub classes: usize,
    /// Norm, budget, box.
    pub threat: ThreatModel,
    /// Root of the attack's randomness (streams are keyed by example id, restart and step below it).
    pub key: Key,
    /// Every walk takes every step and ends with its last iterate: no success test, no early end.
    pub lockstep: bool,
    /// The smallest perturbation is wanted, whatever its size; else any inside the budget ends a job.
    pub smallest: bool,
    /// Answers differ from draw to draw, or proposals are judged on several draws: a single misclassified draw is luck, so
    /// walks along the gradient take every step and choose what they propose at the end.
    pub randomised: bool,
}
