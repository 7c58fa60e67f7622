//! A complaint about a suite file, made of an error of core.

use crate::Diagnostic;
use std::ops::Range;

/// A complaint made of an error of core; `list` is where all names stand.
pub(crate) fn complaint(span: Range<usize>, error: &gauntlet_core::Error, list: &str) -> Diagnostic {
    match error {
        gauntlet_core::Error::Unknown { kind, name, hint } => {
            let near = hint.as_ref().map(|h| format!("did you mean {h:?}?"));
            let parts: Vec<&str> =
                [near.as_deref().unwrap_or(""), list].into_iter().filter(|p| !p.is_empty()).collect();
            let diagnostic = Diagnostic::at(span, format!("unknown {kind} {name:?}"));
            if parts.is_empty() { diagnostic } else { diagnostic.hint(parts.join(" ")) }
        }
        other => Diagnostic::at(span, other.to_string()),
    }
}
