//! What attacks for the smallest perturbation share: the best point so far, and when to stop.

use gauntlet_autograd::kernels::Real;
use gauntlet_core::attack::{Open, Turn};
use gauntlet_core::norm::Measure;
use gauntlet_core::{Error, Result};
use gauntlet_records::Norm;
use std::sync::Arc;

/// The closest misclassified point so far.
pub(crate) struct Smallest<T> {
    norm: Norm,
    /// Any point inside it is good enough; `None`: the smallest is wanted.
    budget: Option<f64>,
    best: Option<(f64, Vec<T>, u32)>,
    pub(crate) x0: Arc<[T]>,
}

impl<T: Real> Smallest<T> {
    pub(crate) fn new(open: &Open, x0: Arc<[T]>) -> Self {
        let budget = (!open.smallest).then_some(open.threat.eps);
        Smallest { norm: open.threat.norm, budget, best: None, x0 }
    }
    /// ‖x − x₀‖.
    pub(crate) fn distance(&self, x: &[T]) -> f64 {
        self.norm.between(x, &self.x0)
    }
    /// The smallest ‖δ‖ found.
    pub(crate) fn size(&self) -> Option<f64> {
        self.best.as_ref().map(|b| b.0)
    }
    /// Takes a misclassified point, found at `step`: the end, if it lies within the budget.
    pub(crate) fn found(&mut self, x: &[T], step: u32) -> Option<Turn> {
        let size = self.distance(x);
        if self.budget.is_some_and(|eps| size <= eps) {
            return Some(Turn::broken(step));
        }
        if self.best.as_ref().is_none_or(|b| size < b.0) {
            self.best = Some((size, x.to_vec(), step));
        }
        None
    }
    /// The end after `steps`: the best point becomes the proposal, or the clean image if there is none to propose.
    pub(crate) fn end(&self, x: &mut [T], steps: u32) -> Turn {
        match &self.best {
            Some((_, best, at)) if self.budget.is_none() => {
                x.copy_from_slice(best);
                Turn::broken(*at)
            }
            _ => {
                x.copy_from_slice(&self.x0);
                Turn::withstood(steps)
            }
        }
    }
}

/// Recipes (and transfer) want every step of an attack with a budget.
pub(crate) fn fits(name: &str, open: &Open) -> Result<()> {
    if open.lockstep {
        return Err(Error::value(name, "looks for the smallest perturbation; a recipe needs an attack with a budget"));
    }
    Ok(())
}
