//! Checkpoints that are there already: somebody's model in the same table, or a teacher of rows.

use crate::run::desk::{Attempt, Desk};
use crate::run::given::Given;
use crate::store::description;
use crate::store::results::TrainingEntry;
use crate::{CheckpointSource, Result, Row, canonical, fingerprint};
use gauntlet_core::{Weights, checkpoint};
use gauntlet_evaluate::Component;
use std::path::PathBuf;

impl<'a> Desk<'a> {
    /// Reads a checkpoint as weights of `model`; the first time, what was adapted is noted.
    ///
    /// # Errors
    /// A file that is not there or does not fit; a hub that does not deliver.
    pub(crate) fn read(&self, source: &CheckpointSource, model: &Component, row: &Row) -> Result<(Given, Weights)> {
        let (file, mut notes) = source.resolve(&self.context.data)?;
        let network = self.built(model, 0)?;
        let names = names(source, row).map(|path| checkpoint::names(path)).transpose()?;
        let (specs, info) = (network.specs(), network.info());
        let (weights, more) = checkpoint::load_named(&file, names.as_deref(), &specs, info, self.context.dtype)?;
        notes.extend(more);
        let sha256 = checkpoint::sha256(&weights)?;
        let description = description::checkpoint(&sha256, model, self.context.dtype);
        let given = Given { key: fingerprint(&description), description, sha256 };
        if self.given.borrow_mut().insert(place(source, model, row), given.clone()).is_none() {
            notes.iter().for_each(|note| self.note(&row.id, 0, &format!("{source}: {note}")));
        }
        Ok((given, weights))
    }

    /// Key and sha256 of a checkpoint, which is read once in a run.
    ///
    /// # Errors
    /// See [`Desk::read`].
    pub(crate) fn given(&self, source: &CheckpointSource, model: &Component, row: &Row) -> Result<Given> {
        let known = self.given.borrow().get(&place(source, model, row)).cloned();
        known.map_or_else(|| Ok(self.read(source, model, row)?.0), Ok)
    }

    /// A row's given checkpoint in the store, where it is like any other.
    pub(crate) fn taken(&self, source: &CheckpointSource, row: &'a Row) -> Result<Attempt<(String, TrainingEntry)>> {
        let store = &self.context.store;
        let Given { key, description, sha256 } = self.given(source, self.model(row), row)?;
        if let Some(entry) = store.get_training(&key)?.filter(|_| store.checkpoint(&key).exists()) {
            return Ok(Attempt::Done((key, entry)));
        }
        let Some(_claim) = store.claim_training(&key)? else { return Ok(Attempt::Busy) };
        let (_, weights) = self.read(source, self.model(row), row)?;
        let provenance = self.context.provenance();
        let entry = TrainingEntry { description, checkpoint_sha256: sha256, curve: Vec::new(), provenance };
        store.put_training(&key, &entry, Some((&weights, self.network(row)?.info())))?;
        Ok(Attempt::Done((key, entry)))
    }
}

/// The list of names that a row gives for its own checkpoint.
fn names<'r>(source: &CheckpointSource, row: &'r Row) -> Option<&'r PathBuf> {
    row.names.as_ref().filter(|_| row.checkpoint.as_ref() == Some(source))
}

fn place(source: &CheckpointSource, model: &Component, row: &Row) -> String {
    format!("{source} {:?} {}", names(source, row), canonical(&model.describe()))
}
