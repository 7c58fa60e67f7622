//! Loss and gradients of a step as one recorded graph of a GPU, for recipes whose loss is the same function in every step.
//!
//! Weights stay what they are everywhere else, values that are replaced: the graph has buffers of its own, into which weights
//! and batch are copied first. Its results are read by the optimiser before it runs again.

use crate::train::step::{Computed, Of, Recorder, Taken, TrainingStep};
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};
use gauntlet_autograd::cuda::{Graph, overwrite_each, record};
use gauntlet_autograd::kernels::zeros_like;
use gauntlet_core::position::Position;
use gauntlet_core::{Batch, Step, Weights};
use std::sync::{Mutex, PoisonError};

/// Steps as usual before one is recorded: by then kernels are loaded and buffers are there.
const USUAL: u32 = 2;

/// The recorded step of one training, if it has one.
#[derive(Default)]
pub struct Graphs(Mutex<State>);

enum State {
    /// Steps of this batch's shape so far.
    Counted(Vec<usize>, u32),
    Never,
    Ready(Box<Recorded>),
}

impl Default for State {
    fn default() -> Self {
        State::Counted(Vec::new(), 0)
    }
}

struct Recorded {
    // Dropped first: nothing may run in the buffers when they go.
    graph: Graph,
    weights: Weights,
    batch: Batch,
    gradients: Vec<(String, Tensor)>,
    taken: Taken,
}

impl Graphs {
    /// Whether a step was recorded.
    pub fn recorded(&self) -> bool {
        matches!(*self.0.lock().unwrap_or_else(PoisonError::into_inner), State::Ready(_))
    }
}

impl Recorder for Graphs {
    fn step(&self, step: &TrainingStep<'_>, of: Of<'_>) -> Result<Option<Computed>> {
        let ((seed, position), weights, memory, batch) = of;
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if batch.x.device().is_cpu() || !step.recipe.repeats(&position) || matches!(*state, State::Never) {
            return Ok(None);
        }
        if let State::Counted(dims, count) = &mut *state {
            if dims != batch.x.dims() {
                (*dims, *count) = (batch.x.dims().to_vec(), 0);
            }
            *count += 1;
            if *count <= USUAL {
                return Ok(None);
            }
            *state = match Recorded::new(step, ((seed, position), weights, memory, batch))? {
                Some(recorded) => State::Ready(Box::new(recorded)),
                None => State::Never,
            };
        }
        match &*state {
            State::Ready(recorded) if recorded.batch.x.dims() == batch.x.dims() => {
                recorded.run(weights, batch, position).map(Some)
            }
            _ => Ok(None),
        }
    }
}

impl Recorded {
    fn new(step: &TrainingStep<'_>, ((seed, position), weights, memory, batch): Of<'_>) -> Result<Option<Self>> {
        let mut own = weights.clone();
        let names: Vec<String> = weights.iter().map(|(name, _, _)| name.to_string()).collect();
        for name in &names {
            own.set(name, zeros_like(weights.get(name)?)?)?;
        }
        let fixed = Batch {
            x: zeros_like(&batch.x)?,
            y: Tensor::zeros(batch.y.dims(), DType::U32, batch.y.device())?,
            ids: batch.ids.clone(),
        };
        // Where the results go: a buffer of the graph's own could not outlive its recording.
        let mut gradients = Vec::new();
        for (name, tensor, trained) in weights.iter() {
            if trained {
                gradients.push((name.to_string(), zeros_like(tensor)?));
            }
        }
        let total = zeros_like(&Tensor::zeros((), batch.x.dtype(), batch.x.device())?)?;
        let params = own.leaves();
        let mut terms = Vec::new();
        let mut compute = |terms: &mut Vec<(String, f64, Tensor)>| -> Result<()> {
            let mut current = Step::new(step.network.clone(), &params, &fixed, seed, position, memory)?;
            let loss = step.recipe.loss(&mut current)?;
            let taken = step.there(&loss, position)?;
            current.forget();
            if current.watched().is_some() {
                return Err(Error::message("a watched input"));
            }
            let found = step.gradients(loss, &params, &mut current)?;
            if !current.stats.is_empty() {
                return Err(Error::message("statistics that move"));
            }
            let mut results = taken.values(&total, terms)?;
            for (name, gradient) in &found {
                let Some((_, to)) = gradients.iter().find(|(known, _)| known == name) else {
                    return Err(Error::message("a gradient of something else"));
                };
                results.push((to.clone(), gradient.clone()));
            }
            let pairs: Vec<(&Tensor, &Tensor)> = results.iter().map(|(to, from)| (to, from)).collect();
            Ok(overwrite_each(&pairs)?)
        };
        // Once as usual, which makes the terms' buffers.
        if compute(&mut terms).is_err() {
            return Ok(None);
        }
        let device: &Device = batch.x.device();
        let recorded = record(device, || {
            compute(&mut terms).map_err(|error| gauntlet_autograd::Error::Gpu { op: "a step", why: error.to_string() })
        })?;
        let Some(graph) = recorded else { return Ok(None) };
        let taken = Taken::there(total, terms, step.recipe.name().to_string(), position);
        Ok(Some(Recorded { graph, weights: own, batch: fixed, gradients, taken }))
    }

    fn run(&self, weights: &Weights, batch: &Batch, position: Position) -> Result<Computed> {
        let mut pairs = vec![(&self.batch.x, &batch.x), (&self.batch.y, &batch.y)];
        for (name, to, _) in self.weights.iter() {
            pairs.push((to, weights.get(name)?));
        }
        overwrite_each(&pairs)?;
        self.graph.launch()?;
        Ok((self.taken.copied(position)?, self.gradients.clone()))
    }
}
