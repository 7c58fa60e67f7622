//! `gauntlet clean`: what no suite needs any more.

use crate::arguments::Clean;
use crate::exit::{Code, Failure};
use crate::session::Session;
use gauntlet::engine::{Store, Swept, clean as sweep};
use serde_json::Value;
use std::fmt::Write;

pub(crate) fn clean(session: &Session, arguments: &Clean) -> Result<Code, Failure> {
    let swept = sweep(&Store::new(&arguments.runs), arguments.yes)?;
    session.result(|| serde_json::to_value(&swept).unwrap_or(Value::Null), || text(&swept))?;
    Ok(Code::Done)
}

fn text(swept: &Swept) -> String {
    let mut out = String::new();
    for litter in &swept.litter {
        let _ = writeln!(out, "{:>10}  {}  ({})", size(litter.bytes), litter.path.display(), litter.why);
    }
    for path in &swept.claimed {
        let _ = writeln!(out, "  in use    {}  (no suite refers to it, but a process works on it)", path.display());
    }
    let (count, total) = (swept.litter.len(), size(swept.litter.iter().map(|l| l.bytes).sum()));
    let _ = match (count, swept.removed) {
        (0, _) => writeln!(out, "nothing to clean"),
        (_, true) => writeln!(out, "removed {count} folders and files, {total}"),
        (_, false) => writeln!(out, "{count} folders and files, {total}; gauntlet clean --yes removes them"),
    };
    out
}

/// `532 B`, `12.3 MB`.
fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 1000.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1000.0;
    }
    format!("{value:.1} TB")
}
