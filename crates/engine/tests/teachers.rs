//! Rows that learn from others, rows that are there already, rows of another architecture.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod halves;

use gauntlet_core::registry::BuildRecipe;
use gauntlet_core::{Key, Precision, Purpose, Recipe, Registry, Spec, Step, Term};
use gauntlet_data::Catalogue;
use gauntlet_engine::{Context, Event, Events, Images, State, Store, Suite, plan, run_on};
use gauntlet_records::{Fate, Record, record_file};
use halves::split;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// mean_k (z_k − z'_k)², z' the teacher's logits: it never sees a label.
struct Mimic;
impl Recipe for Mimic {
    fn name(&self) -> &str {
        "mimic"
    }
    fn terms(&self, step: &mut Step<'_>) -> gauntlet_core::Result<Vec<Term>> {
        let x = step.input();
        let wanted = gauntlet_autograd::Var::constant(step.teacher()?.logits(x.tensor())?);
        let apart = step.forward(&x)?.sub(&wanted)?;
        Ok(vec![Term::new("apart", 1.0, apart.sqr()?.mean_per_example()?)])
    }
}
/// Is not a number from its second step on.
struct Explosive;
impl Recipe for Explosive {
    fn name(&self) -> &str {
        "explosive"
    }
    fn terms(&self, step: &mut Step<'_>) -> gauntlet_core::Result<Vec<Term>> {
        let x = step.input();
        let scale = if step.position().step >= 1 { f64::NAN } else { 1.0 };
        Ok(vec![Term::new("ce", 1.0, step.cross_entropy(&x)?.affine(scale, 0.0)?)])
    }
}
fn spec(name: &'static str, build: BuildRecipe) -> Spec<BuildRecipe> {
    Spec { name, summary: "", formula: "", paper: "", params: &[], numerics: 1, origin: "test", build }
}
fn registry() -> Registry {
    let mut registry = Registry::default();
    gauntlet_models::register(&mut registry).unwrap();
    gauntlet_attacks::register(&mut registry).unwrap();
    gauntlet_recipes::register(&mut registry).unwrap();
    registry.recipes.add(spec("mimic", |_, _| Ok(Arc::new(Mimic)))).unwrap();
    registry.recipes.add(spec("explosive", |_, _| Ok(Arc::new(Explosive)))).unwrap();
    registry
}

/// Counts steps and verdicts, and keeps what was said.
#[derive(Default)]
struct Watcher {
    steps: AtomicUsize,
    verdicts: AtomicUsize,
    lines: Mutex<Vec<String>>,
}
impl Watcher {
    fn work(&self) -> (usize, usize) {
        (self.steps.load(Ordering::Relaxed), self.verdicts.load(Ordering::Relaxed))
    }
}
impl Events for Watcher {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Step { .. } => drop(self.steps.fetch_add(1, Ordering::Relaxed)),
            Event::Judged { .. } => drop(self.verdicts.fetch_add(1, Ordering::Relaxed)),
            Event::Note { text, .. } => self.lines.lock().unwrap().push(text.to_string()),
            _ => {}
        }
    }
}

static GO_ON: AtomicBool = AtomicBool::new(false);
const HEAD: &str = r#"format = 1
name = "tiny"
data = "glyphs"
model = "mlp"
seeds = [0, 1]
take = 40
train = { epochs = 2, batch = 32, validation = 60, optimiser = { name = "adam", lr = 0.01 } }
"#;
const ATTACKS: &str = "[[attack]]\nname = \"pgd\"\neps = [\"0.05\", \"0.1\"]\nsteps = 5\n";
/// Steps of one training: 200 rows in batches of 32, twice.
const STEPS: usize = 14;

