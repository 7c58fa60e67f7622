//! How an output image is cut into tiles, and padding.

use super::super::Real;
use super::super::matmul::{Panel, even_parts};
use super::super::simd::Isa;
use super::super::tile::{Near, NearFn, widest, widest_pair};

/// One tile: functions for panels of one and of two vectors, where it reads and where it writes (in pixels).
struct Place<T> {
    tiles: [NearFn<T>; 2],
    from: usize,
    to: usize,
}

/// The tiles of a grid of outputs, from padded pixels to a channels-last image.
pub(super) struct Plan<T> {
    places: Vec<Place<T>>,
    /// Between vertical neighbours of the input.
    a_row: usize,
    /// Between horizontal and vertical neighbours of the output, in pixels.
    out_step: (usize, usize),
}

/// A grid of outputs.
#[derive(Clone, Copy)]
pub(super) struct Grid {
    pub(super) rows: usize,
    pub(super) cols: usize,
    /// Between neighbours of the input, in elements.
    pub(super) step: usize,
    pub(super) row_step: usize,
    /// Between neighbours of the output, in pixels.
    pub(super) out_step: usize,
    pub(super) out_row: usize,
}

impl<T: Real> Plan<T> {
    pub(super) fn new(isa: Isa, grid: Grid) -> Self {
        // Tiles are compiled for neighbours one or two apart; other strides go pixel by pixel.
        let (most, pair, step) = if grid.step <= 2 { (widest(isa), widest_pair(isa), grid.step) } else { (1, 0, 1) };
        let mut places = Vec::new();
        let mut row = 0;
        while row < grid.rows {
            let rows = if grid.cols <= pair && row + 2 <= grid.rows { 2 } else { 1 };
            for (col, q) in even_parts(grid.cols, most) {
                places.push(Place {
                    tiles: [1, 2].map(|v| T::near(isa, rows, q, v, step)),
                    from: row * grid.row_step + col * grid.step,
                    to: row * grid.out_row + col * grid.out_step,
                });
            }
            row += rows;
        }
        Plan { places, a_row: grid.row_step, out_step: (grid.out_step, grid.out_row) }
    }

    /// Computes one panel of channels of one image: `input` where tap 0 of output 0 reads, weights `[k][panel]`, and
    /// the panel's first channel of output pixel 0 of a channels-last image of `ld` channels.
    ///
    /// # Safety
    /// Every tap of every tile lies inside the input, every pixel inside the output, weights are `taps` long.
    #[expect(unsafe_code, reason = "tiles take pointers")]
    pub(super) unsafe fn run(
        &self,
        panel: Panel,
        input: *const T,
        taps: &[u32],
        weights: (*const T, usize),
        out: (*mut T, usize),
    ) {
        for place in &self.places {
            // SAFETY: the contract.
            unsafe {
                let tile = Near {
                    a: input.add(place.from),
                    a_row: self.a_row,
                    b: weights.0,
                    b_step: weights.1,
                    c: out.0.add(place.to * out.1),
                    c_step: self.out_step.0 * out.1,
                    c_row: self.out_step.1 * out.1,
                    accumulate: false,
                };
                (place.tiles[panel.vectors - 1])(&tile, taps);
            }
        }
    }
}

/// A window of an image with channels `(h, w)`, zeros where it reaches over the border: `(height, width)` from
/// `(top, left)`, which count zeros before the image.
#[derive(Clone, Copy)]
pub(super) struct Window {
    pub(super) h: usize,
    pub(super) w: usize,
    pub(super) top: usize,
    pub(super) left: usize,
    pub(super) height: usize,
    pub(super) width: usize,
}

impl Window {
    /// Whether the window is the image.
    pub(super) fn whole(&self) -> bool {
        self.top == 0 && self.left == 0 && self.height == self.h && self.width == self.w
    }
    /// Elements of a channel.
    pub(super) fn area(&self) -> usize {
        self.height * self.width
    }
    /// Copies an image `(C, h, w)` into `(C, height, width)`.
    pub(super) fn cut<T: Real>(&self, image: &[T], to: &mut [T]) {
        let from = self.left.min(self.width);
        let until = (self.left + self.w).min(self.width);
        // One large fill is cheaper than many small ones.
        to.fill(T::zero());
        if from == until {
            return;
        }
        // Lines are short, and a copy of known length needs no call.
        macro_rules! known {
            ($($length:literal)*) => {
                match until - from {
                    $($length => self.lines::<T>(image, to, |line, to| {
                        if let (Some(line), Some(to)) =
                            (line.first_chunk::<$length>(), to[from..].first_chunk_mut::<$length>())
                        {
                            *to = *line;
                        }
                    }),)*
                    length => self.lines(image, to, |line, to| to[from..until].copy_from_slice(&line[..length])),
                }
            };
        }
        known!(4 5 6 7 8 10 12 14 16 26 28 32);
    }
    #[inline(always)]
    fn lines<T: Real>(&self, image: &[T], to: &mut [T], copy: impl Fn(&[T], &mut [T])) {
        for (plane, to) in image.chunks_exact(self.h * self.w).zip(to.chunks_exact_mut(self.area())) {
            let lines = to.chunks_exact_mut(self.width).skip(self.top);
            plane.chunks_exact(self.w).zip(lines).for_each(|(line, to)| copy(line, to));
        }
    }
}
