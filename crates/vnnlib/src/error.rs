//! What keeps a file from becoming a property, and a property from being searched.

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file as a whole.
    #[error("{path}: {why}")]
    File {
        /// The file.
        path: String,
        /// What is wrong with it, and the way out.
        why: String,
    },
    /// A line of it.
    #[error("{path}, line {line}: {why}")]
    Line {
        /// The file.
        path: String,
        /// Counted from 1.
        line: usize,
        /// What is wrong there, and the way out.
        why: String,
    },
    /// The network does not fit, or failed.
    #[error(transparent)]
    Core(#[from] gauntlet_core::Error),
}

/// Result with [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        Error::Core(error.into())
    }
}

/// What is wrong at a line, before the file's name is known.
#[derive(Debug)]
pub(crate) struct Wrong {
    pub(crate) line: usize,
    pub(crate) why: String,
}

impl Wrong {
    pub(crate) fn at(line: usize, why: impl Into<String>) -> Self {
        Wrong { line, why: why.into() }
    }
    pub(crate) fn of(self, path: &str) -> Error {
        Error::Line { path: path.into(), line: self.line, why: self.why }
    }
}
