//! What bound functions return.

use rhai::EvalAltResult as Error;
use std::fmt::Display;

/// What a bound function returns.
pub(crate) type Ran<T> = Result<T, Box<Error>>;

/// An error of a bound function: the engine adds the place of its call.
pub(crate) fn said(error: impl Display) -> Box<Error> {
    error.to_string().into()
}
