//! `gauntlet verify`: a sample of a report's verdicts, evaluated again.

use crate::arguments::Verify;
use crate::exit::{Code, Failure};
use crate::interrupt;
use crate::session::Session;
use gauntlet::engine::{Store, VerifiedRecord, Verifier};
use gauntlet::report::Folder;
use serde_json::Value;
use std::fmt::Write;
use std::path::Path;

/// How many differing examples of a column are listed.
const SHOWN: usize = 5;

pub(crate) fn verify(session: &Session, arguments: &Verify) -> Result<Code, Failure> {
    let folder = Folder::read(&arguments.records)?;
    // Networks of files are named from where the suite was.
    for beside in [&arguments.records, Path::new("suites")] {
        session.registry.models.look_in(beside);
    }
    let interrupt = interrupt::flag();
    let mut context = session.context(&session.catalogue, Store::new(&arguments.runs), interrupt);
    context.data = session.data(&arguments.data);
    let verifier = Verifier {
        records: &folder.records,
        context: &context,
        sample: arguments.sample.get(),
        retrain: !arguments.no_retrain,
    };
    let progress = session.progress();
    let mut verified = Vec::new();
    for record in &folder.records {
        verified.push(verifier.verify(record, &progress)?);
    }
    progress.finish();
    session.result(|| serde_json::to_value(&verified).unwrap_or(Value::Null), || text(&verified, &folder.problems))?;
    Ok(if verified.iter().any(VerifiedRecord::contradicts) {
        Code::Expectation
    } else if verified.iter().any(|v| v.problem.is_some()) || !folder.problems.is_empty() {
        Code::Parts
    } else {
        Code::Done
    })
}

fn text(verified: &[VerifiedRecord], problems: &[String]) -> String {
    let mut out = String::new();
    for v in verified {
        let how = match &v.apart {
            None => "compared bit for bit, the machine is of the record's kind".to_string(),
            Some(why) => format!("compared with a tolerance, the machine is of another kind than the record's: {why}"),
        };
        let from = if v.retrained { "trained again" } else { "from the store" };
        let said = match (&v.problem, v.same_weights) {
            (_, true) => format!("weights {from} are the record's; {how}"),
            (None, false) => format!("weights {from} are others than the record's"),
            (Some(problem), false) => format!("not verified: {problem}"),
        };
        let _ = writeln!(out, "{}, seed {}: {said}", v.row, v.seed);
        for cell in &v.cells {
            let budget =
                cell.budget.as_ref().map(|(norm, eps)| format!(" {} ε = {eps}", norm.symbol())).unwrap_or_default();
            let name = format!("{}{budget}", cell.attack);
            let equal = cell.compared - cell.different.len();
            let _ = writeln!(out, "  {name:36} {} compared, {equal} equal", cell.compared);
            for d in cell.different.iter().take(SHOWN) {
                let _ = writeln!(out, "    example {}: recorded {}; now {}", d.id, d.recorded, d.now);
            }
            if cell.different.len() > SHOWN {
                let _ = writeln!(out, "    and {} more", cell.different.len() - SHOWN);
            }
        }
        if let Some(problem) = v.problem.as_ref().filter(|_| v.same_weights) {
            let _ = writeln!(out, "  not compared: {problem}");
        }
    }
    for problem in problems {
        let _ = writeln!(out, "problem: {problem}");
    }
    let bad = verified.iter().filter(|v| v.contradicts()).count();
    let open = verified.iter().filter(|v| v.problem.is_some()).count();
    let _ = match (bad, open) {
        (0, 0) => writeln!(out, "{} records hold", verified.len()),
        _ => writeln!(
            out,
            "{} records: {bad} are contradicted, {open} could not be verified, or not in every column",
            verified.len()
        ),
    };
    out
}
