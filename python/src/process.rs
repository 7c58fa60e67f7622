//! What a process may do with threads.

use crate::failure::Failure;
use std::sync::OnceLock;

/// Refuses to go on in a process that was forked after threads were started: a fork has none of them, and waits for ever.
pub(crate) fn own_threads() -> Result<(), Failure> {
    static STARTED_IN: OnceLock<u32> = OnceLock::new();
    let here = std::process::id();
    if *STARTED_IN.get_or_init(|| here) == here {
        return Ok(());
    }
    Err(Failure::input(
        "this process was forked from one in which gauntlet had computed already, and its threads were not copied along; start \
         it with multiprocessing.get_context(\"spawn\"), or call gauntlet only after forking",
    ))
}
