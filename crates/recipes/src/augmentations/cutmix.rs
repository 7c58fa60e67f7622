//! CutMix: a box of another image, and as much of its label.

use crate::augmentations::beta::beta;
use crate::augmentations::mixup::{ALPHA, PROBABILITY, shares};
use gauntlet_core::augment::{Augment, Picture};
use gauntlet_core::philox::Stream;
use gauntlet_core::registry::BuildAugmentation;
use gauntlet_core::{ParamDoc, Spec};
use std::sync::Arc;

/// A box of √(1 − λ) of each side around a pixel of the image is taken from another, λ ~ Beta(α, α); the label's share is what is
/// left of the image; Yun et al. 2019.
///
/// Every image draws its own box and its own partner among all training images (the authors: one box a batch, partners from it).
#[derive(Debug, Clone, Copy)]
pub struct CutMix {
    /// α.
    pub alpha: f64,
    /// Share of the images that are mixed.
    pub probability: f64,
}

/// Registration.
pub const SPEC: Spec<BuildAugmentation> = Spec {
    name: "cutmix",
    summary: "a box of another training image is pasted in, and its label takes the box's share",
    formula: "box of ⌊√(1 − λ) H⌋ × ⌊√(1 − λ) W⌋ around a random pixel,  λ ~ Beta(α, α)",
    paper: "Yun et al. 2019",
    params: &[ALPHA, ParamDoc { default: "0.5", ..PROBABILITY }],
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        let (alpha, probability) = shares(args)?;
        Ok(Arc::new(CutMix { alpha, probability }))
    },
};

impl Augment for CutMix {
    fn mixes(&self) -> bool {
        true
    }
    fn mix(&self, image: &mut Picture, other: &Picture, stream: &mut Stream) -> f64 {
        if stream.uniform() >= self.probability {
            return 1.0;
        }
        let (c, h, w) = image.shape;
        let ratio = (1.0 - beta(self.alpha, stream)).sqrt();
        let (row, column) = (stream.below(h as u32) as i64, stream.below(w as u32) as i64);
        let span = |centre: i64, side: usize| {
            let half = (ratio * side as f64) as i64 / 2;
            ((centre - half).clamp(0, side as i64) as usize, (centre + half).clamp(0, side as i64) as usize)
        };
        let ((top, bottom), (left, right)) = (span(row, h), span(column, w));
        for channel in 0..c {
            for row in top..bottom {
                let (from, to) = (image.at(channel, row, left), image.at(channel, row, right.max(left)));
                image.pixels[from..to].copy_from_slice(&other.pixels[from..to]);
            }
        }
        1.0 - ((bottom - top) * (right - left)) as f64 / (h * w) as f64
    }
}
