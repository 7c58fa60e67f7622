//! The suite that a record is of, from the records of its folder alone.

use crate::store::change::changes;
use crate::suite::certification::CertifyEntry;
use crate::{CheckpointSource, Error, Monitor, Result, Row, Suite, Teacher, TrainConfig, Tricks};
use gauntlet_core::Registry;
use gauntlet_evaluate::{AttackEntry, Component, EVALUATOR_NUMERICS, Kind, Selection};
use gauntlet_records::{Eps, Record};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::path::PathBuf;

/// An attack as a record names it.
pub(crate) struct RecordedAttack {
    /// Heads its columns.
    pub(crate) label: String,
    /// How many columns it has.
    pub(crate) budgets: usize,
    /// `Err`: why this version cannot repeat it.
    pub(crate) entry: Result<AttackEntry>,
}

/// The suite as far as it concerns this record; the other records' rows may be its teachers and surrogates.
///
/// # Errors
/// A configuration that cannot be understood; a model that this version does not have, or of which it would get other
/// numbers.
pub(crate) fn recorded_suite(
    record: &Record,
    records: &[Record],
    registry: &Registry,
) -> Result<(Suite, Vec<RecordedAttack>)> {
    let configuration = &record.result.configuration;
    let (training, conditions) = (&configuration["training"], &configuration["evaluation"]);
    if conditions["numerics"] != EVALUATOR_NUMERICS {
        return Err(Error::message(format!(
            "this version of gauntlet evaluates differently: numerics of the evaluator were {} and are {EVALUATOR_NUMERICS}",
            conditions["numerics"]
        )));
    }
    let mut rows = vec![row(record, records)?];
    for other in records.iter().filter(|r| r.failed.is_none()) {
        if !rows.iter().any(|r| r.id == other.row) {
            // One that cannot be understood is missed only where it is needed.
            rows.extend(row(other, records).ok());
        }
    }
    let model: Component = read(&training["model"])?;
    let known = Component::resolve(Kind::Model, registry, &model.given())?;
    same_description(&training["model"], &known.describe())?;
    let attacks = attacks(record, registry)?;
    let suite = Suite {
        format: 1,
        name: record.suite.clone(),
        notes: Vec::new(),
        data: configuration["data"].as_str().unwrap_or_default().to_string(),
        model,
        seeds: vec![record.seed],
        train: if training["train"].is_null() { no_training(registry)? } else { read(&training["train"])? },
        // What is evaluated again is drawn from the record's own images.
        examples: Selection::All,
        attack_seed: read(&conditions["attack_seed"])?,
        carry: read(&conditions["carry"])?,
        draws: conditions["draws"].as_u64().map_or(1, |draws| draws as u32),
        rows,
        attacks: attacks.iter().filter_map(|a| a.entry.as_ref().ok().cloned()).collect(),
        certify: Vec::new(),
        expect: Vec::new(),
        quick: None,
    };
    Ok((suite, attacks))
}

/// A certification as a record describes it.
///
/// # Errors
/// One that this version would compute otherwise.
pub(crate) fn recorded_certification(described: &Value) -> Result<CertifyEntry> {
    let usual = gauntlet_certify::Budget::default();
    let certify = &described["certify"];
    let number = |key: &str, usual: usize| certify[key].as_u64().map_or(usual, |n| n as usize);
    let entry = CertifyEntry {
        label: String::new(),
        methods: read(&certify["methods"])?,
        nodes: number("nodes", usual.nodes),
        undecided: number("undecided", usual.most_undecided),
        executed: read(&certify["executed"])?,
        norm: read(&described["norm"])?,
        eps: read(&described["eps"])?,
        examples: None,
    };
    same_description(certify, &entry.describe())?;
    Ok(entry)
}

/// An error if this version would compute something else than what is recorded.
pub(crate) fn same_description(recorded: &Value, now: &Value) -> Result<()> {
    if recorded == now {
        return Ok(());
    }
    let changes = changes(recorded, now, "the trainer").join("; ");
    Err(Error::message(format!("this version of gauntlet computes something else: {changes}")))
}

fn attacks(record: &Record, registry: &Registry) -> Result<Vec<RecordedAttack>> {
    let mut attacks = Vec::new();
    let mut cells = record.result.attacked.iter();
    for described in record.result.configuration["attacks"].as_array().into_iter().flatten() {
        let recorded: Component = read(&described["attack"])?;
        let eps: Vec<Eps> = read(&described["eps"])?;
        let budgets = eps.len();
        let label = cells.by_ref().take(budgets).last().map_or_else(|| recorded.name.clone(), |c| c.attack.clone());
        let entry = || -> Result<AttackEntry> {
            let attack = Component::resolve(Kind::Attack, registry, &recorded.given())?;
            same_description(&described["attack"], &attack.describe())?;
            Ok(AttackEntry { label: label.clone(), attack, norm: read(&described["norm"])?, eps, examples: None })
        };
        let entry = entry();
        attacks.push(RecordedAttack { label, budgets, entry });
    }
    Ok(attacks)
}

/// A row as its record describes it.
fn row(record: &Record, records: &[Record]) -> Result<Row> {
    let configuration = &record.result.configuration;
    let training = &configuration["training"];
    let source = |text: &str| text.parse::<CheckpointSource>();
    let checkpoint = configuration["checkpoint"].as_str().map(source).transpose()?;
    let names = configuration["checkpoint_names"].as_str().map(PathBuf::from);
    let recipe = &training["recipe"];
    let base = if checkpoint.is_none() { Some(read(&recipe["base"])?) } else { None };
    let penalties: Result<Vec<Component>> = recipe["penalties"].as_array().into_iter().flatten().map(read).collect();
    let teacher = match configuration["teacher"].as_str() {
        Some(id) if records.iter().any(|r| r.row == id) => Some(Teacher::Row(id.to_string())),
        Some(text) => Some(Teacher::Checkpoint(source(text)?)),
        None => None,
    };
    let model = Some(read(&training["model"])?);
    let train = if training["train"].is_null() { None } else { Some(read(&training["train"])?) };
    Ok(Row {
        id: record.row.clone(),
        base,
        penalties: penalties?,
        checkpoint,
        names,
        teacher,
        model,
        train,
        note: None,
    })
}

/// For a checkpoint, which was not trained here: none of this is used.
fn no_training(registry: &Registry) -> Result<TrainConfig> {
    Ok(TrainConfig {
        epochs: 0,
        batch: 1,
        optimiser: read(&json!({ "name": "sgd", "lr": 0.1 }))?,
        schedule: read(&json!({ "name": "constant" }))?,
        augmentation: read(&json!("none"))?,
        validation: Some(0),
        clip: None,
        monitor: Monitor::at(registry, "0.1".parse()?)?,
        tricks: Tricks::NONE,
    })
}

fn read<T: DeserializeOwned>(value: &Value) -> Result<T> {
    serde_json::from_value(value.clone())
        .map_err(|e| Error::message(format!("the record's configuration cannot be understood: {e}")))
}
