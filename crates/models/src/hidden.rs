//! The widths of hidden layers, as fully connected architectures are told them.

use gauntlet_core::{Args, Error, Result};
use serde_json::Value;

/// Reads `hidden`, a list of widths.
pub(crate) fn widths(name: &str, args: &Args) -> Result<Vec<usize>> {
    let wrong = |got: &Value| {
        let why = format!("must be a list of at least one width between 1 and 65536, such as [200, 200], got {got}");
        Error::value(format!("{name}.hidden"), why)
    };
    let value = args.value("hidden")?;
    let width = |v: &Value| v.as_u64().filter(|n| (1..=65_536).contains(n)).map(|n| n as usize);
    let list: Option<Vec<usize>> = value.as_array().and_then(|a| a.iter().map(width).collect());
    list.filter(|l| !l.is_empty()).ok_or_else(|| wrong(value))
}
