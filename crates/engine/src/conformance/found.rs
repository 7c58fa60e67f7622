//! What came of one promise.

/// What looking at one promise ended with.
pub(super) enum Found {
    Holds(String),
    Broken(String),
    Skipped(String),
}
