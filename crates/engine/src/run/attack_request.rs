//! One checkpoint under one attack: `gauntlet attack`.

use crate::event::{Event, Events, Part};
use crate::examples_of;
use crate::run::context::ATTACKED;
use crate::run::progress::Progress;
use crate::store::description::{self, Conditions};
use crate::store::journal::Journal;
use crate::{Adversarial, CheckpointSource, Context, Result, fingerprint};
use candle_core::Tensor;
use gauntlet_core::{Target, ThreatModel, budget};
use gauntlet_data::Half;
use gauntlet_evaluate::{
    AttackEntry, Component, Done, Evaluated, Evaluator, Examples, Kind, Origin, Selection, Subject, Watch, evaluate,
};
use gauntlet_records::{
    Attacked, CleanVerdict, Eps, Fate, Flag, Norm, Verdict,
    verdict::{robust_accuracy, robust_accuracy_over_draws},
};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What is to be attacked, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct AttackRequest {
    /// Architecture: `name` and arguments.
    pub model: Map<String, Value>,
    /// Weights, a file, one of the hub's or the model's own; without, the initial ones of seed 0 (for measuring speed).
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
    /// Forwards that a proposal is judged on, at least 1; the first decides.
    pub draws: u32,
    /// Another model that examples are crafted on; the attack is then what crafts them.
    pub surrogate: Option<Surrogate>,
    /// Keep the adversarial examples for [`AttackReport::adversarial`].
    pub keep: bool,
    /// Keep them rounded to 8 bits, inside the budget.
    pub eight_bit: bool,
    /// Verdicts are appended to this file as they are given; the same request goes on from it.
    pub journal: Option<PathBuf>,
    /// Names of the checkpoint's tensors in the order of the model's parameters, where its own tell nothing.
    pub names: Option<Vec<String>>,
}

/// Another model of the same data.
#[derive(Debug, Clone, PartialEq)]
pub struct Surrogate {
    /// Architecture: `name` and arguments.
    pub model: Map<String, Value>,
    /// Weights: a file, or one of the hub's.
    pub checkpoint: CheckpointSource,
}

/// The numbers of one ε.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EpsReport {
    /// Budget.
    pub eps: Eps,
    /// Correct clean and under the attack ÷ n.
    pub robust_accuracy: f64,
    /// Of several draws: the mean over examples of the share that answers correctly under the attack.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub over_draws: Option<f64>,
    /// Of several draws: per example, the share that misclassifies the proposal; `null` where the clean image is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub success_rates: Vec<Option<f64>>,
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
    /// The attacked images.
    #[serde(skip)]
    pub examples: Examples,
    /// What was found, one per ε, if it was to be kept.
    #[serde(skip)]
    pub adversarial: Vec<Adversarial>,
}

/// Keeps proposals while someone else follows too.
struct Keeper<'a> {
    inner: Progress<'a>,
    kept: Option<Vec<BTreeMap<usize, Tensor>>>,
}

impl Watch for Keeper<'_> {
    fn known(&mut self, entry: &AttackEntry) -> gauntlet_evaluate::Result<Done> {
        self.inner.known(entry)
    }
    fn started(&mut self, eps: usize, pending: usize, of: usize, known: &[Verdict]) {
        self.inner.started(eps, pending, of, known);
    }
    fn judged(&mut self, eps: usize, verdicts: &[(usize, Verdict, Option<Tensor>)]) -> gauntlet_evaluate::Result<()> {
        if let Some(kept) = &mut self.kept {
            kept[eps].extend(verdicts.iter().filter_map(|(i, _, x)| Some((*i, x.clone()?))));
        }
        self.inner.judged(eps, verdicts)
    }
    fn finished(&mut self, eps: usize, verdicts: &[Verdict]) {
        self.inner.finished(eps, verdicts);
    }
}

