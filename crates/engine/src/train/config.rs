//! How a model is trained, apart from its recipe.

use crate::{Augmentation, Monitor, Tricks};
use gauntlet_core::optimiser::Optimiser;
use gauntlet_core::schedule::Schedule;
use serde::{Deserialize, Serialize};

/// Epochs, batch, optimiser, schedule, augmentation, held-out rows: part of a training's key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainConfig {
    /// Passes over the training rows.
    pub epochs: u32,
    /// Examples per step; the last, smaller batch of an epoch is kept.
    pub batch: usize,
    /// Optimiser with its base learning rate.
    pub optimiser: Optimiser,
    /// How the learning rate moves.
    pub schedule: Schedule,
    /// What is done to images before they are shown.
    pub augmentation: Augmentation,
    /// The last rows of the training split that are held out and monitored; 0: train on all, monitor on 500 of them. `None`:
    /// [`TrainConfig::held_out`] decides when the data is there.
    pub validation: Option<usize>,
    /// Gradients are scaled down to this global L2 norm.
    pub clip: Option<f64>,
    /// What is measured after every epoch.
    pub monitor: Monitor,
    /// What is done beside the recipe.
    #[serde(flatten)]
    pub tricks: Tricks,
}

/// Rows that are held out at most, where nothing is said.
const USUAL: usize = 1000;

impl TrainConfig {
    /// Held-out rows of a training split of `rows` rows: those that were set, else a tenth, and 1,000 at most.
    pub fn held_out(&self, rows: usize) -> usize {
        self.validation.unwrap_or(USUAL.min(rows / 10))
    }

    /// This on a training split of `rows` rows: what depends on their number is settled.
    pub fn settled(&self, rows: usize) -> TrainConfig {
        TrainConfig { validation: Some(self.held_out(rows)), ..self.clone() }
    }

    /// Training images of a full batch: what extra data leave of it, one at least.
    pub fn own(&self) -> usize {
        match &self.tricks.extra {
            None => self.batch,
            Some(extra) => {
                self.batch - ((self.batch as f64 * extra.fraction).round() as usize).min(self.batch.max(1) - 1)
            }
        }
    }

    /// Optimiser steps per epoch for a training split of `rows` rows.
    pub fn steps_per_epoch(&self, rows: usize) -> u32 {
        self.trained_on(rows).div_ceil(self.own().max(1)) as u32
    }

    /// Rows that are trained on, of a training split of `rows` rows: the first ones.
    pub fn trained_on(&self, rows: usize) -> usize {
        rows.saturating_sub(self.held_out(rows)).min(self.tricks.images.unwrap_or(usize::MAX))
    }

    /// That something is left to train on, of the `rows` training rows of `data`.
    ///
    /// # Errors
    /// Nothing is, with the figures and the way out.
    pub(crate) fn trains_on(&self, data: &str, rows: usize) -> gauntlet_core::Result<()> {
        let held_out = self.held_out(rows);
        if held_out == 0 && self.tricks.evaluate.chooses() {
            let why = format!(
                "the best epoch is chosen on held-out training images, and none of the {rows} of {data} are held out; set \
                 `validation`"
            );
            return Err(gauntlet_core::Error::value("train.validation", why));
        }
        if held_out < rows {
            return Ok(());
        }
        let why = format!(
            "nothing is left to train on: {data} has {rows} training images, and {held_out} are held out; lower `validation`, or \
             leave it out for a tenth"
        );
        Err(gauntlet_core::Error::value("train.validation", why))
    }
}
