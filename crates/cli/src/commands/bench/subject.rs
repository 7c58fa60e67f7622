//! What is timed: whole training steps on random images, and the parts that have a name.

use crate::arguments::BenchStep;
use crate::commands::attack::brings_weights;
use crate::component;
use crate::exit::Failure;
use crate::session::Session;
use candle_core::{Device, Tensor};
use gauntlet::Precision;
use gauntlet::core::Memory;
use gauntlet::core::optimiser::{Optimiser, OptimiserState};
use gauntlet::core::position::Position;
use gauntlet::core::{
    Batch, Compute, Frozen, Goal, Key, Network, Purpose, Recipe, Registry, Setup, Target, ThreatModel, Weights,
};
use gauntlet::engine::{Graphs, Row, TrainingStep, Tricks};
use gauntlet::records::Norm;
use serde_json::{Map, Value, json};
use std::sync::Arc;

const CLASSES: usize = 10;
const EPS: f64 = 0.1;
const ALPHA: f64 = 0.01;
const HERE: Position = Position { epoch: 0, epochs: 1, step: 0, steps: 1, replay: 0 };

/// What a bare name stands for where a parameter has no default.
fn usual(given: &mut Map<String, Value>) {
    let defaults = match given.get("name").and_then(Value::as_str) {
        Some("grad-norm") => json!({ "weight": 0.1 }),
        Some("direction-matching") => json!({ "weight": 0.1, "direction": "fixed" }),
        Some("fgsm-aug") => json!({ "eps": "0.1" }),
        Some("pgd-at") => json!({ "eps": "0.1", "attack": { "name": "pgd", "alpha": "0.01", "steps": 10 } }),
        _ => return,
    };
    if let (1, Value::Object(defaults)) = (given.len(), defaults) {
        given.extend(defaults);
    }
}

/// A recipe, or `ce` with a penalty.
fn recipe(registry: &Registry, text: &str) -> Result<Arc<dyn Recipe>, Failure> {
    let mut given = component::parse("recipe", text)?;
    usual(&mut given);
    Ok(Row::short("bench", registry, &given)?.build(registry)?)
}

/// Everything a step needs.
pub(super) struct Bench {
    network: Arc<dyn Network>,
    weights: Weights,
    batch: Batch,
    compute: Compute,
}

impl Bench {
    pub(super) fn new(session: &Session, arguments: &BenchStep) -> Result<Self, Failure> {
        let precision: Precision = arguments
            .dtype
            .parse()
            .map_err(|_| Failure::user(format!("--dtype must be f32 or f64, got {:?}", arguments.dtype)))?;
        let given = component::parse("model", &arguments.model)?;
        let (channels, side) = match given.get("name").and_then(Value::as_str) {
            Some("preactresnet18" | "wideresnet") => (3, 32),
            _ => (1, 28),
        };
        let side = arguments.side.map_or(side, |s| s.get());
        let (mut input, mut classes) = ((channels, side, side), CLASSES);
        if brings_weights(&arguments.model) {
            // The file says what it takes and gives.
            let net = gauntlet::onnx::imported(&session.registry, &given, arguments.side.map(|_| input))?;
            (input, classes) = (net.graph.interface().input, net.graph.interface().classes);
        }
        let (network, _) = session.registry.model(&given, input, classes)?;
        let device = session.compute.device();
        let weights = network.start(Key::new(0, Purpose::Init), precision, device)?;
        let n = arguments.batch.get();
        let make = || -> Result<Batch, gauntlet::core::Error> {
            let mut stream = Key::new(0, Purpose::Sample).stream(0, 0, 0);
            let (c, h, w) = input;
            let pixels: Vec<f64> = (0..n * c * h * w).map(|_| stream.uniform()).collect();
            Ok(Batch {
                x: Tensor::from_vec(pixels, (n, c, h, w), &Device::Cpu)?
                    .to_dtype(precision.dtype())?
                    .to_device(device)?,
                y: Tensor::from_vec((0..n as u32).map(|i| i % classes as u32).collect(), n, device)?,
                ids: (0..n as u64).collect(),
            })
        };
        Ok(Bench { network, weights, batch: make()?, compute: session.compute.clone() })
    }

    pub(super) fn model(&self) -> String {
        self.network.info().name.clone()
    }

