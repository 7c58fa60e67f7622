//! Mixup: two images and their labels, blended.

use crate::augmentations::beta::beta;
use gauntlet_core::augment::{Augment, Picture};
use gauntlet_core::philox::Stream;
use gauntlet_core::registry::BuildAugmentation;
use gauntlet_core::{Args, ParamDoc, ParamKind, Result, Spec};
use std::sync::Arc;

/// λ x + (1 − λ) x', λ ~ Beta(α, α), the labels likewise; Zhang et al. 2018.
///
/// Every image draws its own λ and its own partner among all training images (the authors: one λ a batch, partners from it).
#[derive(Debug, Clone, Copy)]
pub struct Mixup {
    /// α.
    pub alpha: f64,
    /// Share of the images that are mixed.
    pub probability: f64,
}

/// The parameter `alpha`.
pub(crate) const ALPHA: ParamDoc =
    ParamDoc { name: "alpha", kind: ParamKind::POSITIVE, default: "1.0", unit: "", doc: "α of Beta(α, α), above 0" };
/// The parameter `probability`.
pub(crate) const PROBABILITY: ParamDoc = ParamDoc {
    name: "probability",
    kind: ParamKind::SHARE,
    default: "1.0",
    unit: "",
    doc: "how likely an image is mixed",
};

/// Registration.
pub const SPEC: Spec<BuildAugmentation> = Spec {
    name: "mixup",
    summary: "another training image is blended in, and its label with it",
    formula: "λ x + (1 − λ) x',  λ ~ Beta(α, α) for every image",
    paper: "Zhang et al. 2018",
    params: &[ALPHA, PROBABILITY],
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        let (alpha, probability) = shares(args)?;
        Ok(Arc::new(Mixup { alpha, probability }))
    },
};

/// Reads `alpha` and `probability`.
pub(crate) fn shares(args: &Args) -> Result<(f64, f64)> {
    Ok((args.f64("alpha")?, args.f64("probability")?))
}

impl Augment for Mixup {
    fn mixes(&self) -> bool {
        true
    }
    fn mix(&self, image: &mut Picture, other: &Picture, stream: &mut Stream) -> f64 {
        if stream.uniform() >= self.probability {
            return 1.0;
        }
        let share = beta(self.alpha, stream);
        for (x, y) in image.pixels.iter_mut().zip(&other.pixels) {
            *x = share * *x + (1.0 - share) * y;
        }
        share
    }
}
