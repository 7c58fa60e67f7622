//! Rows that learn from a trained model.

use crate::desk::{Desk, of_all};
use crate::{CheckpointSource, Error, Result, Row};
use gauntlet_core::Target;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;

/// Whom a row's recipe learns from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Teacher {
    /// Another row of the suite: what it trained with the same seed, or its checkpoint.
    Row(String),
    /// A checkpoint of the row's own architecture (one of another architecture is a row of its own).
    Checkpoint(CheckpointSource),
}

impl fmt::Display for Teacher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Teacher::Row(id) => f.write_str(id),
            Teacher::Checkpoint(source) => write!(f, "{source}"),
        }
    }
}

/// The row `start`, the row that teaches it, the row that teaches that one and so on, up to one that no row teaches or
/// that was there already.
pub(crate) fn lineage(rows: &[Row], start: usize) -> Vec<usize> {
    let mut chain = vec![start];
    let mut at = &rows[start];
    while let Some(Teacher::Row(id)) = &at.teacher {
        let Some(next) = rows.iter().position(|r| r.id == *id) else { break };
        let again = chain.contains(&next);
        chain.push(next);
        if again {
            break;
        }
        at = &rows[next];
    }
    chain
}

/// Whether such a line ends where it began.
pub(crate) fn is_circle(chain: &[usize]) -> bool {
    chain.len() > 1 && chain.first() == chain.last()
}

/// `a learns from b learns from a`.
pub(crate) fn circle(rows: &[Row], chain: &[usize]) -> String {
    chain.iter().map(|i| rows[*i].id.as_str()).collect::<Vec<_>>().join(" learns from ")
}

/// For suites that no file was read for.
///
/// # Errors
/// A teacher that is no row; rows that teach each other in a circle.
pub(crate) fn check(rows: &[Row]) -> Result<()> {
    for (i, row) in rows.iter().enumerate() {
        if let Some(Teacher::Row(id)) = &row.teacher
            && !rows.iter().any(|r| r.id == *id)
        {
            return Err(gauntlet_core::registry::unknown("row", id, rows.iter().map(|r| r.id.as_str())).into());
        }
        let chain = lineage(rows, i);
        if is_circle(&chain) {
            return Err(Error::message(format!("{} in a circle: none can be trained first", circle(rows, &chain))));
        }
    }
    Ok(())
}

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
