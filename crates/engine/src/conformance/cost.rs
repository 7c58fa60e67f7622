//! What a training step costs, beside a step of plain training.

use super::arguments::completed;
use super::subject::{SEED, batch, build, prepare, teacher};
use crate::{Result, TrainingStep, Tricks};
use candle_core::Device;
use gauntlet_autograd::kernels::{awake, work};
use gauntlet_core::Memory;
use gauntlet_core::optimiser::{Optimiser, OptimiserState};
use gauntlet_core::position::Position;
use gauntlet_core::{Batch, Key, Network, Precision, Purpose, Recipe, Registry, Target, Weights};
use gauntlet_evaluate::Kind;
use serde::Serialize;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Instant;

/// Steps of each that are timed, in turns.
const STEPS: usize = 7;

/// The cost of a step. Times are measured and never the same twice; the arithmetic is counted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepCost {
    /// Median time of a step ÷ median time of a step of `ce`, measured in turns.
    pub ratio: f64,
    /// Multiply-adds of a step ÷ those of a step of `ce` (3 U: a forward, and a backward worth two), counted on the calling thread.
    pub arithmetic: f64,
    /// Median time of a step, milliseconds.
    pub ms: f64,
    /// Median time of a step of `ce`, milliseconds.
    pub ce_ms: f64,
    /// Steps of each.
    pub steps: usize,
    /// Architecture.
    pub model: String,
    /// Examples per step.
    pub batch: usize,
    /// Threads.
    pub threads: usize,
}

/// Times whole training steps (optimiser included, f32, `examples` random images) of a recipe or penalty against steps
/// of `ce`, one of each in turns after two that are not counted.
///
/// # Errors
/// As [`super::conformance`]; a step that fails.
pub fn step_cost(
    registry: &Registry,
    kind: Kind,
    given: &Map<String, Value>,
    network: &Arc<dyn Network>,
    examples: usize,
) -> Result<StepCost> {
    let (given, _) = completed(registry, kind, given)?;
    let ce = build(registry, Kind::Recipe, &Map::from_iter([("name".to_string(), "ce".into())]))?;
    let ours = build(registry, kind, &given)?;
    let info = network.info();
    let images = batch(examples, info.input, info.classes, Precision::F32)?;
    let teacher = teacher(network, Precision::F32)?;
    let (mut plain, mut ours) =
        (Run::new(ce, network, &images, &teacher)?, Run::new(ours, network, &images, &teacher)?);
    let replays = ours.recipe.replays().max(1) as f64;
    awake(|| {
        let mut counted = [0u64; 2];
        let mut times = [Vec::new(), Vec::new()];
        for number in 0..STEPS + 2 {
            for (run, (counted, times)) in [&mut plain, &mut ours].into_iter().zip(counted.iter_mut().zip(&mut times)) {
                let (before, begun) = (work::flops(), Instant::now());
                run.step(network, &images, number as u32)?;
                *counted = work::flops() - before;
                if number >= 2 {
                    times.push(1e3 * begun.elapsed().as_secs_f64());
                }
            }
        }
        let [ce_ms, ms] = times.map(|mut t| {
            t.sort_by(f64::total_cmp);
            t[t.len() / 2]
        });
        Ok(StepCost {
            ratio: replays * ms / ce_ms,
            arithmetic: replays * counted[1] as f64 / counted[0] as f64,
            ms: replays * ms,
            ce_ms,
            steps: STEPS,
            model: info.name.clone(),
            batch: examples,
            threads: rayon::current_num_threads(),
        })
    })
}

/// One training on its way.
struct Run {
    recipe: Arc<dyn Recipe>,
    weights: Weights,
    memory: Memory,
    state: OptimiserState,
    teacher: Arc<dyn Target>,
}

impl Run {
    fn new(
        recipe: Arc<dyn Recipe>,
        network: &Arc<dyn Network>,
        images: &Batch,
        teacher: &Arc<dyn Target>,
    ) -> Result<Self> {
        let weights =
            Weights::init(&recipe.starting(network.specs()), Key::new(0, Purpose::Init), Precision::F32, &Device::Cpu)?;
        let memory = prepare(&*recipe, &**network, images, teacher.clone())?;
        Ok(Run { recipe, weights, memory, state: OptimiserState::default(), teacher: teacher.clone() })
    }

    fn step(&mut self, network: &Arc<dyn Network>, images: &Batch, number: u32) -> Result<()> {
        let optimiser = Optimiser::Sgd { lr: 1e-4, momentum: 0.0, nesterov: false, weight_decay: 0.0 };
        let teacher = Some(self.teacher.clone());
        let step = TrainingStep {
            network,
            recipe: &*self.recipe,
            optimiser: &optimiser,
            clip: None,
            teacher,
            graphs: None,
            tricks: &Tricks::NONE,
            mixed: None,
        };
        let at = Position { epoch: 1, epochs: 2, step: number, steps: STEPS as u32 + 2, replay: 0 };
        step.take(&mut self.weights, &mut self.state, &mut self.memory, images, (SEED, at, 1e-4))?.settle()?;
        Ok(())
    }
}
