//! Modules of PyTorch that are trained here: by the graph that they were exported as.

use crate::failure::Failure;
use crate::process::own_threads;
use crate::progress::Listener;
use crate::registry;
use gauntlet::data::{Catalogue, LoadOptions};
use gauntlet::engine::{Context, Store, TrainConfig, TrainRequest};
use gauntlet::onnx::{Options, open};
use numpy::PyArray1;
use pyo3::prelude::*;
use serde_json::json;
use std::path::PathBuf;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;

/// A parameter: name, shape, values, whether it is trained.
type Parameter<'py> = (String, Vec<usize>, Bound<'py, PyArray1<f32>>, bool);

/// Parameters and buffers of an ONNX file, and what was done to its network.
#[pyfunction]
pub(crate) fn onnx_weights(py: Python<'_>, path: PathBuf) -> PyResult<(Vec<Parameter<'_>>, Vec<String>)> {
    let net = py.detach(|| open(&path, &Options::default())).map_err(Failure::from)?;
    let values = |(name, tensor, trained): (&str, &gauntlet::candle::Tensor, bool)| -> Result<_, Failure> {
        let flat = tensor.flatten_all()?.to_vec1::<f32>()?;
        Ok((name.to_string(), tensor.dims().to_vec(), PyArray1::from_vec(py, flat), trained))
    };
    let weights = net.weights.iter().map(values).collect::<Result<Vec<_>, Failure>>()?;
    Ok((weights, net.notes))
}

/// Trains a model (`name` and arguments as JSON) with a recipe (the same) and the keys of a suite's `[train]`, or takes up what the
/// store `runs` has of it; where the checkpoint lies and how it went, as JSON.
#[pyfunction]
#[pyo3(signature = (model, data, recipe, train, *, seed=0, runs, datasets=None, data_dir=None, progress=None))]
#[allow(clippy::too_many_arguments)]
pub(crate) fn train(
    py: Python<'_>,
    model: &str,
    data: String,
    recipe: &str,
    train: &str,
    seed: u64,
    runs: PathBuf,
    datasets: Option<PathBuf>,
    data_dir: Option<PathBuf>,
    progress: Option<Py<PyAny>>,
) -> PyResult<String> {
    own_threads(py)?;
    let registry = registry()?;
    let mut catalogue = Catalogue::default();
    if let Some(folder) = &datasets {
        catalogue.add_folder(folder);
    }
    let config = TrainConfig::load(train, registry, &catalogue)
        .map_err(|said| Failure::input(said.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))?;
    let request = TrainRequest {
        data,
        model: serde_json::from_str(model).map_err(Failure::from)?,
        recipe: serde_json::from_str(recipe).map_err(Failure::from)?,
        train: config,
        seed,
    };
    let interrupt = AtomicBool::new(false);
    let listener = Listener::new(progress.as_ref(), &interrupt);
    let done = py.detach(|| -> Result<_, Failure> {
        let mut context = Context::new(registry, &catalogue, Store::new(&runs), &interrupt);
        context.data = LoadOptions { data_dir, quiet: true, ..LoadOptions::default() };
        Ok(gauntlet::engine::train(&request, &context, &listener)?)
    });
    if let Some(error) = listener.raised.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(error);
    }
    let report = done?;
    let told = json!({
        "checkpoint": report.checkpoint, "seconds": report.seconds, "cost_relative_to_ce": report.cost_relative_to_ce,
        "curve": report.curve, "flags": report.flags,
    });
    Ok(told.to_string())
}
