//! One checkpoint under one attack: `gauntlet attack`.

use crate::evaluator::{Cost, Done, robust_accuracy};
use crate::event::{Event, Events, Part};
use crate::progress::Progress;
use crate::{AttackEntry, CheckpointSource, Component, Context, Evaluator, Examples, Kind, Result, Selection, flags};
use candle_core::Device;
use gauntlet_core::checkpoint;
use gauntlet_core::record::CleanVerdict;
use gauntlet_core::{Attacked, Eps, Flag, Frozen, Key, Norm, Purpose, Weights};
use serde::Serialize;
use serde_json::{Map, Value};
use std::time::Instant;

/// What is to be attacked, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct AttackRequest {
    /// Architecture: `name` and arguments.
    pub model: Map<String, Value>,
    /// Weights, a file or one of the hub's; without, the initial ones of seed 0 (for measuring speed).
    pub checkpoint: Option<CheckpointSource>,
    /// Data set; its test split is attacked.
    pub data: String,
    /// Which test rows.
    pub examples: Selection,
    /// Attack: `name` and arguments.
    pub attack: Map<String, Value>,
    /// Norm of the threat model.
    pub norm: Norm,
    /// Budgets, at least one.
    pub eps: Vec<Eps>,
    /// Seed of the attack's randomness.
    pub seed: u64,
}

/// The numbers of one ε.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EpsReport {
    /// Budget.
    pub eps: Eps,
    /// Correct clean and under the attack ÷ n.
    pub robust_accuracy: f64,
}

/// What came out.
#[derive(Debug, Clone, Serialize)]
pub struct AttackReport {
    /// Examples.
    pub n: usize,
    /// Correct ÷ n.
    pub clean_accuracy: f64,
    /// Of the smallest ε if there are several.
    pub robust_accuracy: f64,
    /// One entry per ε, in the request's order.
    pub by_eps: Vec<EpsReport>,
    /// Wall seconds of clean pass and attack, without loading.
    pub seconds: f64,
    /// Executed forwards in examples: clean pass, attack with padding, referee.
    pub forwards: u64,
    /// Executed backwards in examples.
    pub backwards: u64,
    /// sha256 of the checkpoint's tensors.
    pub checkpoint_sha256: String,
    /// What was adapted while the checkpoint was read.
    pub notes: Vec<String>,
    /// The referee's remarks.
    pub flags: Vec<Flag>,
    /// Verdicts on the clean images.
    #[serde(skip)]
    pub clean: Vec<CleanVerdict>,
    /// Verdicts under attack, one per ε.
    #[serde(skip)]
    pub attacked: Vec<Attacked>,
}

/// Attacks one checkpoint. Nothing is stored, and no ε carries over to the next.
///
/// # Errors
/// Unknown names and wrong arguments; a checkpoint that does not fit; an invalid proposal; an interruption.
pub fn attack(request: &AttackRequest, context: &Context<'_>, events: &dyn Events) -> Result<AttackReport> {
    let component = Component::resolve(Kind::Attack, context.registry, &request.attack)?;
    let (attack, _) = context.registry.attack(&component.given())?;
    if !attack.norms().contains(&request.norm) {
        let known: Vec<String> = attack.norms().iter().map(Norm::to_string).collect();
        let why = format!("{} is not defined for {}; it knows {}", attack.name(), request.norm, known.join(", "));
        return Err(gauntlet_core::Error::value("norm", why).into());
    }
    if request.eps.is_empty() {
        return Err(gauntlet_core::Error::value("eps", "at least one budget is needed").into());
    }
    let manifest = context.catalogue.get(&request.data)?;
    let (network, _) = context.registry.model(&request.model, manifest.shape, manifest.classes.len())?;
    let (weights, notes) = match &request.checkpoint {
        Some(source) => {
            let (file, mut notes) = source.resolve(&context.data)?;
            let (weights, more) = checkpoint::load(&file, &network.specs(), network.info(), context.dtype)?;
            notes.extend(more);
            (weights, notes)
        }
        None => {
            let key = Key::new(0, Purpose::Init);
            (
                Weights::init(&network.specs(), key, context.dtype, &Device::Cpu)?,
                vec!["the weights are untrained".into()],
            )
        }
    };
    let data = gauntlet_data::load(&manifest, &context.data)?;
    events.event(&Event::DataReady { data: &request.data, train: data.train.len(), test: data.test.len() });
    let rows = request.examples.indices(data.test.len(), request.seed);
    let examples = Examples::of_split(&data.test, &rows, context.dtype)?;
    let checkpoint_sha256 = checkpoint::sha256(&weights)?;
    let target = Frozen::new(network, weights.constants());
    let evaluator = Evaluator {
        target: &target,
        examples: &examples,
        width: context.width,
        attack_seed: request.seed,
        carry: false,
        interrupt: context.interrupt,
    };
    let label = component.name.clone();
    let entry = AttackEntry { label, attack: component, norm: request.norm, eps: request.eps.clone() };
    let part = Part { row: "checkpoint", seed: request.seed, attack: Some(&entry.label) };
    let begun = Instant::now();
    let mut cost = Cost::default();
    let clean = evaluator.clean(&mut cost)?;
    let mut progress = Progress::new(events, part, &entry, None);
    let attacked = evaluator.attack_with(&entry, &attack, &clean, &mut cost, &Done::new(), &mut progress)?;
    let seconds = begun.elapsed().as_secs_f64();
    let by_eps: Vec<EpsReport> = attacked
        .iter()
        .map(|a| EpsReport { eps: a.eps.clone(), robust_accuracy: robust_accuracy(&a.verdicts) })
        .collect();
    let smallest = by_eps.iter().min_by(|a, b| a.eps.cmp(&b.eps)).map_or(0.0, |r| r.robust_accuracy);
    Ok(AttackReport {
        n: examples.len(),
        clean_accuracy: clean.accuracy(),
        robust_accuracy: smallest,
        by_eps,
        seconds,
        forwards: cost.forwards,
        backwards: cost.backwards,
        checkpoint_sha256,
        notes,
        flags: flags::raise(&clean.verdicts, &attacked),
        clean: clean.verdicts,
        attacked,
    })
}
