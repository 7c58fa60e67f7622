//! What is taken down of a suite's parts: its ledger, as one run reads and writes it.

use crate::store::ledger::{Entry, Failed, Ledger, Work};
use crate::{Context, Result, Suite, timestamp};
use gauntlet_records::Record;
use std::cell::{Ref, RefCell};
use std::time::SystemTime;

/// What earlier runs took down of a suite, and this one.
pub(crate) struct Book<'a> {
    suite: &'a Suite,
    context: &'a Context<'a>,
    ledger: RefCell<Ledger>,
}

impl<'a> Book<'a> {
    /// An empty one: [`Book::recall`] reads what there is.
    pub(crate) fn new(suite: &'a Suite, context: &'a Context<'a>) -> Self {
        Book { suite, context, ledger: RefCell::default() }
    }

    pub(crate) fn ledger(&self) -> Ref<'_, Ledger> {
        self.ledger.borrow()
    }

    /// Reads the ledger of earlier runs.
    pub(crate) fn recall(&self) -> Result<()> {
        if let Some(ledger) = self.context.store.ledger(&self.suite.name)? {
            *self.ledger.borrow_mut() = ledger;
        }
        Ok(())
    }

    /// Whether the ledger says this of a part already.
    pub(crate) fn says(&self, row: &str, seed: u64, work: &Work) -> bool {
        self.ledger().entry(row, seed).is_some_and(|e| e.work == *work)
    }

    /// Takes down what parts are.
    pub(crate) fn enter(&self, news: Vec<(&str, u64, Work)>) -> Result<()> {
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
        if self.ledger().entry(&record.row, record.seed).is_some_and(ended) {
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
