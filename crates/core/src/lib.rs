//! The nouns of adversarial robustness and the traits between gauntlet's crates.
//!
//! *data → model → recipe (training) → attacks (evaluation) → records → reports*: every arrow is a trait of this crate or a
//! plain data type of it or of `gauntlet-records`. Nothing here knows a concrete data set, model, recipe or attack.

pub mod about;
mod answers;
pub mod args;
pub mod attack;
pub mod attack_mode;
pub mod augment;
pub mod batch;
pub mod budget;
pub mod checkpoint;
pub mod device;
mod draws;
mod elsewhere;
pub mod entry;
pub mod error;
pub mod key;
pub mod key_doc;
pub mod memory;
pub mod network;
pub mod norm;
pub mod objective;
pub mod optimiser;
mod optimiser_docs;
#[cfg(feature = "cuda")]
mod optimiser_gpu;
pub mod param_kind;
pub mod params;
pub mod philox;
pub mod plan;
pub mod position;
pub mod range;
pub mod reach;
pub mod recipe;
pub mod recipe_memory;
pub mod registry;
mod row_size;
pub mod schedule;
pub mod source;
pub mod spec;
pub mod step;
pub mod table;
pub mod target;
pub mod targets;
pub mod task;
pub mod threat;

pub use about::{About, Param};
pub use answers::Answers;
pub use args::Args;
pub use attack::{Attack, Clean, Job, Outcome};
pub use attack_mode::AttackMode;
pub use batch::Batch;
pub use device::{Compute, Processor};
pub use entry::Entry;
pub use error::{Error, Result};
pub use key::{Key, Purpose};
pub use key_doc::{Form, KeyDoc, Omitted};
pub use network::{Activation, BatchStats, Mode, ModelInfo, Network, Pass};
pub use objective::{Goal, Objective, Slope};
pub use param_kind::{OwnedKind, ParamKind};
pub use params::{Init, ParamSpec, Params, Weights};
pub use plan::{Ensemble, Plan};
pub use range::Range;
pub use recipe::{Loss, Recipe, Setup, Term};
pub use recipe_memory::Memory;
pub use registry::Registry;
pub use source::Source;
pub use spec::{ParamDoc, Spec};
pub use step::Step;
pub use table::Table;
pub use target::{Frozen, Linear, Target};
pub use targets::{Mixed, Targets};
pub use task::Task;
pub use threat::ThreatModel;
