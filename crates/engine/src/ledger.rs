//! `suites/<name>.json`: the resolved suite of the last run and, of every part, its keys and what they are made of.
//!
//! What a part was before it changed stays until it is done again: so a run, however often it is interrupted, can say why
//! it does something again, and `clean` knows what belongs to somebody.

use crate::change::changes;
use crate::desk::{Desk, of_all};
use crate::{Result, Row, Suite, Teacher, timestamp};
use gauntlet_records::Record;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::SystemTime;

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
    fn training_key(&self) -> Option<&str> {
        self.training.as_ref().map(|t| t.key.as_str())
    }
}

impl Ledger {
    pub(crate) fn entry(&self, row: &str, seed: u64) -> Option<&Entry> {
        self.parts.iter().find(|e| (e.row.as_str(), e.seed) == (row, seed))
    }

    fn entry_mut(&mut self, row: &str, seed: u64) -> Option<&mut Entry> {
        self.parts.iter_mut().find(|e| (e.row.as_str(), e.seed) == (row, seed))
    }

    /// Takes down what a part is now.
    fn put(&mut self, row: &str, seed: u64, work: Work) {
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
    fn order(&mut self, suite: &Suite) {
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

impl<'a> Desk<'a> {
    /// Parts that the filters leave, and those that must be trained for them: teachers and surrogates.
    pub(crate) fn needed(&self) -> Result<Vec<(&'a Row, u64)>> {
        let mut parts = self.parts();
        let mut next = 0;
        while let Some((row, seed)) = parts.get(next).copied() {
            let mut others = Vec::new();
            if let Some(Teacher::Row(id)) = &row.teacher {
                others.push(self.row(id)?);
            }
            // Only what is attacked needs surrogates, not what is trained for it.
            for attack in self.attacks() {
                match self.surrogate(attack) {
                    Ok(surrogate) => others.extend(surrogate),
                    Err(error) if of_all(&error) => return Err(error),
                    // The attack itself says what is wrong.
                    Err(_) => {}
                }
            }
            for other in others {
                // A checkpoint has no seed and stands under the first.
                let seed = if other.checkpoint.is_some() { self.suite.seeds[0] } else { seed };
                if !parts.contains(&(other, seed)) {
                    parts.push((other, seed));
                }
            }
            next += 1;
        }
        Ok(parts)
    }

    /// What is known of a part's keys.
    fn work(&self, row: &'a Row, seed: u64) -> Result<Work> {
        let training = match self.training(row, seed) {
            Ok(training) => training,
            Err(error) if of_all(&error) => return Err(error),
            Err(_) => None,
        };
        let mut work = Work::default();
        let Some((key, description)) = training else { return Ok(work) };
        work.training = Some(Keyed { key, description });
        let Some(sha256) = self.sha256(row, seed)? else { return Ok(work) };
        let mut evaluation = |label: Option<&str>, attack: &Value| {
            let (key, description) = self.evaluation(row, &sha256, attack);
            work.evaluations.push(Evaluation { label: label.map(String::from), key, description });
        };
        evaluation(None, &Value::Null);
        for attack in &self.suite.attacks {
            if let Some(described) = self.describable(attack, seed)? {
                evaluation(Some(&attack.label), &described);
            }
        }
        Ok(work)
    }

    /// Reads the ledger of earlier runs.
    pub(crate) fn recall(&self) -> Result<()> {
        if let Some(ledger) = self.context.store.ledger(&self.suite.name)? {
            *self.ledger.borrow_mut() = ledger;
        }
        Ok(())
    }

    /// Takes down what these parts are, if that is not what the ledger says already. `anyway` writes it all the same, so
    /// that a store that cannot be written is noticed before hours of work.
    pub(crate) fn enter(&self, parts: &[(&'a Row, u64)], anyway: bool) -> Result<()> {
        let mut news = Vec::new();
        for (row, seed) in parts {
            let work = self.work(row, *seed)?;
            if anyway || self.ledger.borrow().entry(&row.id, *seed).is_none_or(|e| e.work != work) {
                news.push((&row.id, *seed, work));
            }
        }
        if news.is_empty() {
            return Ok(());
        }
        self.rewrite(|ledger| {
            for (row, seed, work) in news {
                ledger.put(row, seed, work);
            }
        })
    }

    /// Takes down how a part ended.
    pub(crate) fn close(&self, record: &Record) -> Result<()> {
        let whole = self.context.only.attacks.is_empty();
        let ended = |entry: &Entry| match &record.failed {
            None => entry.done == whole && entry.failed.is_none(),
            // Processes of one run need the moment of the first failure, others that of the last.
            Some(reason) => self.context.failed_since.as_ref().is_some_and(|since| {
                !entry.done && entry.failed.as_ref().is_some_and(|f| f.reason == *reason && f.at >= *since)
            }),
        };
        if self.ledger.borrow().entry(&record.row, record.seed).is_some_and(ended) {
            return Ok(());
        }
        let at = timestamp(SystemTime::now());
        self.rewrite(|ledger| {
            if let Some(entry) = ledger.entry_mut(&record.row, record.seed) {
                entry.failed = record.failed.clone().map(|reason| Failed { reason, at });
                if record.failed.is_none() && whole {
                    entry.done = true;
                    entry.before = None;
                }
            }
        })
    }

    fn rewrite(&self, change: impl FnOnce(&mut Ledger)) -> Result<()> {
        let suite = serde_json::to_value(self.suite).map_err(|e| crate::Error::message(e.to_string()))?;
        let ledger = self.context.store.change_ledger(&self.suite.name, |ledger| {
            ledger.suite = suite;
            change(ledger);
            ledger.order(self.suite);
        })?;
        *self.ledger.borrow_mut() = ledger;
        Ok(())
    }

    /// The reason why a training failed since the moment that the context names, in whatever process.
    pub(crate) fn failed_elsewhere(&self, row: &str, seed: u64, key: &str) -> Result<Option<String>> {
        let Some(since) = &self.context.failed_since else { return Ok(None) };
        let ledger = self.context.store.ledger(&self.suite.name)?.unwrap_or_default();
        let entry = ledger.entry(row, seed).filter(|e| e.work.training_key() == Some(key));
        let failed = entry.and_then(|e| e.failed.as_ref()).filter(|f| f.at >= *since);
        Ok(failed.map(|f| f.reason.clone()))
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
