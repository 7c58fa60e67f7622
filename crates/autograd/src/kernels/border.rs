//! What lies around an image.

/// What surrounds an image before it is cropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Border {
    /// Zeros.
    Zeros,
    /// The image mirrored at its outermost pixels, which are not repeated (NumPy's and PyTorch's `reflect`).
    Reflect,
}

impl Border {
    /// The pixel of a side of `n` that lies at `place − padding`; none where there are zeros.
    pub(super) fn source(self, place: usize, padding: usize, n: usize) -> Option<usize> {
        match self {
            Border::Zeros => place.checked_sub(padding).filter(|p| *p < n),
            Border::Reflect => {
                let from_edge = place.abs_diff(padding);
                let back = 2 * (n - 1);
                Some(if place >= padding && from_edge >= n { back - from_edge } else { from_edge })
            }
        }
    }
}
