//! Components that are read from files when they are named, such as `script:mine.rhai`.

use crate::Result;
use crate::entry::Entry;
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

/// A source of components beside the registered ones.
pub trait Source<T: ?Sized, C>: Debug + Send + Sync {
    /// What its names begin with, e.g. `script:`. No registered component may.
    fn prefix(&self) -> &'static str;
    /// The component of that name, prefix included; the same one for the rest of the process.
    ///
    /// # Errors
    /// No such file, or one that cannot be understood.
    fn find(&self, name: &str) -> Result<Arc<Entry<T, C>>>;
    /// What `gauntlet list` shows of it.
    fn list(&self) -> Vec<Arc<Entry<T, C>>>;
    /// Looks in this folder first, e.g. beside the suite.
    fn look_in(&self, folder: &Path);
}
