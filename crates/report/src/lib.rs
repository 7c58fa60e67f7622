//! Pure functions from records to tables: CSV, Markdown and text for a terminal.
//!
//! A folder of records ([`Folder`]) becomes a [`Report`]; the same records always give the same bytes. Every number is
//! computed from the verdicts of single examples, so worst cases and intervals need nothing but the records.

mod column;
mod error;
mod folder;
mod markdown;
mod models;
mod provenance;
mod report;
mod summary;
mod tables;
mod terminal;
mod twins;

pub use column::{Column, Count};
pub use error::{Error, Result};
pub use folder::{Entry, Folder, MANIFEST, Manifest};
pub use report::{Cost, Failure, Report};
pub use summary::{Summary, Value};
