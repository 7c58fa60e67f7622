//! End-to-end tests of the binary: one test program, since each links everything.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod arrows;
mod ascents;
mod attack;
mod bench;
mod bits;
mod certify;
mod conformance;
mod faults;
mod hostile;
mod inspect;
mod interruptions;
mod listings;
mod onnx;
mod plugins;
mod published;
mod published_laws;
mod published_weights;
mod reference;
mod sandbox;
mod scripts;
mod suite;
mod survival;
mod tutorial;
mod upkeep;
