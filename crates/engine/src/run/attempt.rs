//! One attempt at a part of a run.

use crate::Error;

/// Done, or claimed by another process.
pub(crate) enum Attempt<T> {
    Done(T),
    Busy,
}

/// A failure that ails the environment, and so every part: the run ends with it.
pub(crate) fn of_all(error: &Error) -> bool {
    matches!(error, Error::Interrupted | Error::Store { .. })
}
