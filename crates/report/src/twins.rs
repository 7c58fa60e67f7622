//! Rows that differ only by a penalty whose graph is cut: what the popular snippet trains.
//!
//! `penalty = grad.norm()` of a gradient computed without keeping its graph is a constant to the optimiser. Such a row
//! must equal its base, and here is where that is looked up instead of believed.

use crate::{Column, Count};
use gauntlet_records::{CleanVerdict, Record, Verdict};
use serde_json::Value;

/// One sentence for every row with a cut penalty whose base is in the table too.
pub(crate) fn sentences(records: &[Record]) -> Vec<String> {
    let mut sentences = Vec::new();
    let mut done: Vec<&str> = Vec::new();
    for record in records {
        if done.contains(&record.row.as_str()) {
            continue;
        }
        done.push(&record.row);
        let Some((without, kept)) = counterparts(&record.result.configuration) else { continue };
        let cut: Vec<&Record> = records.iter().filter(|r| r.row == record.row).collect();
        let is = |wanted: &Value| records.iter().find(|r| r.seed == record.seed && description(r) == *wanted);
        let Some(base) = is(&without) else { continue };
        sentences.push(sentence(records, &cut, &base.row, is(&kept).map(|r| r.row.as_str())));
    }
    sentences
}

fn sentence(records: &[Record], cut: &[&Record], base: &str, kept: Option<&str>) -> String {
    let row = &cut[0].row;
    let pairs: Vec<(&Record, &Record)> = cut
        .iter()
        .filter_map(|c| Some((*c, records.iter().find(|r| r.row == base && r.seed == c.seed)?)))
        .filter(|(a, b)| a.failed.is_none() && b.failed.is_none())
        .collect();
    if pairs.is_empty() {
        return format!("`{row}` cannot be compared with `{base}`: no seed of both is complete.");
    }
    let seeds = pairs.iter().map(|(c, _)| c.seed.to_string()).collect::<Vec<_>>().join(", ");
    let seeds = if pairs.len() == 1 { format!("seed {seeds}") } else { format!("seeds {seeds}") };
    let equal = |(a, b): &(&Record, &Record)| {
        let cells = |r: &Record| r.result.attacked.iter().map(|c| c.verdicts.len()).collect::<Vec<_>>();
        a.result.checkpoint_sha256 == b.result.checkpoint_sha256
            && a.result.clean.len() == b.result.clean.len()
            && cells(a) == cells(b)
            && differing(a, b) == 0
    };
    if !pairs.iter().all(equal) {
        let apart: Vec<String> = pairs
            .iter()
            .filter(|p| !equal(p))
            .map(|(a, b)| {
                let weights =
                    if a.result.checkpoint_sha256 == b.result.checkpoint_sha256 { "equal" } else { "different" };
                format!("seed {}: {weights} weights, {} verdicts differ", a.seed, differing(a, b))
            })
            .collect();
        return format!(
            "`{row}` differs from `{base}` only by a penalty on a cut graph and should equal it bit for bit, but does not ({}).",
            apart.join("; ")
        );
    }
    let mut text = format!(
        "`{row}` equals `{base}` bit for bit ({seeds}: same weights, same verdict on every example): with its graph cut \
         the penalty is a constant to the optimiser, so the popular snippet trains nothing"
    );
    if let Some(kept) = kept {
        let gains = gains(records, row, kept);
        if !gains.is_empty() {
            text += &format!("; with the graph kept the same penalty (`{kept}`) gives {}", gains.join(", "));
        }
    }
    text + "."
}

/// Per ε of the strictest columns: kept against cut, means over the seeds of both.
fn gains(records: &[Record], cut: &str, kept: &str) -> Vec<String> {
    let counts = |row: &str| -> Vec<Count> { records.iter().filter(|r| r.row == row).flat_map(Count::of).collect() };
    let (cut, kept) = (counts(cut), counts(kept));
    let mut columns: Vec<&Column> = Vec::new();
    for count in &kept {
        if count.column != Column::Clean && !columns.contains(&&count.column) {
            columns.push(&count.column);
        }
    }
    let all: Vec<Column> = columns.iter().map(|c| (*c).clone()).collect();
    columns.retain(|c| c.decides(&all));
    let mean = |counts: &[Count], column: &Column| {
        let of: Vec<f64> = counts.iter().filter(|c| c.column == *column).map(Count::percent).collect();
        gauntlet_records::statistics::mean_sd(&of).map(|(mean, _)| mean)
    };
    columns
        .into_iter()
        .filter_map(|c| Some(format!("{:.1} % against {:.1} % ({c})", mean(&kept, c)?, mean(&cut, c)?)))
        .collect()
}

/// Examples whose clean verdict or verdict under an attack is not the same, bit for bit (a NaN margin equals itself).
fn differing(a: &Record, b: &Record) -> usize {
    let clean = |v: &CleanVerdict| (v.id, v.label, v.predicted, v.margin.to_bits());
    let bits = |v: &Verdict| {
        (v.id, v.fate, v.restart, v.steps, v.size.to_bits(), v.margin.map(f64::to_bits), v.forwards, v.backwards)
    };
    let before = a.result.clean.iter().zip(&b.result.clean).filter(|(v, w)| clean(v) != clean(w)).count();
    let cells = a.result.attacked.iter().zip(&b.result.attacked);
    before
        + cells
            .map(|(x, y)| x.verdicts.iter().zip(&y.verdicts).filter(|(v, w)| bits(v) != bits(w)).count())
            .sum::<usize>()
}

/// The configuration without what names or describes the row, and without `numerics`, which follow from the components.
fn description(record: &Record) -> Value {
    strip(record.result.configuration.clone())
}

fn strip(mut value: Value) -> Value {
    match &mut value {
        Value::Object(map) => {
            map.retain(|k, _| !["note", "numerics"].contains(&k.as_str()));
            map.values_mut().for_each(|v| *v = strip(v.take()));
        }
        Value::Array(list) => list.iter_mut().for_each(|v| *v = strip(v.take())),
        _ => {}
    }
    value
}

/// For a configuration with a penalty on a cut graph: the same without that penalty, and the same with its graph kept.
fn counterparts(configuration: &Value) -> Option<(Value, Value)> {
    let configuration = strip(configuration.clone());
    let at = "/training/recipe/penalties";
    let penalties = configuration.pointer(at)?.as_array()?;
    let graph = |p: &Value| p.get("graph").or_else(|| p.pointer("/args/graph"))?.as_str().map(str::to_string);
    let is_cut = |p: &Value| graph(p).is_some_and(|g| g == "cut");
    if !penalties.iter().any(is_cut) {
        return None;
    }
    let keep = |p: &Value| {
        let mut p = p.clone();
        for place in ["/graph", "/args/graph"] {
            if let Some(g) = p.pointer_mut(place).filter(|g| *g == "cut") {
                *g = "keep".into();
            }
        }
        p
    };
    let with = |list: Vec<Value>| {
        let mut changed = configuration.clone();
        *changed.pointer_mut(at)? = list.into();
        Some(changed)
    };
    Some((
        with(penalties.iter().filter(|p| !is_cut(p)).cloned().collect())?,
        with(penalties.iter().map(keep).collect())?,
    ))
}
