//! `gauntlet attack`: one checkpoint against one attack.

use crate::arguments;
use crate::exit::{Code, Failure};
use crate::session::Session;
use crate::{component, interrupt};
use gauntlet::core::checkpoint;
use gauntlet::engine::{AttackReport, AttackRequest, CheckpointSource, Store, Surrogate};
use gauntlet::evaluate::Selection;
use gauntlet::records::{Eps, Fate, Norm, VerdictLine, file::write_atomically, statistics::wilson};
use serde_json::{Map, Value, json};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Examples if neither `--take` nor `--all` is given: what the papers of this field mostly attack.
const USUAL: usize = 1000;

pub(crate) fn attack(session: &Session, arguments: &arguments::Attack) -> Result<Code, Failure> {
    // The grammar requires both where there is no property.
    let (model, data) = (arguments.model.clone().unwrap_or_default(), arguments.data.clone().unwrap_or_default());
    let eps: Vec<Eps> =
        arguments.eps.iter().map(|e| e.parse().map_err(|e| Failure::flag("eps", e))).collect::<Result<_, _>>()?;
    let norm: Norm = arguments.norm.parse().map_err(|e| Failure::flag("norm", e))?;
    let examples = match (arguments.examples.all, arguments.examples.take) {
        (true, _) => Selection::All,
        (false, take) => Selection::Take(take.map_or(USUAL, |n| n.get())),
    };
    let request = AttackRequest {
        model: component::parse("model", &model)?,
        checkpoint: Some(weights(&model, arguments.checkpoint.as_deref())?),
        data,
        examples,
        attack: given(arguments)?,
        norm,
        eps,
        seed: arguments.seed,
        draws: arguments.draws.get(),
        surrogate: match &arguments.surrogate {
            None => None,
            Some(file) if brings_weights(&file.to_string_lossy()) => {
                let model = component::parse("surrogate", &file.to_string_lossy())?;
                Some(Surrogate { model, checkpoint: CheckpointSource::Own })
            }
            Some(file) => {
                let model = arguments.surrogate_model.as_ref().unwrap_or(&model);
                Some(Surrogate { model: component::parse("surrogate-model", model)?, checkpoint: source(file)? })
            }
        },
        keep: arguments.save.is_some(),
        eight_bit: arguments.eight_bit,
        journal: arguments.journal.clone(),
        names: arguments.names.as_deref().map(names).transpose()?,
    };
    let interrupt = interrupt::flag();
    // Nothing is stored: the store's folder is never touched.
    let mut context = session.context(&session.catalogue, Store::new("runs"), interrupt);
    context.data = session.data(&arguments.source);
    context.force = arguments.size.force;
    context.width = arguments.slots.get();
    let progress = session.progress();
    let report = gauntlet::engine::attack(&request, &context, &progress);
    progress.finish();
    let mut report = report.map_err(|e| match e {
        gauntlet::engine::Error::Interrupted => Failure::new(
            Code::Interrupted,
            match &arguments.journal {
                Some(_) => "interrupted; run the same command again to go on from the journal",
                None => "interrupted; without --journal a single attack keeps no state",
            },
        ),
        other => other.into(),
    })?;
    if let Some(file) = &arguments.verdicts {
        let table = verdicts(&report).map_err(|e| Failure::new(Code::Environment, format!("verdicts: {e}")))?;
        write_atomically(file, &table).map_err(gauntlet::engine::Error::from)?;
    }
    let saved = save(arguments, &mut report)?;
    session.result(
        || {
            let mut all = object(&request, &report);
            if !saved.is_empty() {
                all["saved"] = saved.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().into();
            }
            all
        },
        || saved.iter().fold(text(&request, &report), |text, path| format!("{text}wrote {}\n", path.display())),
    )?;
    Ok(Code::Done)
}

/// Names of tensors, one a line.
pub(super) fn names(path: &Path) -> Result<Vec<String>, Failure> {
    checkpoint::names(path).map_err(|e| Failure::user(format!("--names {e}")))
}

/// Writes what was kept, in 8 bits if that is asked for. Returns the paths.
fn save(arguments: &arguments::Attack, report: &mut AttackReport) -> Result<Vec<PathBuf>, Failure> {
    let Some(folder) = &arguments.save else { return Ok(Vec::new()) };
    let mut saved = Vec::new();
    for kept in &report.adversarial {
        if let Some(still) = kept.still_broken {
            let broken = kept.verdicts.iter().filter(|v| v.fate == Fate::Broken).count();
            report.notes.push(format!("ε = {}: {still} of {broken} broken examples stay broken in 8 bits", kept.eps));
        }
        saved.extend(kept.write(folder, &report.examples)?);
    }
    Ok(saved)
}

