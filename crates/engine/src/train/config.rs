//! How a model is trained, apart from its recipe.

use crate::{Augmentation, Monitor};
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
    /// The last rows of the training split that are held out and monitored; 0: train on all, monitor on 500 of them.
    pub validation: usize,
    /// Gradients are scaled down to this global L2 norm.
    pub clip: Option<f64>,
    /// What is measured after every epoch.
    pub monitor: Monitor,
}
