//! One training outside a suite: `gauntlet train`.

use crate::event::Event;
use crate::run::inputs::{Inputs, load};
use crate::run::keys::Keys;
use crate::run::models::Models;
use crate::run::teller::Teller;
use crate::train::overfitting;
use crate::{Context, Error, Events, Result, Row, TrainConfig};
use gauntlet_evaluate::{Component, Kind};
use gauntlet_records::{Flag, record::Epoch};
use serde_json::{Map, Value};
use std::path::PathBuf;
use std::rc::Rc;

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
    let row = Row::short(&name, context.registry, &request.recipe)?;
    let model = Component::resolve(Kind::Model, context.registry, &request.model)?;
    let images = load(&request.data, context)?;
    let (train, test) = (images.train.len(), images.test.len());
    request.train.trains_on(&request.data, train)?;
    let config = request.train.settled(train);
    let held_out = config.validation;
    events.event(&Event::DataReady { data: &request.data, train, test, held_out });
    let shared = (&Rc::new(Inputs::new(images, context)), &Rc::new(Teller::new(events)));
    shared.0.network(&model, config.batch)?;
    let keys = Rc::new(Keys::new(shared, std::slice::from_ref(&row), &model, &config));
    let trained = Models::new(shared, &keys, None).checkpoint(&row, request.seed)?;
    let (key, entry) = trained.ok_or_else(|| {
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
