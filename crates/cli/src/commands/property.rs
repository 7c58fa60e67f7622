//! `gauntlet attack --property`: a search for counterexamples to properties in VNN-LIB.

use crate::arguments::Attack;
use crate::commands::attack::{brings_weights, weights};
use crate::component;
use crate::exit::{Code, Failure};
use crate::session::Session;
use gauntlet::Precision;
use gauntlet::evaluate::{Origin, Subject};
use gauntlet::records::file::write_atomically;
use gauntlet::vnnlib::{self, Answer, Limits, Outcome, Property, Verdict};
use serde_json::{Map, Value, json};
use std::path::Path;

pub(crate) fn property(session: &Session, arguments: &Attack, path: &Path) -> Result<Code, Failure> {
    if !session.compute.device().is_cpu() {
        return Err(Failure::user("--property is searched on the CPU: leave --device out"));
    }
    if !(arguments.seconds > 0.0 && arguments.seconds.is_finite()) {
        return Err(Failure::user(format!("--seconds must be above 0, got {}", arguments.seconds)));
    }
    let usual = Limits::default();
    let steps = arguments.steps.unwrap_or(usual.steps).max(1);
    let limits = Limits { seconds: arguments.seconds, seed: arguments.seed, steps, ..usual };
    if path.is_dir() {
        return folder(session, arguments, path, &limits);
    }
    if arguments.witnesses.is_some() {
        return Err(Failure::user("--witnesses goes with a folder of properties: one file's witness is printed"));
    }
    let property = Property::open(path).map_err(failure)?;
    let model = arguments.model.as_deref().ok_or_else(|| {
        Failure::user(
            "--model is missing: the property's network, --model onnx:net.onnx (a folder of properties names its own)",
        )
    })?;
    let (subject, notes) = subject(session, arguments, model)?;
    notes.iter().for_each(|note| session.say(format!("note: {note}")));
    let answer = vnnlib::search(&subject, &property, &limits).map_err(failure)?;
    session.result(|| object(&answer), || answer.to_string())?;
    Ok(Code::Done)
}

fn failure(error: vnnlib::Error) -> Failure {
    Failure::new(Code::User, error.to_string())
}

fn object(answer: &Answer) -> Value {
    serde_json::to_value(answer).unwrap_or(Value::Null)
}

/// `X_i` are numbered as a file's input has them, wherever its channels stand.
fn as_the_file_has_them(mut given: Map<String, Value>) -> Map<String, Value> {
    given.entry("channels").or_insert_with(|| "first".into());
    given
}

/// The network in both precisions, and what is to be known of it.
fn subject(session: &Session, arguments: &Attack, model: &str) -> Result<(vnnlib::Subject, Vec<String>), Failure> {
    let mut given = component::parse("model", model)?;
    let (input, classes) = if brings_weights(model) {
        given = as_the_file_has_them(given);
        let net = gauntlet::onnx::imported(&session.registry, &given, None)?;
        (net.graph.interface().input, net.graph.interface().classes)
    } else {
        let data = arguments.data.as_deref().ok_or_else(|| {
            Failure::user("--data is missing: it says which images a built-in model takes, and how many classes it has")
        })?;
        let manifest = session.catalogue.get(data)?;
        (manifest.shape, manifest.labels().len())
    };
    let (network, _) = session.registry.model(&given, input, classes)?;
    let (file, mut notes) =
        weights(model, arguments.checkpoint.as_deref())?.resolve(&session.data(&arguments.source))?;
    let names = arguments.names.as_deref().map(super::attack::names).transpose()?;
    let origin = file.as_deref().map_or(Origin::Own, |path| Origin::File { path, names: names.as_deref() });
    let mut found = Subject::open(network, origin, Precision::F32).map_err(gauntlet::engine::Error::from)?;
    notes.append(&mut found.notes);
    Ok((vnnlib::Subject::of(found.network, &found.weights).map_err(failure)?, notes))
}

/// The network of an instance.
fn listed(session: &Session, path: &Path) -> vnnlib::Result<vnnlib::Subject> {
    let name = format!("{}{}", gauntlet::onnx::PREFIX, path.display());
    let given = as_the_file_has_them(Map::from_iter([("name".to_string(), name.into())]));
    let net = gauntlet::onnx::imported(&session.registry, &given, None)?;
    let (input, classes) = (net.graph.interface().input, net.graph.interface().classes);
    let (network, _) = session.registry.model(&given, input, classes)?;
    vnnlib::Subject::of(network, &net.weights)
}

fn folder(session: &Session, arguments: &Attack, path: &Path, limits: &Limits) -> Result<Code, Failure> {
    if arguments.model.is_some() || arguments.checkpoint.is_some() || arguments.data.is_some() {
        return Err(Failure::user(
            "--model, --checkpoint and --data go with one property: a folder's instances.csv names its networks",
        ));
    }
    let instances = vnnlib::instances(path).map_err(failure)?;
    if let Some(into) = &arguments.witnesses {
        session.create(into)?;
    }
    let (mut outcomes, mut unwritten) = (Vec::new(), None);
    vnnlib::run(instances, limits, &mut |network| listed(session, network), &mut |outcome: Outcome| {
        session.say(outcome.to_string());
        if let (Some(into), Ok(answer @ Answer { witness: Some(_), .. })) = (&arguments.witnesses, &outcome.answer) {
            let file = into.join(outcome.witness_file());
            unwritten = unwritten.take().or(write_atomically(&file, format!("{answer}\n").as_bytes()).err());
        }
        outcomes.push(outcome);
    });
    if let Some(error) = unwritten {
        return Err(gauntlet::engine::Error::from(error).into());
    }
    let is = |o: &&Outcome, wanted: Verdict| matches!(&o.answer, Ok(a) if a.result == wanted);
    let sat = outcomes.iter().filter(|o| is(o, Verdict::Sat)).count();
    let known = outcomes.iter().filter(|o| o.instance.expected.as_deref() == Some("sat"));
    let missed = known.filter(|o| !is(o, Verdict::Sat)).count();
    let contradicted = outcomes.iter().filter(|o| o.contradicts()).count();
    let failed = outcomes.iter().filter(|o| o.answer.is_err()).count();
    session.result(
        || {
            let rows: Vec<Value> = outcomes.iter().map(row).collect();
            json!({ "instances": rows, "sat": sat, "missed": missed, "contradicted": contradicted, "failed": failed })
        },
        || {
            let table: String = outcomes.iter().map(|o| format!("{o}\n")).collect();
            let failures = if failed > 0 { format!("; {failed} failed") } else { String::new() };
            format!(
                "{}\n{table}{sat} of {} sat; {missed} known ones not found; {contradicted} of those found are said to be unsat{failures}",
                Outcome::TITLES,
                outcomes.len()
            )
        },
    )?;
    Ok(match (contradicted, failed) {
        (0, 0) => Code::Done,
        (0, _) => Code::Parts,
        _ => Code::Expectation,
    })
}

fn row(outcome: &Outcome) -> Value {
    let instance = &outcome.instance;
    let mut row = match &outcome.answer {
        Ok(answer) => object(answer),
        Err(error) => json!({ "error": error.to_string() }),
    };
    row["property"] = instance.name.clone().into();
    row["network"] = instance.network.display().to_string().into();
    row["known"] = instance.expected.clone().into();
    row
}
