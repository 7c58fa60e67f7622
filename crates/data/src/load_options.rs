//! Where data come from.

use std::path::PathBuf;

/// Where to look and how loudly.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// Local files instead of the hub.
    pub data_dir: Option<PathBuf>,
    /// Hub endpoint; `None`: HF_ENDPOINT, else the public hub.
    pub endpoint: Option<String>,
    /// Hub cache; `None`: HF_HUB_CACHE, HF_HOME, else the user's cache.
    pub cache_dir: Option<PathBuf>,
    /// Nothing is asked of the hub: what is not in its cache is an error that says so.
    pub offline: bool,
    /// No progress.
    pub quiet: bool,
    /// Progress as lines, for where there is no terminal; else as bars.
    pub lines: bool,
}
