//! The trainer: one recipe, one network, one seed.

use crate::event::{Event, Events, Part};
use crate::examples_of;
use crate::train::clock::{Clock, sum};
use crate::train::recorded::Graphs;
use crate::train::resident::Resident;
use crate::train::state::{Progress, TrainingState};
use crate::train::step::{Taken, TrainingStep};
use crate::{Error, Result, TrainConfig, Tricks};
use candle_core::{Device, Tensor};
use gauntlet_autograd::kernels::{awake, work};
use gauntlet_core::optimiser::OptimiserState;
use gauntlet_core::position::Position;
use gauntlet_core::{
    Answers, Batch, Compute, Frozen, Key, Mixed, Network, Precision, Purpose, Recipe, Registry, Setup, Target, Weights,
};
use gauntlet_data::Split;
use gauntlet_evaluate::Examples;
use gauntlet_records::record::{Epoch, MONITORED_TRAIN_ROWS};
use serde_json::Map;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often the state is written between epochs.
const SAVE_EVERY: Duration = Duration::from_secs(60);
/// Images in one batch of [`Setup::train`]; bounds memory.
const SETUP_CHUNK: usize = 1024;

/// Steps on a GPU whose losses are read together: to read one is to wait for it.
const LAG: usize = 32;

/// A step whose losses are still to be read.
struct Pending {
    epoch: u32,
    step: u32,
    examples: u64,
    replays: Vec<Taken>,
}

/// A training: everything its numbers depend on, and the switches that change none.
pub struct TrainingJob<'a> {
    /// The model.
    pub network: Arc<dyn Network>,
    /// The objective.
    pub recipe: Arc<dyn Recipe>,
    /// The trained model that the row names as its teacher.
    pub teacher: Option<Arc<dyn Target>>,
    /// Training split; its last `config.validation` rows are held out.
    pub train: &'a Split,
    /// The images of `config.tricks.extra`.
    pub extra: Option<Arc<Split>>,
    /// Epochs, batch, optimiser, schedule, ...
    pub config: &'a TrainConfig,
    /// Seed of initial weights, order, augmentation and the recipe's draws.
    pub seed: u64,
    /// f32 or f64.
    pub precision: Precision,
    /// Where it is trained.
    pub compute: &'a Compute,
    /// Where the monitor's attack comes from.
    pub registry: &'a Registry,
    /// Slots of the monitor.
    pub width: usize,
    /// Set to stop at the next step.
    pub interrupt: &'a AtomicBool,
    /// What events call this training.
    pub part: Part<'a>,
}

/// A finished training.
#[derive(Debug, Clone)]
pub struct Trained {
    /// The weights that are to be measured: the last epoch's, unless the configuration says otherwise.
    pub weights: Weights,
    /// One entry per epoch.
    pub curve: Vec<Epoch>,
    /// Wall seconds, all processes together.
    pub seconds: f64,
    /// CPU seconds, user and system, all processes together; `None` where the system does not tell.
    pub cpu_seconds: Option<f64>,
    /// How often it was taken up again.
    pub resumed: u32,
    /// Multiplications of the first step, replays included, ÷ those of a step of `ce` (`None`: there is no `ce`).
    pub cost_relative_to_ce: Option<f64>,
}

