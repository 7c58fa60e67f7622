//! A checkpoint that was there already.

use serde_json::Value;

/// What is known of a checkpoint once it was read.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    /// Key in the store.
    pub(crate) key: String,
    /// What the key is made of: weights and model, not where they came from.
    pub(crate) description: Value,
    /// sha256 of its tensors.
    pub(crate) sha256: String,
}
