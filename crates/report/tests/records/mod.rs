//! Small records, made by hand.

use gauntlet_records::{
    CleanVerdict, Fate, Norm, Record, Verdict,
    record::{Attacked, Outcome, Provenance, RECORD_FORMAT},
};
use serde_json::json;

/// `fates`: per attack × ε one letter per example, W(rong) R(obust) B(roken) C(arried).
pub fn record(row: &str, seed: u64, penalties: serde_json::Value, cells: &[(&str, &str, &str)]) -> Record {
    let n = cells[0].2.len();
    let wrong = |i: usize| cells[0].2.as_bytes()[i] == b'W';
    let clean = (0..n)
        .map(|i| CleanVerdict { id: i as u64, label: 1, predicted: if wrong(i) { 2 } else { 1 }, margin: 0.5 })
        .collect();
    let attacked = cells
        .iter()
        .map(|(attack, eps, fates)| Attacked {
            attack: attack.to_string(),
            parameters: json!({"name": attack}),
            family: None,
            norm: Norm::Linf,
            eps: eps.parse().unwrap(),
            examples: None,
            verdicts: fates
                .chars()
                .enumerate()
                .map(|(i, c)| Verdict {
                    id: i as u64,
                    fate: match c {
                        'W' => Fate::Wrong,
                        'R' => Fate::Robust,
                        'B' => Fate::Broken,
                        _ => Fate::Carried,
                    },
                    restart: 0,
                    steps: 1,
                    size: 0.1,
                    margin: (c == 'R').then_some(0.25),
                    forwards: 2,
                    backwards: 1,
                    broken_by: String::new(),
                    blind: 0,
                    rounded: true,
                    fooled: None,
                })
                .collect(),
        })
        .collect();
    Record {
        format: RECORD_FORMAT,
        suite: "tiny".into(),
        row: row.into(),
        seed,
        failed: None,
        result: Outcome {
            configuration: json!({
                "note": format!("about {row}"),
                "training": {"seed": seed, "recipe": {"base": {"name": "ce", "args": {}}, "penalties": penalties}},
            }),
            data_sha256: "sha256:aa".into(),
            checkpoint_sha256: format!("sha256:{seed}"),
            curve: vec![],
            clean,
            attacked,
            certified: vec![],
            flags: vec![],
        },
        provenance: Provenance {
            version: "0.1.0".into(),
            commit: "abc".into(),
            versions: vec![("rustc".into(), "1.95.0".into()), ("candle".into(), "0.11.1".into())],
            cpu: "A CPU".into(),
            device: "cpu".into(),
            threads: 2,
            started: "2026-01-01T00:00:00Z".into(),
            train_seconds: 1.25,
            evaluate_seconds: 2.5,
            ..Provenance::default()
        },
        expectations: vec![],
    }
}