fn suite(rows: &str) -> Suite {
    Suite::load(&[HEAD, rows, ATTACKS].concat(), "tiny.toml", &registry(), &Catalogue::default())
        .unwrap_or_else(|complaints| panic!("{complaints:?}"))
}
fn go(suite: &Suite, store: &Path, watcher: &Watcher, change: impl FnOnce(&mut Context<'_>)) -> Vec<Record> {
    let (registry, catalogue) = (registry(), Catalogue::default());
    let mut context = Context::new(&registry, &catalogue, Store::new(store), &GO_ON);
    context.width = 16;
    change(&mut context);
    let classes = ["left", "right", "top"].map(String::from).to_vec();
    run_on(suite, Images { train: split(1, 260), test: split(2, 50), classes, order: None }, &context, watcher).unwrap()
}
fn of<'r>(records: &'r [Record], row: &str, seed: u64) -> &'r Record {
    let record = records.iter().find(|r| r.row == row && r.seed == seed).unwrap();
    assert_eq!(record.failed, None, "{row}");
    record
}
fn sha256(record: &Record) -> &str {
    &record.result.checkpoint_sha256
}
/// The checkpoint of a record in a store.
fn file(store: &Path, record: &Record) -> String {
    let key = gauntlet_engine::fingerprint(&record.result.configuration["training"]);
    store.join("trainings").join(key).join("checkpoint.safetensors").display().to_string()
}

const PUPILS: &str = r#"[[row]]
id = "grandchild"
recipe = "mimic"
teacher = "pupil"
[[row]]
id = "pupil"
recipe = "mimic"
teacher = "ce"
[[row]]
recipe = "ce"
model = { name = "lenet-small", activation = "gelu" }
"#;

#[test]
fn teachers_are_trained_first_and_their_weights_are_part_of_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let (store, records_folder) = (folder.path().join("runs"), folder.path().join("records"));
    let watcher = Watcher::default();
    let records = go(&suite(PUPILS), &store, &watcher, |_| {});
    assert_eq!(watcher.steps.load(Ordering::Relaxed), 6 * STEPS);
    let order: Vec<(&str, u64)> = records.iter().map(|r| (r.row.as_str(), r.seed)).collect();
    assert_eq!(order[..3], [("grandchild", 0), ("grandchild", 1), ("pupil", 0)], "tables keep the suite's order");
    for seed in [0, 1] {
        let [ce, pupil, grandchild] = ["ce", "pupil", "grandchild"].map(|row| of(&records, row, seed));
        let training = |r: &Record| r.result.configuration["training"].clone();
        assert_eq!(training(pupil)["teacher"]["checkpoint_sha256"], sha256(ce));
        assert_eq!(training(pupil)["teacher"]["model"]["args"]["activation"], "gelu");
        assert_eq!(training(grandchild)["teacher"]["checkpoint_sha256"], sha256(pupil));
        assert!(training(ce).get("teacher").is_none() && ce.result.configuration.get("teacher").is_none());
        assert_eq!(
            (training(ce)["model"]["name"].clone(), training(pupil)["model"]["name"].clone()),
            ("lenet-small".into(), "mlp".into())
        );
        // The pupil saw no label, and answers as its teacher does.
        let agree = ce.result.clean.iter().zip(&pupil.result.clean).filter(|(a, b)| a.predicted == b.predicted).count();
        assert!(agree >= 36, "{agree} of 40");
    }
    assert_ne!(sha256(of(&records, "pupil", 0)), sha256(of(&records, "pupil", 1)));
    // Again: nothing is done. From committed records alone: nothing either, teachers first.
    let watcher = Watcher::default();
    assert_eq!(go(&suite(PUPILS), &store, &watcher, |_| {}), records);
    assert_eq!(watcher.work(), (0, 0));
    for record in &records {
        record_file::write(&records_folder, record).unwrap();
    }
    let imported = go(&suite(PUPILS), &folder.path().join("other"), &watcher, |c| {
        c.records = vec![records_folder.clone()];
        c.only.rows = vec!["grandchild".into()];
    });
    assert_eq!((imported.len(), watcher.work()), (2, (0, 0)));
    assert_eq!(imported[0].result, of(&records, "grandchild", 0).result);
    // Another teacher makes another training of the pupil.
    let other = suite(&PUPILS.replace("recipe = \"ce\"", "id = \"ce\"\nrecipe = { name = \"ce\", smoothing = 0.2 }"));
    let changed = go(&other, &store, &watcher, |c| c.only.seeds = vec![0]);
    assert_eq!((changed.len(), watcher.steps.load(Ordering::Relaxed)), (3, 3 * STEPS));
    assert_ne!(sha256(of(&changed, "grandchild", 0)), sha256(of(&records, "grandchild", 0)));
}

