//! What a suite would do: its trainings and evaluations, and what the store has of them.

use crate::desk::Desk;
use crate::runner::load;
use crate::{Context, Result, Suite};
use gauntlet_core::{Eps, Norm};
use serde::Serialize;

/// How far a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// In the store.
    Stored,
    /// Begun and interrupted: the run goes on from there.
    Begun,
    /// Still to be done.
    Missing,
}

/// One training.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlannedTraining {
    /// Row id.
    pub row: String,
    /// Training seed.
    pub seed: u64,
    /// Key in the store; unknown while the row's teacher is to be trained, or where its checkpoint cannot be read.
    pub key: Option<String>,
    /// How far it is.
    pub state: State,
    /// Optimiser steps in all; none for a checkpoint that is there already.
    pub steps: u64,
}

/// One attack at all its budgets on one checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlannedEvaluation {
    /// Row id.
    pub row: String,
    /// Training seed.
    pub seed: u64,
    /// Label of the attack.
    pub attack: String,
    /// Norm of the threat model.
    pub norm: Norm,
    /// Budgets.
    pub eps: Vec<Eps>,
    /// Key in the store; unknown before the checkpoint is.
    pub key: Option<String>,
    /// How far it is.
    pub state: State,
}

/// Everything a suite consists of, after the context's filters.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// Training rows of the data set.
    pub train_rows: usize,
    /// Test rows that are attacked.
    pub examples: usize,
    /// Rows × seeds.
    pub trainings: Vec<PlannedTraining>,
    /// Rows × seeds × attacks.
    pub evaluations: Vec<PlannedEvaluation>,
}

/// Lists the parts of a suite without doing any of them. Committed records count as stored: they are imported.
///
/// # Errors
/// A data set that cannot be loaded; a store that cannot be read.
pub fn plan(suite: &Suite, context: &Context<'_>) -> Result<Plan> {
    let desk = Desk::open(suite, load(suite, context)?, context, &())?;
    desk.import()?;
    let store = &context.store;
    let steps = u64::from(suite.steps_per_epoch(desk.data.train.len())) * u64::from(suite.train.epochs);
    let (mut trainings, mut evaluations) = (Vec::new(), Vec::new());
    for (row, seed) in desk.parts() {
        let key = desk.known(row, seed)?;
        // A checkpoint that cannot be read has no key; the run says why.
        let sha256 = if key.is_some() { desk.sha256(row, seed)? } else { None };
        let state = match (&sha256, &key) {
            (Some(_), _) => State::Stored,
            (None, Some(key)) if store.state(key).exists() => State::Begun,
            _ => State::Missing,
        };
        for attack in desk.attacks() {
            let mut planned = PlannedEvaluation {
                row: row.id.clone(),
                seed,
                attack: attack.label.clone(),
                norm: attack.norm,
                eps: attack.eps.clone(),
                key: None,
                state: State::Missing,
            };
            if let (Some(sha256), Some(described)) = (&sha256, desk.describable(attack, seed)?) {
                let (key, _) = desk.evaluation(row, sha256, &described);
                planned.state = match store.get_attack(&key, attack.eps.len())? {
                    Some(_) => State::Stored,
                    None if store.journal(&key).exists() => State::Begun,
                    None => State::Missing,
                };
                planned.key = Some(key);
            }
            evaluations.push(planned);
        }
        let steps = if row.checkpoint.is_some() { 0 } else { steps };
        trainings.push(PlannedTraining { row: row.id.clone(), seed, key, state, steps });
    }
    let examples = suite.examples.indices(desk.data.test.len(), suite.attack_seed).len();
    Ok(Plan { train_rows: desk.data.train.len(), examples, trainings, evaluations })
}
