//! How many threads the tensor operations may use.

use std::num::NonZeroUsize;

/// Limits rayon (our kernels) and candle (its own) to `threads`. Both read their variable once, before the first
/// tensor, so this comes first in the process.
#[expect(unsafe_code, reason = "set_var is unsafe where other threads may read the environment; there are none yet")]
pub(crate) fn limit(threads: Option<NonZeroUsize>) {
    let Some(threads) = threads else { return };
    for variable in ["RAYON_NUM_THREADS", "CANDLE_NUM_THREADS"] {
        // SAFETY: called by `App::run` before anything else, when the process has one thread.
        unsafe { std::env::set_var(variable, threads.to_string()) };
    }
}
