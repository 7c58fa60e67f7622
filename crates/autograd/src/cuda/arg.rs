//! What kernels are handed, laid out as in C.

use candle_core::cuda_backend::cudarc::driver::DeviceRepr;

/// What a kernel is handed.
pub(super) enum Arg {
    Int(u32),
    Single(f32),
    Double(f64),
    /// An address on the device; 0 for none.
    At(u64),
    Layout(Layout),
    Shape(Shape),
    Tiles(Tiles),
    Group(Box<Group>),
}

/// Strides of a copy, outermost dimension first (`Layout` in layout.cuh).
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub(super) struct Layout {
    pub(super) dims: [u32; RANK],
    pub(super) from: [u32; RANK],
    pub(super) to: [u32; RANK],
    pub(super) from_offset: u32,
    pub(super) to_offset: u32,
}
pub(super) const RANK: usize = 6;

/// A convolution (`Shape` in convolution.cuh).
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Shape {
    pub(super) n: u32,
    pub(super) c: u32,
    pub(super) h: u32,
    pub(super) w: u32,
    pub(super) kh: u32,
    pub(super) kw: u32,
    pub(super) stride: u32,
    pub(super) padding: u32,
    pub(super) oh: u32,
    pub(super) ow: u32,
    pub(super) tap: u32,
    pub(super) image: u32,
}

/// Tiles of a batch of images (`Tiles` in winograd.cuh).
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Tiles {
    pub(super) n: u32,
    pub(super) channels: u32,
    pub(super) h: u32,
    pub(super) w: u32,
    pub(super) padding: u32,
    pub(super) tiles: u32,
    pub(super) across: u32,
    pub(super) part: u32,
}

/// Addresses of several parameters (`Group` in optimiser.cuh).
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub(super) struct Group {
    pub(super) parameter: [u64; GROUP],
    pub(super) gradient: [u64; GROUP],
    pub(super) first: [u64; GROUP],
    pub(super) second: [u64; GROUP],
    pub(super) new_parameter: [u64; GROUP],
    pub(super) new_first: [u64; GROUP],
    pub(super) new_second: [u64; GROUP],
    pub(super) start: [u32; GROUP + 1],
    pub(super) count: u32,
}
pub(super) const GROUP: usize = 31;

// SAFETY: plain numbers, laid out as in C, no references.
#[expect(unsafe_code, reason = "kernel arguments by value")]
unsafe impl DeviceRepr for Layout {}
// SAFETY: as above.
#[expect(unsafe_code, reason = "kernel arguments by value")]
unsafe impl DeviceRepr for Shape {}
// SAFETY: as above.
#[expect(unsafe_code, reason = "kernel arguments by value")]
unsafe impl DeviceRepr for Tiles {}
// SAFETY: as above.
#[expect(unsafe_code, reason = "kernel arguments by value")]
unsafe impl DeviceRepr for Group {}
