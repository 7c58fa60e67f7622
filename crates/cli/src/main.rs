//! The binary `gauntlet`: the library with the built-in components and a fast allocator.

use std::process::ExitCode;

// Attacks allocate and free tensors of a few hundred kilobytes all the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    gauntlet::app().run()
}