/// Attacks one checkpoint. No ε carries over to the next, and nothing is stored but the journal that is asked for.
///
/// # Errors
/// Unknown names and wrong arguments; a checkpoint that does not fit; a journal of another request; an invalid
/// proposal; an interruption.
pub fn attack(request: &AttackRequest, context: &Context<'_>, events: &dyn Events) -> Result<AttackReport> {
    if request.keep && request.journal.is_some() {
        let why = "a journal keeps verdicts, not images: adversarial examples cannot be kept from one; leave one out";
        return Err(gauntlet_core::Error::value("journal", why).into());
    }
    let given = match &request.surrogate {
        None => request.attack.clone(),
        Some(other) => Map::from_iter([
            ("name".to_string(), Value::from("transfer")),
            ("surrogate".to_string(), Value::from(other.checkpoint.to_string())),
            ("attack".to_string(), Value::from(request.attack.clone())),
        ]),
    };
    let component = Component::resolve(Kind::Attack, context.registry, &given)?;
    let (plan, _) = context.registry.plan(&component.given())?;
    if !plan.norms().contains(&request.norm) {
        let known: Vec<String> = plan.norms().iter().map(Norm::to_string).collect();
        let why = format!("{} is not defined for {}; it knows {}", plan.name(), request.norm, known.join(", "));
        return Err(gauntlet_core::Error::value("norm", why).into());
    }
    if request.draws == 0 {
        return Err(gauntlet_core::Error::value("draws", "must be at least 1, got 0").into());
    }
    if request.eps.is_empty() {
        return Err(gauntlet_core::Error::value("eps", "at least one budget is needed").into());
    }
    let manifest = context.catalogue.get(&request.data)?;
    let (c, h, w) = manifest.shape;
    budget::all_sensible(&request.eps, request.norm, Some(c * h * w))?;
    request.eps.iter().try_for_each(|eps| budget::reachable(&plan, request.norm, eps))?;
    let open = |model: &Map<String, Value>, from: Option<&CheckpointSource>, names: Option<&[String]>| {
        let (network, _) = context.registry.model(model, manifest.shape, manifest.labels().len())?;
        context.affordable(network.as_ref(), ATTACKED, 0)?;
        let (file, mut notes) = match from {
            Some(source) => source.resolve(&context.data)?,
            None => (None, Vec::new()),
        };
        let without = if from.is_some() { Origin::Own } else { Origin::Initial };
        let origin = file.as_deref().map_or(without, |path| Origin::File { path, names });
        let mut subject = Subject::open_published(network, origin, context.precision)?;
        notes.append(&mut subject.notes);
        Ok::<_, crate::Error>((subject.target(&context.compute)?, Subject { notes, ..subject }))
    };
    let (target, subject) = open(&request.model, request.checkpoint.as_ref(), request.names.as_deref())?;
    let (checkpoint_sha256, mut notes) = (subject.sha256, subject.notes);
    let other = match &request.surrogate {
        Some(other) => {
            let (frozen, surrogate) = open(&other.model, Some(&other.checkpoint), None)?;
            notes.extend(surrogate.notes.into_iter().map(|note| format!("surrogate: {note}")));
            Some((frozen, surrogate.sha256))
        }
        None => None,
    };
    let test = gauntlet_data::load_half(&manifest, &context.data, Half::Test)?;
    events.event(&Event::DataReady { data: &request.data, train: 0, test: test.len(), held_out: None });
    let rows = request.examples.indices(test.labels(), request.seed);
    let examples = examples_of(&test, &rows, context.precision)?;
    let evaluator = Evaluator {
        width: context.width,
        attack_seed: request.seed,
        draws: request.draws,
        surrogate: other.as_ref().map(|(s, _)| s as &dyn Target),
        ..Evaluator::new(&target, &examples, context.interrupt)
    };
    let label = component.name.clone();
    let entry = AttackEntry { label, attack: component, norm: request.norm, eps: request.eps.clone(), examples: None };
    let part = Part { row: "checkpoint", seed: request.seed, attack: Some(&entry.label) };
    let journal = match &request.journal {
        None => None,
        Some(path) => {
            let conditions = Conditions {
                data_sha256: &test.sha256(),
                examples: &[request.examples],
                attack_seed: request.seed,
                carry: false,
                draws: request.draws,
                compute: &context.compute,
                precision: context.precision,
            };
            let mut attack = description::attack(&entry);
            if let Some((_, sha256)) = &other {
                attack["surrogate_sha256"] = sha256.as_str().into();
            }
            let model = Component::resolve(Kind::Model, context.registry, &request.model)?.describe();
            let whole = description::evaluation(&conditions.describe(), &model, &checkpoint_sha256, &attack);
            Some(Journal::open_for(path, &fingerprint(&whole))?)
        }
    };
    let kept = request.keep.then(|| vec![BTreeMap::new(); entry.eps.len()]);
    let mut keeper = Keeper { inner: Progress::new(events, part, &entry, journal), kept };
    let evaluated = evaluate(&evaluator, std::slice::from_ref(&entry), context.registry, &mut keeper)?;
    let Evaluated { clean, attacked, flags, cost, seconds } = evaluated;
    let mut adversarial = match keeper.kept {
        None => Vec::new(),
        Some(kept) => {
            let of = |k: usize| if plan.minimal() { &kept[0] } else { &kept[k] };
            attacked.iter().enumerate().map(|(k, cell)| adversarial(&examples, cell, of(k))).collect::<Result<_>>()?
        }
    };
    for kept in adversarial.iter_mut().filter(|_| request.eight_bit) {
        kept.eight_bit(&examples, &target, &ThreatModel::new(request.norm, kept.eps.value()))?;
    }
    let by_eps: Vec<EpsReport> = attacked.iter().map(|a| eps_report(a, request.draws)).collect();
    let smallest = by_eps.iter().min_by(|a, b| a.eps.cmp(&b.eps)).map_or(0.0, |r| r.robust_accuracy);
    Ok(AttackReport {
        n: examples.len(),
        clean_accuracy: CleanVerdict::accuracy(&clean),
        robust_accuracy: smallest,
        by_eps,
        seconds,
        forwards: cost.forwards,
        backwards: cost.backwards,
        checkpoint_sha256,
        notes,
        flags,
        clean,
        attacked,
        examples: examples.clone(),
        adversarial,
    })
}

fn eps_report(cell: &Attacked, draws: u32) -> EpsReport {
    let rate = |v: &Verdict| v.fooled.map(|k| f64::from(k) / f64::from(draws.max(1)));
    let several = draws > 1;
    EpsReport {
        eps: cell.eps.clone(),
        robust_accuracy: robust_accuracy(&cell.verdicts),
        over_draws: if several { robust_accuracy_over_draws(&cell.verdicts, draws) } else { None },
        success_rates: if several { cell.verdicts.iter().map(rate).collect() } else { Vec::new() },
    }
}

/// The proposals that broke their examples, in place of these.
fn adversarial(examples: &Examples, cell: &Attacked, kept: &BTreeMap<usize, Tensor>) -> Result<Adversarial> {
    let mut images = Vec::with_capacity(examples.len());
    for (i, verdict) in cell.verdicts.iter().enumerate() {
        match kept.get(&i).filter(|_| verdict.fate == Fate::Broken) {
            Some(x) => images.push(x.unsqueeze(0)?),
            None => images.push(examples.image(i)?),
        }
    }
    let x_adv = Tensor::cat(&images, 0)?;
    Ok(Adversarial { eps: cell.eps.clone(), x_adv, verdicts: cell.verdicts.clone(), still_broken: None })
}
