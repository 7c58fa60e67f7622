//! Ctrl-C and SIGTERM: the first asks for a resumable end, the second ends at once.

use crate::exit::Code;
use std::sync::atomic::{AtomicBool, Ordering};

static INTERRUPT: AtomicBool = AtomicBool::new(false);

/// Installs the handler and returns the flag that a run watches.
pub(crate) fn flag() -> &'static AtomicBool {
    // A second call (a library user's own handler) keeps whatever handler is there.
    let _ = ctrlc::set_handler(|| {
        if INTERRUPT.swap(true, Ordering::Relaxed) {
            std::process::exit(Code::Interrupted as i32);
        }
        eprintln!("interrupted: saving what is done (once more to stop at once)");
    });
    &INTERRUPT
}
