//! How much arithmetic the kernels were asked for, so that a time can be held against the machine's peak.

use std::sync::atomic::{AtomicU64, Ordering};

static DONE: AtomicU64 = AtomicU64::new(0);

/// Counts multiplications with their additions.
pub(crate) fn count(multiplications: usize) {
    DONE.fetch_add(multiplications as u64, Ordering::Relaxed);
}

/// Floating-point operations (two per multiplication) of all convolutions and matrix products of this process so far,
/// as the definition counts them, whatever algorithm ran.
pub fn flops() -> u64 {
    2 * DONE.load(Ordering::Relaxed)
}
