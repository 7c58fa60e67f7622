//! The nouns of adversarial robustness and the traits between gauntlet's crates.
//!
//! *data → model → recipe (training) → attacks (evaluation) → records → reports*: every arrow is a trait of this crate or a
//! plain data type of it or of `gauntlet-records`. Nothing here knows a concrete data set, model, recipe or attack.

mod answers;
pub mod attack;
pub mod attack_mode;
pub mod augment;
pub mod batch;
pub mod budget;
pub mod checkpoint;
pub mod device;
mod draws;
mod elsewhere;
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
pub mod params;
pub mod philox;
pub mod position;
pub mod reach;
pub mod recipe;
pub mod recipe_memory;
pub mod registry;
mod row_size;
pub mod schedule;
pub mod source;
pub mod spec;
pub mod step;
pub mod target;
pub mod targets;
pub mod threat;

pub use answers::Answers;
pub use attack::{Attack, Clean, Job, Outcome};
pub use attack_mode::AttackMode;
pub use batch::Batch;
pub use device::{Compute, Processor};
pub use error::{Error, Result};
pub use key::{Key, Purpose};
pub use key_doc::{Form, KeyDoc, Omitted};
pub use network::{Activation, BatchStats, Mode, ModelInfo, Network, Pass};
pub use objective::{Goal, Objective, Slope};
pub use params::{Init, ParamSpec, Params, Weights};
pub use recipe::{Loss, Penalty, Recipe, Setup, Term};
pub use recipe_memory::Memory;
pub use registry::{Args, Registry};
pub use source::Source;
pub use spec::{ParamDoc, Spec};
pub use step::Step;
pub use target::{Frozen, Linear, Target};
pub use targets::{Mixed, Targets};
pub use threat::ThreatModel;
