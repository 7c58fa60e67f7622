//! What names an evaluation: the conditions of a suite, a checkpoint's weights, an attack.

use crate::run::attempt::of_all;
use crate::run::keys::Keys;
use crate::store::description::{self, Conditions};
use crate::suite::certification::CertifyEntry;
use crate::{Context, Images, Result, Row, Suite, fingerprint};
use gauntlet_evaluate::AttackEntry;
use serde_json::{Value, json};
use std::rc::Rc;

/// Keys of a suite's evaluations.
pub(crate) struct EvaluationKeys<'a> {
    suite: &'a Suite,
    keys: Rc<Keys<'a>>,
    /// What all of them share.
    pub(crate) conditions: Value,
}

impl<'a> EvaluationKeys<'a> {
    pub(crate) fn new(suite: &'a Suite, images: &Images, keys: &Rc<Keys<'a>>) -> Self {
        let context: &Context<'_> = keys.context;
        let conditions = Conditions {
            data_sha256: &images.test.sha256(),
            examples: &suite.covered(),
            attack_seed: suite.attack_seed,
            carry: suite.carry,
            draws: suite.draws,
            compute: &context.compute,
            precision: context.precision,
        };
        EvaluationKeys { suite, keys: keys.clone(), conditions: conditions.describe() }
    }

    /// Key and description of an evaluation of a row's checkpoint; `attack` is null for the clean pass.
    pub(crate) fn evaluation(&self, row: &'a Row, checkpoint_sha256: &str, attack: &Value) -> (String, Value) {
        let model = self.keys.model(row).describe();
        let description = description::evaluation(&self.conditions, &model, checkpoint_sha256, attack);
        (fingerprint(&description), description)
    }

    /// The row that an attack's examples are crafted on.
    pub(crate) fn surrogate(&self, attack: &AttackEntry) -> Result<Option<&'a Row>> {
        let (plan, _) = self.keys.context.registry.plan(&attack.attack.given())?;
        let Some(id) = plan.surrogate() else { return Ok(None) };
        match self.suite.row(id) {
            Some(row) => Ok(Some(row)),
            None => Err(gauntlet_core::Error::value("transfer.surrogate", format!("no row is called {id:?}")).into()),
        }
    }

    /// An attack's part of a record's configuration and, without its examples, of its key.
    pub(crate) fn attack(&self, attack: &AttackEntry) -> Value {
        let mut described = description::attack(attack);
        if let Some(own) = self.suite.own(attack) {
            described["examples"] = json!(own);
        }
        described
    }

    /// A certification's part of a key, and of a record's configuration; `attacks`: those whose broken examples it does not search.
    pub(crate) fn certification(&self, entry: &CertifyEntry, attacks: Vec<Value>) -> Value {
        let mut described = json!({ "certify": entry.describe(), "norm": entry.norm, "eps": entry.eps });
        if !attacks.is_empty() {
            described["beside"] = attacks.into();
        }
        if let Some(own) = self.suite.own_of(entry.examples) {
            described["examples"] = json!(own);
        }
        described
    }

    /// An attack's part of a key: with a surrogate its weights too; `None` while those are not in the store.
    pub(crate) fn described(&self, attack: &AttackEntry, seed: u64) -> Result<Option<Value>> {
        let mut described = self.attack(attack);
        if let Some(row) = self.surrogate(attack)? {
            let Some(sha256) = self.keys.sha256(row, seed)? else { return Ok(None) };
            described["surrogate_sha256"] = sha256.into();
            if let Some(model) = &row.model {
                described["surrogate_model"] = model.describe();
            }
        }
        Ok(Some(described))
    }

    /// Like [`EvaluationKeys::described`], and `None` where the surrogate's checkpoint cannot be read: the attack itself
    /// says so.
    pub(crate) fn describable(&self, attack: &AttackEntry, seed: u64) -> Result<Option<Value>> {
        match self.described(attack, seed) {
            Err(error) if !of_all(&error) => Ok(None),
            described => described,
        }
    }
}
