//! RandAugment: a few operations of one strength.

use crate::augmentations::operation::Operation;
use gauntlet_core::augment::{Augment, Picture};
use gauntlet_core::philox::Stream;
use gauntlet_core::registry::BuildAugmentation;
use gauntlet_core::{ParamDoc, ParamKind, Range, Spec};
use std::sync::Arc;

/// `operations` of the fourteen, drawn with replacement, one after the other at one strength; Cubuk et al. 2020.
#[derive(Debug, Clone, Copy)]
pub struct RandAugment {
    /// How many.
    pub operations: usize,
    /// Step of strength, of 0 to 30.
    pub magnitude: usize,
}

/// Registration.
pub const SPEC: Spec<BuildAugmentation> = Spec {
    name: "rand-augment",
    summary: "a few of fourteen operations on colours or geometry, all of one strength",
    formula: "operations uniform with replacement, strengths of torchvision's RandAugment",
    paper: "Cubuk et al. 2020",
    params: &[
        ParamDoc {
            name: "operations",
            kind: ParamKind::COUNT,
            default: "2",
            unit: "",
            doc: "how many, one after the other",
        },
        ParamDoc {
            name: "magnitude",
            kind: ParamKind::Int(Range::at_least(0.0).at_most(30.0)),
            default: "9",
            unit: "",
            doc: "step of strength",
        },
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        Ok(Arc::new(RandAugment { operations: args.usize("operations")?, magnitude: args.usize("magnitude")? }))
    },
};

/// Strength at `magnitude` on an image of these sides.
fn strength(operation: Operation, magnitude: usize, (h, w): (usize, usize)) -> f64 {
    let t = magnitude as f64 / 30.0;
    match operation {
        Operation::ShearX | Operation::ShearY => 0.3 * t,
        Operation::TranslateX => 150.0 / 331.0 * w as f64 * t,
        Operation::TranslateY => 150.0 / 331.0 * h as f64 * t,
        Operation::Rotate => 30.0 * t,
        Operation::Brightness | Operation::Color | Operation::Contrast | Operation::Sharpness => 0.9 * t,
        Operation::Posterize => 8.0 - (4.0 * t).round(),
        Operation::Solarize => 1.0 - t,
        Operation::Identity | Operation::AutoContrast | Operation::Equalize | Operation::Invert => 0.0,
    }
}

impl Augment for RandAugment {
    fn change(&self, image: &mut Picture, stream: &mut Stream) {
        let (_, h, w) = image.shape;
        for _ in 0..self.operations {
            let operation = Operation::ALL[stream.below(Operation::ALL.len() as u32) as usize];
            let sign = if operation.is_signed() && stream.below(2) == 1 { -1.0 } else { 1.0 };
            operation.apply(image, sign * strength(operation, self.magnitude, (h, w)));
        }
    }
}
