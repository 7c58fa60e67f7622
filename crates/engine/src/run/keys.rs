//! What names a training: the key of its description, and where it lies the sha256 of its weights.

use crate::run::attempt::of_all;
use crate::run::given::Given;
use crate::run::inputs::Inputs;
use crate::run::teller::Teller;
use crate::store::description;
use crate::{CheckpointSource, Context, Error, Result, Row, Teacher, TrainConfig, canonical, fingerprint};
use gauntlet_core::{Network, checkpoint};
use gauntlet_evaluate::{Component, Origin, Subject};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

/// Rows that are trained, or are there, and how: all that their keys depend on.
pub(crate) struct Keys<'a> {
    pub(crate) context: &'a Context<'a>,
    inputs: Rc<Inputs<'a>>,
    teller: Rc<Teller<'a>>,
    rows: &'a [Row],
    model: &'a Component,
    config: &'a TrainConfig,
    /// Checkpoints from elsewhere that were read, by source and model.
    given: RefCell<BTreeMap<String, Given>>,
}

impl<'a> Keys<'a> {
    /// `model`: the architecture of every row that does not say otherwise.
    pub(crate) fn new(
        (inputs, teller): (&Rc<Inputs<'a>>, &Rc<Teller<'a>>),
        rows: &'a [Row],
        model: &'a Component,
        config: &'a TrainConfig,
    ) -> Self {
        let (inputs, teller) = (inputs.clone(), teller.clone());
        Keys { context: inputs.context, inputs, teller, rows, model, config, given: RefCell::default() }
    }

    /// The row of that id.
    pub(crate) fn row(&self, id: &str) -> Result<&'a Row> {
        self.rows.iter().find(|r| r.id == id).ok_or_else(|| {
            let known = self.rows.iter().map(|r| r.id.as_str());
            gauntlet_core::Error::unknown("row", id, known).into()
        })
    }

    /// A row's architecture: its own, or that of all.
    pub(crate) fn model(&self, row: &'a Row) -> &'a Component {
        row.model.as_ref().unwrap_or(self.model)
    }

    /// How a row is trained.
    pub(crate) fn config(&self, row: &'a Row) -> &'a TrainConfig {
        row.train.as_ref().unwrap_or(self.config)
    }

    /// A row's network on this data.
    pub(crate) fn network(&self, row: &'a Row) -> Result<Arc<dyn Network>> {
        let batch = if row.checkpoint.is_none() { self.config(row).batch } else { 0 };
        self.inputs.network(self.model(row), batch)
    }

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
        let numbers = (&self.context.compute, self.context.precision);
        let mut description =
            description::training(&self.inputs.train_sha256, model, row, self.config(row), seed, numbers);
        if let Some(extra) = &self.config(row).tricks.extra {
            description["extra_sha256"] = self.inputs.extra(&extra.data)?.1.into();
        }
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
    /// See [`Keys::training`].
    pub(crate) fn sha256(&self, row: &'a Row, seed: u64) -> Result<Option<String>> {
        if let Some(source) = &row.checkpoint {
            return Ok(Some(self.given(source, self.model(row), row)?.sha256));
        }
        let Some((key, _)) = self.training(row, seed)? else { return Ok(None) };
        Ok(self.context.store.get_training(&key)?.map(|entry| entry.checkpoint_sha256))
    }

    /// The teacher's part of a training's key; `None` while it is still to be trained.
    fn teacher(&self, teacher: &'a Teacher, row: &'a Row, seed: u64) -> Result<Option<Value>> {
        let (model, sha256) = match teacher {
            Teacher::Row(id) => {
                let other = self.row(id)?;
                let Some(sha256) = taught_by(teacher, self.sha256(other, seed))? else { return Ok(None) };
                (self.model(other), sha256)
            }
            Teacher::Checkpoint(source) => {
                let model = self.model(row);
                (model, taught_by(teacher, self.given(source, model, row))?.sha256)
            }
        };
        Ok(Some(json!({ "model": model.describe(), "checkpoint_sha256": sha256 })))
    }

    /// Reads a checkpoint as weights of `model`; the first time, what was adapted is noted.
    ///
    /// # Errors
    /// A file that is not there or does not fit; a hub that does not deliver.
    pub(crate) fn read(&self, source: &CheckpointSource, model: &Component, row: &Row) -> Result<(Given, Subject)> {
        let (file, mut notes) = source.resolve(&self.context.data)?;
        let names = names(source, row).map(|path| checkpoint::names(path)).transpose()?;
        let origin = file.as_deref().map_or(Origin::Own, |path| Origin::File { path, names: names.as_deref() });
        let subject = Subject::open_published(self.inputs.network(model, 0)?, origin, self.context.precision)?;
        notes.extend(subject.notes.iter().cloned());
        let description = description::checkpoint(&subject.sha256, model, self.context.precision);
        let given = Given { key: fingerprint(&description), description, sha256: subject.sha256.clone() };
        if self.given.borrow_mut().insert(place(source, model, row), given.clone()).is_none() {
            notes.iter().for_each(|note| self.teller.note(&row.id, 0, &format!("{source}: {note}")));
        }
        Ok((given, subject))
    }

    /// Key and sha256 of a checkpoint, which is read once in a run.
    ///
    /// # Errors
    /// See [`Keys::read`].
    pub(crate) fn given(&self, source: &CheckpointSource, model: &Component, row: &Row) -> Result<Given> {
        let known = self.given.borrow().get(&place(source, model, row)).cloned();
        known.map_or_else(|| Ok(self.read(source, model, row)?.0), Ok)
    }
}

/// The list of names that a row gives for its own checkpoint.
fn names<'r>(source: &CheckpointSource, row: &'r Row) -> Option<&'r PathBuf> {
    row.names.as_ref().filter(|_| row.checkpoint.as_ref() == Some(source))
}

fn place(source: &CheckpointSource, model: &Component, row: &Row) -> String {
    format!("{source} {:?} {}", names(source, row), canonical(&model.describe()))
}

/// A failure of a teacher, as its pupil tells it.
pub(crate) fn taught_by<T>(teacher: &Teacher, result: Result<T>) -> Result<T> {
    result.map_err(|e| if of_all(&e) { e } else { Error::message(format!("its teacher {teacher}: {e}")) })
}
