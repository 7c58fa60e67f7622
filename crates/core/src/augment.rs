//! What is done to training images before they are shown, each image by draws of its own.

use crate::philox::Stream;

/// One image on the host.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// Channels, height, width.
    pub shape: (usize, usize, usize),
    /// Pixels in `[0, 1]`, channel by channel, row by row.
    pub pixels: Vec<f64>,
}

impl Picture {
    /// The place of a pixel in [`Picture::pixels`].
    pub fn at(&self, channel: usize, row: usize, column: usize) -> usize {
        (channel * self.shape.1 + row) * self.shape.2 + column
    }
}

/// An augmentation. `stream` is keyed by training seed, data set row and epoch: neither the batch nor the threads matter.
pub trait Augment: Send + Sync {
    /// Changes one image.
    fn change(&self, _image: &mut Picture, _stream: &mut Stream) {}
    /// Whether it takes a second training image in instead ([`Augment::mix`]).
    fn mixes(&self) -> bool {
        false
    }
    /// Mixes `other` into `image`; the share of `image`'s label in `[0, 1]`.
    fn mix(&self, _image: &mut Picture, _other: &Picture, _stream: &mut Stream) -> f64 {
        1.0
    }
}
