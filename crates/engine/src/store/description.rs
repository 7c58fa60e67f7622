//! What the numbers of a training or an evaluation depend on: canonical JSON whose sha256 is the store's key.

use crate::fingerprint;
use crate::{Row, TRAINER_NUMERICS, TrainConfig};
use gauntlet_core::Compute;
use gauntlet_core::Precision;
use gauntlet_evaluate::{AttackEntry, Component, EVALUATOR_NUMERICS, Selection};
use gauntlet_records::{Attacked, Record};
use serde_json::{Value, json};

/// Version of how the referee judges over several draws; 2: what some draw refutes goes on, the best proposal is judged anew.
const DRAWS_NUMERICS: u32 = 2;

/// A training: decoded data, model, recipe, optimiser, schedule, batch, seed, device kind, dtype, numerics.
pub(crate) fn training(
    data_sha256: &str,
    model: &Component,
    row: &Row,
    config: &TrainConfig,
    seed: u64,
    (compute, precision): (&Compute, Precision),
) -> Value {
    json!({
        "data_sha256": data_sha256,
        "model": model.describe(),
        "recipe": row.describe(),
        "train": config,
        "seed": seed,
        "device": compute.kind(),
        "dtype": precision.name(),
        "numerics": TRAINER_NUMERICS,
    })
}

/// A checkpoint that is there already: its weights and model, wherever they came from.
pub(crate) fn checkpoint(sha256: &str, model: &Component, precision: Precision) -> Value {
    json!({ "checkpoint_sha256": sha256, "model": model.describe(), "dtype": precision.name() })
}

/// What all evaluations of one suite share.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conditions<'a> {
    pub(crate) data_sha256: &'a str,
    /// Of all attacks together.
    pub(crate) examples: &'a [Selection],
    pub(crate) attack_seed: u64,
    pub(crate) carry: bool,
    pub(crate) draws: u32,
    pub(crate) compute: &'a Compute,
    pub(crate) precision: Precision,
}

impl Conditions<'_> {
    /// Part of a record's configuration, and of every evaluation's description.
    pub(crate) fn describe(&self) -> Value {
        let mut described = json!({
            "data_sha256": self.data_sha256,
            "examples": Selection::describe(self.examples),
            "attack_seed": self.attack_seed,
            "carry": self.carry,
            "device": self.compute.kind(),
            "dtype": self.precision.name(),
            "numerics": EVALUATOR_NUMERICS,
        });
        if self.draws > 1 {
            described["draws"] = self.draws.into();
            described["judging"] = DRAWS_NUMERICS.into();
        }
        described
    }
}

/// An attack with its budgets, without its label: two suites that call it differently share the result.
pub(crate) fn attack(entry: &AttackEntry) -> Value {
    json!({ "attack": entry.attack.describe(), "norm": entry.norm, "eps": entry.eps })
}

/// An evaluation of a checkpoint; `attack` is null for the clean pass. The model stands beside the checkpoint because
/// an activation or a normalisation is no weight. An attack's own `examples` are a condition like the suite's: so two suites
/// share a result, whichever of the two says them.
pub(crate) fn evaluation(conditions: &Value, model: &Value, checkpoint_sha256: &str, attack: &Value) -> Value {
    let (mut conditions, mut attack) = (conditions.clone(), attack.clone());
    if let Some(own) = attack.as_object_mut().and_then(|a| a.remove("examples")) {
        conditions["examples"] = own;
    }
    json!({
        "conditions": conditions,
        "model": model,
        "checkpoint_sha256": checkpoint_sha256,
        "attack": attack,
    })
}

/// A record's strongest attacks, one for each norm, with the keys of their evaluations.
pub(crate) fn strongest(record: &Record) -> Vec<(String, &Attacked)> {
    let described = |cell: &Attacked| {
        let same = |a: &&Value| {
            let mut eps = a["eps"].as_array().into_iter().flatten();
            a["attack"] == cell.parameters
                && a.get("examples").is_some() == cell.examples.is_some()
                && a["norm"] == cell.norm.to_string()
                && eps.any(|e| *e == cell.eps.to_string())
        };
        record.result.configuration["attacks"].as_array()?.iter().find(same)
    };
    let strongest = record.result.strongest().into_iter();
    strongest.filter_map(|cell| Some((place(record, described(cell)?), cell))).collect()
}

/// The key of a record's evaluation under an attack.
pub(crate) fn place(record: &Record, attack: &Value) -> String {
    let configuration = &record.result.configuration;
    let (conditions, model) = (&configuration["evaluation"], &configuration["training"]["model"]);
    fingerprint(&evaluation(conditions, model, &record.result.checkpoint_sha256, attack))
}
