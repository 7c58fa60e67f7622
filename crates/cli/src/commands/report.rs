//! `gauntlet report`: tables, pictures and page again, from records alone.

use crate::arguments;
use crate::commands::registration::register;
use crate::exit::{Code, Failure};
use crate::session::Session;
use crate::suites;
use gauntlet::report::{Folder, Judged, Judgement, Report, Standing};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

pub(crate) fn report(session: &Session, arguments: &arguments::Report) -> Result<Code, Failure> {
    let mut folder = Folder::read(&arguments.records)?;
    if let Some(given) = &arguments.expect {
        expect(session, &mut folder, &arguments.records, given)?;
    }
    let report = Report::new(&folder)?;
    let written = arguments.out.as_ref().map(|out| report.publish(&folder, out)).transpose()?.unwrap_or_default();
    show(session, &report, arguments.out.as_deref(), &written)?;
    // A table that lacks records is no lie, but a script must not take it for the whole.
    Ok(if report.problems.is_empty() { code(&report) } else { Code::Parts })
}

/// Gives a folder the expectations that its suite has now.
fn expect(session: &Session, folder: &mut Folder, path: &Path, given: &str) -> Result<(), Failure> {
    let (suite, _) = suites::load(session, given)?;
    if suite.name != folder.manifest.suite {
        return Err(Failure::user(format!(
            "--expect {given}: {} holds records of suite {:?}, this is {:?}",
            path.display(),
            folder.manifest.suite,
            suite.name
        )));
    }
    if let [problem, ..] = folder.problems.as_slice() {
        return Err(Failure::user(format!("--expect {given}: the records cannot be written again: {problem}")));
    }
    register(&mut folder.records, &suite.expect, None);
    folder.manifest.expect = suite.expect;
    let inner = path.join("records");
    Ok(folder.write(if inner.is_dir() { &inner } else { path })?)
}

/// Failed parts say more than published numbers that were not reproduced: those may be for want of them.
pub(crate) fn code(report: &Report) -> Code {
    match (report.failures.len(), report.unmet()) {
        (0, 0) => Code::Done,
        (0, _) => Code::Expectation,
        _ => Code::Parts,
    }
}

/// Files by their names in the report's folder; pictures by the name of theirs.
fn names(out: &Path, written: &[PathBuf]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for path in written {
        let inner = path.strip_prefix(out).unwrap_or(path);
        let name = match inner.parent().filter(|p| !p.as_os_str().is_empty()) {
            Some(folder) => format!("{}/", folder.display()),
            None => inner.display().to_string(),
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The report to stdout.
pub(crate) fn show(session: &Session, report: &Report, out: Option<&Path>, written: &[PathBuf]) -> Result<(), Failure> {
    session.result(
        || object(report, out),
        || {
            let screen = session.screen();
            let mut text = report.terminal(&screen);
            if let Some(out) = out {
                let told = format!("written to {}: {}", out.display(), names(out, written).join(", "));
                text += &format!("\n{}\n", screen.wrapped(&told));
            }
            text
        },
    )
}

fn object(report: &Report, out: Option<&Path>) -> Value {
    let mut cells: Vec<Value> = Vec::new();
    for (r, row) in report.rows.iter().enumerate() {
        for (k, column) in report.columns.iter().enumerate() {
            let Some(v) = report.summary.value(r, k) else { continue };
            cells.push(json!({
                "row": row,
                "attack": column.attack(),
                "norm": column.budget().map(|(norm, _)| norm),
                "eps": column.budget().map(|(_, eps)| eps),
                "seeds": v.seeds,
                "n": v.n,
                "accuracy": v.mean / 100.0,
                "sd": v.sd / 100.0,
                "low": v.low / 100.0,
                "high": v.high / 100.0,
                "standing": report.standings.of(r, k).map(|s| match s {
                    Standing::Best => "best",
                    Standing::Alike => "like the best",
                    Standing::Below => "below",
                    Standing::Unpaired => "not compared",
                }),
            }));
        }
    }
    let failures: Vec<Value> =
        report.failures.iter().map(|f| json!({ "row": f.row, "seed": f.seed, "reason": f.reason })).collect();
    json!({
        "suite": report.suite,
        "out": out.map(|o| o.display().to_string()),
        "cells": cells,
        "expectations": report.expectations.iter().map(expectation).collect::<Vec<_>>(),
        "shortened": report.shortened,
        "failures": failures,
        "problems": report.problems,
        "remarks": report.remarks,
    })
}

/// In the number's own unit (accuracies in percent), unlike the cells of the table.
fn expectation(j: &Judged) -> Value {
    let e = &j.expectation;
    let by = match j.judgement {
        Judgement::Outside { by } => Some(by),
        _ => None,
    };
    json!({
        "what": e.to_string(),
        "row": e.row,
        "published": e.value,
        "published_sd": e.sd,
        "published_n": e.n,
        "band": e.band,
        "ours": j.ours.map(|o| o.0),
        "sd": j.ours.map(|o| o.1),
        "low": j.interval.map(|i| i.0),
        "high": j.interval.map(|i| i.1),
        "seeds": j.seen.iter().map(|s| json!({ "seed": s.seed, "value": s.value })).collect::<Vec<_>>(),
        "n": j.sample.and_then(|s| s.n()),
        "measured_on": j.sample.map(|s| s.to_string()),
        "difference": j.difference,
        "verdict": j.judgement.name(),
        "counted": e.counts(),
        "outside_by": by,
        "why": j.why,
        "others_pass": j.others.map(|o| o.0),
        "others": j.others.map(|o| o.1),
        "set_in": j.set_in,
        "source": e.source,
        "published_with": e.published_with,
    })
}
