//! `suites/<name>.json`: the resolved suite of the last run and, of every part, its keys and what they are made of.
//!
//! What a part was before it changed stays until it is done again: so a run, however often it is interrupted, can say why
//! it does something again, and `clean` knows what belongs to somebody.

use crate::Suite;
use crate::store::change::changes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ledger {
    /// The suite, with every default filled in.
    pub(crate) suite: Value,
    /// Row × seed.
    pub(crate) parts: Vec<Entry>,
}

/// One part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) row: String,
    pub(crate) seed: u64,
    pub(crate) work: Work,
    /// Everything is in the store.
    pub(crate) done: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failed: Option<Failed>,
    /// What it was when it was done the last time, if that was something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<Work>,
}

/// Why a part failed the last time it was tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Failed {
    pub(crate) reason: String,
    pub(crate) at: String,
}

/// The keys of a part, as far as they are known, and the descriptions they are the sums of.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Work {
    pub(crate) training: Option<Keyed>,
    /// The clean pass (without a label), then attacks.
    pub(crate) evaluations: Vec<Evaluation>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Keyed {
    pub(crate) key: String,
    pub(crate) description: Value,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Evaluation {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) label: Option<String>,
    pub(crate) key: String,
    pub(crate) description: Value,
}

impl Work {
    pub(crate) fn training_key(&self) -> Option<&str> {
        self.training.as_ref().map(|t| t.key.as_str())
    }
}

impl Ledger {
    pub(crate) fn entry(&self, row: &str, seed: u64) -> Option<&Entry> {
        self.parts.iter().find(|e| (e.row.as_str(), e.seed) == (row, seed))
    }

    pub(crate) fn entry_mut(&mut self, row: &str, seed: u64) -> Option<&mut Entry> {
        self.parts.iter_mut().find(|e| (e.row.as_str(), e.seed) == (row, seed))
    }

    /// Takes down what a part is now.
    pub(crate) fn put(&mut self, row: &str, seed: u64, work: Work) {
        let Some(entry) = self.entry_mut(row, seed) else {
            let row = row.to_string();
            self.parts.push(Entry { row, seed, work, done: false, failed: None, before: None });
            return;
        };
        if entry.work == work {
            return;
        }
        if entry.work.training_key() != work.training_key() {
            entry.failed = None;
        }
        let old = std::mem::replace(&mut entry.work, work);
        if std::mem::take(&mut entry.done) {
            entry.before = Some(old);
        }
    }

    /// Drops parts that the suite no longer has, and puts the others into its order.
    pub(crate) fn order(&mut self, suite: &Suite) {
        let place = |e: &Entry| {
            let row = suite.rows.iter().position(|r| r.id == e.row)?;
            Some((row, suite.seeds.iter().position(|s| *s == e.seed)?))
        };
        self.parts.retain(|e| place(e).is_some());
        self.parts.sort_by_key(place);
    }

    /// What a part was when it was done the last time.
    fn before(&self, row: &str, seed: u64) -> Option<&Work> {
        let entry = self.entry(row, seed)?;
        if entry.done { Some(&entry.work) } else { entry.before.as_ref() }
    }

    /// Why a training that was done has to be done again.
    pub(crate) fn why_trained(&self, row: &str, seed: u64, key: &str, description: &Value) -> Option<String> {
        let old = self.before(row, seed)?.training.as_ref()?;
        if old.key == key {
            return Some("the store no longer has it".into());
        }
        let changes = changes(&old.description, description, "the trainer");
        (!changes.is_empty()).then(|| changes.join("; "))
    }

    /// Why an attack has to be run, beside the weights being new.
    pub(crate) fn why_attacked(
        &self,
        (row, seed): (&str, u64),
        training_key: &str,
        label: &str,
        (key, description): (&str, &Value),
    ) -> Option<String> {
        let before = self.before(row, seed)?;
        let Some(old) = before.evaluations.iter().find(|e| e.label.as_deref() == Some(label)) else {
            return Some("the suite did not have it before".into());
        };
        if old.key == key {
            return Some("the store no longer has it".into());
        }
        let mut told = Vec::new();
        // A model belongs to its training, which tells of it.
        for part in ["conditions", "attack"] {
            told.extend(changes(&old.description[part], &description[part], "the evaluator"));
        }
        let new_weights = old.description["checkpoint_sha256"] != description["checkpoint_sha256"];
        if told.is_empty() && new_weights && before.training_key() == Some(training_key) {
            told.push("training again gave other weights".into());
        }
        (!told.is_empty()).then(|| told.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn work(weight: f64, attacks: &[(&str, u32)]) -> Work {
        let description = json!({ "recipe": { "name": "grad-norm", "args": { "weight": weight } } });
        let training = Some(Keyed { key: format!("t{weight}"), description });
        let evaluation = |(label, steps): &(&str, u32)| Evaluation {
            label: Some(label.to_string()),
            key: format!("{label}{steps}{weight}"),
            description: json!({ "checkpoint_sha256": format!("{weight}"), "conditions": {},
                                 "attack": { "name": label, "steps": steps } }),
        };
        Work { training, evaluations: attacks.iter().map(evaluation).collect() }
    }

    #[test]
    fn what_was_done_is_remembered_until_the_change_is_done() {
        let mut ledger = Ledger::default();
        let (old, new) = (work(0.2, &[("pgd", 5)]), work(0.3, &[]));
        let why = |ledger: &Ledger, new: &Work| {
            let t = new.training.as_ref().unwrap();
            ledger.why_trained("g", 0, &t.key, &t.description)
        };
        ledger.put("g", 0, old.clone());
        assert_eq!(why(&ledger, &new), None, "it was never done");
        ledger.parts[0].done = true;
        let told = Some("weight of grad-norm was 0.2 and is 0.3".to_string());
        assert_eq!(why(&ledger, &new), told);
        assert_eq!(why(&ledger, &old).as_deref(), Some("the store no longer has it"));
        // An interrupted run has entered the change; the next one still knows.
        ledger.put("g", 0, new.clone());
        ledger.put("g", 0, work(0.3, &[("pgd", 9)]));
        assert!(!ledger.parts[0].done);
        assert_eq!(why(&ledger, &new), told);
        let attacked = |ledger: &Ledger, label: &str, steps, weight: f64| {
            let new = work(weight, &[(label, steps)]);
            let e = &new.evaluations[0];
            ledger.why_attacked(("g", 0), new.training_key().unwrap(), label, (&e.key, &e.description))
        };
        assert_eq!(attacked(&ledger, "pgd", 9, 0.3).as_deref(), Some("steps of pgd was 5 and is 9"));
        assert_eq!(attacked(&ledger, "pgd", 5, 0.3), None, "the weights are new, which the training tells");
        assert_eq!(attacked(&ledger, "fab", 1, 0.2).as_deref(), Some("the suite did not have it before"));
    }
}
