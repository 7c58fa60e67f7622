//! Names of terms.

use crate::explanation::Ran;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// Names of terms in one process: they head the columns of logs, so there are few.
const MAX_NAMES: usize = 1000;

/// A term's name as core keeps it, for the whole program; the same text is kept once.
pub(crate) fn kept(name: &str) -> Ran<&'static str> {
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(name) {
        return Ok(known);
    }
    if name.is_empty() {
        return Err("a term needs a name".into());
    }
    if names.len() >= MAX_NAMES {
        let why = "term names head the columns of logs, they must not change from step to step";
        return Err(format!("more than {MAX_NAMES} different names of terms: {why}").into());
    }
    let kept: &'static str = Box::leak(name.to_string().into_boxed_str());
    names.insert(kept);
    Ok(kept)
}
