//! The command line `gauntlet`, and everything a plug-in needs.
//!
//! A binary with components of its own registers them and runs:
//!
//! ```no_run
//! use std::process::ExitCode;
//! fn main() -> ExitCode {
//!     gauntlet::app().run()
//! }
//! ```
//!
//! with `.recipe(SPEC)`, `.penalty(SPEC)`, `.attack(SPEC)`, `.objective(SPEC)`, `.model(SPEC)` before `.run()`. The other
//! crates and candle are re-exported, so that this package is a plug-in's only dependency. `gauntlet new recipe NAME` writes
//! such a crate, `plugins/example-recipe` is one, docs/your-loss-in-ten-minutes.md explains it.

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

pub use candle_core as candle;
pub use gauntlet_attacks as attacks;
pub use gauntlet_autograd as autograd;
pub use gauntlet_core as core;
pub use gauntlet_data as data;
pub use gauntlet_engine as engine;
pub use gauntlet_evaluate as evaluate;
pub use gauntlet_graph as graph;
pub use gauntlet_models as models;
pub use gauntlet_recipes as recipes;
pub use gauntlet_records as records;
pub use gauntlet_report as report;
pub use gauntlet_script as script;
