//! The widths of hidden layers, as fully connected architectures are told them.

use gauntlet_core::{Args, Error, Result};

/// Reads `hidden`, a list of widths.
pub(crate) fn widths(name: &str, args: &Args) -> Result<Vec<usize>> {
    let widths = args.usizes("hidden")?;
    if widths.is_empty() {
        return Err(Error::value(format!("{name}.hidden"), "must have at least one width, such as [200, 200]"));
    }
    Ok(widths)
}
