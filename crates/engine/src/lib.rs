//! From a suite file to records: trainer, evaluator with its referee, suite runner, result store, resume.
//!
//! The engine knows no concrete attack, model or recipe: they reach it as trait objects of a
//! [`gauntlet_core::Registry`]. Everything it does is repeatable: a record's `result` is a function of the suite, the
//! data and the components' `numerics`, whatever the number of slots, the threads or the interruptions.

mod conformance;
mod diagnostic;
mod error;
mod event;
mod fingerprint;
mod images;
mod mathematics;
mod provenance;
mod run;
mod shard;
mod store;
mod suite;
mod train;
mod verify;

pub use conformance::{
    Check, Conformance, Outcome, StepCost, completed, conformance, documented_choices, short_kind, step_cost,
};
pub use diagnostic::Diagnostic;
pub use error::{Error, Result};
pub use event::{Event, Events, Part};
pub use fingerprint::{canonical, fingerprint};
pub use images::{Images, examples_of};
pub use mathematics::mathematics;
pub use provenance::{provenance, timestamp};
pub use run::adversarial::Adversarial;
pub use run::attack_request::{AttackReport, AttackRequest, EpsReport, Surrogate, attack};
pub use run::certifying::{CONTRADICTED, ROUNDING};
pub use run::context::{Context, Filters};
pub use run::gallery::{pictures_of, strongest_of};
pub use run::plan::{Plan, PlannedEvaluation, PlannedTraining, State, plan};
pub use run::prover::Prover;
pub use run::recording::{run, run_on};
pub use run::train_request::{TrainReport, TrainRequest, train};
pub use shard::Shard;
pub use store::claim::Claim;
pub use store::clean::{Litter, Swept, clean};
pub use store::holder::Holder;
pub use store::journal::Journal;
pub use store::results::Store;
pub use store::status::{Item, Standing, StoreStatus, SuiteStatus, status};
pub use store::watched::{WatchedTraining, watched};
pub use suite::certification::CertifyEntry;
pub use suite::checkpoint_source::CheckpointSource;
pub use suite::keys;
pub use suite::quick::Quick;
pub use suite::resolved::{Row, Suite};
pub use suite::teacher::Teacher;
pub use train::augmentation::Augmentation;
pub use train::config::TrainConfig;
pub use train::monitor::Monitor;
pub use train::perturb::Perturb;
pub use train::recorded::Graphs;
pub use train::step::{Computed, Of, Recorder, Stepped, Taken, TrainingStep};
pub use train::trainer::{Trained, TrainingJob};
pub use train::tricks::{Ema, Evaluated, Extra, Swa, Tricks};
pub use verify::comparison::{Difference, Measure, VerifiedCell};
pub use verify::verifier::{VerifiedRecord, Verifier};

/// Raised by hand when the trainer's own numbers change; part of every training's key.
pub const TRAINER_NUMERICS: u32 = 2;
