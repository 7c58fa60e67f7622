//! Attacks against any target: every example before and under attack, and whether the numbers can be trusted.
//!
//! Usable with neither suites nor stores: a [`Target`](gauntlet_core::Target) (a network with weights is opened as a [`Subject`]),
//! [`Examples`] and a registry of attacks go in, verdicts and flags come out ([`evaluate`]). Attacks propose, the referee judges; what an example costs and how it ends is a
//! function of the example alone, whatever runs beside it.

mod attack_entry;
mod clean_pass;
mod component;
mod cost;
mod driver;
mod error;
mod evaluated;
mod evaluator;
mod examples;
pub mod flags;
mod gradient_check;
mod normalised;
pub mod probes;
mod referee;
mod selection;
mod subject;
mod sufficiency;
mod watch;
mod zero_gradient;

pub use attack_entry::AttackEntry;
pub use clean_pass::CleanPass;
pub use component::{Component, Kind};
pub use cost::Cost;
pub use error::{Error, Result};
pub use evaluated::{Evaluated, evaluate};
pub use evaluator::Evaluator;
pub use examples::Examples;
pub use gradient_check::gradient_check;
pub use selection::Selection;
pub use subject::{Origin, Subject};
pub use sufficiency::suffices;
pub use watch::{Done, Watch};

/// Raised by hand when the evaluator's own numbers change; part of every evaluation's key.
pub const EVALUATOR_NUMERICS: u32 = 3;
