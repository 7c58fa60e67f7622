//! The nouns of adversarial robustness and the traits between gauntlet's crates.
//!
//! *data → model → recipe (training) → attacks (evaluation) → records → reports*: every arrow is a trait or a plain
//! data type of this crate. Nothing here knows a concrete data set, model, recipe or attack.

pub mod attack;
pub mod batch;
pub mod checkpoint;
pub mod device;
mod draws;
mod elsewhere;
pub mod eps;
pub mod error;
pub mod expectation;
pub mod key;
pub mod memory;
pub mod network;
pub mod norm;
pub mod objective;
pub mod optimiser;
#[cfg(feature = "cuda")]
mod optimiser_gpu;
mod packed;
pub mod params;
pub mod philox;
pub mod pictures;
pub mod recipe;
pub mod record;
pub mod record_file;
pub mod registry;
pub mod regular_file;
mod row_size;
pub mod schedule;
pub mod source;
pub mod statistics;
pub mod step;
pub mod target;
pub mod threat;

pub use attack::{Attack, Clean, Job, Outcome};
pub use batch::Batch;
pub use device::{Compute, Processor};
pub use eps::Eps;
pub use error::{Error, Result};
pub use expectation::{Alternative, Band, Expectation, Operand, Quantity};
pub use key::{Key, Purpose};
pub use network::{Activation, BatchStats, Mode, ModelInfo, Network, Pass};
pub use norm::Norm;
pub use objective::{Goal, Objective, Slope};
pub use params::{Init, ParamSpec, Params, Weights};
pub use pictures::{Picture, Pictures};
pub use recipe::{AttackMode, Loss, Memory, Penalty, Recipe, Setup, Term};
pub use record::{Attacked, Flag, Provenance, Record, Verdict};
pub use registry::{Args, ParamDoc, Registry, Spec};
pub use source::Source;
pub use step::Step;
pub use target::{Frozen, Linear, Target};
pub use threat::ThreatModel;
