//! What happens during a run, for progress bars and logs.

use gauntlet_records::{Eps, Norm, record::Epoch};

/// Which part of a suite an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part<'a> {
    /// Row id.
    pub row: &'a str,
    /// Training seed.
    pub seed: u64,
    /// Label of the attack; `None`: the training, or the clean pass.
    pub attack: Option<&'a str>,
}

/// One thing that happened.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The data set is in memory.
    DataReady {
        /// Name.
        data: &'a str,
        /// Training rows; 0 where only the test split was read.
        train: usize,
        /// Test rows.
        test: usize,
        /// Training rows that are held out and monitored; nothing where nothing is trained.
        held_out: Option<usize>,
    },
    /// A row and seed of a suite is finished, or failed; with `done` 0: a run begins.
    RecordDone {
        /// Rows and seeds done so far.
        done: usize,
        /// In all.
        of: usize,
    },
    /// A training begins or goes on.
    TrainingStarted {
        /// Which.
        part: Part<'a>,
        /// Epochs in all.
        epochs: u32,
        /// Steps per epoch.
        steps: u32,
        /// Epoch and step (from 0) of the next step: not (0, 0) when it is resumed.
        from: (u32, u32),
    },
    /// An optimiser step was taken.
    Step {
        /// Which training.
        part: Part<'a>,
        /// Epoch, from 0.
        epoch: u32,
        /// Step within the epoch, from 0.
        step: u32,
        /// The loss.
        loss: f64,
        /// Batch means of the named terms.
        terms: &'a [(String, f64)],
        /// Examples per second since this process took the training up.
        rate: f64,
    },
    /// An epoch was monitored.
    EpochDone {
        /// Which training.
        part: Part<'a>,
        /// Its numbers.
        epoch: &'a Epoch,
    },
    /// A training is finished and its checkpoint stored.
    TrainingDone {
        /// Which.
        part: Part<'a>,
        /// Wall seconds in this process.
        seconds: f64,
    },
    /// An attack at one ε begins or goes on.
    EvaluationStarted {
        /// Which.
        part: Part<'a>,
        /// Norm of the threat model.
        norm: Norm,
        /// Budget.
        eps: &'a Eps,
        /// Examples that are right without any attack.
        examples: usize,
        /// Those that still have to be attacked.
        pending: usize,
    },
    /// Verdicts were given.
    Judged {
        /// Which.
        part: Part<'a>,
        /// Attacked examples with a verdict.
        done: usize,
        /// Attacked examples in all.
        of: usize,
        /// Those that withstood so far.
        robust: usize,
        /// Robust accuracy so far, in `[0, 1]`: the share of the judged that withstood × the clean accuracy. With the last verdict
        /// it is the robust accuracy; before, it is a guess, and low, since what breaks is judged sooner.
        accuracy: f64,
    },
    /// An attack at one ε is finished.
    EvaluationDone {
        /// Which.
        part: Part<'a>,
        /// Norm of the threat model.
        norm: Norm,
        /// Budget.
        eps: &'a Eps,
        /// Correct clean and under the attack, over all examples, in `[0, 1]`.
        robust_accuracy: f64,
        /// Wall seconds in this process.
        seconds: f64,
    },
    /// The store had it already.
    Skipped {
        /// Which.
        part: Part<'a>,
        /// Row and seed whose weights are the same, if this run looked at them before: the result is theirs.
        weights_of: Option<(&'a str, u64)>,
    },
    /// Another process works on it; this one goes on with other parts and comes back.
    Waiting {
        /// Which.
        part: Part<'a>,
        /// The key it holds.
        key: &'a str,
    },
    /// A part failed; the rest of the suite goes on.
    Failed {
        /// Which.
        part: Part<'a>,
        /// The cause and the way out.
        reason: &'a str,
    },
    /// Something worth a line in the log.
    Note {
        /// Which.
        part: Part<'a>,
        /// One sentence.
        text: &'a str,
    },
}

/// Whoever wants to know.
pub trait Events: Sync {
    /// Called from the thread that runs the suite; must not block for long.
    fn event(&self, event: &Event<'_>);
}

/// Nobody.
impl Events for () {
    fn event(&self, _: &Event<'_>) {}
}
