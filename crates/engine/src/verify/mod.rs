//! Records, evaluated again.

pub(crate) mod comparison;
pub(crate) mod recorded_suite;
pub(crate) mod verifier;
