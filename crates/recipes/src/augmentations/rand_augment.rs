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

/// The most of the steps of strength.
const MOST: f64 = 30.0;

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
            kind: ParamKind::Int(Range::at_least(0.0).at_most(MOST)),
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

impl Augment for RandAugment {
    fn change(&self, image: &mut Picture, stream: &mut Stream) {
        let (_, h, w) = image.shape;
        for _ in 0..self.operations {
            let operation = Operation::ALL[stream.below(Operation::ALL.len() as u32) as usize];
            let sign = if operation.is_signed() && stream.below(2) == 1 { -1.0 } else { 1.0 };
            operation.apply(image, sign * operation.strength(self.magnitude as f64 / MOST, (h, w)));
        }
    }
}
