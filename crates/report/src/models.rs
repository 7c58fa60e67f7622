//! Rows of another architecture than the table's first.

use gauntlet_records::Record;
use serde_json::Value;

/// One sentence for every row whose model is not that of the first row that has one.
pub(crate) fn sentences(rows: &[String], records: &[Record]) -> Vec<String> {
    let model = |row: &String| {
        records.iter().filter(|r| r.row == *row).find_map(|r| r.result.configuration.pointer("/training/model"))
    };
    let Some(first) = rows.iter().find_map(model) else { return Vec::new() };
    let differing = rows.iter().filter_map(|row| Some((row, model(row)?))).filter(|(_, m)| *m != first);
    differing.map(|(row, m)| format!("`{row}`: its model is {}", described(m, first))).collect()
}

/// A model's name and those arguments that another does not have or has otherwise.
fn described(model: &Value, other: &Value) -> String {
    let arguments = model["args"].as_object().into_iter().flatten();
    let own = arguments.filter(|(name, value)| other["args"].get(name.as_str()) != Some(value));
    let own: Vec<String> = own.map(|(name, value)| format!("{name} = {value}")).collect();
    let name = model["name"].as_str().unwrap_or("unknown");
    if own.is_empty() { name.to_string() } else { format!("{name} with {}", own.join(", ")) }
}
