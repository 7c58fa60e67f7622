//! One training: steps, curve, state to go on from.

pub(crate) mod augmentation;
pub(crate) mod clock;
pub(crate) mod config;
pub(crate) mod monitor;
pub(crate) mod overfitting;
#[cfg_attr(not(feature = "cuda"), path = "unrecorded.rs")]
pub(crate) mod recorded;
pub(crate) mod resident;
pub(crate) mod state;
pub(crate) mod step;
pub(crate) mod trainer;
