//! A complaint about a suite file, made of an error of core.

use crate::Diagnostic;
use gauntlet_records::nearest::choices;
use std::ops::Range;

/// A complaint made of an error of core; `list` is where all names stand.
pub(crate) fn complaint(span: Range<usize>, error: &gauntlet_core::Error, list: &str) -> Diagnostic {
    match error {
        gauntlet_core::Error::Unknown { kind, name, hint, known } => {
            let near = hint.as_ref().map(|h| format!("did you mean {h:?}?"));
            // A list that stands there already says it.
            let told = list.contains("known: ") || known.iter().all(|k| list.contains(k.as_str()));
            let choices = choices(known, hint.is_some()).filter(|_| !told);
            let parts = [near.as_deref().unwrap_or(""), choices.as_deref().unwrap_or(""), list];
            let parts: Vec<&str> = parts.into_iter().filter(|p| !p.is_empty()).collect();
            let diagnostic = Diagnostic::at(span, format!("unknown {kind} {name:?}"));
            if parts.is_empty() { diagnostic } else { diagnostic.hint(parts.join("; ").replace("?; ", "? ")) }
        }
        other => Diagnostic::at(span, other.to_string()),
    }
}
