//! A recipe under examination, and what one step of it gives.

use super::arguments::params;
use super::network::{CLASSES, INPUT, Smooth};
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};
use gauntlet_autograd::{Graph, Var, grad};
use gauntlet_core::Memory;
use gauntlet_core::position::Position;
use gauntlet_core::recipe::Composed;
use gauntlet_core::{
    Batch, Frozen, Key, Network, Param, ParamSpec, Params, Precision, Purpose, Recipe, Registry, Setup, Step, Target,
    Weights,
};
use gauntlet_evaluate::Kind;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Seed of every draw.
pub(super) const SEED: u64 = 5;
/// Some step in the middle of a training: what grows has grown.
const HERE: Position = Position { epoch: 1, epochs: 3, step: 2, steps: 10, replay: 0 };

/// One recipe with its arguments.
pub(super) struct Subject<'a> {
    registry: &'a Registry,
    kind: Kind,
    pub(super) given: Map<String, Value>,
    pub(super) params: Vec<Param>,
    pub(super) recipe: Arc<dyn Recipe>,
    /// Divides pixels by nothing.
    pub(super) network: Arc<dyn Network>,
}

/// One term: name, weight, per-example values.
pub(super) type Values = (String, f64, Vec<f64>);

/// What one step gives.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    pub(super) total: f64,
    pub(super) terms: Vec<Values>,
    /// By the trained parameters, one after the other.
    pub(super) gradient: Vec<f64>,
}

impl<'a> Subject<'a> {
    pub(super) fn new(registry: &'a Registry, kind: Kind, given: &Map<String, Value>) -> Result<Self> {
        let params = params(registry, kind, given.get("name").and_then(Value::as_str).unwrap_or_default())?;
        let recipe = build(registry, kind, given)?;
        Ok(Subject { registry, kind, given: given.clone(), params, recipe, network: Arc::new(Smooth::new(1.0)) })
    }

    /// The same recipe, built again: a registry hands out what it has built, a clone of one has built nothing.
    pub(super) fn again(&self) -> Result<Subject<'a>> {
        let recipe = build(&self.registry.clone(), self.kind, &self.given)?;
        Ok(Subject { recipe, ..Subject::new(self.registry, self.kind, &self.given)? })
    }

    /// The same recipe with some arguments replaced.
    pub(super) fn with(&self, changes: impl IntoIterator<Item = (String, Value)>) -> Result<Subject<'a>> {
        let mut given = self.given.clone();
        given.extend(changes);
        Subject::new(self.registry, self.kind, &given)
    }

    /// Plain training.
    pub(super) fn ce(&self) -> Result<Subject<'a>> {
        Subject::new(self.registry, Kind::Recipe, &Map::from_iter([("name".to_string(), "ce".into())]))
    }

    pub(super) fn name(&self) -> &str {
        self.given.get("name").and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether it is a penalty, which stands on `ce`.
    pub(super) fn is_penalty(&self) -> bool {
        self.kind == Kind::Penalty
    }

    pub(super) fn weights(&self) -> Result<Weights> {
        let own = self.network.specs();
        let is_own = |spec: &ParamSpec| own.iter().any(|o| o.name == spec.name);
        let added = self.recipe.starting(own.clone()).into_iter().filter(|spec| !is_own(spec));
        // Recipes are compared with one another: all begin with the same weights.
        let specs: Vec<ParamSpec> = own.iter().cloned().chain(added).collect();
        Ok(Weights::init(&specs, Key::new(2, Purpose::Init), Precision::F64, &Device::Cpu)?)
    }

    /// What the recipe remembers of a training set of twelve images.
    pub(super) fn memory(&self, network: &dyn Network, precision: Precision) -> Result<Memory> {
        let images = batch(12, INPUT, CLASSES, precision)?;
        prepare(&*self.recipe, network, &images, teacher(&self.network, precision)?)
    }

    /// The loss at these parameters: its total, and its terms.
    pub(super) fn loss(
        &self,
        network: &Arc<dyn Network>,
        params: &Params,
        batch: &Batch,
        memory: &mut Memory,
    ) -> Result<(Var, Vec<Values>)> {
        let mut step = Step::new(network.clone(), params, batch, SEED, HERE, memory)?
            .taught_by(Some(teacher(&self.network, Precision::of(&batch.x)?)?));
        let loss = self.recipe.loss(&mut step)?;
        let mut terms = Vec::new();
        for (name, weight, values) in &loss.terms {
            let values: Vec<f64> = values.flatten_all()?.to_dtype(DType::F64)?.to_vec1()?;
            terms.push((name.to_string(), *weight, values));
        }
        Ok((loss.total, terms))
    }

    /// The mean of one term at these parameters, unweighted.
    pub(super) fn term(&self, which: &str, params: &Params, batch: &Batch, memory: &mut Memory) -> Result<Var> {
        let mut step = Step::new(self.network.clone(), params, batch, SEED, HERE, memory)?
            .taught_by(Some(teacher(&self.network, Precision::of(&batch.x)?)?));
        let terms = self.recipe.terms(&mut step)?;
        let term = terms.into_iter().find(|t| t.name == which);
        let term = term.ok_or_else(|| Error::message(format!("the loss has a term {which:?}, `terms` has none")))?;
        Ok(term.values.mean_all()?)
    }

    /// One step from a fresh memory.
    pub(super) fn step(&self, network: &Arc<dyn Network>, weights: &Weights, batch: &Batch) -> Result<Seen> {
        let params = weights.leaves();
        let mut memory = self.memory(&**network, Precision::of(&batch.x)?)?;
        let (total, terms) = self.loss(network, &params, batch, &mut memory)?;
        let leaves: Vec<&Var> = params.trained().map(|(_, v)| v).collect();
        let mut gradient = Vec::new();
        for g in gradients(&total, &leaves)? {
            gradient.extend(g.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>()?);
        }
        let total = total.tensor().to_dtype(DType::F64)?.sum_all()?.to_scalar()?;
        Ok(Seen { total, terms, gradient })
    }

    /// One step of the whole batch at the initial weights.
    pub(super) fn here(&self) -> Result<Seen> {
        self.step(&self.network, &self.weights()?, &batch(8, INPUT, CLASSES, Precision::F64)?)
    }
}

