//! Pure functions from records to tables, pictures and a page: CSV, JSON, Markdown, LaTeX, HTML, SVG, PNG and text for a
//! terminal.
//!
//! A folder of records ([`Folder`]) becomes a [`Report`]; the same records always give the same bytes. Every number is
//! computed from the verdicts of single examples, so worst cases, intervals, paired tests, classes and who broke what need
//! nothing but the records.

mod answers;
mod broken;
mod chance;
mod classes;
mod column;
mod digest;
mod digits;
mod ends;
mod error;
mod expectation_line;
mod expectations;
mod failing;
mod folder;
mod images;
mod judgement;
mod latex;
mod leaderboard;
mod markdown;
mod models;
mod page;
mod pair;
mod pairs;
mod parallel;
mod plots;
mod proved_better;
mod provenance;
mod publication;
mod remarks;
mod report;
mod sections;
mod standings;
mod student;
mod summary;
mod tables;
mod tensorboard;
mod terminal;
mod twins;
mod unbroken;
mod verdict;
mod watch;

pub use broken::Broken;
pub use classes::{ClassCount, WorstClass};
pub use column::{Column, Count};
pub use ends::Ends;
pub use error::{Error, Result};
pub use expectations::{Judged, Outcome, Sample, Seen};
pub use folder::{Entry, Folder, MANIFEST, Manifest};
pub use judgement::Judgement;
pub use leaderboard::{Board, Leaderboard, Ranked};
pub use pair::Pair;
pub use pairs::Power;
pub use plots::{Drawing, Plot, Subject};
pub use remarks::folded;
pub use report::{Cost, Failure, Report};
pub use standings::{Standing, Standings};
pub use summary::{Summary, Value};
pub use tensorboard::events;
pub use terminal::Screen;
pub use unbroken::Unbroken;
pub use watch::{Watched, watch};
