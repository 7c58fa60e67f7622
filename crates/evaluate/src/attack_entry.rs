//! An attack with its budgets.

use crate::{Component, Selection};
use gauntlet_records::{Eps, Norm};
use serde::{Deserialize, Serialize};

/// One attack with its budgets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttackEntry {
    /// Unique in the suite; heads the columns.
    pub label: String,
    /// The attack.
    pub attack: Component,
    /// Norm of the threat model.
    pub norm: Norm,
    /// Budgets, in the order of the tables.
    pub eps: Vec<Eps>,
    /// Which test rows, where they are not the suite's. Whoever calls [`crate::evaluate`] brings the rows along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub examples: Option<Selection>,
}
