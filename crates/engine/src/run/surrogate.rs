//! Attacks whose examples are crafted on another row's model.

use crate::run::desk::{Desk, of_all};
use crate::store::results::TrainingEntry;
use crate::{Result, Row};
use gauntlet_core::Frozen;
use gauntlet_evaluate::AttackEntry;
use serde_json::Value;

/// What has to be known before an attack.
pub(crate) struct Prepared<'a> {
    /// Its part of the evaluation's key.
    pub(crate) described: Value,
    /// Row, key and entry of the training whose model examples are crafted on.
    pub(crate) crafted_on: Option<CraftedOn<'a>>,
}

/// Row, key and entry of a surrogate's training.
type CraftedOn<'a> = (&'a Row, String, TrainingEntry);

impl<'a> Desk<'a> {
    /// The row that an attack's examples are crafted on.
    pub(crate) fn surrogate(&self, attack: &AttackEntry) -> Result<Option<&'a Row>> {
        let (built, _) = self.context.registry.attack(&attack.attack.given())?;
        let Some(id) = built.surrogate() else { return Ok(None) };
        match self.suite.row(id) {
            Some(row) => Ok(Some(row)),
            None => Err(gauntlet_core::Error::value("transfer.surrogate", format!("no row is called {id:?}")).into()),
        }
    }

    /// An attack's part of a key: with a surrogate its weights too; `None` while those are not in the store.
    pub(crate) fn described(&self, attack: &AttackEntry, seed: u64) -> Result<Option<Value>> {
        let mut described = self.attack_description(attack);
        if let Some(row) = self.surrogate(attack)? {
            let Some(sha256) = self.sha256(row, seed)? else { return Ok(None) };
            described["surrogate_sha256"] = sha256.into();
            if let Some(model) = &row.model {
                described["surrogate_model"] = model.describe();
            }
        }
        Ok(Some(described))
    }

    /// Like [`Desk::described`], and `None` where the surrogate's checkpoint cannot be read: the attack itself says so.
    pub(crate) fn describable(&self, attack: &AttackEntry, seed: u64) -> Result<Option<Value>> {
        match self.described(attack, seed) {
            Err(error) if !of_all(&error) => Ok(None),
            described => described,
        }
    }

    /// The surrogate with its weights.
    pub(crate) fn crafted_on(&self, training: Option<&CraftedOn<'a>>) -> Result<Option<Frozen>> {
        let Some((row, key, entry)) = training else { return Ok(None) };
        Ok(Some(self.context.frozen(self.network(row)?, &self.weights(row, key, entry)?)?))
    }

    /// An attack's description and, with a surrogate, its training's key and entry; the surrogate is trained where it
    /// has to be. `None` while another process does that.
    pub(crate) fn prepare(
        &self,
        attack: &AttackEntry,
        row: &'a Row,
        seed: u64,
        (key, entry): (&str, &TrainingEntry),
    ) -> Result<Option<Prepared<'a>>> {
        let crafted_on = match self.surrogate(attack)? {
            Some(other) if other.id == row.id => Some((other, key.to_string(), entry.clone())),
            Some(other) => match self.checkpoint(other, seed)? {
                Some((key, entry)) => Some((other, key, entry)),
                None => return Ok(None),
            },
            None => None,
        };
        Ok(self.described(attack, seed)?.map(|described| Prepared { described, crafted_on }))
    }
}
