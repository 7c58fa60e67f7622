//! What the store has and who works on it, from its files alone: no data set is read and nothing is kept waiting.

use crate::store::claim::Claim;
use crate::store::holder::Holder;
use crate::store::ledger::{Entry, Ledger};
use crate::train::state::TrainingState;
use crate::{Error, Result, Store};
use serde::Serialize;

/// How far a training or an evaluation is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "state")]
pub enum Standing {
    /// In the store.
    Stored,
    /// A process works on it.
    Claimed {
        /// Which.
        #[serde(flatten)]
        holder: Holder,
        /// What it has saved so far.
        #[serde(skip_serializing_if = "Option::is_none")]
        saved: Option<String>,
    },
    /// Interrupted: whoever runs the suite goes on from there.
    Begun {
        /// What was saved.
        saved: String,
    },
    /// Failed when it was tried the last time.
    Failed {
        /// Why.
        reason: String,
        /// RFC 3339 in UTC.
        at: String,
    },
    /// Still to be done.
    Missing,
}

/// A training or an evaluation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    /// Row id.
    pub row: String,
    /// Training seed.
    pub seed: u64,
    /// Label of the attack; `None`: the training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attack: Option<String>,
    /// Key in the store, where it is known.
    pub key: Option<String>,
    /// How far it is.
    #[serde(flatten)]
    pub standing: Standing,
}

/// One suite, as its last run resolved it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SuiteStatus {
    /// Its name.
    pub suite: String,
    /// Trainings and evaluations, in its order.
    pub items: Vec<Item>,
}

/// A store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoreStatus {
    /// Its suites, by name.
    pub suites: Vec<SuiteStatus>,
    /// Finished trainings, of whatever suite.
    pub trainings: usize,
    /// Finished evaluations, clean passes included.
    pub evaluations: usize,
}

/// Looks at the suites of these names (none: all that ran in this store).
///
/// # Errors
/// A name that no run left behind; a store that cannot be read.
pub fn status(store: &Store, names: &[String]) -> Result<StoreStatus> {
    let ledgers = store.ledgers()?;
    for name in names {
        if !ledgers.iter().any(|(known, _)| known == name) {
            let root = store.root().display();
            return Err(Error::message(format!(
                "no run of {name} has left anything in {root}: gauntlet check {name} shows what it would do"
            )));
        }
    }
    let mut suites = Vec::new();
    for (name, ledger) in ledgers {
        if names.is_empty() || names.contains(&name) {
            let ledger = ledger.unwrap_or_default();
            suites.push(SuiteStatus { suite: name, items: items(store, &ledger) });
        }
    }
    let trainings = store.keys("trainings")?.iter().filter(|k| store.has_training(k)).count();
    let evaluations = store.keys("evaluations")?.iter().filter(|k| store.has_evaluation(k)).count();
    Ok(StoreStatus { suites, trainings, evaluations })
}

fn items(store: &Store, ledger: &Ledger) -> Vec<Item> {
    let labels = ledger.suite["attacks"].as_array().into_iter().flatten().filter_map(|a| a["label"].as_str());
    let labels: Vec<&str> = labels.collect();
    let mut items = Vec::new();
    for entry in &ledger.parts {
        let item = |attack: Option<&str>, key: Option<&String>, standing| Item {
            row: entry.row.clone(),
            seed: entry.seed,
            attack: attack.map(String::from),
            key: key.cloned(),
            standing,
        };
        let key = entry.work.training.as_ref().map(|t| &t.key);
        let trained = key.is_some_and(|k| store.has_training(k));
        items.push(item(None, key, training(store, entry, key)));
        for label in &labels {
            let known = entry.work.evaluations.iter().find(|e| e.label.as_deref() == Some(label));
            let key = known.map(|e| &e.key);
            let standing = match evaluation(store, key) {
                // A part fails in its training or, with the training done, in what it was still to be attacked with.
                Standing::Missing if trained => failure(entry).unwrap_or(Standing::Missing),
                other => other,
            };
            items.push(item(Some(label), key, standing));
        }
    }
    items
}

fn failure(entry: &Entry) -> Option<Standing> {
    entry.failed.clone().map(|f| Standing::Failed { reason: f.reason, at: f.at })
}

fn training(store: &Store, entry: &Entry, key: Option<&String>) -> Standing {
    let Some(key) = key else { return failure(entry).unwrap_or(Standing::Missing) };
    let place = || TrainingState::place(&store.state(key));
    let saved = || place().map(|(epoch, step)| format!("{epoch} epochs and {step} steps"));
    if let Some(holder) = Claim::holder(&store.training(key)) {
        return Standing::Claimed { holder, saved: saved() };
    }
    if store.has_training(key) {
        return Standing::Stored;
    }
    match (failure(entry), saved()) {
        (Some(failed), _) => failed,
        (None, Some(saved)) => Standing::Begun { saved },
        (None, None) => Standing::Missing,
    }
}

fn evaluation(store: &Store, key: Option<&String>) -> Standing {
    let Some(key) = key else { return Standing::Missing };
    let verdicts = || {
        let journal = std::fs::read(store.journal(key)).ok()?;
        let lines = journal.iter().filter(|b| **b == b'\n').count();
        (lines > 0).then(|| format!("{lines} verdicts"))
    };
    if let Some(holder) = Claim::holder(&store.evaluation(key)) {
        return Standing::Claimed { holder, saved: verdicts() };
    }
    if store.has_evaluation(key) {
        return Standing::Stored;
    }
    verdicts().map_or(Standing::Missing, |saved| Standing::Begun { saved })
}
