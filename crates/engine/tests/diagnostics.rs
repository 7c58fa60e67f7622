//! What a run measures beside accuracies: a training's curve and cost, several draws of a proposal.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod halves;

use gauntlet_core::Registry;
use gauntlet_data::Catalogue;
use gauntlet_engine::{Context, Event, Events, Images, Store, Suite, run_on};
use gauntlet_records::{Fate, Record, record_file};
use halves::split;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

static GO_ON: AtomicBool = AtomicBool::new(false);
const HEAD: &str = r#"format = 1
name = "tiny"
data = "glyphs"
model = "lenet-small"
take = 40
train = { epochs = 2, batch = 32, validation = 60, optimiser = { name = "adam", lr = 0.01 } }
"#;
const ATTACKS: &str = r#"[[attack]]
name = "fgsm"
eps = ["0.1", "0.2"]
[[attack]]
name = "pgd"
eps = ["0.1", "0.2"]
steps = 5
restarts = 2
"#;

fn registry() -> Registry {
    let mut registry = Registry::default();
    gauntlet_models::register(&mut registry).unwrap();
    gauntlet_attacks::register(&mut registry).unwrap();
    gauntlet_recipes::register(&mut registry).unwrap();
    registry
}

/// Counts steps and verdicts.
#[derive(Default)]
struct Watcher {
    steps: AtomicUsize,
    verdicts: AtomicUsize,
}
impl Events for Watcher {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Step { .. } => self.steps.fetch_add(1, Ordering::Relaxed),
            Event::Judged { .. } => self.verdicts.fetch_add(1, Ordering::Relaxed),
            _ => 0,
        };
    }
}

fn suite(text: &str) -> Suite {
    Suite::load(text, "tiny.toml", &registry(), &Catalogue::default()).unwrap()
}
fn go(suite: &Suite, store: &Path, watcher: &Watcher) -> Vec<Record> {
    let (registry, catalogue) = (registry(), Catalogue::default());
    let context = Context::new(&registry, &catalogue, Store::new(store), &GO_ON);
    let classes = ["left", "right", "top"].map(String::from).to_vec();
    run_on(suite, Images { train: split(1, 260), test: split(2, 50), classes, order: None }, &context, watcher).unwrap()
}

#[test]
fn a_curve_has_the_diagnostics_of_its_recipe_and_the_cost_is_counted() {
    let rows = "[[row]]\nrecipe = \"ce\"\n[[row]]\nid = \"pgd-at\"\nrecipe = { name = \"pgd-at\", eps = \"0.1\", attack = { name = \"pgd\", steps = 3 } }\n[[row]]\nid = \"l2\"\nrecipe = { name = \"pgd-at\", eps = \"0.5\", norm = \"l2\", attack = { name = \"fgsm\" } }\n[[row]]\nid = \"grown\"\nrecipe = { name = \"grad-norm\", weight = 0.1, ramp = 1 }\n[[row]]\nid = \"whole\"\nrecipe = { name = \"grad-norm\", weight = 0.1 }\n";
    let folder = tempfile::tempdir().unwrap();
    let records = go(&suite(&[HEAD, rows, ATTACKS].concat()), folder.path(), &Watcher::default());
    for r in &records {
        for e in &r.result.curve {
            let alignment = e.alignment.unwrap();
            assert!(alignment > 0.2 && alignment <= 1.0, "{}: {alignment}", r.row);
            match (e.own_fgsm_accuracy, e.own_pgd_accuracy) {
                (None, None) => {
                    assert!(["ce", "grown", "whole"].contains(&&*r.row), "{} trains against nothing", r.row)
                }
                (Some(fgsm), Some(pgd)) => {
                    assert!(r.row != "ce" && pgd <= fgsm && fgsm <= e.clean_accuracy, "{}: {e:?}", r.row);
                    // The monitor's attack of an L∞ recipe at the monitor's budget differs in nothing but its label.
                    assert!(r.row == "l2" || pgd == e.robust_accuracy, "{e:?}");
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(r.result.flags.iter().all(|f| f.name != "catastrophic-overfitting"), "{:?}", r.result.flags);
    }
    // Multiplications of lenet-small's layers for one 8 × 8 image, forward: 16 · 4 · 4 outputs of 4 · 4 · 1 weights,
    // 32 · 2 · 2 of 4 · 4 · 16, 100 of 128, 3 of 100. The first layer's input gradient is needed by attacks alone.
    let first = 256.0 * 16.0;
    let unit = first + 128.0 * 256.0 + 100.0 * 128.0 + 300.0;
    let cost = |steps: f64| (2.0 * steps * unit + 3.0 * unit - first) / (3.0 * unit - first);
    for (record, steps) in records.iter().zip([0.0, 3.0, 1.0]) {
        let found = record.provenance.cost_relative_to_ce.unwrap();
        assert!((found - cost(steps)).abs() < 1e-12, "{}: {found} instead of {}", record.row, cost(steps));
    }
    // A weight that grows from 0 costs what it costs when it has grown.
    let (grown, whole) = (&records[3].provenance, &records[4].provenance);
    assert!(grown.cost_relative_to_ce > Some(1.5) && grown.cost_relative_to_ce == whole.cost_relative_to_ce);
}

#[test]
fn several_draws_of_a_model_that_is_not_random_say_the_same() {
    let rows = "[[row]]\nrecipe = \"ce\"\n";
    let folder = tempfile::tempdir().unwrap();
    let once = go(&suite(&[HEAD, rows, ATTACKS].concat()), folder.path(), &Watcher::default());
    let thrice = suite(&[&HEAD.replace("take = 40", "take = 40\ndraws = 3"), rows, ATTACKS].concat());
    let watcher = Watcher::default();
    let records = go(&thrice, folder.path(), &watcher);
    assert_eq!(watcher.steps.load(Ordering::Relaxed), 0, "the training is the same");
    assert!(watcher.verdicts.load(Ordering::Relaxed) > 0, "the evaluation is another");
    let still: Vec<Vec<_>> = records[0].result.attacked.iter().map(|c| c.verdicts.clone()).collect();
    for (cell, single) in still.iter().zip(&once[0].result.attacked) {
        for (v, w) in cell.iter().zip(&single.verdicts) {
            let all = match v.fate {
                Fate::Wrong => None,
                Fate::Robust => Some(0),
                _ => Some(3),
            };
            assert_eq!((v.fooled, w.fooled), (all, None));
            // With several draws every step is taken, so what breaks an example may be found later, and not by the same restart.
            assert_eq!((v.id, v.fate), (w.id, w.fate));
        }
    }
    assert!(records[0].result.flags.iter().all(|f| f.name != "draws-differ"));
    assert_eq!(records[0].result.configuration["evaluation"]["draws"], 3);
    // From the store, and from files, they come back.
    let again = go(&thrice, folder.path(), &Watcher::default());
    assert_eq!(again, records);
    let path = record_file::write(&folder.path().join("records"), &records[0]).unwrap();
    assert_eq!(record_file::read(&path).unwrap(), records[0]);
}