#[test]
fn what_teaches_a_row_alone_is_trained_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let watcher = Watcher::default();
    let records = go(&suite(PUPILS), folder.path(), &watcher, |c| {
        c.only.rows = vec!["grandchild".into()];
        c.only.seeds = vec![1];
    });
    assert_eq!(
        (records.len(), records[0].row.as_str(), watcher.steps.load(Ordering::Relaxed)),
        (1, "grandchild", 3 * STEPS)
    );
    // A recipe that needs a teacher and has none says so.
    let failed = go(&suite("[[row]]\nrecipe = \"mimic\"\n"), folder.path(), &watcher, |_| {});
    assert!(failed[0].failed.as_ref().unwrap().contains("name a row with `teacher"), "{:?}", failed[0].failed);
}

#[test]
fn a_teacher_that_fails_is_not_tried_again_and_named() {
    let rows = "[[row]]\nid = \"a\"\nrecipe = \"mimic\"\nteacher = \"boom\"\n[[row]]\nid = \"boom\"\nrecipe = \"explosive\"\n[[row]]\nid = \"b\"\nrecipe = \"mimic\"\nteacher = \"a\"\n[[row]]\nrecipe = \"ce\"\n";
    let folder = tempfile::tempdir().unwrap();
    let watcher = Watcher::default();
    let records = go(&suite(rows), folder.path(), &watcher, |c| c.only.seeds = vec![0]);
    let reason = |i: usize| records[i].failed.clone().unwrap_or_default();
    assert!(reason(0).starts_with("its teacher boom: the loss of explosive is not finite"), "{}", reason(0));
    assert!(reason(1).starts_with("the loss of explosive is not finite"), "{}", reason(1));
    assert!(reason(2).starts_with("its teacher a: its teacher boom: the loss of explosive"), "{}", reason(2));
    assert_eq!((reason(3).as_str(), records[3].result.attacked.len()), ("", 2));
    assert_eq!(watcher.steps.load(Ordering::Relaxed), STEPS + 1, "the explosion is waited for once");
}

#[test]
fn a_checkpoint_stands_in_the_table_like_a_training() {
    let folder = tempfile::tempdir().unwrap();
    let (store, records_folder) = (folder.path().join("runs"), folder.path().join("records"));
    let own = "[[row]]\nrecipe = \"ce\"\n";
    let trained = go(&suite(own), &store, &Watcher::default(), |_| {});
    let theirs = folder.path().join("theirs.safetensors");
    std::fs::copy(file(&store, &trained[1]), &theirs).unwrap();
    let rows = format!(
        "{own}[[row]]\nid = \"theirs\"\ncheckpoint = \"{0}\"\n[[row]]\nid = \"pupil\"\nrecipe = \"mimic\"\nteacher = \"theirs\"\n\
         [[row]]\nid = \"same\"\nrecipe = \"mimic\"\nteacher = \"{0}\"\n",
        theirs.display()
    );
    let transfer = "[[attack]]\nname = \"transfer\"\nsurrogate = \"theirs\"\nattack = { name = \"pgd\", steps = 5 }\neps = \"0.1\"\n";
    let whole = suite(&[&rows, transfer].concat());
    let records = go(&whole, &store, &Watcher::default(), |_| {});
    let order: Vec<(&str, u64)> = records.iter().map(|r| (r.row.as_str(), r.seed)).collect();
    assert_eq!(order[..4], [("ce", 0), ("ce", 1), ("theirs", 0), ("pupil", 0)], "a checkpoint has one record");
    let theirs_record = of(&records, "theirs", 0);
    assert_eq!((sha256(theirs_record), theirs_record.result.curve.len()), (sha256(&trained[1]), 0));
    let configuration = &theirs_record.result.configuration;
    assert_eq!(configuration["checkpoint"], theirs.display().to_string());
    assert_eq!(configuration["training"]["checkpoint_sha256"], sha256(&trained[1]));
    assert_eq!(theirs_record.result.clean, of(&records, "ce", 1).result.clean);
    assert_eq!(
        theirs_record.result.attacked,
        of(&records, "ce", 1).result.attacked,
        "the same weights, the same verdicts"
    );
    // Its own examples break more of it than of a model that never saw it.
    let robust = |r: &Record| r.result.attacked[0].verdicts.iter().filter(|v| v.fate == Fate::Robust).count();
    assert!(robust(theirs_record) <= robust(of(&records, "ce", 0)));
    // A row and its file teach the same.
    assert_eq!(sha256(of(&records, "pupil", 1)), sha256(of(&records, "same", 1)));
    for record in &records {
        record_file::write(&records_folder, record).unwrap();
    }
    let watcher = Watcher::default();
    let imported = go(&whole, &folder.path().join("other"), &watcher, |c| c.records = vec![records_folder.clone()]);
    assert_eq!(watcher.work(), (0, 0));
    assert!(imported.iter().zip(&records).all(|(a, b)| a.result == b.result));
}

