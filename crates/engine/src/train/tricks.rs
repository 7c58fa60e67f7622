//! What a training may do beside its recipe: each is a key of its own, and none is on unless it is named.

use crate::train::perturb::Perturb;
use gauntlet_core::Range;
use gauntlet_core::optimiser::Decayed;
use gauntlet_evaluate::Component;
use serde::{Deserialize, Serialize};

/// Averages, targets, perturbed weights, mixtures. What is left out is no part of a training's key.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Tricks {
    /// A moving average of the weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ema: Option<Ema>,
    /// An average over epochs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swa: Option<Swa>,
    /// Which weights are measured and kept.
    #[serde(default, skip_serializing_if = "Evaluated::is_last")]
    pub evaluate: Evaluated,
    /// s of every cross-entropy, in [0, 1): (1 − s) · onehot + s/K.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smoothing: Option<f64>,
    /// Which parameters weight decay shrinks.
    #[serde(default, skip_serializing_if = "all")]
    pub decay: Decayed,
    /// Parts that a batch is taken in, one after the other, before the optimiser's step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accumulate: Option<usize>,
    /// Where the gradient is taken, if not at the weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub perturb: Option<Perturb>,
    /// What is done to images after crop and flip, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub augmentations: Vec<Component>,
    /// Training images that are trained on, the first so many; the others lie idle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<usize>,
    /// Images of another data set in every batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra: Option<Extra>,
}

/// Real or synthetic images beside the training images, which keep their passes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extra {
    /// A data set, whose training split is taken.
    pub data: String,
    /// Share of every batch, in (0, 1).
    pub fraction: f64,
}

fn all(decay: &Decayed) -> bool {
    *decay == Decayed::All
}

/// θ̄ ← d · θ̄ + (1 − d) · θ after every step; before `start` d is 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ema {
    /// d, in [0, 1).
    #[serde(default = "usual")]
    pub decay: f64,
    /// Epochs, with fraction, before the average begins.
    #[serde(default)]
    pub start: f64,
    /// d is min(decay, (1 + t) / (10 + t)), t steps after `start` (Gowal et al. 2020).
    #[serde(default = "yes")]
    pub dynamic: bool,
}

fn usual() -> f64 {
    0.995
}
fn yes() -> bool {
    true
}

impl Ema {
    /// d of step `number` (from 1) of a training of `steps` steps an epoch.
    pub(crate) fn decay_at(&self, number: u64, steps: u32) -> f64 {
        let after = number as f64 - self.start * f64::from(steps);
        match (after < 0.0, self.dynamic) {
            (true, _) => 0.0,
            (false, true) => self.decay.min((1.0 + after) / (10.0 + after)),
            (false, false) => self.decay,
        }
    }
}

/// The mean of the weights at the ends of epochs (Izmailov et al. 2018).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Swa {
    /// The first epoch, from 0, whose end counts.
    pub start: u32,
    /// One of so many epochs counts.
    #[serde(default = "each")]
    pub every: u32,
}

fn each() -> u32 {
    1
}

impl Swa {
    /// How many epochs' weights the average holds after `epoch`, where that is one of them.
    pub(crate) fn count(&self, epoch: u32) -> Option<u32> {
        let since = epoch.checked_sub(self.start)?;
        (since % self.every == 0).then_some(since / self.every + 1)
    }
}

/// Which weights are measured and kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evaluated {
    /// The last epoch's.
    #[default]
    Last,
    /// Those of the epoch after which the monitor's attack left the most held-out images right.
    BestRobust,
    /// The moving average's.
    Ema,
    /// The moving average's of the best epoch.
    BestRobustEma,
    /// The average over epochs.
    Swa,
}

impl Evaluated {
    /// The names in suite files.
    pub const NAMES: [&'static str; 5] = ["last", "best-robust", "ema", "best-robust-ema", "swa"];

    fn is_last(&self) -> bool {
        *self == Evaluated::Last
    }
    /// Whether one epoch is chosen.
    pub(crate) fn chooses(self) -> bool {
        matches!(self, Evaluated::BestRobust | Evaluated::BestRobustEma)
    }
    pub(crate) fn averages(self) -> bool {
        matches!(self, Evaluated::Ema | Evaluated::BestRobustEma)
    }
}

impl Tricks {
    /// None of them.
    pub const NONE: Tricks = Tricks {
        ema: None,
        swa: None,
        evaluate: Evaluated::Last,
        smoothing: None,
        decay: Decayed::All,
        accumulate: None,
        perturb: None,
        augmentations: Vec::new(),
        images: None,
        extra: None,
    };

    /// Whether loss and gradients are those of a step without any: it can be recorded.
    pub(crate) fn leaves_the_gradient(&self) -> bool {
        self.smoothing.is_none() && self.accumulate.is_none() && self.perturb.is_none()
    }