    /// The step as a closure.
    pub(super) fn step<'a>(
        &'a mut self,
        registry: &Registry,
        name: &'a str,
    ) -> Result<Box<dyn FnMut() -> Result<(), Failure> + 'a>, Failure> {
        let Bench { network, weights, batch, compute } = self;
        let frozen = Frozen::new(network.clone(), weights.constants());
        if name == "forward" {
            return Ok(Box::new(move || {
                frozen.logits(&batch.x)?;
                Ok(compute.wait()?)
            }));
        }
        if name == "input-gradient" || name == "attack" {
            let given = json!({ "name": "ce" }).as_object().cloned().unwrap_or_default();
            let (objective, _) = registry.objective(&given)?;
            let labels: Vec<u32> = batch.y.to_vec1().map_err(gauntlet::core::Error::from)?;
            let threat = ThreatModel::new(Norm::Linf, EPS);
            let (clean, y) = (batch.x.clone(), batch.y.clone());
            let mut x = clean.clone();
            let alpha = vec![ALPHA; batch.ids.len()];
            return Ok(Box::new(move || {
                let linear = frozen.linearise(&x)?;
                if !x.device().is_cpu() {
                    // As the attacks of recipes do: nothing leaves the device.
                    let slope = gauntlet::autograd::cross_entropy_slope(linear.logits(), &y)
                        .map_err(gauntlet::core::Error::from)?;
                    let gradient = linear.pull(&slope)?;
                    if name == "attack" {
                        x = threat.step(&x, &clean, &gradient, &alpha)?;
                    }
                    return Ok(compute.wait()?);
                }
                let rows = gauntlet::core::attack::rows(linear.logits())?;
                let mut slopes = vec![0.0; rows.len() * rows[0].len()];
                for ((z, label), slope) in rows.iter().zip(&labels).zip(slopes.chunks_exact_mut(rows[0].len())) {
                    let goal = Goal { label: *label as usize, ..Goal::default() };
                    objective.ascend(z, &goal, slope);
                }
                let slope = Tensor::from_vec(slopes, linear.logits().dims(), &Device::Cpu)
                    .and_then(|s| s.to_dtype(x.dtype()))
                    .map_err(gauntlet::core::Error::from)?;
                let gradient = linear.pull(&slope)?;
                if name == "attack" {
                    x = threat.step(&x, &clean, &gradient, &alpha)?;
                }
                Ok(())
            }));
        }
        let recipe = recipe(registry, name)?;
        let mut memory = {
            let cpu = |t: &Tensor| t.to_device(&Device::Cpu).map_err(gauntlet::core::Error::from);
            let here = Batch { x: cpu(&batch.x)?, y: cpu(&batch.y)?, ids: batch.ids.clone() };
            let mut train = |visit: &mut dyn FnMut(&Batch) -> gauntlet::core::Result<()>| visit(&here);
            let mut setup = Setup {
                train: &mut train,
                model: network.info(),
                seed: 0,
                precision: Precision::of(&batch.x)?,
                teacher: None,
            };
            let memory = recipe.prepare(&mut setup)?;
            let there = |(name, t): (String, Tensor)| Ok((name, t.to_device(compute.device())?));
            memory.into_iter().map(there).collect::<Result<Memory, gauntlet::core::Error>>()?
        };
        let optimiser = match network.info().name.as_str() {
            "preactresnet18" | "wideresnet" => {
                Optimiser::Sgd { lr: 0.01, momentum: 0.9, nesterov: false, weight_decay: 5e-4 }
            }
            _ => Optimiser::Adam { lr: 1e-4, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0 },
        };
        let (mut state, graphs) = (OptimiserState::default(), Graphs::default());
        Ok(Box::new(move || {
            let step = TrainingStep {
                network,
                recipe: &*recipe,
                optimiser: &optimiser,
                clip: None,
                teacher: None,
                graphs: Some(&graphs),
                tricks: &Tricks::NONE,
                mixed: None,
            };
            let memory: &mut Memory = &mut memory;
            let taken = step.take(weights, &mut state, memory, batch, (0, HERE, optimiser.lr()))?;
            // On a GPU losses are read many steps later, and here not at all.
            drop(taken);
            Ok(compute.wait()?)
        }))
    }
}
