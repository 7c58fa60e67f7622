//! Attacks whose examples are crafted on another row's model.

use crate::runner::Desk;
use crate::store::TrainingEntry;
use crate::{AttackEntry, Result, Row, description};
use serde_json::Value;

/// What has to be known before an attack.
pub(crate) struct Prepared {
    /// Its part of the evaluation's key.
    pub(crate) described: Value,
    /// Key and entry of the training whose model examples are crafted on.
    pub(crate) crafted_on: Option<(String, TrainingEntry)>,
}

impl<'a> Desk<'a> {
    /// The row that an attack's examples are crafted on.
    fn surrogate(&self, attack: &AttackEntry) -> Result<Option<&'a Row>> {
        let (built, _) = self.context.registry.attack(&attack.attack.given())?;
        let Some(id) = built.surrogate() else { return Ok(None) };
        match self.suite.row(id) {
            Some(row) => Ok(Some(row)),
            None => Err(gauntlet_core::Error::value("transfer.surrogate", format!("no row is called {id:?}")).into()),
        }
    }

    /// An attack's part of a key: with a surrogate its weights too; `None` while those are not in the store.
    pub(crate) fn described(&self, attack: &AttackEntry, seed: u64) -> Result<Option<Value>> {
        let mut described = description::attack(attack);
        if let Some(row) = self.surrogate(attack)? {
            let Some(entry) = self.context.store.get_training(&self.training(row, seed).0)? else { return Ok(None) };
            described["surrogate_sha256"] = entry.checkpoint_sha256.into();
        }
        Ok(Some(described))
    }

    /// An attack's description and, with a surrogate, its training's key and entry; the surrogate is trained where it
    /// has to be. `None` while another process does that.
    pub(crate) fn prepare(
        &self,
        attack: &AttackEntry,
        row: &Row,
        seed: u64,
        entry: &TrainingEntry,
    ) -> Result<Option<Prepared>> {
        let crafted_on = match self.surrogate(attack)? {
            Some(other) if other.id == row.id => Some((self.training(row, seed).0, entry.clone())),
            Some(other) => match self.checkpoint(other, seed)? {
                Some(trained) => Some(trained),
                None => return Ok(None),
            },
            None => None,
        };
        Ok(self.described(attack, seed)?.map(|described| Prepared { described, crafted_on }))
    }
}