    /// What does not go together: the key that is to blame, and why. `validation`: held-out images, where they are set.
    ///
    /// # Errors
    /// See above.
    pub fn validate(&self, validation: Option<usize>, epochs: u32) -> Result<(), (&'static str, String)> {
        if let Some(Ema { decay, start, .. }) = self.ema {
            Range::FRACTION.check_named("`decay`", decay).map_err(|why| ("ema", why))?;
            Range::NOT_NEGATIVE.check_named("`start`", start).map_err(|why| ("ema", why))?;
            if !self.evaluate.averages() {
                let text = "the average would be measured by nobody; say evaluate = \"ema\" or \"best-robust-ema\"";
                return Err(("ema", text.into()));
            }
        } else if self.evaluate.averages() {
            return Err(("evaluate", "there is no moving average; say ema = { decay = 0.995 }".into()));
        }
        match (&self.swa, self.evaluate) {
            (None, Evaluated::Swa) => {
                return Err(("evaluate", "there is no average over epochs; say swa = { start = 10 }".into()));
            }
            (Some(_), other) if other != Evaluated::Swa => {
                return Err(("swa", "the average would be measured by nobody; say evaluate = \"swa\"".into()));
            }
            (Some(swa), _) if swa.every == 0 => return Err(("swa", "`every` must be at least 1, got 0".into())),
            (Some(swa), _) if swa.start >= epochs => {
                let text = format!("`start` must be below the {epochs} epochs of the training, got {}", swa.start);
                return Err(("swa", text));
            }
            _ => {}
        }
        if self.evaluate.chooses() && validation == Some(0) {
            let text = "the best epoch is chosen on held-out training images; `validation` must be above 0";
            return Err(("evaluate", text.into()));
        }
        if let Some(s) = self.smoothing {
            Range::FRACTION.check(s).map_err(|why| ("smoothing", why))?;
        }
        if let Some(Extra { fraction, .. }) = &self.extra {
            Range::POSITIVE.below(1.0).check_named("`fraction`", *fraction).map_err(|why| ("extra", why))?;
        }
        if self.images == Some(0) {
            return Err(("images", "must be at least 1, got 0".into()));
        }
        if self.accumulate == Some(0) {
            return Err(("accumulate", "must be at least 1, got 0".into()));
        }
        match &self.perturb {
            Some(perturb) => perturb.validate().map_err(|why| ("perturb", why)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_no_part_of_a_description() {
        assert_eq!(serde_json::to_string(&Tricks::default()).unwrap(), "{}");
        assert_eq!(serde_json::from_str::<Tricks>("{}").unwrap(), Tricks::NONE);
    }

    /// global_step and decay of imrahulr's and P2333's `ema_update(tau, warmup_steps)`.
    #[test]
    fn the_decay_grows_as_published() {
        let ema = Ema { decay: 0.995, start: 0.5, dynamic: true };
        let published = |global: f64, warm: f64| {
            let factor = f64::from(u8::from(global >= warm));
            0.995f64.min((1.0 + global - warm) / (10.0 + global - warm)) * factor
        };
        for number in [1, 4, 5, 6, 20, 2000, 100_000] {
            assert!((ema.decay_at(number, 10) - published(number as f64, 5.0)).abs() < 1e-15, "{number}");
        }
        assert_eq!(Ema { dynamic: false, ..ema }.decay_at(5, 10), 0.995);
    }

    #[test]
    fn epochs_of_an_average_are_counted() {
        let swa = Swa { start: 2, every: 3 };
        let counts: Vec<Option<u32>> = (0..9).map(|epoch| swa.count(epoch)).collect();
        assert_eq!(counts, [None, None, Some(1), None, None, Some(2), None, None, Some(3)]);
    }

    #[test]
    fn what_does_not_go_together_is_told() {
        let says = |text: &str, validation, key: &str, word: &str| {
            let tricks: Tricks = serde_json::from_str(text).unwrap();
            let (at, why) = tricks.validate(validation, 4).unwrap_err();
            assert!(at == key && why.contains(word), "{text}: {at}: {why}");
        };
        says(r#"{"ema":{}}"#, None, "ema", "measured by nobody");
        says(r#"{"ema":{"decay":1.0},"evaluate":"ema"}"#, None, "ema", "`decay` must be below 1, got 1");
        says(r#"{"ema":{"start":-1.0},"evaluate":"ema"}"#, None, "ema", "`start` must be at least 0");
        says(r#"{"evaluate":"ema"}"#, None, "evaluate", "say ema = { decay = 0.995 }");
        says(r#"{"evaluate":"swa"}"#, None, "evaluate", "say swa = { start = 10 }");
        says(r#"{"swa":{"start":1}}"#, None, "swa", "say evaluate = \"swa\"");
        says(r#"{"swa":{"start":4},"evaluate":"swa"}"#, None, "swa", "below the 4 epochs");
        says(r#"{"swa":{"start":1,"every":0},"evaluate":"swa"}"#, None, "swa", "`every` must be at least 1");
        says(r#"{"evaluate":"best-robust"}"#, Some(0), "evaluate", "`validation` must be above 0");
        says(r#"{"smoothing":1.0}"#, None, "smoothing", "must be below 1, got 1");
        says(r#"{"extra":{"data":"d","fraction":1.0}}"#, None, "extra", "`fraction` must be below 1, got 1");
        says(r#"{"images":0}"#, None, "images", "at least 1");
        says(r#"{"accumulate":0}"#, None, "accumulate", "at least 1");
        says(r#"{"perturb":{"name":"awp","gamma":0.0}}"#, None, "perturb", "gamma must be above 0");
        assert!(serde_json::from_str::<Tricks>(r#"{"evaluate":"best-robust"}"#).unwrap().validate(Some(9), 1).is_ok());
    }
}
