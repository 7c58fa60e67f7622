//! The two parts of a data set.

use crate::manifest::{Manifest, Part};

/// The two parts of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// What is trained on.
    Train,
    /// What is attacked.
    Test,
}

impl Half {
    /// `train`, `test`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Half::Train => "train",
            Half::Test => "test",
        }
    }
    pub(crate) fn of(self, manifest: &Manifest) -> &Part {
        match self {
            Half::Train => &manifest.train,
            Half::Test => &manifest.test,
        }
    }
}