#[test]
fn a_checkpoint_that_does_not_fit_fails_alone() {
    let folder = tempfile::tempdir().unwrap();
    let own = "[[row]]\nrecipe = \"ce\"\n";
    let trained = go(&suite(own), folder.path(), &Watcher::default(), |c| c.only.seeds = vec![0]);
    let given = file(folder.path(), &trained[0]);
    let rows = format!(
        "{own}[[row]]\nid = \"theirs\"\nmodel = \"linear\"\ncheckpoint = \"{given}\"\n[[row]]\nid = \"pupil\"\nrecipe = \"mimic\"\nteacher = \"theirs\"\n"
    );
    let transfer =
        "[[attack]]\nname = \"transfer\"\nsurrogate = \"theirs\"\nattack = { name = \"fgsm\" }\neps = \"0.1\"\n";
    let suite = suite(&[&rows, transfer].concat());
    let records = go(&suite, folder.path(), &Watcher::default(), |c| c.only.seeds = vec![0]);
    let reason = |i: usize| records[i].failed.clone().unwrap_or_default();
    assert!(reason(0).starts_with("transfer: its surrogate: "), "{}", reason(0));
    assert_eq!(records[0].result.attacked.len(), 2, "the other attack is there");
    assert!(reason(1).contains("tensors that linear has not"), "{}", reason(1));
    assert!(
        reason(2).starts_with("its teacher theirs: ") && reason(2).contains("tensors that linear has not"),
        "{}",
        reason(2)
    );
}

#[test]
fn a_plan_knows_what_waits_for_a_teacher_and_what_needs_no_training() {
    let folder = tempfile::tempdir().unwrap();
    let (registry, catalogue) = (registry(), Catalogue::default());
    let mut context = Context::new(&registry, &catalogue, Store::new(folder.path().join("runs")), &GO_ON);
    context.data.quiet = true;
    let net = folder.path().join("net.safetensors");
    let (network, _) = registry.model(&serde_json::from_str("{\"name\":\"mlp\"}").unwrap(), (1, 28, 28), 10).unwrap();
    let weights = gauntlet_core::Weights::init(
        &network.specs(),
        Key::new(0, Purpose::Init),
        Precision::F32,
        &candle_core::Device::Cpu,
    );
    gauntlet_core::checkpoint::save(&net, &weights.unwrap(), network.info()).unwrap();
    let rows = format!(
        "[[row]]\nid = \"theirs\"\ncheckpoint = \"{}\"\n[[row]]\nid = \"a\"\nrecipe = \"mimic\"\nteacher = \"theirs\"\n\
         [[row]]\nid = \"b\"\nrecipe = \"mimic\"\nteacher = \"a\"\n",
        net.display()
    );
    let found = plan(&suite(&rows), &context).unwrap();
    let seen: Vec<_> =
        found.trainings.iter().map(|t| (t.row.as_str(), t.state, t.key.is_some(), t.steps > 0)).collect();
    assert_eq!(seen[0], ("theirs", State::Stored, true, false));
    // Whose teacher's weights are known has a key.
    assert_eq!(seen[1], ("a", State::Missing, true, true));
    assert_eq!(seen[3], ("b", State::Missing, false, true));
    assert_eq!(seen.len(), 5);
}
