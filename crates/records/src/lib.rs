//! What a run leaves behind: verdicts on examples, records, pictures, expectations, and the statistics over them.
//!
//! The one thing that a report needs. Pure data and its files: nothing here knows a tensor, a model or an attack.

pub mod course;
pub mod eps;
pub mod error;
pub mod expectation;
pub mod family;
pub mod file;
pub mod nearest;
pub mod norm;
mod packed;
pub mod pictures;
pub mod proof;
pub mod record;
pub mod record_file;
pub mod regular_file;
pub mod statistics;
pub mod verdict;
pub mod verdict_line;

pub use course::Course;
pub use eps::Eps;
pub use error::{Error, Result};
pub use expectation::{Alternative, Band, Expectation, Operand, Quantity};
pub use family::Family;
pub use norm::Norm;
pub use pictures::{Picture, Pictures};
pub use proof::{Certified, Proof, ProofFate};
pub use record::{Attacked, Flag, Provenance, Record};
pub use verdict::{CleanVerdict, Fate, Verdict};
pub use verdict_line::VerdictLine;
