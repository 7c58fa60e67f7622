//! A build without GPUs records no steps.

use crate::Result;
use crate::training_step::{Computed, TrainingStep};
use gauntlet_core::recipe::{Memory, Position};
use gauntlet_core::{Batch, Weights};

/// The recorded step of one training: none.
#[derive(Debug, Default)]
pub struct Graphs(());

pub(crate) type Of<'a> = ((u64, Position), &'a Weights, &'a mut Memory, &'a Batch);

impl Graphs {
    /// Whether a step was recorded.
    pub fn recorded(&self) -> bool {
        let Graphs(()) = self;
        false
    }
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "as where there are GPUs")]
    pub(crate) fn step(&self, _: &TrainingStep<'_>, _: Of<'_>) -> Result<Option<Computed>> {
        Ok(None)
    }
}
