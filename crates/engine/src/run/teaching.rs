//! Teachers of rows, trained first.

use crate::run::desk::{Desk, of_all};
use crate::{Error, Result, Row, Teacher};
use gauntlet_core::Target;
use serde_json::{Value, json};
use std::sync::Arc;

/// A failure of a teacher, as its pupil tells it.
fn taught_by<T>(teacher: &Teacher, result: Result<T>) -> Result<T> {
    result.map_err(|e| if of_all(&e) { e } else { Error::message(format!("its teacher {teacher}: {e}")) })
}

impl<'a> Desk<'a> {
    /// The teacher's part of a training's key; `None` while it is still to be trained.
    pub(crate) fn teacher(&self, teacher: &'a Teacher, row: &'a Row, seed: u64) -> Result<Option<Value>> {
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

    /// Has the teacher of a row trained, where it has one that must be; false while another process does that.
    pub(crate) fn taught(&self, row: &'a Row, seed: u64) -> Result<bool> {
        match &row.teacher {
            Some(teacher @ Teacher::Row(id)) => Ok(taught_by(teacher, self.checkpoint(self.row(id)?, seed))?.is_some()),
            _ => Ok(true),
        }
    }

    /// The teacher of a row as its recipe sees it: frozen, in eval mode.
    pub(crate) fn teaching(&self, row: &'a Row, seed: u64) -> Result<Option<Arc<dyn Target>>> {
        let Some(teacher) = &row.teacher else { return Ok(None) };
        let (network, weights) = match teacher {
            Teacher::Row(id) => {
                let other = self.row(id)?;
                let stored = match taught_by(teacher, self.training(other, seed))? {
                    Some((key, _)) => self.context.store.get_training(&key)?.map(|entry| (key, entry)),
                    None => None,
                };
                let (key, entry) = stored.ok_or_else(|| {
                    Error::message(format!("its teacher {id} is no longer in the store; run the same command again"))
                })?;
                (self.network(other)?, taught_by(teacher, self.weights(other, &key, &entry))?)
            }
            Teacher::Checkpoint(source) => {
                (self.network(row)?, taught_by(teacher, self.read(source, self.model(row), row))?.1)
            }
        };
        Ok(Some(Arc::new(self.context.frozen(network, &weights)?)))
    }
}
