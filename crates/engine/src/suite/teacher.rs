//! Rows that learn from a trained model.

use crate::CheckpointSource;
use serde::{Deserialize, Serialize};
use std::fmt;

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
