//! Recipes written as scripts: one test program, since each links everything.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod bench;
mod founding;
mod language;
mod mistakes;
mod sources;
