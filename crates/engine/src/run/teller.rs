//! Whoever is told what a run does.

use crate::event::{Event, Events, Part};
use std::cell::RefCell;
use std::collections::BTreeSet;

/// Hands events on, and says no lasting truth twice.
pub(crate) struct Teller<'a> {
    pub(crate) events: &'a dyn Events,
    said: RefCell<BTreeSet<String>>,
}

impl<'a> Teller<'a> {
    pub(crate) fn new(events: &'a dyn Events) -> Self {
        Teller { events, said: RefCell::default() }
    }

    pub(crate) fn event(&self, event: &Event<'_>) {
        self.events.event(event);
    }

    /// An event that is true at every look, said once.
    pub(crate) fn once(&self, event: &Event<'_>) {
        if self.said.borrow_mut().insert(format!("{event:?}")) {
            self.events.event(event);
        }
    }

    pub(crate) fn note(&self, row: &str, seed: u64, text: &str) {
        self.event(&Event::Note { part: Part { row, seed, attack: None }, text });
    }
}
