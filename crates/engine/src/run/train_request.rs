//! One training outside a suite: `gauntlet train`.

use crate::run::desk::Desk;
use crate::run::runner::load;
use crate::train::overfitting;
use crate::{Context, Error, Events, Result, Row, Suite, TrainConfig};
use gauntlet_evaluate::{Component, Kind, Selection};
use gauntlet_records::{Flag, record::Epoch};
use serde_json::{Map, Value};
use std::path::PathBuf;

/// What is to be trained.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainRequest {
    /// Data set.
    pub data: String,
    /// Architecture: `name` and arguments.
    pub model: Map<String, Value>,
    /// Recipe in short form: the name of a base recipe or of a penalty on `ce`, and arguments.
    pub recipe: Map<String, Value>,
    /// Epochs, batch, optimiser, ...
    pub train: TrainConfig,
    /// Seed.
    pub seed: u64,
}

/// A finished training in the store.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainReport {
    /// Key in the store.
    pub key: String,
    /// The checkpoint.
    pub checkpoint: PathBuf,
    /// sha256 of its tensors.
    pub checkpoint_sha256: String,
    /// Training curve.
    pub curve: Vec<Epoch>,
    /// Wall seconds of the training, when it was done.
    pub seconds: f64,
    /// Multiplications of a step ÷ those of a step of `ce`.
    pub cost_relative_to_ce: Option<f64>,
    /// What the curve shows that a reader should know.
    pub flags: Vec<Flag>,
}

/// Trains one model, or finds it in the store; resumes where an earlier call was interrupted.
///
/// # Errors
/// Unknown names and wrong arguments; a loss that is not finite; [`Error::Interrupted`] after the state was saved; a
/// training that another process works on.
pub fn train(request: &TrainRequest, context: &Context<'_>, events: &dyn Events) -> Result<TrainReport> {
    let name = request.recipe.get("name").and_then(Value::as_str).unwrap_or("recipe").to_string();
    let suite = Suite {
        format: 1,
        name: "train".into(),
        notes: Vec::new(),
        data: request.data.clone(),
        model: Component::resolve(Kind::Model, context.registry, &request.model)?,
        seeds: vec![request.seed],
        train: request.train.clone(),
        examples: Selection::All,
        attack_seed: 0,
        carry: false,
        draws: 1,
        rows: vec![Row::short(&name, context.registry, &request.recipe)?],
        attacks: Vec::new(),
        expect: Vec::new(),
        quick: None,
    };
    let data = load(&suite, context)?;
    let suite = suite.settled(data.train.len())?;
    let desk = Desk::open(&suite, data, context, events)?;
    let (key, entry) = desk.checkpoint(&suite.rows[0], request.seed)?.ok_or_else(|| {
        Error::message("another process is at this very training; wait for it, or give another seed or store")
    })?;
    Ok(TrainReport {
        checkpoint: context.store.checkpoint(&key),
        key,
        checkpoint_sha256: entry.checkpoint_sha256,
        flags: overfitting::catastrophic(&entry.curve).into_iter().collect(),
        curve: entry.curve,
        seconds: entry.provenance.train_seconds,
        cost_relative_to_ce: entry.provenance.cost_relative_to_ce,
    })
}
