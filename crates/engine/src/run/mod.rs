//! A suite, an attack or a training from data to records.

pub(crate) mod adversarial;
pub(crate) mod attack_request;
pub(crate) mod attempt;
pub(crate) mod book;
pub(crate) mod certifying;
pub(crate) mod context;
pub(crate) mod evaluation_keys;
pub(crate) mod gallery;
pub(crate) mod given;
pub(crate) mod inputs;
pub(crate) mod judging;
pub(crate) mod keys;
pub(crate) mod models;
pub(crate) mod plan;
pub(crate) mod progress;
pub(crate) mod prover;
pub(crate) mod recording;
pub(crate) mod runner;
mod sharding;
pub(crate) mod teller;
pub(crate) mod train_request;
