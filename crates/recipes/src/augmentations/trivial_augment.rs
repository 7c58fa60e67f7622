//! TrivialAugment: one operation, of any strength.

use crate::augmentations::operation::Operation;
use gauntlet_core::Spec;
use gauntlet_core::augment::{Augment, Picture};
use gauntlet_core::philox::Stream;
use gauntlet_core::registry::BuildAugmentation;
use std::sync::Arc;

/// One of the fourteen operations, its strength one of 31 steps of the wide space; Müller & Hutter 2021.
#[derive(Debug, Clone, Copy)]
pub struct TrivialAugment;

/// Registration.
pub const SPEC: Spec<BuildAugmentation> = Spec {
    name: "trivial-augment",
    summary: "one of fourteen operations on colours or geometry, of a random strength",
    formula: "operation and strength uniform, torchvision's TrivialAugmentWide",
    paper: "Müller & Hutter 2021",
    params: &[],
    numerics: 1,
    origin: "built-in",
    build: |_, _| Ok(Arc::new(TrivialAugment)),
};

/// Steps of strength, 0 included.
const STEPS: u32 = 31;

/// The strength of step `i` of 31.
fn strength(operation: Operation, i: u32) -> f64 {
    let t = f64::from(i) / f64::from(STEPS - 1);
    match operation {
        Operation::ShearX | Operation::ShearY | Operation::Brightness | Operation::Color | Operation::Contrast => {
            0.99 * t
        }
        Operation::Sharpness => 0.99 * t,
        Operation::TranslateX | Operation::TranslateY => 32.0 * t,
        Operation::Rotate => 135.0 * t,
        Operation::Posterize => 8.0 - (6.0 * t).round(),
        Operation::Solarize => 1.0 - t,
        Operation::Identity | Operation::AutoContrast | Operation::Equalize | Operation::Invert => 0.0,
    }
}

impl Augment for TrivialAugment {
    fn change(&self, image: &mut Picture, stream: &mut Stream) {
        let operation = Operation::ALL[stream.below(Operation::ALL.len() as u32) as usize];
        let strength = strength(operation, stream.below(STEPS));
        let sign = if operation.is_signed() && stream.below(2) == 1 { -1.0 } else { 1.0 };
        operation.apply(image, sign * strength);
    }
}
