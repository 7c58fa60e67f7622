//! A suite from data to records.

use crate::event::{Event, Events, Part};
use crate::run::attempt::{Attempt, of_all};
use crate::run::inputs::load;
use crate::run::runner::Runner;
use crate::{Context, Error, Images, Result, Row, Suite};
use gauntlet_records::{
    Provenance, Record,
    record::{Outcome, RECORD_FORMAT},
};
use serde_json::{Value, json};
use std::time::Duration;

/// How long to wait before looking again whether another process has finished.
const PATIENCE: Duration = Duration::from_millis(500);

/// Trains and attacks every row of a suite with every seed; one record each, in the order of the suite.
///
/// What the store (or a committed record) holds is not repeated. A part that fails becomes a record with its reason,
/// and the rest goes on. Running the same suite again after an interruption or a kill goes on where it stopped, and
/// the records' `result` is the same, byte for byte.
///
/// # Errors
/// [`Error::Interrupted`]; a data set that cannot be loaded; a store that cannot be written.
pub fn run(suite: &Suite, context: &Context<'_>, events: &dyn Events) -> Result<Vec<Record>> {
    run_on(suite, load(&suite.data, context)?, context, events)
}

/// Like [`run`], on images that live in the caller's own program; the suite's `data` is then only a name.
///
/// # Errors
/// See [`run`].
pub fn run_on(suite: &Suite, data: Images, context: &Context<'_>, events: &dyn Events) -> Result<Vec<Record>> {
    let suite = &suite.settled(data.train.len())?;
    let runner = Runner::open(suite, data, context, events)?;
    runner.book.recall()?;
    runner.enter(&runner.needed()?, true)?;
    runner.import()?;
    let mut waiting: Vec<(usize, &Row, u64)> =
        runner.parts().into_iter().enumerate().map(|(i, (row, seed))| (i, row, seed)).collect();
    let mut records: Vec<(usize, Record)> = Vec::new();
    let of = waiting.len();
    events.event(&Event::RecordDone { done: 0, of });
    while !waiting.is_empty() {
        let before = waiting.len();
        let mut busy = Vec::new();
        for (i, row, seed) in waiting {
            match runner.record(row, seed)? {
                Some(record) => {
                    if context.shard.is_none() {
                        runner.book.close(&record)?;
                    }
                    records.push((i, record));
                    events.event(&Event::RecordDone { done: records.len(), of });
                }
                None => busy.push((i, row, seed)),
            }
        }
        waiting = busy;
        if waiting.len() == before {
            if context.interrupted() {
                return Err(Error::Interrupted);
            }
            std::thread::sleep(PATIENCE);
        }
    }
    records.sort_by_key(|(i, _)| *i);
    Ok(records.into_iter().map(|(_, record)| record).collect())
}

impl<'a> Runner<'a> {
    /// One record, or `None` while another process works on a part of it.
    fn record(&self, row: &'a Row, seed: u64) -> Result<Option<Record>> {
        let part = Part { row: &row.id, seed, attack: None };
        let mut record = self.blank(row, seed);
        match self.fill(&mut record, row, seed) {
            Ok(Attempt::Done(())) => Ok(Some(record)),
            Ok(Attempt::Busy) => Ok(None),
            // What ails the environment ails every part; what ails a part is its own.
            Err(error) if of_all(&error) => Err(error),
            Err(error) => {
                let reason = error.to_string();
                self.teller.event(&Event::Failed { part, reason: &reason });
                record.failed = Some(reason);
                Ok(Some(record))
            }
        }
    }

    fn blank(&self, row: &'a Row, seed: u64) -> Record {
        // Without a teacher's weights there is no description yet, without a checkpoint there will be none.
        let training = self.keys.training(row, seed).ok().flatten().map_or(Value::Null, |(_, description)| description);
        let attacks: Vec<Value> = self.attacks().into_iter().map(|a| self.evaluations.attack(a)).collect();
        let mut configuration = json!({
            "data": self.suite.data,
            "classes": self.inputs.images.classes,
            "note": row.note,
            "training": training,
            "evaluation": self.evaluations.conditions,
            "attacks": attacks,
        });
        configuration["test"] = json!({ "rows": self.inputs.images.test.len() });
        if let Some(order) = &self.inputs.images.order {
            configuration["test"]["order"] = order.as_str().into();
        }
        if let Some(source) = &row.checkpoint {
            configuration["checkpoint"] = source.to_string().into();
            if let Some(names) = &row.names {
                configuration["checkpoint_names"] = names.display().to_string().into();
            }
        }
        if let Some(teacher) = &row.teacher {
            configuration["teacher"] = teacher.to_string().into();
        }
        Record {
            format: RECORD_FORMAT,
            suite: self.suite.name.clone(),
            row: row.id.clone(),
            seed,
            failed: None,
            result: Outcome {
                configuration,
                data_sha256: self.inputs.train_sha256.clone(),
                checkpoint_sha256: String::new(),
                curve: Vec::new(),
                clean: Vec::new(),
                attacked: Vec::new(),
                certified: Vec::new(),
                flags: Vec::new(),
            },
            provenance: self.context.provenance(),
            expectations: Vec::new(),
        }
    }

    fn fill(&self, record: &mut Record, row: &'a Row, seed: u64) -> Result<Attempt<()>> {
        let Attempt::Done((mut key, mut entry)) = self.models.trained(row, seed, false)? else {
            return Ok(Attempt::Busy);
        };
        if !self.context.store.checkpoint(&key).exists() && !self.complete(row, &entry.checkpoint_sha256, seed)? {
            // Imported from a record, or deleted: the checkpoint has to be made again.
            let Attempt::Done((same, again)) = self.models.trained(row, seed, true)? else { return Ok(Attempt::Busy) };
            if again.checkpoint_sha256 != entry.checkpoint_sha256 {
                let text = "training again gave other weights than the record's, as another CPU may; \
                            all attacks are run on the new ones";
                self.teller.note(&row.id, seed, text);
            }
            (key, entry) = (same, again);
        }
        self.enter(&[(row, seed)], false)?;
        if let Some((_, description)) = self.keys.training(row, seed)? {
            record.result.configuration["training"] = description;
        }
        record.result.checkpoint_sha256 = entry.checkpoint_sha256.clone();
        record.result.curve = entry.curve.clone();
        record.provenance =
            Provenance { evaluate_seconds: 0.0, evaluate_cpu_seconds: Some(0.0), ..entry.provenance.clone() };
        (record.provenance.executed_forwards, record.provenance.executed_backwards) = (0, 0);
        self.judge(record, row, seed, (&key, &entry))
    }
}
