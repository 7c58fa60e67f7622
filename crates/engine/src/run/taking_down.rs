//! What the ledger is told of the parts of a run.

use crate::run::desk::{Desk, of_all};
use crate::store::ledger::{Entry, Evaluation, Failed, Keyed, Ledger, Work};
use crate::{Result, Row, Teacher, timestamp};
use gauntlet_records::Record;
use serde_json::Value;
use std::time::SystemTime;

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
