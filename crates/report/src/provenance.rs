//! Where the numbers come from: label and value, distinct values where the records differ.

use crate::Manifest;
use gauntlet_records::Record;

pub(crate) fn lines(manifest: &Manifest, records: &[Record], seeds: &[u64]) -> Vec<(String, String)> {
    let distinct = |f: &dyn Fn(&Record) -> String| {
        let mut values: Vec<String> = Vec::new();
        for value in records.iter().map(f).filter(|v| !v.is_empty()) {
            if !values.contains(&value) {
                values.push(value);
            }
        }
        values.join("; ")
    };
    let seconds = |f: &dyn Fn(&Record) -> f64| records.iter().map(f).sum::<f64>();
    let p = |r: &Record| r.provenance.clone();
    let versions =
        |r: &Record| r.provenance.versions.iter().map(|(k, v)| format!("{k} {v}")).collect::<Vec<_>>().join(", ");
    let list = [
        ("repeat with", format!("`{}`", manifest.command)),
        ("gauntlet", distinct(&|r| p(r).version)),
        ("commit", distinct(&|r| p(r).commit)),
        ("versions", distinct(&versions)),
        ("CPU", distinct(&|r| p(r).cpu)),
        ("device", distinct(&|r| p(r).device)),
        (
            "threads",
            distinct(&|r| if r.provenance.threads == 0 { String::new() } else { r.provenance.threads.to_string() }),
        ),
        ("seeds", seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")),
        ("data", distinct(&|r| r.result.data_sha256.clone())),
        (
            "time",
            format!(
                "{:.0} s of training, {:.0} s of attacks",
                seconds(&|r| r.provenance.train_seconds),
                seconds(&|r| r.provenance.evaluate_seconds)
            ),
        ),
    ];
    list.into_iter().filter(|(_, v)| !v.is_empty()).map(|(k, v)| (k.to_string(), v)).collect()
}