impl TrainingJob<'_> {
    /// Trains to the end. With `state = (file, key)`, goes on from that file if it is there, and keeps it up to date:
    /// the result is the same, bit for bit, as without the interruption.
    ///
    /// # Errors
    /// A loss, term or gradient that is not finite (with step, terms and a hint), parameters that the loss does not
    /// reach (by name), [`Error::Interrupted`] after the state was saved.
    pub fn run(&self, state: Option<(&Path, &str)>, events: &dyn Events) -> Result<Trained> {
        // On a GPU nothing is computed here that threads could stay awake for.
        if self.compute.is_gpu() { self.train(state, events) } else { awake(|| self.train(state, events)) }
    }

    fn train(&self, state: Option<(&Path, &str)>, events: &dyn Events) -> Result<Trained> {
        if self.network.answers() != Answers::Gradients {
            let why = "tells no gradients, so nothing of it can be trained";
            return Err(gauntlet_core::Error::Message(format!("{} {why}", self.network.info().name)).into());
        }
        let rows = self.rows()?;
        let own = self.config.own().max(1);
        let steps = rows.div_ceil(own) as u32;
        let mut current = self.open(state, rows, events)?;
        let begun = Clock::start();
        let earlier = (current.progress.seconds, current.progress.cpu_seconds);
        let timed = |progress: &mut Progress| {
            progress.seconds = earlier.0 + begun.seconds();
            progress.cpu_seconds = sum(earlier.1, begun.cpu_seconds());
        };
        let mut saved = Instant::now();
        let mut shown = 0u64;
        let from = (current.progress.epoch, current.progress.step);
        events.event(&Event::TrainingStarted { part: self.part, epochs: self.config.epochs, steps, from });
        let monitored = self.monitored(rows)?;
        if current.progress.cost_relative_to_ce.is_none() {
            current.progress.cost_relative_to_ce = self.cost_relative_to_ce(&current, rows, steps)?;
        }
        // What comes after crop and flip is done on the host.
        let resident =
            match self.compute.is_gpu() && self.config.tricks.augmentations.is_empty() && self.extra.is_none() {
                false => None,
                true => Some(Resident::new(self.train, self.compute.device())?),
            };
        let lag = if self.compute.is_gpu() { LAG } else { 1 };
        let mut pending: Vec<Pending> = Vec::new();
        let graphs = Graphs::default();
        while current.progress.epoch < self.config.epochs {
            let epoch = current.progress.epoch;
            let order = self.order(rows, epoch);
            let more = self.more(steps, epoch);
            let augmentation = self.config.augmentation;
            let shown_now = resident.as_ref().map(|r| r.shown(&order, augmentation, self.seed, epoch)).transpose()?;
            while current.progress.step < steps {
                if self.interrupt.load(Ordering::Relaxed) {
                    self.settle(&mut current, &mut pending, (&mut shown, &begun), events)?;
                    timed(&mut current.progress);
                    self.keep(state, &current)?;
                    return Err(Error::Interrupted);
                }
                let step = current.progress.step;
                let position = Position { epoch, epochs: self.config.epochs, step, steps, replay: 0 };
                let first = step as usize * own;
                let chosen = &order[first..rows.min(first + own)];
                let with_more: Vec<usize>;
                let chosen = match more.len() / steps as usize {
                    0 => chosen,
                    each => {
                        // The last, smaller batch of an epoch keeps the share.
                        let count = (each * chosen.len()).div_ceil(own);
                        let others = &more[step as usize * each..][..count];
                        with_more = chosen.iter().chain(others).copied().collect();
                        &with_more
                    }
                };
                let (batch, mixed) = match (&resident, &shown_now) {
                    (Some(resident), Some(shown)) => {
                        (resident.batch(shown, first, chosen.len(), self.precision)?, None)
                    }
                    _ => self.shown(chosen, epoch)?,
                };
                let of = (&batch, mixed.as_ref());
                let replays = self.step((&*self.recipe, &self.config.tricks, &graphs), &mut current, of, position)?;
                if let Some(ema) = &self.config.tricks.ema {
                    let number = u64::from(epoch) * u64::from(steps) + u64::from(step) + 1;
                    current.follow_step(ema, number, steps)?;
                }
                pending.push(Pending { epoch, step, examples: chosen.len() as u64, replays });
                current.progress.step += 1;
                if pending.len() >= lag || current.progress.step == steps {
                    self.settle(&mut current, &mut pending, (&mut shown, &begun), events)?;
                }
                if saved.elapsed() >= SAVE_EVERY {
                    self.settle(&mut current, &mut pending, (&mut shown, &begun), events)?;
                    timed(&mut current.progress);
                    self.keep(state, &current)?;
                    saved = Instant::now();
                }
            }
            timed(&mut current.progress);
            // An interruption of the measurement comes by here again.
            if let Some(count) = self.config.tricks.swa.and_then(|swa| swa.count(epoch))
                && current.progress.averaged < count
            {
                current.follow_epoch(count)?;
                current.progress.averaged = count;
            }
            let weights = self.measured(&current, rows, epoch)?;
            let measured = match self.measure(&current.progress, &weights, &monitored) {
                Ok(measured) => measured,
                Err(error) => {
                    if matches!(error, Error::Interrupted) {
                        self.keep(state, &current)?;
                    }
                    return Err(error);
                }
            };
            events.event(&Event::EpochDone { part: self.part, epoch: &measured });
            let robust = |e: &Epoch| e.robust_accuracy;
            let best = current.progress.curve.iter().map(robust).fold(f64::NEG_INFINITY, f64::max);
            let evaluated = self.config.tricks.evaluate.chooses() && measured.robust_accuracy > best;
            if evaluated {
                current.best = Some(weights);
                current.progress.curve.iter_mut().for_each(|e| e.evaluated = false);
            }
            let progress = &mut current.progress;
            progress.curve.push(Epoch { evaluated, ..measured });
            (progress.epoch, progress.step, progress.seen) = (epoch + 1, 0, 0);
            progress.sums.clear();
            timed(progress);
            self.keep(state, &current)?;
            saved = Instant::now();
        }
        let last = self.config.epochs.saturating_sub(1);
        let weights = match current.best.take() {
            Some(best) => best,
            None => self.measured(&current, rows, last)?,
        };
        let Progress { curve, seconds, cpu_seconds, resumed, cost_relative_to_ce, .. } = current.progress;
        let weights = self.networks_own(&weights)?.to_device(&Device::Cpu)?;
        Ok(Trained { weights, curve, seconds, cpu_seconds, resumed, cost_relative_to_ce })
    }

    /// Rows that are trained on: all but the held-out ones, unless there are to be fewer.
    pub(crate) fn rows(&self) -> Result<usize> {
        let all = self.train.len();
        let held_out = self.config.held_out(all);
        let rows = self.config.trained_on(all);
        if rows == 0 || self.config.batch == 0 {
            return Err(Error::message(format!(
                "nothing to train on: {all} training rows, {held_out} held out for validation, batches of {}; \
                 lower `validation`",
                self.config.batch
            )));
        }
        Ok(rows)
    }

    fn monitored(&self, rows: usize) -> Result<Examples> {
        let chosen: Vec<usize> = match self.config.held_out(self.train.len()) {
            0 => (0..rows.min(MONITORED_TRAIN_ROWS)).collect(),
            held_out => (self.train.len() - held_out..self.train.len()).collect(),
        };
        Ok(examples_of(self.train, &chosen, self.precision)?)
    }

    /// The state of a fresh training, or the saved one.
    fn open(&self, state: Option<(&Path, &str)>, rows: usize, events: &dyn Events) -> Result<TrainingState> {
        let specs = match self.network.own_weights() {
            Some(_) => self.network.specs(),
            None => self.recipe.starting(self.network.specs()),
        };
        if let Some((path, key)) = state.filter(|(path, _)| path.exists()) {
            match TrainingState::load(path, key, &specs) {
                Ok(mut found) => {
                    found.progress.resumed += 1;
                    return found.to_device(self.compute.device());
                }
                Err(Error::Damaged { path, why }) => {
                    let text = format!("the saved state {path} is of no use ({why}); the training starts again");
                    events.event(&Event::Note { part: self.part, text: &text });
                }
                Err(other) => return Err(other),
            }
        }
        let key = Key::new(self.seed, Purpose::Init);
        let weights = match self.network.own_weights() {
            Some(_) => self.network.start(key, self.precision, &Device::Cpu)?,
            None => Weights::init(&specs, key, self.precision, &Device::Cpu)?,
        };
        let mut train = |visit: &mut dyn FnMut(&Batch) -> gauntlet_core::Result<()>| {
            for first in (0..rows).step_by(SETUP_CHUNK) {
                let chosen: Vec<usize> = (first..rows.min(first + SETUP_CHUNK)).collect();
                visit(&self.batch(&chosen)?)?;
            }
            Ok(())
        };
        let mut setup = Setup {
            train: &mut train,
            model: self.network.info(),
            seed: self.seed,
            precision: self.precision,
            teacher: self.teacher.clone(),
        };
        let memory = self.recipe.prepare(&mut setup)?;
        let mut fresh = TrainingState {
            weights,
            optimiser: OptimiserState::default(),
            memory,
            average: BTreeMap::new(),
            best: None,
            progress: Progress { cpu_seconds: Some(0.0), ..Progress::default() },
        };
        if self.config.tricks.ema.is_some() {
            fresh.begin_average();
        }
        fresh.to_device(self.compute.device())
    }

    /// The weights without those that the recipe trains beside the network's ([`Recipe::starting`]).
    fn networks_own(&self, weights: &Weights) -> Result<Weights> {
        let mut entries = Vec::new();
        for spec in self.network.specs() {
            let tensor = weights.get(&spec.name)?.clone();
            entries.push((spec.name, tensor, spec.trainable));
        }
        Ok(Weights::from_entries(entries))
    }

    fn keep(&self, state: Option<(&Path, &str)>, current: &TrainingState) -> Result<()> {
        match state {
            Some((path, key)) => current.save(path, key),
            None => Ok(()),
        }
    }

    fn order(&self, rows: usize, epoch: u32) -> Vec<usize> {
        let mut order: Vec<usize> = (0..rows).collect();
        Key::new(self.seed, Purpose::Shuffle).stream(0, epoch, 0).shuffle(&mut order);
        order
    }

    pub(crate) fn batch(&self, rows: &[usize]) -> gauntlet_core::Result<Batch> {
        let wrong =
            |e: gauntlet_data::Error| gauntlet_core::Error::Message(format!("training rows cannot be read: {e}"));
        let all = self.train.len();
        let mine = rows.iter().take_while(|row| **row < all).count();
        let batch = self.train.batch(&rows[..mine], self.precision, &Device::Cpu).map_err(wrong)?;
        let Some(extra) = self.extra.as_ref().filter(|_| mine < rows.len()) else { return Ok(batch) };
        let others: Vec<usize> = rows[mine..].iter().map(|row| row.saturating_sub(all)).collect();
        let others = extra.batch(&others, self.precision, &Device::Cpu).map_err(wrong)?;
        Ok(Batch {
            x: Tensor::cat(&[&batch.x, &others.x], 0)?,
            y: Tensor::cat(&[&batch.y, &others.y], 0)?,
            ids: rows.iter().map(|row| *row as u64).collect(),
        })
    }

    /// Extra rows of an epoch, as many for every step, numbered behind the training rows: shuffles of all extra images one after
    /// the other, going on where the epoch before ended.
    fn more(&self, steps: u32, epoch: u32) -> Vec<usize> {
        let Some(extra) = self.extra.as_ref().filter(|e| !e.is_empty()) else { return Vec::new() };
        let (n, each) = (extra.len(), self.config.batch - self.config.own());
        let count = each * steps as usize;
        let first = epoch as usize * count;
        let mut rows = Vec::with_capacity(count);
        for pass in first / n.. {
            if rows.len() == count {
                break;
            }
            let mut order: Vec<usize> = (0..n).collect();
            Key::new(self.seed, Purpose::Shuffle).named("extra").stream(0, pass as u32, 0).shuffle(&mut order);
            let from = first.saturating_sub(pass * n);
            rows.extend(order.iter().skip(from).take(count - rows.len()).map(|row| self.train.len() + row));
        }
        rows
    }

    /// One step of `recipe` on this batch, with all its replays.
    fn step(
        &self,
        (recipe, tricks, graphs): (&dyn Recipe, &Tricks, &Graphs),
        current: &mut TrainingState,
        (batch, mixed): (&Batch, Option<&Mixed>),
        position: Position,
    ) -> Result<Vec<Taken>> {
        let rate = self.config.schedule.lr(self.config.optimiser.lr(), position);
        let step = TrainingStep {
            network: &self.network,
            recipe,
            optimiser: &self.config.optimiser,
            clip: self.config.clip,
            teacher: self.teacher.clone(),
            graphs: Some(graphs),
            tricks,
            mixed,
        };
        let TrainingState { weights, optimiser, memory, .. } = current;
        (0..recipe.replays() as u32)
            .map(|replay| {
                let position = Position { replay, ..position };
                step.take(weights, optimiser, memory, batch, (self.seed, position, rate))
            })
            .collect()
    }

    /// Reads what steps found out, for the curve and for those who watch. Waits for the device.
    ///
    /// # Errors
    /// A loss, a term or a gradient that was not finite.
    fn settle(
        &self,
        current: &mut TrainingState,
        pending: &mut Vec<Pending>,
        (shown, begun): (&mut u64, &Clock),
        events: &dyn Events,
    ) -> Result<()> {
        for Pending { epoch, step, examples, replays } in pending.drain(..) {
            let mut last = None;
            for taken in replays {
                let stepped = taken.settle()?;
                for (name, mean) in &stepped.terms {
                    let sum = mean * examples as f64;
                    match current.progress.sums.iter_mut().find(|(known, _)| known == name) {
                        Some((_, total)) => *total += sum,
                        None => current.progress.sums.push((name.clone(), sum)),
                    }
                }
                current.progress.seen += examples;
                last = Some(stepped);
            }
            *shown += examples;
            let Some(stepped) = last else { continue };
            let rate = *shown as f64 / begun.seconds().max(1e-9);
            let (loss, terms) = (stepped.loss, &stepped.terms);
            events.event(&Event::Step { part: self.part, epoch, step, loss, terms, rate });
        }
        Ok(current.optimiser.settle(&current.weights)?)
    }

    /// Multiplications of one step of the recipe ÷ those of one step of `ce`, both on the first batch and on copies of the
    /// state: nothing is moved, and every process finds the same number.
    fn cost_relative_to_ce(&self, current: &TrainingState, rows: usize, steps: u32) -> Result<Option<f64>> {
        if !self.registry.recipes.contains("ce") {
            return Ok(None);
        }
        let (ce, _) = self.registry.recipe(&Map::from_iter([("name".to_string(), "ce".into())]))?;
        let order = self.order(rows, 0);
        let first = &order[..rows.min(self.config.batch)];
        let (first, mixed) = self.shown(first, 0)?;
        // The last step's position: what grows from 0 (a weight, a budget) has grown by then.
        let epochs = self.config.epochs;
        let position =
            Position { epoch: epochs.saturating_sub(1), epochs, step: steps.saturating_sub(1), steps, replay: 0 };
        let count = |recipe: &dyn Recipe, tricks: &Tricks, mut from: TrainingState| -> Result<u64> {
            let before = work::multiplications();
            let of = (&first, mixed.as_ref());
            self.step((recipe, tricks, &Graphs::default()), &mut from, of, position)?;
            Ok(work::multiplications() - before)
        };
        let alone = TrainingState { weights: self.networks_own(&current.weights)?, ..current.clone() };
        // What ails a step is for the training to find, at its own step.
        let own = count(&*self.recipe, &self.config.tricks, current.clone());
        let plain = count(&*ce, &Tricks::NONE, alone);
        let (Ok(own), Ok(plain)) = (own, plain) else { return Ok(None) };
        Ok((plain > 0).then(|| own as f64 / plain as f64))
    }

    fn measure(&self, progress: &Progress, weights: &Weights, examples: &Examples) -> Result<Epoch> {
        let target = Frozen::new(self.network.clone(), weights.constants()).in_blocks_of(self.compute.block());
        let monitor = &self.config.monitor;
        // What the epoch's end trains against: a budget that still grows has not its full size.
        let (epoch, epochs) = (progress.epoch, self.config.epochs);
        let own = self.recipe.threat(&Position { epoch, epochs, step: 1, steps: 1, replay: 0 });
        let measured = monitor.measure(self.registry, &target, examples, own, self.width, self.interrupt)?;
        let mean = |(name, sum): &(String, f64)| (name.clone(), sum / progress.seen.max(1) as f64);
        Ok(Epoch {
            epoch: progress.epoch + 1,
            terms: progress.sums.iter().map(mean).collect(),
            monitored_on: if self.config.held_out(self.train.len()) == 0 { "train" } else { "validation" }.to_string(),
            ..measured
        })
    }
}
