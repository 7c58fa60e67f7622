//! What a process may do with threads.

use crate::failure::Failure;
use pyo3::prelude::*;
use std::num::NonZeroUsize;
use std::sync::OnceLock;

/// Refuses to go on in a process that was forked after threads were started (a fork has none of them, and waits for ever), and
/// starts them at the first call.
pub(crate) fn own_threads(py: Python<'_>) -> PyResult<()> {
    static STARTED_IN: OnceLock<u32> = OnceLock::new();
    let here = std::process::id();
    if let Some(id) = STARTED_IN.get() {
        if *id == here {
            return Ok(());
        }
        let why = "this process was forked from one in which gauntlet had computed already, and its threads were not copied along; \
                   start it with multiprocessing.get_context(\"spawn\"), or call gauntlet only after forking";
        return Err(Failure::input(why).into());
    }
    let threading = py.import("threading")?;
    let main = threading.call_method0("main_thread")?.is(threading.call_method0("current_thread")?);
    if STARTED_IN.set(here).is_ok() && main {
        join();
    }
    Ok(())
}

/// Makes this thread one of the pool's: it takes its walks by itself instead of handing them over and waiting for a core, and
/// others help. Beside it there is one thread at least, which serves calls from other threads.
fn join() {
    let asked = std::env::var("RAYON_NUM_THREADS").ok().and_then(|n| n.parse().ok()).filter(|n| *n > 0);
    let cores = || std::thread::available_parallelism().map_or(2, NonZeroUsize::get);
    let threads: usize = asked.unwrap_or_else(cores);
    // There may be a pool already: then that is used, by handing over.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(threads.max(2)).use_current_thread().build_global();
}
