//! `gauntlet check SUITE`: what a suite would do, and what the store has of it.

use crate::arguments::Check;
use crate::commands::run::{committed, select};
use crate::exit::{Code, Failure};
use crate::progress::counted;
use crate::session::Session;
use crate::{interrupt, suites};
use gauntlet::data::{Catalogue, Error as DataError, LoadOptions};
use gauntlet::engine::{Error, Plan, State, Store, Suite};
use serde_json::json;
use std::fmt::Write;
use std::path::Path;

pub(super) fn check(session: &Session, arguments: &Check) -> Result<Code, Failure> {
    let (mut suite, catalogue) = suites::load(session, &arguments.what)?;
    select(&mut suite, &arguments.examples);
    let interrupt = interrupt::flag();
    let mut context = session.context(&catalogue, Store::new(&arguments.runs), interrupt);
    context.data = LoadOptions { offline: true, ..session.data(&arguments.data) };
    context.records = committed(&suite, &Path::new("reports").join(&suite.name).join("records"));
    let notes = notes(session, &suite, &catalogue);
    let plan = match gauntlet::engine::plan(&suite, &context) {
        Err(Error::Data(error)) if matches!(*error, DataError::Absent { .. }) => {
            return absent(session, &suite, &error, &notes);
        }
        plan => plan?,
    };
    session.result(
        || {
            let mut object = serde_json::to_value(&plan).unwrap_or_default();
            object["suite"] = serde_json::to_value(&suite).unwrap_or_default();
            if !notes.is_empty() {
                object["notes"] = notes.clone().into();
            }
            object
        },
        || text(&suite, &plan) + told(&notes).trim_start(),
    )?;
    Ok(Code::Done)
}

/// What is to be known of the networks that come from files, each once.
fn notes(session: &Session, suite: &Suite, catalogue: &Catalogue) -> Vec<String> {
    let Ok(manifest) = catalogue.get(&suite.data) else { return Vec::new() };
    let mut notes: Vec<String> = Vec::new();
    for model in suite.rows.iter().map(|row| row.model.as_ref().unwrap_or(&suite.model)) {
        let built = session.registry.model(&model.given(), manifest.shape, manifest.labels().len());
        for note in built.iter().flat_map(|(network, _)| network.notes()) {
            if !notes.contains(note) {
                notes.push(note.clone());
            }
        }
    }
    notes
}

fn told(notes: &[String]) -> String {
    notes.iter().map(|note| format!("\nnote: {note}")).collect()
}

/// The suite resolves, but its data would have to be downloaded to know what the store has of it.
fn absent(session: &Session, suite: &Suite, why: &DataError, notes: &[String]) -> Result<Code, Failure> {
    let trainings = suite.rows.iter().filter(|r| r.checkpoint.is_none()).count() * suite.seeds.len();
    let given = suite.rows.iter().filter(|r| r.checkpoint.is_some()).count();
    let evaluations = (trainings + given) * suite.attacks.len();
    session.result(
        || json!({ "suite": suite, "absent": why.to_string(), "trainings": trainings, "evaluations": evaluations }),
        || {
            format!(
                "{}: {} on {}: {} and {}\nnothing is downloaded by check: {why} by `gauntlet run`; what the store has of the suite \
                 is told when the data is here",
                suite.name,
                suite.model.name,
                suite.data,
                counted(trainings, "training"),
                counted(evaluations, "evaluation")
            ) + told(notes).as_str()
        },
    )?;
    Ok(Code::Done)
}

fn word(state: State) -> &'static str {
    match state {
        State::Stored => "stored",
        State::Begun => "begun",
        State::Missing => "to do",
    }
}

fn text(suite: &Suite, plan: &Plan) -> String {
    let how =
        if suite.train.validation.is_none() { " (`validation` is not set: a tenth, and 1000 at most)" } else { "" };
    let mut out = format!(
        "{}: {} on {}, {} training images, {} of them held out{how}, {} test images are attacked\n\n",
        suite.name, suite.model.name, suite.data, plan.train_rows, plan.held_out, plan.examples
    );
    let names: Vec<String> = plan.trainings.iter().map(|t| format!("{}, seed {}", t.row, t.seed)).collect();
    let width = names.iter().map(|n| n.chars().count()).max().unwrap_or(0);
    for (name, t) in names.iter().zip(&plan.trainings) {
        let since = |why: &Option<String>| why.as_ref().map(|w| format!("  (again, since {w})")).unwrap_or_default();
        let _ = writeln!(out, "train   {name:width$}  {:6}  {} steps{}", word(t.state), t.steps, since(&t.why));
        for e in plan.evaluations.iter().filter(|e| (&e.row, e.seed) == (&t.row, t.seed)) {
            let eps = e.eps.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let why = e.why.as_ref().map(|w| format!("  (since {w})")).unwrap_or_default();
            let _ = writeln!(
                out,
                "attack  {name:width$}  {:6}  {} {} ε = {eps}{why}",
                word(e.state),
                e.attack,
                e.norm.symbol()
            );
        }
    }
    for row in &suite.rows {
        if let Some(file) = row.checkpoint.as_ref().filter(|c| c.is_absent()) {
            let _ =
                writeln!(out, "absent  {}: bring {file}, here or beside the suite; without it the row fails", row.id);
        }
    }
    let open = |states: Vec<State>| states.iter().filter(|s| **s != State::Stored).count();
    let trainings = open(plan.trainings.iter().map(|t| t.state).collect());
    let evaluations = open(plan.evaluations.iter().map(|e| e.state).collect());
    let _ = writeln!(
        out,
        "\n{trainings} of {} trainings and {evaluations} of {} evaluations are still to be done",
        plan.trainings.len(),
        plan.evaluations.len()
    );
    out
}
