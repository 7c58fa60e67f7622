//! What can be wrong with a record, its files and the values in them.

use crate::nearest::choices;

/// What can go wrong in this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was attempted, as a verb ("read", "write", "rename").
        action: &'static str,
        /// The file or folder.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// A name that is none of the known ones.
    #[error("unknown {kind} {name:?}{}{}", hint.as_ref().map(|h| format!(" (did you mean {h:?}?)")).unwrap_or_default(),
        choices(known, hint.is_some()).map(|c| format!("; {c}")).unwrap_or_default())]
    Unknown {
        /// "norm", ...
        kind: String,
        /// What the user wrote.
        name: String,
        /// The nearest known name.
        hint: Option<String>,
        /// All known names.
        known: Vec<String>,
    },
    /// A value outside its domain.
    #[error("bad value for {what}: {why}")]
    Value {
        /// The parameter.
        what: String,
        /// What is wrong with it and what would be right.
        why: String,
    },
    /// A record's file that is not what it should be.
    #[error("record {path}: {why}")]
    Record {
        /// The file.
        path: String,
        /// What is wrong with it, and the way out.
        why: String,
    },
    /// A file of pictures that is not what it should be.
    #[error("pictures {path}: {why}")]
    Pictures {
        /// The file.
        path: String,
        /// What is wrong with it, and the way out.
        why: String,
    },
    /// Anything else, in words.
    #[error("{0}")]
    Message(String),
}

/// Result with [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A bad value: `Error::value("eps", "must be at least 0, got -1")`.
    pub fn value(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Value { what: what.into(), why: why.into() }
    }
}
