//! An attack with its budgets.

use crate::{Component, Kind, Result, Selection};
use gauntlet_core::Registry;
use gauntlet_records::{Eps, Norm};
use serde::{Deserialize, Serialize};
use serde_json::Value;

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

impl AttackEntry {
    /// An attack by its registered name, or by a table with its name and arguments, at these budgets; its name is its label.
    ///
    /// # Errors
    /// An unknown name or a wrong argument; a budget that cannot be read, or none.
    pub fn new(registry: &Registry, attack: impl Into<Value>, norm: Norm, eps: &[&str]) -> Result<Self> {
        let attack =
            Component::resolve(Kind::Attack, registry, &gauntlet_core::args::given("attack", &attack.into())?)?;
        let eps: Vec<Eps> = eps.iter().map(|e| e.parse()).collect::<gauntlet_records::Result<_>>()?;
        if eps.is_empty() {
            return Err(gauntlet_core::Error::value("eps", "at least one budget is needed").into());
        }
        Ok(AttackEntry { label: attack.name.clone(), attack, norm, eps, examples: None })
    }
}
