//! A row's training with one seed: from the store, or made now.

use crate::event::{Event, Part};
use crate::run::desk::{Attempt, Desk, of_all};
use crate::store::description;
use crate::store::results::TrainingEntry;
use crate::{Error, Result, Row, Trained, TrainingJob, fingerprint};
use gauntlet_core::{Weights, checkpoint};
use gauntlet_records::Provenance;
use serde_json::Value;

impl<'a> Desk<'a> {
    /// Key and description of a row's training; `None` while its teacher is still to be trained.
    ///
    /// # Errors
    /// A checkpoint from elsewhere, the row's or its teacher's, that cannot be read.
    pub(crate) fn training(&self, row: &'a Row, seed: u64) -> Result<Option<(String, Value)>> {
        let model = self.model(row);
        if let Some(source) = &row.checkpoint {
            let given = self.given(source, model, row)?;
            return Ok(Some((given.key, given.description)));
        }
        let numbers = (&self.context.compute, self.context.dtype);
        let mut description = description::training(&self.train_sha256, model, row, &self.suite.train, seed, numbers);
        if let Some(teacher) = &row.teacher {
            let Some(described) = self.teacher(teacher, row, seed)? else { return Ok(None) };
            description["teacher"] = described;
        }
        Ok(Some((fingerprint(&description), description)))
    }

    /// The key of a row's training, if it can be known now.
    pub(crate) fn known(&self, row: &'a Row, seed: u64) -> Result<Option<String>> {
        match self.training(row, seed) {
            Ok(training) => Ok(training.map(|(key, _)| key)),
            Err(error) if of_all(&error) => Err(error),
            // The row's own part says what is wrong.
            Err(_) => Ok(None),
        }
    }

    /// sha256 of a row's weights, if they are there.
    ///
    /// # Errors
    /// See [`Desk::training`].
    pub(crate) fn sha256(&self, row: &'a Row, seed: u64) -> Result<Option<String>> {
        if let Some(source) = &row.checkpoint {
            return Ok(Some(self.given(source, self.model(row), row)?.sha256));
        }
        let Some((key, _)) = self.training(row, seed)? else { return Ok(None) };
        Ok(self.context.store.get_training(&key)?.map(|entry| entry.checkpoint_sha256))
    }

    /// The key and entry of a training whose checkpoint is in the store afterwards, or `None` while another process
    /// works on it.
    pub(crate) fn checkpoint(&self, row: &'a Row, seed: u64) -> Result<Option<(String, TrainingEntry)>> {
        match self.trained(row, seed, true)? {
            Attempt::Done(trained) => Ok(Some(trained)),
            Attempt::Busy => Ok(None),
        }
    }

    /// The training of a row and seed: from the store, or made now. `again`: its checkpoint is needed, be it that the
    /// entry is there without it.
    pub(crate) fn trained(&self, row: &'a Row, seed: u64, again: bool) -> Result<Attempt<(String, TrainingEntry)>> {
        if let Some(source) = &row.checkpoint {
            return self.taken(source, row);
        }
        let store = &self.context.store;
        let part = Part { row: &row.id, seed, attack: None };
        let stored = |key: &str| -> Result<Option<TrainingEntry>> {
            let entry = store.get_training(key)?;
            Ok(entry.filter(|_| !again || store.checkpoint(key).exists()))
        };
        if let Some((key, _)) = self.training(row, seed)?
            && let Some(entry) = stored(&key)?
        {
            self.once(&Event::Skipped { part, weights_of: None });
            return Ok(Attempt::Done((key, entry)));
        }
        if !self.taught(row, seed)? {
            return Ok(Attempt::Busy);
        }
        let Some((key, description)) = self.training(row, seed)? else { return Ok(Attempt::Busy) };
        let failed = self.failed.borrow().get(&key).cloned();
        if let Some(reason) = failed.map_or_else(|| self.failed_elsewhere(&row.id, seed, &key), |r| Ok(Some(r)))? {
            return Err(Error::message(reason));
        }
        let Some(_claim) = store.claim_training(&key)? else {
            self.once(&Event::Waiting { part, key: &key });
            return Ok(Attempt::Busy);
        };
        if let Some(entry) = stored(&key)? {
            return Ok(Attempt::Done((key, entry)));
        }
        if store.get_training(&key)?.is_none()
            && let Some(why) = self.ledger.borrow().why_trained(&row.id, seed, &key, &description)
        {
            self.note(&row.id, seed, &format!("trained again, since {why}"));
        }
        let entry_provenance = self.context.provenance();
        let job = self.job(row, seed)?;
        let trained = job.run(Some((&store.state(&key), &key)), self.events).inspect_err(|error| {
            if !of_all(error) {
                self.failed.borrow_mut().insert(key.clone(), error.to_string());
            }
        })?;
        let Trained { weights, curve, seconds, cpu_seconds, resumed, cost_relative_to_ce } = trained;
        let entry = TrainingEntry {
            description,
            checkpoint_sha256: checkpoint::sha256(&weights)?,
            curve,
            provenance: Provenance {
                train_seconds: seconds,
                train_cpu_seconds: cpu_seconds,
                resumed,
                cost_relative_to_ce,
                ..entry_provenance
            },
        };
        store.put_training(&key, &entry, Some((&weights, job.network.info())))?;
        self.events.event(&Event::TrainingDone { part, seconds });
        Ok(Attempt::Done((key, entry)))
    }

    fn job<'s>(&'s self, row: &'a Row, seed: u64) -> Result<TrainingJob<'s>> {
        Ok(TrainingJob {
            network: self.network(row)?,
            recipe: row.build(self.context.registry)?,
            teacher: self.teaching(row, seed)?,
            train: &self.data.train,
            config: &self.suite.train,
            seed,
            dtype: self.context.dtype,
            compute: &self.context.compute,
            registry: self.context.registry,
            width: self.context.width,
            interrupt: self.context.interrupt,
            part: Part { row: &row.id, seed, attack: None },
        })
    }

    /// The weights of a checkpoint in the store.
    pub(crate) fn weights(&self, row: &'a Row, key: &str, entry: &TrainingEntry) -> Result<Weights> {
        let (path, network) = (self.context.store.checkpoint(key), self.network(row)?);
        let (weights, _) = checkpoint::load(&path, &network.specs(), network.info(), self.context.dtype)?;
        if checkpoint::sha256(&weights)? != entry.checkpoint_sha256 {
            return Err(Error::Damaged {
                path: path.display().to_string(),
                why: "its weights are not the ones that training.json names; delete the folder to train again".into(),
            });
        }
        Ok(weights)
    }
}
