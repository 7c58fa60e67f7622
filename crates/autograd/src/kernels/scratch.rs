//! Buffers that a thread keeps between calls, and a shared output.

use super::Real;
use std::cell::RefCell;

/// A cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

thread_local! {
    static FREE: RefCell<Vec<Vec<Line>>> = const { RefCell::new(Vec::new()) };
}

/// Lends a buffer of `len` elements, aligned to cache lines, with arbitrary finite-or-not contents: what is read must
/// have been written. Buffers nest; a thread keeps as many as it ever nested.
pub(crate) fn scratch<T: Real, R>(len: usize, f: impl FnOnce(&mut [T]) -> R) -> R {
    let lines = (len * size_of::<T>()).div_ceil(64);
    let mut buffer = FREE.with_borrow_mut(Vec::pop).unwrap_or_default();
    if buffer.len() < lines {
        buffer = Vec::new(); // the old one first: two large buffers need not be alive at once
        buffer.resize(lines, Line([0; 64]));
    }
    // SAFETY: the buffer holds at least `len` elements of a type for which every bit pattern is a value, aligned to
    // more than it asks for, and it is borrowed exclusively until `f` returns.
    #[expect(unsafe_code, reason = "one buffer serves both dtypes")]
    let slice = unsafe { std::slice::from_raw_parts_mut(buffer.as_mut_ptr().cast::<T>(), len) };
    let result = f(slice);
    FREE.with_borrow_mut(|free| free.push(buffer));
    result
}

/// A vector whose elements are all written before any is read.
#[expect(unsafe_code, reason = "zeroing large results costs as much as computing some of them")]
#[expect(clippy::uninit_vec, reason = "see the contract")]
pub(crate) fn unwritten<T: Real>(len: usize) -> Vec<T> {
    let mut v = Vec::with_capacity(len);
    // SAFETY: the capacity is there, T is a plain number, and callers write every element before reading it.
    unsafe { v.set_len(len) };
    v
}

/// A result that tasks write disjoint parts of.
#[derive(Clone, Copy)]
pub(crate) struct Shared<T> {
    start: *mut T,
    len: usize,
}

// SAFETY: parts are handed out by `part`, whose callers vouch that they are disjoint.
#[expect(unsafe_code, reason = "see above")]
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above.
#[expect(unsafe_code, reason = "see above")]
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    pub(crate) fn new(slice: &mut [T]) -> Self {
        Shared { start: slice.as_mut_ptr(), len: slice.len() }
    }
    /// Elements `at .. at + len`.
    ///
    /// # Safety
    /// No two parts that are alive at once overlap, and the slice outlives them.
    #[expect(unsafe_code, clippy::mut_from_ref, reason = "see the contract")]
    pub(crate) unsafe fn part(&self, at: usize, len: usize) -> &mut [T] {
        assert!(at + len <= self.len, "a part out of bounds");
        // SAFETY: inside the slice; disjointness is the caller's.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(at), len) }
    }
    /// Where elements `at .. at + len` start, for tiles that write interleaved parts.
    #[expect(unsafe_code, reason = "pointer arithmetic inside the slice")]
    pub(crate) fn pointer(&self, at: usize, len: usize) -> *mut T {
        assert!(at + len <= self.len, "a part out of bounds");
        // SAFETY: inside the slice.
        unsafe { self.start.add(at) }
    }
}
