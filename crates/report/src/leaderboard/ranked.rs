//! One entry of a board.

use serde::Serialize;

/// One recipe: the rows, of any report, that share a training.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ranked {
    /// One more than the number of entries above that differ from this one, and never less than the entry above has; none at
    /// chance.
    pub rank: Option<usize>,
    /// Row of its suite.
    pub row: String,
    /// Its suite.
    pub suite: String,
    /// Where its records were read, as the folders were given; empty: they were given without their folders.
    pub reports: Vec<String>,
    /// Rows (`suite: row`) that share a training with it, by the sha256 of the weights: counted here, and once.
    pub also: Vec<String>,
    /// Architecture.
    pub model: String,
    /// Accuracy in percent without any attack, mean over trainings.
    pub clean: f64,
    /// Accuracy in percent under the board's attacks, mean over trainings.
    pub robust: f64,
    /// Accuracy in percent that is proved at that norm and budget, mean over trainings; `None`: nothing was to be proved on these images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certified: Option<f64>,
    /// Accuracy in percent under everything that was tried at that norm and budget, mean over trainings.
    pub under_all: f64,
    /// Standard deviation over trainings.
    pub sd: f64,
    /// Lower end of the 95 % interval: over seeds or over images, whichever reaches farther.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// Trainings.
    pub seeds: u32,
    /// Clean accuracy is not above [chance](super::Board::chance), or every training gives a constant answer: last, and without a rank.
    pub at_chance: bool,
    /// Flags that mark any of its trainings.
    pub flags: Vec<String>,
}
