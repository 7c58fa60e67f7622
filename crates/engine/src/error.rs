//! What can go wrong in the engine.

use crate::Diagnostic;
use std::io::ErrorKind;
use std::path::Path;

/// Errors of the trainer, the evaluator, the runner and the store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A component, a tensor operation, a value, a checkpoint.
    #[error(transparent)]
    Core(#[from] gauntlet_core::Error),
    /// The data set.
    #[error(transparent)]
    Data(Box<gauntlet_data::Error>),
    /// A suite that cannot be resolved.
    #[error("suite {path}: {}", list(diagnostics))]
    Suite {
        /// The file.
        path: String,
        /// Every complaint, in the order of the file.
        diagnostics: Vec<Diagnostic>,
    },
    /// The result store could not be read or written.
    #[error("cannot {action} {path}: {source}; {way_out}")]
    Store {
        /// A verb: "write", "create", "read", "lock".
        action: &'static str,
        /// The file or folder.
        path: String,
        /// The cause.
        source: std::io::Error,
        /// What to do.
        way_out: &'static str,
    },
    /// A file of the store or a record that cannot be understood.
    #[error("{path} is not readable: {why}")]
    Damaged {
        /// The file.
        path: String,
        /// The cause and the way out.
        why: String,
    },
    /// Stopped on request; the same command goes on where this one stopped.
    #[error("interrupted; run the same command again to go on from where it stopped")]
    Interrupted,
}

fn list(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(Diagnostic::to_string).collect::<Vec<_>>().join("; ")
}

/// Result with [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl From<gauntlet_data::Error> for Error {
    fn from(error: gauntlet_data::Error) -> Self {
        Error::Data(Box::new(error))
    }
}
impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        Error::Core(error.into())
    }
}
impl From<gauntlet_evaluate::Error> for Error {
    fn from(error: gauntlet_evaluate::Error) -> Self {
        use gauntlet_evaluate::Error as Of;
        match error {
            Of::Core(error) => Error::Core(error),
            Of::Interrupted => Error::Interrupted,
            Of::Follower(error) => match error.downcast::<Error>() {
                Ok(own) => *own,
                Err(other) => Error::message(other.to_string()),
            },
            other => Error::message(other.to_string()),
        }
    }
}
/// Of whoever follows an evaluation: it comes back as it was.
impl From<Error> for gauntlet_evaluate::Error {
    fn from(error: Error) -> Self {
        gauntlet_evaluate::Error::Follower(Box::new(error))
    }
}
impl From<gauntlet_records::Error> for Error {
    fn from(error: gauntlet_records::Error) -> Self {
        Error::Core(error.into())
    }
}
impl From<gauntlet_autograd::Error> for Error {
    fn from(error: gauntlet_autograd::Error) -> Self {
        Error::Core(error.into())
    }
}

impl Error {
    /// An error in plain words.
    pub(crate) fn message(text: impl Into<String>) -> Self {
        Error::Core(gauntlet_core::Error::Message(text.into()))
    }

    /// A failure of the store, with the way out that fits its cause.
    pub(crate) fn store(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        let way_out = match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                "free some space or choose another folder for the store; what is finished is kept"
            }
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                "choose a folder for the store that you may write to"
            }
            ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
                "a part of this path is a plain file; choose another folder for the store or move the file away"
            }
            _ => "check the folder of the store and run the same command again; what is finished is kept",
        };
        Error::Store { action, path: path.display().to_string(), source, way_out }
    }

    /// A failed write of a file, as a failure of the store.
    pub(crate) fn stored<T>(result: Result<T, impl Into<gauntlet_core::Error>>) -> Result<T> {
        result.map_err(|error| match error.into() {
            gauntlet_core::Error::Io { action, path, source } => Error::store(action, Path::new(&path), source),
            other => Error::Core(other),
        })
    }
}
