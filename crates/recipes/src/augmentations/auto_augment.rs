//! AutoAugment: one of 25 pairs of operations that were found on CIFAR-10.

use crate::augmentations::operation::Operation::{self, *};
use gauntlet_core::Spec;
use gauntlet_core::augment::{Augment, Picture};
use gauntlet_core::philox::Stream;
use gauntlet_core::registry::BuildAugmentation;
use std::sync::Arc;

/// One of the 25 pairs of the CIFAR-10 policy, each of the two operations with its own probability and strength; Cubuk et al. 2019.
#[derive(Debug, Clone, Copy)]
pub struct AutoAugment;

/// Registration.
pub const SPEC: Spec<BuildAugmentation> = Spec {
    name: "auto-augment",
    summary: "one of 25 pairs of operations that were found on CIFAR-10, each with its probability and strength",
    formula: "pair uniform, each operation with its own probability; strengths of torchvision's AutoAugment",
    paper: "Cubuk et al. 2019",
    params: &[],
    numerics: 1,
    origin: "built-in",
    build: |_, _| Ok(Arc::new(AutoAugment)),
};

/// Operation, probability, step of strength of 0 to 9.
type Likely = (Operation, f64, u32);

/// The CIFAR-10 policy; the step says nothing where the operation has no strength.
const POLICY: [[Likely; 2]; 25] = [
    [(Invert, 0.1, 0), (Contrast, 0.2, 6)],
    [(Rotate, 0.7, 2), (TranslateX, 0.3, 9)],
    [(Sharpness, 0.8, 1), (Sharpness, 0.9, 3)],
    [(ShearY, 0.5, 8), (TranslateY, 0.7, 9)],
    [(AutoContrast, 0.5, 0), (Equalize, 0.9, 0)],
    [(ShearY, 0.2, 7), (Posterize, 0.3, 7)],
    [(Color, 0.4, 3), (Brightness, 0.6, 7)],
    [(Sharpness, 0.3, 9), (Brightness, 0.7, 9)],
    [(Equalize, 0.6, 0), (Equalize, 0.5, 0)],
    [(Contrast, 0.6, 7), (Sharpness, 0.6, 5)],
    [(Color, 0.7, 7), (TranslateX, 0.5, 8)],
    [(Equalize, 0.3, 0), (AutoContrast, 0.4, 0)],
    [(TranslateY, 0.4, 3), (Sharpness, 0.2, 6)],
    [(Brightness, 0.9, 6), (Color, 0.2, 8)],
    [(Solarize, 0.5, 2), (Invert, 0.0, 0)],
    [(Equalize, 0.2, 0), (AutoContrast, 0.6, 0)],
    [(Equalize, 0.2, 0), (Equalize, 0.6, 0)],
    [(Color, 0.9, 9), (Equalize, 0.6, 0)],
    [(AutoContrast, 0.8, 0), (Solarize, 0.2, 8)],
    [(Brightness, 0.1, 3), (Color, 0.7, 0)],
    [(Solarize, 0.4, 5), (AutoContrast, 0.9, 0)],
    [(TranslateY, 0.9, 9), (TranslateY, 0.7, 9)],
    [(AutoContrast, 0.9, 0), (Solarize, 0.8, 3)],
    [(Equalize, 0.8, 0), (Invert, 0.1, 0)],
    [(TranslateY, 0.7, 9), (AutoContrast, 0.9, 0)],
];

/// The most of the ten steps of strength.
const MOST: f64 = 9.0;

impl Augment for AutoAugment {
    fn change(&self, image: &mut Picture, stream: &mut Stream) {
        let (_, h, w) = image.shape;
        for (operation, probability, step) in POLICY[stream.below(POLICY.len() as u32) as usize] {
            // Both are drawn in any case: what the second does depends on no draw that the first leaves out.
            let (likely, sign) = (stream.uniform() < probability, stream.below(2));
            if likely {
                let sign = if operation.is_signed() && sign == 1 { -1.0 } else { 1.0 };
                operation.apply(image, sign * operation.strength(f64::from(step) / MOST, (h, w)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// `scripts/parity/augmentations.py` asks torchvision.
    #[test]
    fn the_policy_is_torchvisions() {
        let golden = include_str!("../../../../tests/golden/parity/augmentations.json");
        let golden: Value = serde_json::from_str(golden).unwrap();
        let pairs = golden["auto-augment"].as_array().unwrap();
        assert_eq!(pairs.len(), POLICY.len());
        for (pair, want) in POLICY.iter().zip(pairs) {
            for ((operation, probability, step), want) in pair.iter().zip(want.as_array().unwrap()) {
                assert_eq!(format!("{operation:?}"), want["operation"].as_str().unwrap());
                assert_eq!(*probability, want["probability"].as_f64().unwrap());
                let (ours, theirs) =
                    (operation.strength(f64::from(*step) / MOST, (32, 32)), want["strength"].as_f64().unwrap());
                // Thresholds are written in bytes there, and all in float32.
                let theirs = if *operation == Solarize { theirs / 255.0 } else { theirs };
                assert!((ours - theirs).abs() < 1e-6, "{want}: {ours}");
                assert_eq!(operation.is_signed(), want["signed"].as_bool().unwrap());
            }
        }
    }
}
