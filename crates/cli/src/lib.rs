//! The command line `gauntlet` over the library of that name, and the way to add components to it.
//!
//! A binary with components of its own registers them and runs:
//!
//! ```no_run
//! use std::process::ExitCode;
//! fn main() -> ExitCode {
//!     gauntlet_cli::app().run()
//! }
//! ```
//!
//! with `.recipe(SPEC)`, `.penalty(SPEC)`, `.attack(SPEC)`, `.objective(SPEC)`, `.model(SPEC)` before `.run()`. What components are
//! made of is in [`gauntlet`]: these two packages are all that a plug-in depends on. `gauntlet new recipe NAME` writes such a crate,
//! `plugins/example-recipe` is one, docs/your-loss-in-ten-minutes.md explains it.

mod app;
mod arguments;
mod commands;
mod complaint;
mod component;
mod exit;
mod help;
mod interrupt;
mod progress;
mod quoted;
mod reference;
mod schema;
mod session;
mod suites;
mod threads;

pub use app::{App, app};
pub use exit::Code;
