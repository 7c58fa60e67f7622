//! All records in one JSON file, without single verdicts: what other programs read. Its schema is docs/records.schema.json.

use crate::{Column, Count, Folder, Report, Result};
use gauntlet_records::{
    Eps, Norm, Record,
    record::{Epoch, Flag, Provenance},
};
use indexmap::IndexMap;
use serde::Serialize;
use serde_json::Value;

/// Version of the file's form.
const FORMAT: u32 = 1;

/// The label of the ensemble that leaderboards are made with.
const AUTOATTACK: &str = "autoattack";

#[derive(Serialize)]
struct Digest<'a> {
    format: u32,
    suite: &'a str,
    command: &'a str,
    notes: &'a [String],
    remarks: &'a [String],
    problems: &'a [String],
    records: Vec<Training<'a>>,
    summary: Vec<Mean<'a>>,
    model_info: IndexMap<String, IndexMap<String, ModelInfo>>,
}

#[derive(Serialize)]
struct Training<'a> {
    row: &'a str,
    seed: u64,
    failed: &'a Option<String>,
    configuration: &'a Value,
    data_sha256: &'a str,
    checkpoint_sha256: &'a str,
    accuracies: Vec<Accuracy<'a>>,
    curve: &'a [Epoch],
    flags: &'a [Flag],
    provenance: &'a Provenance,
}

/// Where a number stands in a table: `attack` is `clean`, a label of the suite (of an attack, or of a certification, whose number is
/// what it proves), or `worst case`.
#[derive(Serialize)]
struct Place<'a> {
    attack: &'a str,
    norm: Option<Norm>,
    eps: Option<&'a Eps>,
}

#[derive(Serialize)]
struct Accuracy<'a> {
    #[serde(flatten)]
    place: Place<'a>,
    n: u64,
    correct: u64,
    accuracy: f64,
    wilson_low: f64,
    wilson_high: f64,
}

#[derive(Serialize)]
struct Mean<'a> {
    row: &'a str,
    #[serde(flatten)]
    place: Place<'a>,
    seeds: u32,
    n: u64,
    mean: f64,
    sd: f64,
    low: f64,
    high: f64,
}

/// An entry as RobustBench keeps them in `model_info/<data set>/<threat model>/<model>.json`, accuracies as texts.
#[derive(Serialize)]
struct ModelInfo {
    link: String,
    name: String,
    authors: String,
    additional_data: bool,
    number_forward_passes: u32,
    dataset: String,
    venue: String,
    architecture: String,
    eps: String,
    clean_acc: String,
    reported: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    autoattack_acc: Option<String>,
    footnote: String,
}

fn place(column: &Column) -> Place<'_> {
    let budget = column.budget();
    Place { attack: column.attack(), norm: budget.map(|b| b.0), eps: budget.map(|b| b.1) }
}

impl Report {
    /// Every training with its settings, accuracies (percent), curve, flags and provenance, the means over seeds, and
    /// RobustBench's entries.
    ///
    /// # Errors
    /// It cannot be put into JSON.
    pub fn digest(&self, folder: &Folder) -> Result<Vec<u8>> {
        let counts: Vec<Vec<Count>> = folder.records.iter().map(Count::of).collect();
        let mut summary = Vec::new();
        for (r, row) in self.rows.iter().enumerate() {
            for (k, column) in self.columns.iter().enumerate() {
                let Some(v) = self.summary.value(r, k) else { continue };
                let (place, mean, sd, low, high) = (place(column), v.mean, v.sd, v.low, v.high);
                summary.push(Mean { row, place, seeds: v.seeds, n: v.n, mean, sd, low, high });
            }
        }
        let digest = Digest {
            format: FORMAT,
            suite: &self.suite,
            command: &folder.manifest.command,
            notes: &self.notes,
            remarks: &self.remarks,
            problems: &self.problems,
            records: folder.records.iter().zip(&counts).map(|(r, c)| training(r, c)).collect(),
            summary,
            model_info: model_info(folder, &counts),
        };
        let mut json = serde_json::to_vec(&digest)?;
        json.push(b'\n');
        Ok(json)
    }
}

fn training<'a>(record: &'a Record, counts: &'a [Count]) -> Training<'a> {
    let accuracy = |c: &'a Count| {
        let (wilson_low, wilson_high) = c.interval();
        Accuracy { place: place(&c.column), n: c.n, correct: c.correct, accuracy: c.percent(), wilson_low, wilson_high }
    };
    let result = &record.result;
    Training {
        row: &record.row,
        seed: record.seed,
        failed: &record.failed,
        configuration: &result.configuration,
        data_sha256: &result.data_sha256,
        checkpoint_sha256: &result.checkpoint_sha256,
        accuracies: counts.iter().map(accuracy).collect(),
        curve: &result.curve,
        flags: &result.flags,
        provenance: &record.provenance,
    }
}

/// Per threat model `<norm>-<eps>`, an entry `<row>-<seed>` for every training that was attacked there.
fn model_info(folder: &Folder, counts: &[Vec<Count>]) -> IndexMap<String, IndexMap<String, ModelInfo>> {
    let mut entries: IndexMap<String, IndexMap<String, ModelInfo>> = IndexMap::new();
    for (record, counts) in folder.records.iter().zip(counts) {
        let Some(clean) = counts.iter().find(|c| c.column == Column::Clean) else { continue };
        for count in counts {
            let Some((norm, eps)) = count.column.budget() else { continue };
            // What is proved is no accuracy under an attack.
            if matches!(count.column, Column::Certified { .. }) {
                continue;
            }
            let percent = format!("{:.2}", count.percent());
            let models = entries.entry(format!("{norm}-{eps}")).or_default();
            let name = format!("{}-{}", record.row, record.seed);
            let entry =
                models.entry(name.clone()).or_insert_with(|| info(record, &name, (clean, count.n), eps, &percent));
            // What withstands every attack is what is reported; attacks come in order, the worst case last.
            let lower = |a: &str, b: &str| a.parse::<f64>().unwrap_or(f64::MAX) < b.parse::<f64>().unwrap_or(f64::MAX);
            if lower(&percent, &entry.reported) {
                entry.reported = percent.clone();
            }
            if count.column.attack() == AUTOATTACK {
                entry.autoattack_acc = Some(percent);
            }
        }
    }
    entries
}

fn info(record: &Record, name: &str, (clean, n): (&Count, u64), eps: &Eps, reported: &str) -> ModelInfo {
    let text = |pointer: &str| {
        let value = record.result.configuration.pointer(pointer).and_then(Value::as_str);
        value.unwrap_or_default().to_string()
    };
    let mut footnote = format!("{n} examples.");
    if let Some(reason) = &record.failed {
        footnote += &format!(" A part of it failed: {}.", reason.trim_end_matches('.'));
    }
    for flag in &record.result.flags {
        footnote += &format!(" {}: {}.", flag.name, flag.detail.trim_end_matches('.'));
    }
    ModelInfo {
        link: text("/checkpoint"),
        name: name.to_string(),
        authors: String::new(),
        additional_data: false,
        number_forward_passes: 1,
        dataset: text("/data"),
        venue: format!("gauntlet {}, suite {}", record.provenance.version, record.suite),
        architecture: text("/training/model/name"),
        eps: eps.to_string(),
        clean_acc: format!("{:.2}", clean.percent()),
        reported: reported.to_string(),
        autoattack_acc: None,
        footnote,
    }
}
