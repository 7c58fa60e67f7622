//! The error type of this crate.

/// What can go wrong between records and tables.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder could not be read or written, or is no record.
    #[error(transparent)]
    Record(#[from] gauntlet_records::Error),
    /// A folder without a single readable record.
    #[error("no records in {path}{}; give a folder that `gauntlet run` wrote, such as reports/quickstart", found.as_ref().map(|f| format!(" ({f})")).unwrap_or_default())]
    Empty {
        /// The folder.
        path: String,
        /// What was found instead.
        found: Option<String>,
    },
    /// An aggregation failed.
    #[error("cannot aggregate the records: {0}")]
    Frame(#[from] polars::error::PolarsError),
    /// A table could not be put into CSV.
    #[error("cannot write a table as CSV: {0}")]
    Csv(#[from] csv::Error),
    /// A picture could not be drawn.
    #[error("cannot draw a picture: {0}")]
    Plot(String),
    /// The page could not be put together.
    #[error("cannot write the page: {0}")]
    Page(#[from] minijinja::Error),
    /// Records could not be put into JSON.
    #[error("cannot write the records as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// Result with [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
