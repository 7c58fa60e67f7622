//! Whoever follows an attack.

use crate::{AttackEntry, Result};
use candle_core::Tensor;
use gauntlet_records::Verdict;
use std::collections::BTreeMap;

/// Verdicts by (position of ε in the entry's list, index of the example).
pub type Done = BTreeMap<(usize, usize), Verdict>;

/// Whoever follows an attack; `eps` is a position in the entry's list.
pub trait Watch {
    /// What is known of an attack before it begins, from an evaluation that was interrupted.
    ///
    /// # Errors
    /// Whatever keeps it from knowing: the evaluation ends with it.
    fn known(&mut self, _entry: &AttackEntry) -> Result<Done> {
        Ok(Done::new())
    }
    /// An ε begins: `pending` of the `of` attacked examples have no verdict yet. One of `known` per example; those that are not
    /// attacked, or not yet, count as wrong.
    fn started(&mut self, _eps: usize, _pending: usize, _of: usize, _known: &[Verdict]) {}
    /// Verdicts as they are given, with the index of the example and the proposal that broke it.
    ///
    /// # Errors
    /// Whatever keeps it from taking them ([`crate::Error::Follower`]): the evaluation ends with it.
    fn judged(&mut self, _eps: usize, _verdicts: &[(usize, Verdict, Option<Tensor>)]) -> Result<()> {
        Ok(())
    }
    /// An ε is finished: all verdicts, in the order of the examples.
    fn finished(&mut self, _eps: usize, _verdicts: &[Verdict]) {}
}

/// Nobody.
impl Watch for () {}
