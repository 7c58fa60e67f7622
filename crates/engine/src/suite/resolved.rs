//! A suite: what is trained on what, and what attacks it.

use crate::suite::certification::CertifyEntry;
use crate::{CheckpointSource, Quick, Teacher, TrainConfig};
use gauntlet_core::recipe::Composed;
use gauntlet_core::{Recipe, Registry};
use gauntlet_evaluate::{AttackEntry, Component, Kind, Selection};
use gauntlet_records::Expectation;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::sync::Arc;

/// A suite file, resolved: every name looked up, every default filled in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Suite {
    /// Version of the file format, 1.
    pub format: u32,
    /// Name of the suite, of its report's folder and of `runs/suites/<name>.json`.
    pub name: String,
    /// What readers of the report should know.
    pub notes: Vec<String>,
    /// Data set.
    pub data: String,
    /// Architecture of every row that does not say otherwise.
    pub model: Component,
    /// Training seeds; every row is trained once with each. A checkpoint stands under the first.
    pub seeds: Vec<u64>,
    /// How rows are trained.
    pub train: TrainConfig,
    /// Which test rows are attacked, unless an attack has its own.
    pub examples: Selection,
    /// Seed of the attacks: the same for all rows, so that rows are paired.
    pub attack_seed: u64,
    /// An example broken at a smaller ε counts as broken at the larger ones and is not run again.
    pub carry: bool,
    /// Forwards that a proposal is judged on: above 1 for randomised models. The first decides, the record counts those
    /// that misclassify.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub draws: u32,
    /// Recipes, in the order of the tables.
    pub rows: Vec<Row>,
    /// Attacks, in the order of the tables.
    pub attacks: Vec<AttackEntry>,
    /// What is proved beside the attacks, in the order of the tables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certify: Vec<CertifyEntry>,
    /// Published numbers, and where ours should lie.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<Expectation>,
    /// The smaller version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quick: Option<Quick>,
}

fn once() -> u32 {
    1
}

fn is_once(draws: &u32) -> bool {
    *draws == 1
}

/// One row of the tables: a recipe with its hyper-parameters, or somebody's checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Unique in the suite.
    pub id: String,
    /// Base recipe; a checkpoint has none.
    pub base: Option<Component>,
    /// Penalties added to it.
    pub penalties: Vec<Component>,
    /// Weights that are not trained here: a file, or one of the hub's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<CheckpointSource>,
    /// File with the names of the checkpoint's tensors, in the order of the model's parameters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<PathBuf>,
    /// Whom the recipe learns from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teacher: Option<Teacher>,
    /// Architecture, where it is not the suite's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Component>,
    /// How it is trained, where that is not as the suite says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train: Option<TrainConfig>,
    /// What readers of the report should know about it.
    pub note: Option<String>,
}

impl Suite {
    /// The row of that id.
    pub fn row(&self, id: &str) -> Option<&Row> {
        self.rows.iter().find(|r| r.id == id)
    }

    /// The test rows of all attacks together, and the suite's own: those that the clean pass covers.
    pub fn covered(&self) -> Vec<Selection> {
        let own = self.attacks.iter().map(|a| a.examples).chain(self.certify.iter().map(|c| c.examples)).flatten();
        Selection::union(std::iter::once(self.examples).chain(own))
    }

    /// The test rows of an attack, where they are not those of all attacks together.
    pub(crate) fn own(&self, attack: &AttackEntry) -> Option<Selection> {
        self.own_of(attack.examples)
    }

    /// Likewise of whatever has these test rows of its own, or the suite's.
    pub(crate) fn own_of(&self, examples: Option<Selection>) -> Option<Selection> {
        let own = examples.unwrap_or(self.examples);
        (self.covered() != [own]).then_some(own)
    }

    /// Puts one choice of test rows in the place of the suite's and of its attacks' own.
    pub fn select(&mut self, examples: Selection) {
        self.examples = examples;
        self.attacks.iter_mut().for_each(|a| a.examples = None);
        self.certify.iter_mut().for_each(|c| c.examples = None);
    }

    /// How a row is trained.
    pub fn training<'s>(&'s self, row: &'s Row) -> &'s TrainConfig {
        row.train.as_ref().unwrap_or(&self.train)
    }

    /// The suite on a training split of `rows` rows: what depends on their number is settled.
    ///
    /// # Errors
    /// A row that is to be trained where nothing is left to train on.
    pub fn settled(&self, rows: usize) -> gauntlet_core::Result<Suite> {
        for row in self.rows.iter().filter(|r| r.checkpoint.is_none()) {
            self.training(row).trains_on(&self.data, rows)?;
        }
        let own = |row: &Row| Row { train: row.train.as_ref().map(|train| train.settled(rows)), ..row.clone() };
        let each = self.rows.iter().map(own).collect();
        Ok(Suite { train: self.train.settled(rows), rows: each, ..self.clone() })
    }
}

impl Row {
    /// From the short form: the name of a base recipe, or of a penalty, which is then added to `ce`.
    ///
    /// # Errors
    /// A name that is neither (with the nearest of both), an unknown or missing argument.
    pub fn short(id: &str, registry: &Registry, given: &Map<String, Value>) -> gauntlet_core::Result<Row> {
        let name = given.get("name").and_then(Value::as_str).unwrap_or_default();
        let row = |base, penalties| Row { id: id.to_string(), base: Some(base), penalties, ..Row::default() };
        if registry.recipes.contains(name) {
            return Ok(row(Component::resolve(Kind::Recipe, registry, given)?, vec![]));
        }
        if registry.penalties.contains(name) {
            let base = Component::named(Kind::Recipe, registry, "ce")?;
            return Ok(row(base, vec![Component::resolve(Kind::Penalty, registry, given)?]));
        }
        let known: Vec<String> = registry.recipes.names().into_iter().chain(registry.penalties.names()).collect();
        Err(gauntlet_core::Error::unknown("recipe", name, known.iter().map(String::as_str)))
    }

    /// Its id and the names of base and penalties.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.id.as_str()).chain(self.components().map(|c| c.name.as_str()))
    }

    /// Base and penalties.
    pub fn components(&self) -> impl Iterator<Item = &Component> {
        self.base.iter().chain(&self.penalties)
    }

    /// Builds the recipe anew: a plug-in's may have state, which must not go from one training to another.
    ///
    /// # Errors
    /// An argument outside its domain; a checkpoint, which has no recipe.
    pub fn build(&self, registry: &Registry) -> gauntlet_core::Result<Arc<dyn Recipe>> {
        let Some(base) = &self.base else {
            return Err(gauntlet_core::Error::value("row", format!("{:?} has no recipe to train with", self.id)));
        };
        let registry = registry.clone();
        let (base, _) = registry.recipe(&base.given())?;
        if self.penalties.is_empty() {
            return Ok(base);
        }
        let penalties = self
            .penalties
            .iter()
            .map(|p| Ok(registry.penalty(&p.given())?.0))
            .collect::<gauntlet_core::Result<Vec<_>>>()?;
        let names: Vec<&str> = self.components().map(|c| c.name.as_str()).collect();
        Ok(Arc::new(Composed { base, penalties, name: names.join(" + ") }))
    }

    /// Base and penalties: what a training's key holds of a row's recipe.
    pub fn describe(&self) -> Value {
        let penalties: Vec<Value> = self.penalties.iter().map(Component::describe).collect();
        json!({ "base": self.base.as_ref().map(Component::describe), "penalties": penalties })
    }
}
