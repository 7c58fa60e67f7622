//! Ctrl-C and SIGTERM: the first asks for a resumable end, the second ends at once.

use crate::exit::{Code, to_stderr};
use std::sync::atomic::{AtomicBool, Ordering};

static INTERRUPT: AtomicBool = AtomicBool::new(false);

/// Installs the handler and returns the flag that a run watches.
pub(crate) fn flag() -> &'static AtomicBool {
    // A second call (a library user's own handler) keeps whatever handler is there.
    let _ = ctrlc::set_handler(|| {
        if INTERRUPT.swap(true, Ordering::Relaxed) {
            std::process::exit(Code::Interrupted as i32);
        }
        to_stderr(format_args!("interrupted: saving what is done (once more to stop at once)"));
    });
    &INTERRUPT
}

/// The same for a command that has nothing to save: the first ends it as it would have ended anyway.
pub(crate) fn quiet_flag() -> &'static AtomicBool {
    let _ = ctrlc::set_handler(|| {
        if INTERRUPT.swap(true, Ordering::Relaxed) {
            std::process::exit(Code::Interrupted as i32);
        }
    });
    &INTERRUPT
}

/// A write beyond `ulimit -f` fails like one to a full disk, with its words, instead of ending the process without any.
#[cfg(unix)]
#[expect(unsafe_code, reason = "the C library's signal")]
pub(crate) fn survive_file_limits() {
    // SAFETY: to ignore a signal runs no code in a handler.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

/// There is no such signal.
#[cfg(not(unix))]
pub(crate) fn survive_file_limits() {}

/// For a process that another one started with a pipe for its input: it ends like at a Ctrl-C when that one closes the pipe
/// or dies.
pub(crate) fn with_stdin() {
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        INTERRUPT.store(true, Ordering::Relaxed);
    });
}
