//! Where a training stands.

/// Where a training stands.
#[derive(Debug, Clone, Copy)]
pub struct Position {
    /// Epoch, from 0.
    pub epoch: u32,
    /// Epochs in all.
    pub epochs: u32,
    /// Step within the epoch, from 0.
    pub step: u32,
    /// Steps per epoch.
    pub steps: u32,
    /// Which replay of the batch this is, from 0 (free adversarial training).
    pub replay: u32,
}

impl Position {
    /// Epochs done, with fraction.
    pub fn epochs_done(&self) -> f64 {
        f64::from(self.epoch) + f64::from(self.step) / f64::from(self.steps.max(1))
    }
    /// What a weight or budget that grows from 0 over `ramp` epochs has grown to, in `[0, 1]` (0: at once).
    pub fn grown(&self, ramp: f64) -> f64 {
        if ramp > 0.0 { (self.epochs_done() / ramp).min(1.0) } else { 1.0 }
    }
}
