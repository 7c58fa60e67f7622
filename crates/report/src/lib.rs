//! Pure functions from records to tables: CSV, Markdown and text for a terminal.
//!
//! A folder of records ([`Folder`]) becomes a [`Report`]; the same records always give the same bytes. Every number is
//! computed from the verdicts of single examples, so worst cases, intervals, paired tests, classes and who broke what need
//! nothing but the records.

mod answers;
mod broken;
mod classes;
mod column;
mod digits;
mod error;
mod expectation_line;
mod expectations;
mod folder;
mod markdown;
mod models;
mod pairs;
mod provenance;
mod report;
mod sections;
mod standings;
mod summary;
mod tables;
mod terminal;
mod twins;

pub use broken::Broken;
pub use classes::{ClassCount, WorstClass};
pub use column::{Column, Count};
pub use error::{Error, Result};
pub use expectations::{Judged, Judgement, Outcome, Sample, Seen};
pub use folder::{Entry, Folder, MANIFEST, Manifest};
pub use pairs::{Pair, Power};
pub use report::{Cost, Failure, Report};
pub use standings::{Standing, Standings};
pub use summary::{Summary, Value};