/// A recipe, or `ce` plus a penalty.
pub(super) fn build(registry: &Registry, kind: Kind, given: &Map<String, Value>) -> Result<Arc<dyn Recipe>> {
    if kind == Kind::Recipe {
        return Ok(registry.recipe(given)?.0);
    }
    let (base, _) = registry.recipe(&Map::from_iter([("name".to_string(), "ce".into())]))?;
    let (penalty, _) = registry.penalty(given)?;
    let name = format!("ce + {}", penalty.name());
    Ok(Arc::new(Composed { base, penalties: vec![penalty], name }))
}

/// Gradients of what is reached, zeros for the rest: `reach` is a check of its own.
fn gradients(total: &Var, leaves: &[&Var]) -> Result<Vec<Tensor>> {
    let lost = match grad(total, leaves, Graph::Free) {
        Ok(all) => return Ok(all.into_iter().map(|g| g.tensor().clone()).collect()),
        Err(gauntlet_autograd::Error::Unreached { positions }) => positions,
        Err(other) => return Err(other.into()),
    };
    let reached: Vec<&Var> = (0..leaves.len()).filter(|i| !lost.contains(i)).map(|i| leaves[i]).collect();
    let mut found = grad(total, &reached, Graph::Free)?.into_iter();
    (0..leaves.len())
        .map(|i| match if lost.contains(&i) { None } else { found.next() } {
            Some(g) => Ok(g.tensor().clone()),
            None => Ok(leaves[i].tensor().zeros_like()?),
        })
        .collect()
}

/// A teacher: the same architecture, frozen at other random weights.
pub(super) fn teacher(network: &Arc<dyn Network>, precision: Precision) -> Result<Arc<dyn Target>> {
    let weights = Weights::init(&network.specs(), Key::new(3, Purpose::Init), precision, &Device::Cpu)?;
    Ok(Arc::new(Frozen::new(network.clone(), weights.constants())))
}

/// Lets a recipe look at a training set.
pub(super) fn prepare(
    recipe: &dyn Recipe,
    network: &dyn Network,
    images: &Batch,
    teacher: Arc<dyn Target>,
) -> Result<Memory> {
    let mut train = |visit: &mut dyn FnMut(&Batch) -> gauntlet_core::Result<()>| visit(images);
    let precision = Precision::of(&images.x)?;
    let mut setup = Setup { train: &mut train, model: network.info(), seed: SEED, precision, teacher: Some(teacher) };
    Ok(recipe.prepare(&mut setup)?)
}

/// Random images, labels in turn.
pub(super) fn batch(
    n: usize,
    (channels, height, width): (usize, usize, usize),
    classes: usize,
    precision: Precision,
) -> Result<Batch> {
    let pixels = (0..n as u64).flat_map(|id| {
        let mut stream = Key::new(11, Purpose::Sample).stream(id, 0, 0);
        (0..channels * height * width).map(move |_| stream.uniform())
    });
    let pixels: Vec<f64> = pixels.collect();
    let labels: Vec<u32> = (0..n).map(|i| (i % classes) as u32).collect();
    Ok(Batch {
        x: Tensor::from_vec(pixels, (n, channels, height, width), &Device::Cpu)?.to_dtype(precision.dtype())?,
        y: Tensor::from_vec(labels, n, &Device::Cpu)?,
        ids: (0..n as u64).collect(),
    })
}