/// One line per example and ε.
fn verdicts(report: &AttackReport) -> Result<Vec<u8>, csv::Error> {
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record(["eps", "index", "label", "predicted"].into_iter().chain(VerdictLine::COLUMNS))?;
    for cell in &report.attacked {
        for (index, (v, clean)) in cell.verdicts.iter().zip(&report.clean).enumerate() {
            let place = [cell.eps.to_string(), index.to_string(), clean.label.to_string(), clean.predicted.to_string()];
            out.write_record(place.iter().chain(&VerdictLine::fields(v)))?;
        }
    }
    out.into_inner().map_err(|e| e.into_error().into())
}

/// Whether a model comes with all that it answers by: a network of a file, or a program.
pub(super) fn brings_weights(model: &str) -> bool {
    let named = component::parse("model", model).ok();
    let name = named.as_ref().and_then(|m| m.get("name")).and_then(Value::as_str);
    name.is_some_and(|n| n.starts_with(gauntlet::onnx::PREFIX) || n == gauntlet::models::Command::NAME)
}

/// The weights that a model is attacked with: a checkpoint, or those that it brings along.
pub(super) fn weights(model: &str, checkpoint: Option<&Path>) -> Result<CheckpointSource, Failure> {
    match checkpoint {
        Some(file) => source(file),
        None if brings_weights(model) => Ok(CheckpointSource::Own),
        None => Err(Failure::user(
            "--checkpoint is missing: only a network of a file (--model onnx:net.onnx) and a program (`command`) need none; gauntlet train makes one",
        )),
    }
}

/// A file, or one of the hub's.
pub(super) fn source(argument: &Path) -> Result<CheckpointSource, Failure> {
    CheckpointSource::of(argument).map_err(|e| Failure::user(format!("--checkpoint {e}")))
}

/// The attack with the flags that set its arguments; what it does not know is refused by its name.
fn given(arguments: &arguments::Attack) -> Result<Map<String, Value>, Failure> {
    let mut given = component::parse("attack", arguments.attack.as_deref().unwrap_or_default())?;
    let flags = [
        ("alpha", arguments.alpha.as_deref().map(Value::from)),
        ("steps", arguments.steps.map(Value::from)),
        ("restarts", arguments.restarts.map(Value::from)),
        ("objective", arguments.objective.as_deref().map(Value::from)),
    ];
    given.extend(flags.into_iter().filter_map(|(k, v)| Some((k.to_string(), v?))));
    Ok(given)
}

pub(super) fn object(request: &AttackRequest, report: &AttackReport) -> Value {
    let mut object = json!({
        "model": request.model["name"],
        "checkpoint": request.checkpoint.as_ref().map(ToString::to_string),
        "data": request.data,
        "attack": report.attacked.first().map(|a| a.parameters.clone()),
        "norm": request.norm,
        "seed": request.seed,
        "threads": rayon::current_num_threads(),
    });
    if let (Value::Object(all), Ok(Value::Object(numbers))) = (&mut object, serde_json::to_value(report)) {
        all.extend(numbers);
    }
    object
}

pub(super) fn text(request: &AttackRequest, report: &AttackReport) -> String {
    let n = report.n;
    let mut out = format!("n = {n} test examples of {}\n", request.data);
    let interval = |accuracy: f64| {
        let (low, high) = wilson((accuracy * n as f64).round() as u64, n as u64, 1.96);
        format!("{:5.1} %  (95 %: {:.1} to {:.1})", 100.0 * accuracy, 100.0 * low, 100.0 * high)
    };
    let mut lines = vec![("clean".to_string(), report.clean_accuracy)];
    let attack = request.attack["name"].as_str().unwrap_or_default();
    for e in &report.by_eps {
        let label = format!("{attack} {} ε = {}", request.norm.symbol(), e.eps);
        let mean = e.over_draws.map(|mean| (format!("{label}, mean of {} draws", request.draws), mean));
        lines.push((label, e.robust_accuracy));
        lines.extend(mean);
    }
    let width = lines.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
    for (label, accuracy) in lines {
        let _ = writeln!(out, "{label:width$}  {}", interval(accuracy));
    }
    let _ = writeln!(out, "{:.1} s, {} forwards, {} backwards", report.seconds, report.forwards, report.backwards);
    for note in &report.notes {
        let _ = writeln!(out, "note: {note}");
    }
    for told in gauntlet::report::folded(&report.flags) {
        let _ = writeln!(out, "flag: {told}");
    }
    out
}
