//! What a suite would do: its trainings and evaluations, and what the store has of them.

use crate::run::attempt::of_all;
use crate::run::inputs::load;
use crate::run::runner::Runner;
use crate::{Context, Result, Suite};
use gauntlet_evaluate::Selection;
use gauntlet_records::{Eps, Norm};
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
    /// Why it has to be done again, if it was done before the suite or the program changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// One attack, or one certification, at all its budgets on one checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlannedEvaluation {
    /// Row id.
    pub row: String,
    /// Training seed.
    pub seed: u64,
    /// Label of the attack or the certification.
    pub attack: String,
    /// Norm of the threat model.
    pub norm: Norm,
    /// Budgets.
    pub eps: Vec<Eps>,
    /// Key in the store; unknown before the checkpoint is.
    pub key: Option<String>,
    /// How far it is.
    pub state: State,
    /// Why it has to be done, if the row was done before the suite or the program changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Everything a suite consists of, after the context's filters.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// Training rows of the data set.
    pub train_rows: usize,
    /// Those of them that are held out and monitored.
    pub held_out: usize,
    /// Test rows that are attacked, by whatever attack.
    pub examples: usize,
    /// Rows × seeds.
    pub trainings: Vec<PlannedTraining>,
    /// Rows × seeds × attacks.
    pub evaluations: Vec<PlannedEvaluation>,
}

impl Plan {
    /// Trainings and evaluations that are still to be done.
    pub fn open(&self) -> usize {
        let states = self.trainings.iter().map(|t| t.state).chain(self.evaluations.iter().map(|e| e.state));
        states.filter(|s| *s != State::Stored).count()
    }

    /// Rows and seeds with something still to be done.
    pub fn open_cells(&self) -> Vec<(String, u64)> {
        let open = |t: &&PlannedTraining| {
            let of = |e: &&PlannedEvaluation| (&e.row, e.seed) == (&t.row, t.seed);
            t.state != State::Stored || self.evaluations.iter().filter(of).any(|e| e.state != State::Stored)
        };
        self.trainings.iter().filter(open).map(|t| (t.row.clone(), t.seed)).collect()
    }
}

/// Lists the parts of a suite without doing any of them. Committed records count as stored: they are imported.
///
/// # Errors
/// A data set that cannot be loaded; a store that cannot be read.
pub fn plan(suite: &Suite, context: &Context<'_>) -> Result<Plan> {
    let data = load(&suite.data, context)?;
    let suite = &suite.settled(data.train.len())?;
    let runner = Runner::open(suite, data, context, &())?;
    runner.book.recall()?;
    runner.import()?;
    let ledger = runner.book.ledger();
    let store = &context.store;
    let train_rows = runner.inputs.images.train.len();
    let (mut trainings, mut evaluations) = (Vec::new(), Vec::new());
    for (row, seed) in runner.parts() {
        let training = match runner.keys.training(row, seed) {
            Err(error) if of_all(&error) => return Err(error),
            // A checkpoint that cannot be read has no key; the run says why.
            training => training.ok().flatten(),
        };
        let key = training.as_ref().map(|(key, _)| key.clone());
        let sha256 = if key.is_some() { runner.keys.sha256(row, seed)? } else { None };
        let state = match (&sha256, &key) {
            (Some(_), _) => State::Stored,
            (None, Some(key)) if store.state(key).exists() => State::Begun,
            _ => State::Missing,
        };
        for attack in runner.attacks() {
            let mut planned = PlannedEvaluation {
                row: row.id.clone(),
                seed,
                attack: attack.label.clone(),
                norm: attack.norm,
                eps: attack.eps.clone(),
                key: None,
                state: State::Missing,
                why: None,
            };
            if let (Some(sha256), Some(described)) = (&sha256, runner.evaluations.describable(attack, seed)?) {
                let (key, description) = runner.evaluations.evaluation(row, sha256, &described);
                planned.state = match store.get_attack(&key, attack.eps.len())? {
                    Some(_) => State::Stored,
                    None if store.journal(&key).exists() => State::Begun,
                    None => State::Missing,
                };
                if let (false, Some((training, _))) = (planned.state == State::Stored, &training) {
                    planned.why = ledger.why_attacked((&row.id, seed), training, &attack.label, (&key, &description));
                }
                planned.key = Some(key);
            }
            evaluations.push(planned);
        }
        for entry in runner.certifications() {
            let mut planned = PlannedEvaluation {
                row: row.id.clone(),
                seed,
                attack: entry.label.clone(),
                norm: entry.norm,
                eps: entry.eps.clone(),
                key: None,
                state: State::Missing,
                why: None,
            };
            if let (Some(sha256), Some(described)) = (&sha256, runner.certifiable(entry, seed)?) {
                let (key, description) = runner.evaluations.evaluation(row, sha256, &described);
                planned.state = match store.get_proofs(&key, entry.eps.len())? {
                    Some(_) => State::Stored,
                    None if store.proofs(&key).exists() => State::Begun,
                    None => State::Missing,
                };
                if let (false, Some((training, _))) = (planned.state == State::Stored, &training) {
                    planned.why = ledger.why_attacked((&row.id, seed), training, &entry.label, (&key, &description));
                }
                planned.key = Some(key);
            }
            evaluations.push(planned);
        }
        let config = suite.training(row);
        let steps = u64::from(config.steps_per_epoch(train_rows)) * u64::from(config.epochs);
        let steps = if row.checkpoint.is_some() { 0 } else { steps };
        let why = match &training {
            Some((key, description)) if state != State::Stored => ledger.why_trained(&row.id, seed, key, description),
            _ => None,
        };
        trainings.push(PlannedTraining { row: row.id.clone(), seed, key, state, steps, why });
    }
    let examples =
        Selection::all_indices(&suite.covered(), runner.inputs.images.test.labels(), suite.attack_seed).len();
    Ok(Plan { train_rows, held_out: suite.train.held_out(train_rows), examples, trainings, evaluations })
}
