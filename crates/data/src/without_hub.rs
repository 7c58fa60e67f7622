//! What a build without the hub says.

use crate::Error;

/// Something that feature `hub` is for.
pub(crate) fn missing(what: &str) -> Error {
    Error::Message(format!(
        "{what}: this program was built without the feature `hub`, which fetches files and reads parquet"
    ))
}
