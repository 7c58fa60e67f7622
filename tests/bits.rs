//! Golden bits: short trainings and what attacks make of them, by sha256. A commit that moves a number raises the
//! `numerics` of what moved; this test fails where one does not.

use crate::sandbox::Sandbox;
use gauntlet::engine::fingerprint;
use gauntlet::records::{Fate, Record, Verdict, VerdictLine, record_file};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Second derivatives, an attack inside a recipe and its ramp, a KL divergence, batch norm and its moving statistics, exp and
/// ln in every activation; attacks of all norms.
const SUITE: &str = r#"
format = 1
name = "bits"
data = "tiny"
model = "lenet-small"
seeds = [0]
take = 40

[train]
epochs = 6
batch = 25
optimiser = { name = "adam", lr = 4e-3 }
schedule = { name = "triangular" }
validation = 50

[[row]]
id = "ce"
recipe = "ce"

[[row]]
id = "grad-norm"
recipe = { name = "grad-norm", norm = "l1", weight = 0.02, ramp = 3.0 }

[[row]]
id = "pgd-at"
recipe = { name = "pgd-at", eps = "0.02", attack = { name = "pgd", steps = 5, alpha = "0.005" }, ramp = 3.0 }

[[row]]
id = "trades"
recipe = { name = "trades", eps = "0.02", beta = 1.0, attack = { name = "pgd", steps = 5, alpha = "0.005", random_start = "0.001" } }

[[row]]
id = "batch-norm"
model = { name = "wideresnet", depth = 10, width = 1 }
recipe = { name = "fgsm-rs", eps = "0.01" }

[[row]]
id = "softplus"
model = { name = "mlp", activation = "softplus" }
recipe = "ce"

[[attack]]
name = "pgd"
eps = "0.02"
steps = 10
restarts = 2

[[attack]]
name = "worst-case"
eps = "0.02"
attacks = [
  { name = "apgd-ce", steps = 10 },
  { name = "apgd-t", steps = 5, targets = 3 },
  { name = "fab-t", steps = 5, targets = 3 },
  { name = "square", queries = 50 },
]

[[attack]]
name = "apgd-ce"
norm = "l1"
eps = "1"
steps = 20

[[attack]]
name = "ddn"
norm = "l2"
eps = "0.5"
steps = 20

[[attack]]
name = "fmn"
norm = "l2"
eps = "0.5"
steps = 20

[[attack]]
name = "cw-l2"
norm = "l2"
eps = "0.5"
steps = 20
searches = 2
c = 1.0
"#;

/// What the bits of one part must be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Golden {
    /// Of everything that the store's key of the part is made of, `numerics` included.
    key: String,
    /// Images right, of those that were looked at: for a machine whose bits nobody has recorded.
    right: usize,
    /// sha256 of weights or verdicts, by the platform's mathematics (`gauntlet doctor` shows it).
    bits: BTreeMap<String, String>,
}

/// Images that may turn on a machine of another kind.
const TURNED: usize = 4;

fn golden_file() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/bits.json"))
}

fn right(verdicts: &[Verdict]) -> usize {
    verdicts.iter().filter(|v| v.fate == Fate::Robust).count()
}

/// The parts of a record: its training, then its attacks.
fn parts(record: &Record, mathematics: &str) -> Vec<(String, Golden)> {
    let golden = |key: &Value, right, bits: String| Golden {
        key: fingerprint(key),
        right,
        bits: BTreeMap::from([(mathematics.to_string(), bits)]),
    };
    let result = &record.result;
    let of = &result.configuration;
    let clean = result.clean.iter().filter(|v| v.label == v.predicted).count();
    let mut found =
        vec![(format!("{}: weights", record.row), golden(&of["training"], clean, result.checkpoint_sha256.clone()))];
    assert_eq!(of["attacks"].as_array().unwrap().len(), result.attacked.len(), "one ε per attack");
    for (cell, attack) in result.attacked.iter().zip(of["attacks"].as_array().unwrap()) {
        let key = json!([of["training"], of["evaluation"], attack]);
        let bits = fingerprint(&json!(cell.verdicts.iter().map(VerdictLine::fields).collect::<Vec<_>>()));
        found.push((
            format!("{}: {} {} {}", record.row, cell.attack, cell.norm, cell.eps),
            golden(&key, right(&cell.verdicts), bits),
        ));
    }
    found
}

