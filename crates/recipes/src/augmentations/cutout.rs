//! Cutout: a square of the image is blackened.

use gauntlet_core::augment::{Augment, Picture};
use gauntlet_core::philox::Stream;
use gauntlet_core::registry::BuildAugmentation;
use gauntlet_core::{ParamDoc, ParamKind, Spec};
use std::sync::Arc;

/// A square of `size` pixels around a pixel of the image becomes 0, as far as it lies inside; DeVries & Taylor 2017.
#[derive(Debug, Clone, Copy)]
pub struct Cutout {
    /// Its side.
    pub size: usize,
}

/// Registration.
pub const SPEC: Spec<BuildAugmentation> = Spec {
    name: "cutout",
    summary: "a square around a random pixel is blackened, as far as it lies inside the image",
    formula: "x = 0 in [cᵢ − ⌊size/2⌋, cᵢ − ⌊size/2⌋ + size), c uniform over the pixels",
    paper: "DeVries & Taylor 2017",
    params: &[ParamDoc {
        name: "size",
        kind: ParamKind::COUNT,
        default: "",
        unit: "pixels",
        doc: "side of the square (the authors: 16 on CIFAR-10)",
    }],
    numerics: 1,
    origin: "built-in",
    build: |args, _| Ok(Arc::new(Cutout { size: args.usize("size")? })),
};

impl Augment for Cutout {
    fn change(&self, image: &mut Picture, stream: &mut Stream) {
        let (c, h, w) = image.shape;
        let (row, column) = (stream.below(h as u32) as usize, stream.below(w as u32) as usize);
        let span = |centre: usize, side: usize| {
            let from = centre as i64 - (self.size / 2) as i64;
            (from.max(0) as usize, ((from + self.size as i64).min(side as i64)) as usize)
        };
        let ((top, bottom), (left, right)) = (span(row, h), span(column, w));
        for channel in 0..c {
            for row in top..bottom {
                let from = image.at(channel, row, left);
                image.pixels[from..from + right - left].fill(0.0);
            }
        }
    }
}
