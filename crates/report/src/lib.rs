//! Pure functions from records to tables, pictures and a page: CSV, JSON, Markdown, LaTeX, HTML, SVG, PNG and text for a
//! terminal.
//!
//! A folder of records ([`Folder`]) becomes a [`Report`]; the same records always give the same bytes. Every number is
//! computed from the verdicts of single examples, so worst cases and intervals need nothing but the records.

mod column;
mod digest;
mod error;
mod folder;
mod latex;
mod leaderboard;
mod markdown;
mod models;
mod page;
mod plots;
mod provenance;
mod publication;
mod report;
mod summary;
mod tables;
mod terminal;
mod twins;

pub use column::{Column, Count};
pub use error::{Error, Result};
pub use folder::{Entry, Folder, MANIFEST, Manifest};
pub use leaderboard::{Board, Leaderboard, Standing};
pub use plots::{Drawing, Plot, Subject};
pub use report::{Cost, Failure, Report};
pub use summary::{Summary, Value};
