//! How much arithmetic this thread asked the kernels for: a time can be held against the machine's peak, and one
//! recipe against another.

use std::cell::Cell;

thread_local! {
    static DONE: Cell<u64> = const { Cell::new(0) };
}

/// Counts multiplications with their additions, on the thread that calls a kernel (which may hand parts to others).
pub(crate) fn count(multiplications: usize) {
    DONE.with(|done| done.set(done.get() + multiplications as u64));
}

/// Multiplications, each with its addition, of all convolutions and matrix products that this thread asked for so far,
/// as the definition counts them, whatever algorithm ran (Winograd counts as direct).
pub fn multiplications() -> u64 {
    DONE.with(Cell::get)
}

/// Floating-point operations of the same: two per multiplication.
pub fn flops() -> u64 {
    2 * multiplications()
}
