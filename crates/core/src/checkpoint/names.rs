//! A list of tensors' names, for a checkpoint whose own names tell nothing.

use crate::{Error, Result};
use gauntlet_records::regular_file;
use std::path::Path;

/// Bytes of a list of names: a hundred for each of 100,000 tensors.
const MAX: u64 = 10 << 20;

/// The names in a file, one a line, in the order of the model's parameters.
///
/// # Errors
/// A file that is not there, is no regular file, or is too long.
pub fn names(path: &Path) -> Result<Vec<String>> {
    let text = regular_file::read_text(path, MAX, "a list of names")
        .map_err(|e| Error::Message(format!("{}: {e}", path.display())))?;
    Ok(text.lines().map(str::trim).filter(|l| !l.is_empty()).map(String::from).collect())
}
