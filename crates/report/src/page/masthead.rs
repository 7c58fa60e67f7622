//! The head of the page: what was run, and in one sentence what came out.

use crate::{Column, Report, Standing};
use gauntlet_records::Record;
use serde::Serialize;
use serde_json::Value;

/// One fact about the runs.
#[derive(Serialize)]
pub(super) struct Fact {
    name: &'static str,
    value: String,
}

/// Data set, models, epochs, seeds and date, as far as records say them.
pub(super) fn facts(report: &Report, records: &[Record]) -> Vec<Fact> {
    let all = |pointer: &str| -> Vec<String> {
        let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_string);
        super::table::distinct(records.iter().filter_map(|r| r.result.configuration.pointer(pointer)).map(text))
    };
    let few = |mut values: Vec<String>| {
        let more = values.len().saturating_sub(4);
        values.truncate(4);
        let list = values.join(", ");
        if more > 0 { format!("{list} and {more} more") } else { list }
    };
    let mut days: Vec<&str> = records.iter().filter_map(|r| r.provenance.started.get(..10)).collect();
    days.sort_unstable();
    let date = match (days.first(), days.last()) {
        (Some(first), Some(last)) if first == last => (*first).to_string(),
        (Some(first), Some(last)) => format!("{first} to {last}"),
        _ => String::new(),
    };
    let seeds = match report.seeds.as_slice() {
        [_] => "one: training again would give other numbers".to_string(),
        [first, .., last] if last - first + 1 == report.seeds.len() as u64 && report.seeds.is_sorted() => {
            format!("{}: {first} to {last}", report.seeds.len())
        }
        seeds => format!("{}: {}", seeds.len(), few(seeds.iter().map(u64::to_string).collect())),
    };
    let facts = [
        ("data", few(all("/data"))),
        ("model", few(all("/training/model/name"))),
        ("epochs", few(all("/training/train/epochs"))),
        ("seeds", seeds),
        ("date", date),
    ];
    facts.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| Fact { name, value }).collect()
}

/// What was found, in one sentence: the row that holds most at the largest budget that tells rows apart, and the first row there.
/// `None`: one row alone, or none that can be told from the others.
pub(super) fn found(report: &Report) -> Option<String> {
    let decides = |k: &usize| {
        let column = &report.columns[*k];
        column.budget().is_some() && column.decides(&report.columns) && report.standings.tells_apart(*k)
    };
    let value = |r: usize, k: usize| report.summary.value(r, k).map(|v| v.mean);
    let size = |k: &usize| report.columns[*k].budget().map_or(0.0, |(_, eps)| eps.value());
    // Beyond doubt better than always giving the same answer; else, at least not nothing.
    let holds = |k: &usize| report.worst_classes.iter().any(|w| w.column == *k);
    let some_left = |k: &usize| (0..report.rows.len()).filter_map(|r| value(r, *k)).any(|v| v >= 5.0);
    let first_norm = report.columns.iter().find_map(Column::budget)?.0;
    let largest = |enough: &dyn Fn(&usize) -> bool| {
        (0..report.columns.len())
            .filter(|k| report.columns[*k].budget().is_some_and(|(norm, _)| norm == first_norm))
            .filter(|k| decides(k) && enough(k))
            .max_by(|a, b| size(a).total_cmp(&size(b)))
    };
    let k = largest(&holds).or_else(|| largest(&some_left))?;
    let standing = |as_: Standing| -> Vec<usize> {
        (0..report.rows.len()).filter(|r| report.standings.of(*r, k) == Some(as_)).collect()
    };
    let (best, alike) = (*standing(Standing::Best).first()?, standing(Standing::Alike));
    let (left, clean) = (value(best, k)?, value(best, 0)?);
    let beside = match alike.as_slice() {
        [] => String::new(),
        [one] => format!(" ({} cannot be told apart from it)", report.rows[*one]),
        several => format!(" ({} rows cannot be told apart from it)", several.len()),
    };
    let mut sentence = format!(
        "Under {} at {}, {} keeps the most of {} rows: {left:.1} %{beside}, of {clean:.1} % clean",
        if matches!(report.columns[k], Column::Worst { .. }) { "the worst case" } else { report.columns[k].attack() },
        super::table::budget(&report.columns[k]).unwrap_or_default(),
        report.rows[best],
        report.rows.len()
    );
    if let Some(first) = value(0, k).filter(|_| best != 0) {
        sentence += &format!("; {} keeps {first:.1} %", report.rows[0]);
    }
    Some(sentence + ".")
}
