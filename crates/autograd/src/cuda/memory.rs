//! Device memory that is kept: what a stream frees serves its next allocation of that size, without a word to the driver.
//!
//! The driver's stream-ordered allocator takes its time for every buffer and again when it goes, and a small network's step
//! is little else than sixty buffers and forty launches. candle's buffers come from `cuMemAllocAsync` and go to `cuMemFreeAsync`; no other way
//! leads in between, so with the feature `interpose` this crate defines these two functions itself: a program's own symbols go
//! before those of the driver's library. The binary is built so; a library has no business with the symbols of its user's
//! program, and without the feature no memory is kept and no graph recorded. New memory comes from `cuMemAllocFromPoolAsync`, the same pool by another name.
//!
//! Reuse needs no event: a stream does things in order, and a buffer returns to the stream that it was taken for.
//! `GAUNTLET_GPU_MEMORY=driver` turns all of this off, for tools that watch memory (compute-sanitizer, and the emulated
//! driver, which fills fresh memory with NaN).

use candle_core::cuda_backend::cudarc::driver::sys;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use sys::{CUdeviceptr, CUresult, CUstream};

/// Sizes are rounded up, so that almost equal ones serve each other: to 1/8 of the power of two below, at least this.
const GRAIN: usize = 512;

/// A stream's handle and a rounded size.
type Class = (usize, usize);

#[derive(Default)]
struct Kept {
    /// Every buffer that was handed out or waits, by address.
    classes: HashMap<CUdeviceptr, Class>,
    waiting: HashMap<Class, Vec<CUdeviceptr>>,
    /// While a graph is captured: the stream, what was handed out to it, and what of that came back.
    capture: Option<Capture>,
}

#[derive(Default)]
struct Capture {
    stream: usize,
    taken: HashSet<CUdeviceptr>,
    returned: HashMap<usize, Vec<CUdeviceptr>>,
}

fn kept() -> MutexGuard<'static, Kept> {
    static KEPT: OnceLock<Mutex<Kept>> = OnceLock::new();
    KEPT.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

fn rounded(size: usize) -> usize {
    let grain = (size.next_power_of_two() / 16).max(GRAIN);
    size.div_ceil(grain) * grain
}

/// Whether memory is kept at all.
fn keeps() -> bool {
    static KEEPS: OnceLock<bool> = OnceLock::new();
    let asked = || std::env::var_os("GAUNTLET_GPU_MEMORY").is_none_or(|how| how != "driver");
    *KEEPS.get_or_init(|| cfg!(feature = "interpose") && asked())
}

/// From the driver, in the order of the stream. A stream that is captured would make it part of the graph, so then at once.
#[expect(unsafe_code, reason = "the driver's functions have no safe interface")]
fn fresh(to: *mut CUdeviceptr, size: usize, stream: CUstream, captured: bool) -> CUresult {
    // SAFETY: `to` is the caller's; the current context is the stream's.
    unsafe {
        if captured {
            return sys::cuMemAlloc_v2(to, size);
        }
        let (mut device, mut pool) = (0, std::ptr::null_mut());
        for done in [sys::cuCtxGetDevice(&raw mut device), sys::cuDeviceGetDefaultMemPool(&raw mut pool, device)] {
            if done != CUresult::CUDA_SUCCESS {
                return done;
            }
        }
        sys::cuMemAllocFromPoolAsync(to, size, pool, stream)
    }
}

/// In place of the driver's function of that name.
#[expect(unsafe_code, reason = "stands in for a function of the driver")]
#[cfg_attr(feature = "interpose", unsafe(no_mangle))]
#[cfg_attr(not(feature = "interpose"), expect(dead_code, reason = "the driver's own are called"))]
pub(crate) unsafe extern "C" fn cuMemAllocAsync(to: *mut CUdeviceptr, size: usize, stream: CUstream) -> CUresult {
    if !keeps() {
        return fresh(to, size, stream, false);
    }
    let class = (stream as usize, rounded(size));
    let mut kept = kept();
    let Kept { classes, waiting, capture } = &mut *kept;
    let mut capture = capture.as_mut().filter(|c| c.stream == class.0);
    // What the graph gave back goes first.
    let own = capture.as_mut().and_then(|c| c.returned.get_mut(&class.1)?.pop());
    let found = own.or_else(|| waiting.get_mut(&class)?.pop());
    if let Some(capture) = &mut capture {
        capture.taken.extend(found);
    }
    // SAFETY: the caller's pointer.
    unsafe {
        if let Some(found) = found {
            *to = found;
            return CUresult::CUDA_SUCCESS;
        }
        let captured = capture.is_some();
        let mut done = fresh(to, class.1, stream, captured);
        if done == CUresult::CUDA_ERROR_OUT_OF_MEMORY && !captured {
            // Everything that waits goes back; what of it is still in use, the stream's end waits for.
            sys::cuStreamSynchronize(stream);
            for buffer in waiting.drain().flat_map(|(_, buffers)| buffers) {
                classes.remove(&buffer);
                sys::cuMemFree_v2(buffer);
            }
            done = fresh(to, class.1, stream, captured);
        }
        if done == CUresult::CUDA_SUCCESS {
            classes.insert(*to, class);
            if let Some(capture) = capture {
                capture.taken.insert(*to);
            }
        }
        done
    }
}

/// In place of the driver's function of that name.
#[expect(unsafe_code, reason = "stands in for a function of the driver")]
#[cfg_attr(feature = "interpose", unsafe(no_mangle))]
#[cfg_attr(not(feature = "interpose"), expect(dead_code, reason = "the driver's own are called"))]
pub(crate) unsafe extern "C" fn cuMemFreeAsync(buffer: CUdeviceptr, stream: CUstream) -> CUresult {
    let mut kept = kept();
    let Some(class) = kept.classes.get(&buffer).copied() else {
        drop(kept);
        // SAFETY: the driver's own, handed out when nothing was kept; the driver does not wait for those who use it.
        return unsafe {
            sys::cuStreamSynchronize(stream);
            sys::cuMemFree_v2(buffer)
        };
    };
    match &mut kept.capture {
        Some(capture) if capture.taken.contains(&buffer) => capture.returned.entry(class.1).or_default().push(buffer),
        _ => kept.waiting.entry(class).or_default().push(buffer),
    }
    CUresult::CUDA_SUCCESS
}

/// Buffers that belong to a graph: nobody else may have them while it can run.
#[derive(Debug, Default)]
pub(super) struct Reserved(Vec<CUdeviceptr>);

impl Drop for Reserved {
    fn drop(&mut self) {
        let mut kept = kept();
        for buffer in self.0.drain(..) {
            if let Some(class) = kept.classes.get(&buffer).copied() {
                kept.waiting.entry(class).or_default().push(buffer);
            }
        }
    }
}

/// From here to [`captured`] what is allocated on this stream is the graph's. False where no graph can be made.
pub(super) fn capture(stream: CUstream) -> bool {
    let mut kept = kept();
    if !keeps() || kept.capture.is_some() {
        return false;
    }
    kept.capture = Some(Capture { stream: stream as usize, ..Capture::default() });
    true
}

/// The graph's buffers, unless one of them is still in use: then none can be reserved.
pub(super) fn captured() -> Option<Reserved> {
    let mut kept = kept();
    let Capture { taken, returned, .. } = kept.capture.take().unwrap_or_default();
    let back: Vec<_> = returned.into_values().flatten().collect();
    let all = back.len() == taken.len();
    let reserved = Reserved(back);
    drop(kept);
    // Those that came back wait again; the others will when they are freed.
    all.then_some(reserved)
}
