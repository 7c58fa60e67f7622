//! Sums over a batch, taken in groups of images.

use super::super::simd::{Isa, on};
use super::super::{CHUNK, Real};
use rayon::prelude::*;

/// Images per partial sum: fixed, so that sums do not depend on the number of threads.
pub(super) const IMAGES: usize = 16;

/// Adds all parts to the first, in order.
pub(super) fn fold<T: Real>(isa: Isa, sums: &mut [T], part: usize) {
    let (total, parts) = sums.split_at_mut(part);
    total.par_chunks_mut(CHUNK).enumerate().for_each(|(i, total)| {
        on(isa, || {
            for other in parts.chunks_exact(part) {
                for (t, p) in total.iter_mut().zip(&other[i * CHUNK..]) {
                    *t += *p;
                }
            }
        });
    });
}
