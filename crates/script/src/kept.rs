//! Texts that live as long as the program.
//!
//! The descriptions of built-in components are constants of the program, and so are the names of terms. What a script
//! says in their place is kept, each text once: a few hundred bytes for every script that is named.

use crate::ran::Ran;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// Texts in one process before a script gets no more names for its terms: they head the columns of logs, so there are
/// few, unless a script makes new ones up in every step.
const MAX_TEXTS: usize = 10_000;

/// Bytes of a term's name.
const MAX_NAME: usize = 128;

static TEXTS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

/// A text of a script's description.
pub(crate) fn text(given: &str) -> &'static str {
    keep(&mut TEXTS.lock().unwrap_or_else(PoisonError::into_inner), given)
}

/// The name of a term.
pub(crate) fn name(given: &str) -> Ran<&'static str> {
    if given.is_empty() {
        return Err("a term needs a name".into());
    }
    if given.chars().any(char::is_control) {
        return Err(format!("the name of a term has a control character: {given:?}").into());
    }
    if given.len() > MAX_NAME {
        return Err(format!("the name of a term has at most {MAX_NAME} bytes, this one {}", given.len()).into());
    }
    let mut texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
    if texts.len() >= MAX_TEXTS && !texts.contains(given) {
        return Err("terms must have the same names in every step: they head the columns of logs".into());
    }
    Ok(keep(&mut texts, given))
}

fn keep(texts: &mut BTreeSet<&'static str>, given: &str) -> &'static str {
    if let Some(known) = texts.get(given) {
        return known;
    }
    let kept: &'static str = Box::leak(given.to_string().into_boxed_str());
    texts.insert(kept);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_once_and_cannot_be_made_up_without_end() {
        assert!(std::ptr::eq(text("a summary"), text("a summary")));
        assert!(std::ptr::eq(name("ce").unwrap(), name("ce").unwrap()));
        assert!(name("").is_err());
        assert!(name("a\u{1b}").unwrap_err().to_string().contains("a control character: \"a\\u{1b}\""));
        assert!(name(&"a".repeat(129)).unwrap_err().to_string().contains("at most 128 bytes, this one 129"));
        let failed = (0..=MAX_TEXTS).find_map(|i| name(&format!("term {i}")).err());
        assert!(failed.unwrap().to_string().contains("the same names in every step"));
        assert_eq!(name("ce").unwrap(), "ce", "what is known stays known");
        assert_eq!(text("another summary"), "another summary");
    }
}
