//! One training: steps, curve, state to go on from.

pub(crate) mod augmentation;
pub(crate) mod average;
pub(crate) mod clock;
pub(crate) mod config;
pub(crate) mod metered;
pub(crate) mod monitor;
pub(crate) mod overfitting;
pub(crate) mod perturb;
#[cfg_attr(not(feature = "cuda"), path = "unrecorded.rs")]
pub(crate) mod recorded;
pub(crate) mod resident;
mod shown;
pub(crate) mod state;
pub(crate) mod step;
pub(crate) mod trainer;
pub(crate) mod tricks;
