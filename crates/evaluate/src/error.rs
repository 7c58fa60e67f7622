//! What can go wrong in an evaluation.

/// Errors of the driver, the referee, the probes and the evaluator.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A component, a tensor operation, a value, a proposal that the threat model forbids.
    #[error(transparent)]
    Core(#[from] gauntlet_core::Error),
    /// Whoever follows the evaluation could not take a verdict.
    #[error(transparent)]
    Follower(Box<dyn std::error::Error + Send + Sync>),
    /// Stopped on request.
    #[error("interrupted; run the same command again to go on from where it stopped")]
    Interrupted,
}

/// Result with [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        Error::Core(error.into())
    }
}
impl From<gauntlet_autograd::Error> for Error {
    fn from(error: gauntlet_autograd::Error) -> Self {
        Error::Core(error.into())
    }
}
impl From<gauntlet_records::Error> for Error {
    fn from(error: gauntlet_records::Error) -> Self {
        Error::Core(error.into())
    }
}

impl Error {
    /// An error in plain words.
    pub(crate) fn message(text: impl Into<String>) -> Self {
        Error::Core(gauntlet_core::Error::Message(text.into()))
    }
}
