//! A suite, an attack or a training from data to records.

pub(crate) mod adversarial;
pub(crate) mod attack_request;
pub(crate) mod context;
pub(crate) mod desk;
pub(crate) mod gallery;
pub(crate) mod given;
pub(crate) mod judging;
pub(crate) mod plan;
pub(crate) mod progress;
pub(crate) mod reading;
pub(crate) mod runner;
pub(crate) mod surrogate;
pub(crate) mod taking_down;
pub(crate) mod teaching;
pub(crate) mod train_request;
pub(crate) mod training;
