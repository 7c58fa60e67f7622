//! From a suite file to records: trainer, evaluator with its referee, suite runner, result store, resume.
//!
//! The engine knows no concrete attack, model or recipe: they reach it as trait objects of a
//! [`gauntlet_core::Registry`]. Everything it does is repeatable: a record's `result` is a function of the suite, the
//! data and the components' `numerics`, whatever the number of slots, the threads or the interruptions.

mod adversarial;
mod attack_request;
mod augmentation;
mod change;
mod checkpoint_source;
mod claim;
mod clean;
mod clock;
mod comparison;
mod conformance;
mod context;
mod description;
mod desk;
mod diagnostic;
mod error;
mod event;
mod fingerprint;
mod gallery;
mod given;
mod heartbeat;
mod images;
mod import;
mod journal;
mod judging;
mod ledger;
mod mathematics;
mod monitor;
mod overfitting;
mod plan;
mod progress;
mod provenance;
#[cfg_attr(not(feature = "cuda"), path = "unrecorded.rs")]
mod recorded;
mod recorded_suite;
mod resident;
mod runner;
mod status;
mod store;
mod suite;
mod suite_attacks;
mod suite_expect;
mod suite_file;
mod suite_quick;
mod suite_rows;
mod surrogate;
mod teacher;
mod toml_section;
mod train_config;
mod train_request;
mod trainer;
mod training;
mod training_state;
mod training_step;
mod verify;

pub use adversarial::Adversarial;
pub use attack_request::{AttackReport, AttackRequest, EpsReport, Surrogate, attack};
pub use augmentation::Augmentation;
pub use checkpoint_source::CheckpointSource;
pub use claim::{Claim, Holder};
pub use clean::{Litter, Swept, clean};
pub use comparison::{Difference, Measure, VerifiedCell};
pub use conformance::{
    Check, Conformance, Outcome, StepCost, completed, conformance, documented_choices, short_kind, step_cost,
};
pub use context::{Context, Filters};
pub use diagnostic::Diagnostic;
pub use error::{Error, Result};
pub use event::{Event, Events, Part};
pub use fingerprint::{canonical, fingerprint};
pub use gallery::{pictures_of, strongest_of};
pub use images::{Images, examples_of};
pub use mathematics::mathematics;
pub use monitor::Monitor;
pub use plan::{Plan, PlannedEvaluation, PlannedTraining, State, plan};
pub use provenance::{provenance, timestamp};
pub use recorded::Graphs;
pub use runner::{run, run_on};
pub use status::{Item, Standing, StoreStatus, SuiteStatus, status};
pub use store::Store;
pub use suite::{Row, Suite};
pub use suite_quick::Quick;
pub use teacher::Teacher;
pub use train_config::TrainConfig;
pub use train_request::{TrainReport, TrainRequest, train};
pub use trainer::{Trained, TrainingJob};
pub use training_step::{Stepped, Taken, TrainingStep};
pub use verify::{VerifiedRecord, Verifier};

/// Raised by hand when the trainer's own numbers change; part of every training's key.
pub const TRAINER_NUMERICS: u32 = 2;