/// What is wrong with a part that came out as `now` where `then` is golden.
fn complaint(then: Option<&Golden>, now: &Golden) -> Option<String> {
    let (mathematics, bits) = now.bits.first_key_value().unwrap();
    let Some(then) = then else { return Some("is not in the golden file".into()) };
    if then.key != now.key {
        return Some("is described otherwise than in the golden file: numerics rose, or an argument changed".into());
    }
    match then.bits.get(mathematics) {
        Some(golden) if golden == bits => None,
        Some(golden) => Some(format!("MOVED without its numerics: {bits}, golden {golden}")),
        None if then.right.abs_diff(now.right) <= TURNED => {
            println!(
                "mathematics {mathematics} is in no golden value: {} images right, golden {}",
                now.right, then.right
            );
            None
        }
        None => Some(format!("leaves {} images right, golden {} (mathematics {mathematics})", now.right, then.right)),
    }
}

/// The golden value after `UPDATE_GOLDEN=1`: a new part, a new description, a new kind of machine; bits that moved are not
/// taken.
fn updated(then: Option<&Golden>, now: &Golden) -> Golden {
    match then {
        Some(then) if then.key == now.key => {
            let mut kept = then.clone();
            for (mathematics, bits) in &now.bits {
                kept.bits.entry(mathematics.clone()).or_insert_with(|| bits.clone());
            }
            kept
        }
        _ => now.clone(),
    }
}

const WHAT_TO_DO: &str = "\
A part that MOVED: a commit changed numbers and not the `numerics` of what computes them, so stores would mix old and new \
results. If it was not meant to, undo it. If it was, raise `numerics` of the component (its SPEC), TRAINER_NUMERICS or \
EVALUATOR_NUMERICS (crates/evaluate/src/lib.rs), say so in CHANGELOG.md, and then\n\
    UPDATE_GOLDEN=1 cargo test --release --test end_to_end bits\n\
which writes parts that are new, described otherwise, or of a new kind of machine, and refuses those that moved. Where \
`numerics` rose already since the last release, or a verdict only gained a field, delete the part in tests/golden/bits.json \
first.";

#[test]
fn bits_move_only_with_numerics() {
    let sandbox = Sandbox::new();
    sandbox.write("bits.toml", SUITE);
    sandbox.ok("run bits.toml --threads 1");
    let mut found = BTreeMap::new();
    for row in ["ce", "grad-norm", "pgd-at", "trades", "batch-norm", "softplus"] {
        let record = record_file::read(&sandbox.path(&format!("reports/bits/records/{row}-0.json"))).unwrap();
        let mathematics = record.provenance.versions.iter().find(|(name, _)| name == "mathematics").unwrap().1.clone();
        found.extend(parts(&record, &mathematics));
    }
    let golden: BTreeMap<String, Golden> =
        std::fs::read_to_string(golden_file()).map_or_else(|_| BTreeMap::new(), |t| serde_json::from_str(&t).unwrap());
    let mut wrong: Vec<String> =
        found.iter().filter_map(|(name, now)| Some(format!("{name} {}", complaint(golden.get(name), now)?))).collect();
    wrong.extend(golden.keys().filter(|name| !found.contains_key(*name)).map(|name| format!("{name} is golden only")));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let new: BTreeMap<_, _> = found.iter().map(|(name, now)| (name, updated(golden.get(name), now))).collect();
        std::fs::write(golden_file(), serde_json::to_string_pretty(&new).unwrap() + "\n").unwrap();
        wrong.retain(|w| w.contains("MOVED"));
    }
    assert!(wrong.is_empty(), "{}\n\n{WHAT_TO_DO}", wrong.join("\n"));
}

#[test]
fn a_part_that_moved_is_told_and_never_overwritten() {
    let of = |key: &str, right, mathematics: &str, bits: &str| Golden {
        key: key.into(),
        right,
        bits: BTreeMap::from([(mathematics.into(), bits.into())]),
    };
    let then = of("k", 30, "m", "one");
    let says = |now: &Golden, what: &str| complaint(Some(&then), now).is_some_and(|why| why.contains(what));
    assert_eq!(complaint(Some(&then), &then), None);
    let moved = of("k", 30, "m", "two");
    assert!(says(&moved, "MOVED without its numerics: two, golden one"));
    assert_eq!(updated(Some(&then), &moved), then);
    let raised = of("k2", 30, "m", "two");
    assert!(says(&raised, "numerics rose"));
    assert_eq!(updated(Some(&then), &raised), raised);
    assert!(complaint(None, &then).unwrap().contains("not in the golden file"));
    // Of another kind of machine bits are not asked for, results are.
    let elsewhere = of("k", 34, "n", "two");
    assert_eq!(complaint(Some(&then), &elsewhere), None);
    assert_eq!(updated(Some(&then), &elsewhere).bits.len(), 2);
    assert!(says(&of("k", 35, "n", "two"), "leaves 35 images right, golden 30"));
}
