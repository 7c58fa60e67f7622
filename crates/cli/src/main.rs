//! The binary `gauntlet`: the library with the built-in components and a fast allocator.

use std::process::ExitCode;

// Attacks allocate and free tensors of a few hundred kilobytes all the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc's options.
const PURGE_DELAY: i32 = 15;

fn main() -> ExitCode {
    // A step frees and takes the same hundreds of megabytes over and over: given back to the system in between, every
    // page would be cleared again.
    // SAFETY: sets a number; called before other threads exist.
    #[expect(unsafe_code, reason = "mimalloc is a C library")]
    unsafe {
        libmimalloc_sys::mi_option_set(PURGE_DELAY, -1);
    }
    gauntlet_cli::app().run()
}
