//! What a recipe remembers.

use candle_core::Tensor;
use std::collections::BTreeMap;

/// Named tensors that a recipe keeps between steps (class means, fixed directions); they are checkpointed.
pub type Memory = BTreeMap<String, Tensor>;
