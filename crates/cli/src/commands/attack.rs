//! `gauntlet attack`: one checkpoint against one attack.

use crate::arguments;
use crate::exit::{Code, Failure};
use crate::session::Session;
use crate::{component, interrupt};
use gauntlet_core::statistics::wilson;
use gauntlet_core::{Eps, Norm};
use gauntlet_engine::{AttackReport, AttackRequest, CheckpointSource, Context, Selection, Store};
use serde_json::{Map, Value, json};
use std::fmt::Write;
use std::path::Path;

/// Examples if neither `--take` nor `--all` is given: what the papers of this field mostly attack.
const USUAL: usize = 1000;

pub(crate) fn attack(session: &Session, arguments: &arguments::Attack) -> Result<Code, Failure> {
    let eps: Vec<Eps> =
        arguments.eps.iter().map(|e| e.parse().map_err(|e| Failure::flag("eps", e))).collect::<Result<_, _>>()?;
    let norm: Norm = arguments.norm.parse().map_err(|e| Failure::flag("norm", e))?;
    let examples = match (arguments.examples.all, arguments.examples.take) {
        (true, _) => Selection::All,
        (false, take) => Selection::Take(take.map_or(USUAL, |n| n.get())),
    };
    let request = AttackRequest {
        model: component::parse("model", &arguments.model)?,
        checkpoint: Some(checkpoint(&arguments.checkpoint)?),
        data: arguments.data.clone(),
        examples,
        attack: given(arguments)?,
        norm,
        eps,
        seed: arguments.seed,
    };
    let interrupt = interrupt::flag();
    // Nothing is stored: the store's folder is never touched.
    let mut context = Context::new(&session.registry, &session.catalogue, Store::new("runs"), interrupt);
    context.data = session.data(&arguments.source);
    let progress = session.progress();
    let report = gauntlet_engine::attack(&request, &context, &progress);
    progress.finish();
    let report = report.map_err(|e| match e {
        gauntlet_engine::Error::Interrupted => {
            Failure::new(Code::Interrupted, "interrupted; a single attack keeps no state: run the same command again")
        }
        other => other.into(),
    })?;
    session.result(|| object(&request, &report), || text(&request, &report))?;
    Ok(Code::Done)
}

/// A file, or one of the hub's.
pub(super) fn checkpoint(argument: &Path) -> Result<CheckpointSource, Failure> {
    CheckpointSource::of(argument).map_err(|e| Failure::user(format!("--checkpoint {e}")))
}

/// The attack with the flags that set its arguments; what it does not know is refused by its name.
fn given(arguments: &arguments::Attack) -> Result<Map<String, Value>, Failure> {
    let mut given = component::parse("attack", &arguments.attack)?;
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
    lines.extend(report.by_eps.iter().map(|e| (format!("{attack} {} ε = {}", request.norm, e.eps), e.robust_accuracy)));
    let width = lines.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
    for (label, accuracy) in lines {
        let _ = writeln!(out, "{label:width$}  {}", interval(accuracy));
    }
    let _ = writeln!(out, "{:.1} s, {} forwards, {} backwards", report.seconds, report.forwards, report.backwards);
    for note in &report.notes {
        let _ = writeln!(out, "note: {note}");
    }
    for flag in &report.flags {
        let _ = writeln!(out, "{}: {}", flag.name, flag.detail);
    }
    out
}
