//! `gauntlet check RECIPE`: the conformance suite over one recipe, and the cost of its steps.

use crate::component;
use crate::exit::{Code, Failure};
use crate::progress::counted;
use crate::session::Session;
use gauntlet::engine::{Conformance, Outcome, StepCost, conformance, short_kind, step_cost};
use serde_json::{Map, Value};
use std::fmt::Write;

/// Architecture, images and examples per step that the cost is measured on.
const MODEL: &str = "lenet-small";
const INPUT: (usize, usize, usize) = (1, 28, 28);
const CLASSES: usize = 10;
const BATCH: usize = 64;

pub(super) fn check(session: &Session, given: &str) -> Result<Code, Failure> {
    let given = component::parse("recipe", given)?;
    let kind = short_kind(&session.registry, given.get("name").and_then(Value::as_str).unwrap_or_default())?;
    let found = conformance(&session.registry, kind, &given)?;
    // Steps of a recipe that is not finite or not trained end in an error: there is nothing to be timed.
    let cost = if found.passed() {
        let model = Map::from_iter([("name".to_string(), MODEL.into())]);
        let (network, _) = session.registry.model(&model, INPUT, CLASSES)?;
        Some(step_cost(&session.registry, kind, &given, &network, BATCH)?)
    } else {
        None
    };
    session.result(
        || {
            let mut object = serde_json::to_value(&found).unwrap_or_default();
            object["passed"] = found.passed().into();
            object["cost"] = serde_json::to_value(&cost).unwrap_or_default();
            object
        },
        || text(&found, cost.as_ref(), session.colour_stdout()),
    )?;
    Ok(if found.passed() { Code::Done } else { Code::Expectation })
}

fn text(found: &Conformance, cost: Option<&StepCost>, colour: bool) -> String {
    let args: Vec<String> = found.args.iter().map(|(k, v)| format!("{k} = {v}")).collect();
    let mut out = format!("{}  {}\n", found.recipe, args.join(", "));
    if !found.probed.is_empty() {
        let _ = writeln!(out, "required and not given, so tried with {}", found.probed.join(", "));
    }
    let mut lines = found.to_string();
    if colour {
        lines = lines.replace('✓', "\x1b[32m✓\x1b[0m").replace('✗', "\x1b[31m✗\x1b[0m");
    }
    let _ = write!(out, "\n{lines}");
    if let Some(c) = cost {
        let _ = writeln!(
            out,
            "  {:13} {:.1} × a step of ce, {:.1} × its multiply-adds (measured: {:.1} ms and {:.1} ms, medians of {} steps in \
             turns, {}, batch {}, f32, {})",
            "cost",
            c.ratio,
            c.arithmetic,
            c.ms,
            c.ce_ms,
            c.steps,
            c.model,
            c.batch,
            counted(c.threads, "thread")
        );
    }
    let count = |outcome| found.checks.iter().filter(|c| c.outcome == outcome).count();
    let (passed, failed) = (count(Outcome::Passed), count(Outcome::Failed));
    let left = match count(Outcome::Skipped) {
        0 => String::new(),
        1 => ", 1 does not apply".to_string(),
        n => format!(", {n} do not apply"),
    };
    let _ = writeln!(out, "\n{passed} passed, {failed} failed{left}");
    out
}
