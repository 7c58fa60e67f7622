//! A batch of labelled images.

use candle_core::Tensor;

/// Labelled images with the data set rows they came from.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Pixels in `[0, 1]`, `(N, C, H, W)`, f32 or f64.
    pub x: Tensor,
    /// Labels, `(N,)`, u32.
    pub y: Tensor,
    /// Data set row of every example; what all randomness is keyed by.
    pub ids: Vec<u64>,
}

impl Batch {
    /// Number of examples.
    pub fn len(&self) -> usize {
        self.ids.len()
    }
    /// Whether the batch has no example.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}
