//! `gauntlet report`: tables, pictures and page again, from records alone.

use crate::arguments;
use crate::exit::{Code, Failure};
use crate::session::Session;
use gauntlet_report::{Folder, Report};
use serde_json::{Value, json};
use std::path::Path;

pub(crate) fn report(session: &Session, arguments: &arguments::Report) -> Result<Code, Failure> {
    let folder = Folder::read(&arguments.records)?;
    let report = Report::new(&folder)?;
    if let Some(out) = &arguments.out {
        report.publish(&folder, out)?;
    }
    show(session, &report, arguments.out.as_deref())?;
    // A table that lacks records is no lie, but a script must not take it for the whole.
    Ok(if report.failures.is_empty() && report.problems.is_empty() { Code::Done } else { Code::Parts })
}

/// The report to stdout.
pub(crate) fn show(session: &Session, report: &Report, out: Option<&Path>) -> Result<(), Failure> {
    session.result(
        || object(report, out),
        || {
            let mut text = report.terminal(session.colour_stdout());
            if let Some(out) = out {
                text += &format!(
                    "\nwritten to {}: index.html, plots/, table.md, table.tex, table.csv, summary.csv, records.json\n",
                    out.display()
                );
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
            }));
        }
    }
    let failures: Vec<Value> =
        report.failures.iter().map(|f| json!({ "row": f.row, "seed": f.seed, "reason": f.reason })).collect();
    json!({
        "suite": report.suite,
        "out": out.map(|o| o.display().to_string()),
        "cells": cells,
        "failures": failures,
        "problems": report.problems,
        "remarks": report.remarks,
    })
}
