//! Whole runs: the same records whatever happens on the way.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod halves;

use candle_core::Device;
use gauntlet_core::registry::BuildRecipe;
use gauntlet_core::{Key, Memory, Precision, Purpose, Recipe, Registry, Setup, Spec, Step, Term, Weights};
use gauntlet_data::Catalogue;
use gauntlet_engine::{
    AttackRequest, CONTRADICTED, Context, Error, Event, Events, Images, Part, ROUNDING, State, Store, Suite,
    TrainRequest, TrainingJob, attack, plan, run_on, train,
};
use gauntlet_evaluate::Selection;
use gauntlet_records::{Fate, ProofFate, Record, record_file};
use halves::split;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Cross-entropy that notes which training rows it was shown.
struct Spy;
static SHOWN: Mutex<BTreeSet<u64>> = Mutex::new(BTreeSet::new());
impl Recipe for Spy {
    fn name(&self) -> &str {
        "spy"
    }
    fn prepare(&self, setup: &mut Setup<'_>) -> gauntlet_core::Result<Memory> {
        (setup.train)(&mut |batch| {
            SHOWN.lock().unwrap().extend(&batch.ids);
            Ok(())
        })?;
        Ok(Memory::new())
    }
    fn terms(&self, step: &mut Step<'_>) -> gauntlet_core::Result<Vec<Term>> {
        SHOWN.lock().unwrap().extend(step.ids());
        let x = step.input();
        Ok(vec![Term::new("ce", 1.0, step.cross_entropy(&x)?)])
    }
}
/// Is not a number from its fourth step on.
struct Explosive;
impl Recipe for Explosive {
    fn name(&self) -> &str {
        "explosive"
    }
    fn terms(&self, step: &mut Step<'_>) -> gauntlet_core::Result<Vec<Term>> {
        let x = step.input();
        let scale = if step.position().step >= 3 { f64::NAN } else { 1.0 };
        let ce = step.cross_entropy(&x)?;
        Ok(vec![Term::new("ce", 1.0, ce.affine(scale, 0.0)?)])
    }
}
/// Loses the parameters on the way.
struct Detached;
impl Recipe for Detached {
    fn name(&self) -> &str {
        "detached"
    }
    fn terms(&self, step: &mut Step<'_>) -> gauntlet_core::Result<Vec<Term>> {
        let x = step.input();
        Ok(vec![Term::new("ce", 1.0, step.cross_entropy(&x)?.detach())])
    }
}
/// Counts the trainings that one of it has prepared, which is no way to write a recipe.
#[derive(Default)]
struct Tally(AtomicUsize);
static TALLIES: Mutex<Vec<usize>> = Mutex::new(Vec::new());
impl Recipe for Tally {
    fn name(&self) -> &str {
        "tally"
    }
    fn prepare(&self, _: &mut Setup<'_>) -> gauntlet_core::Result<Memory> {
        TALLIES.lock().unwrap().push(1 + self.0.fetch_add(1, Ordering::Relaxed));
        Ok(Memory::new())
    }
    fn terms(&self, step: &mut Step<'_>) -> gauntlet_core::Result<Vec<Term>> {
        let x = step.input();
        Ok(vec![Term::new("ce", 1.0, step.cross_entropy(&x)?)])
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
    registry.recipes.add(spec("spy", |_, _| Ok(Arc::new(Spy)))).unwrap();
    registry.recipes.add(spec("explosive", |_, _| Ok(Arc::new(Explosive)))).unwrap();
    registry.recipes.add(spec("detached", |_, _| Ok(Arc::new(Detached)))).unwrap();
    registry.recipes.add(spec("tally", |_, _| Ok(Arc::new(Tally::default())))).unwrap();
    registry
}

const CLASSES: [&str; 3] = ["left", "right", "top"];

fn data(train: usize, test: usize) -> Images {
    Images { train: split(1, train), test: split(2, test), classes: CLASSES.map(String::from).to_vec(), order: None }
}
const HEAD: &str = r#"format = 1
name = "tiny"
data = "glyphs"
model = "lenet-small"
take = 40
train = { epochs = 2, batch = 32, validation = 60, optimiser = { name = "adam", lr = 0.01 } }
"#;
const ROWS: &str = r#"[[row]]
recipe = "ce"
[[row]]
recipe = { name = "grad-norm", weight = 1.0 }
[[row]]
id = "cut"
recipe = { name = "grad-norm", weight = 1.0, graph = "cut" }
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

fn suite(text: &str) -> Suite {
    Suite::load(text, "tiny.toml", &registry(), &Catalogue::default()).unwrap()
}
fn tiny() -> Suite {
    suite(&[HEAD, ROWS, ATTACKS].concat())
}

/// Counts, and pulls the brake at a given step or verdict.
#[derive(Default)]
struct Watcher {
    steps: AtomicUsize,
    verdicts: AtomicUsize,
    brake_at_step: Option<usize>,
    brake_at_verdict: Option<usize>,
    brake: AtomicBool,
    lines: Mutex<Vec<String>>,
}
impl Events for Watcher {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Step { .. } => {
                let n = self.steps.fetch_add(1, Ordering::Relaxed) + 1;
                if self.brake_at_step.is_some_and(|k| n >= k) {
                    self.brake.store(true, Ordering::Relaxed);
                }
            }
            Event::Judged { .. } => {
                let n = self.verdicts.fetch_add(1, Ordering::Relaxed) + 1;
                if self.brake_at_verdict.is_some_and(|k| n >= k) {
                    self.brake.store(true, Ordering::Relaxed);
                }
            }
            Event::Failed { .. } | Event::Note { .. } | Event::Skipped { .. } | Event::TrainingStarted { .. } => {
                self.lines.lock().unwrap().push(format!("{event:?}"));
            }
            _ => {}
        }
    }
}

fn go(
    suite: &Suite,
    store: &Path,
    watcher: &Watcher,
    change: impl FnOnce(&mut Context<'_>),
) -> gauntlet_engine::Result<Vec<Record>> {
    go_on(suite, data(260, 50), store, watcher, change)
}
fn go_on(
    suite: &Suite,
    data: Images,
    store: &Path,
    watcher: &Watcher,
    change: impl FnOnce(&mut Context<'_>),
) -> gauntlet_engine::Result<Vec<Record>> {
    let (registry, catalogue) = (registry(), Catalogue::default());
    watcher.brake.store(false, Ordering::Relaxed);
    let mut context = Context::new(&registry, &catalogue, Store::new(store), &watcher.brake);
    context.width = 8;
    change(&mut context);
    run_on(suite, data, &context, watcher)
}
fn undisturbed(suite: &Suite) -> Vec<Record> {
    let folder = tempfile::tempdir().unwrap();
    go(suite, folder.path(), &Watcher::default(), |_| {}).unwrap()
}
/// What must repeat, as the bytes of its files.
fn bytes(records: &[Record]) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let file = |r: &Record| {
        let still = Record { provenance: gauntlet_records::Provenance::default(), ..r.clone() };
        let path = record_file::write(folder.path(), &still).unwrap();
        [std::fs::read(&path).unwrap(), std::fs::read(path.with_extension("verdicts.csv.gz")).unwrap()].concat()
    };
    records.iter().map(file).collect()
}

#[test]
fn a_run_ends_in_records_that_hold_together() {
    let records = undisturbed(&tiny());
    assert_eq!(records.iter().map(|r| r.row.as_str()).collect::<Vec<_>>(), ["ce", "grad-norm", "cut"]);
    for r in &records {
        assert_eq!((r.failed.as_deref(), r.result.clean.len(), r.result.attacked.len()), (None, 40, 4));
        assert_eq!(r.result.curve.len(), 2);
        assert_eq!(r.result.curve[1].monitored_on, "validation");
        let clean = r.result.clean.iter().filter(|v| v.label == v.predicted).count();
        assert!(clean >= 30, "{}: {clean} of 40", r.row);
        for cell in &r.result.attacked {
            let wrong = cell.verdicts.iter().filter(|v| v.fate == Fate::Wrong).count();
            assert_eq!(wrong, 40 - clean);
        }
        assert!(r.provenance.executed_backwards > 0 && r.provenance.train_seconds > 0.0);
    }
    // A penalty on a cut graph is a constant: the very same weights and verdicts.
    assert_eq!(records[0].result.checkpoint_sha256, records[2].result.checkpoint_sha256);
    assert_eq!(records[0].result.attacked, records[2].result.attacked);
    assert_ne!(records[0].result.checkpoint_sha256, records[1].result.checkpoint_sha256);
}

#[test]
fn trainings_share_no_recipe() {
    let head = HEAD.replace("take = 40", "take = 4\nseeds = [0, 1]");
    let records = undisturbed(&suite(&[&head, "[[row]]\nrecipe = \"tally\"\n", ATTACKS].concat()));
    assert_eq!(records.len(), 2);
    assert_eq!(*TALLIES.lock().unwrap(), [1, 1]);
}

#[test]
fn slots_and_threads_change_no_byte() {
    let wanted = bytes(&undisturbed(&tiny()));
    for (width, threads) in [(1, 2), (256, 1), (3, 3)] {
        let folder = tempfile::tempdir().unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let records = pool.install(|| go(&tiny(), folder.path(), &Watcher::default(), |c| c.width = width).unwrap());
        assert!(bytes(&records) == wanted, "width {width}, {threads} threads");
    }
}

#[test]
fn the_second_run_is_read_from_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let first = go(&tiny(), folder.path(), &Watcher::default(), |_| {}).unwrap();
    let watcher = Watcher::default();
    let second = go(&tiny(), folder.path(), &watcher, |_| {}).unwrap();
    assert_eq!(first, second);
    assert_eq!((watcher.steps.load(Ordering::Relaxed), watcher.verdicts.load(Ordering::Relaxed)), (0, 0));
    // Another test split asks for other evaluations, never for another training.
    let records = go_on(&tiny(), data(260, 41), folder.path(), &watcher, |_| {}).unwrap();
    assert_eq!(watcher.steps.load(Ordering::Relaxed), 0);
    assert!(watcher.verdicts.load(Ordering::Relaxed) > 0);
    assert_eq!(records[1].result.checkpoint_sha256, first[1].result.checkpoint_sha256);
    assert!(folder.path().join("suites/tiny.json").exists());
}

#[test]
fn a_training_interrupted_anywhere_ends_in_the_same_record() {
    let head = HEAD.replace("validation", "augmentation = \"crop-flip\", validation");
    let suite = suite(
        &[&head, "[[row]]\nrecipe = { name = \"direction-matching\", direction = \"fixed\" }\n", ATTACKS].concat(),
    );
    let wanted = undisturbed(&suite);
    // 7 steps an epoch: within it, at its end (the monitor is still to come), after every step.
    for k in [1, 4, 7, 10] {
        let folder = tempfile::tempdir().unwrap();
        let mut interruptions = 0;
        let records = loop {
            let watcher = Watcher { brake_at_step: Some(k), ..Watcher::default() };
            match go(&suite, folder.path(), &watcher, |_| {}) {
                Err(Error::Interrupted) => interruptions += 1,
                other => break other.unwrap(),
            }
        };
        assert!(interruptions >= 14 / (k + 1), "{k}: {interruptions}");
        assert!(bytes(&records) == bytes(&wanted), "interrupted every {k} steps");
        assert!(records[0].provenance.resumed >= 1);
    }
}

#[test]
fn an_evaluation_killed_anywhere_ends_in_the_same_record() {
    let suite = suite(&[HEAD, "[[row]]\nrecipe = \"ce\"\n", ATTACKS].concat());
    let wanted = bytes(&undisturbed(&suite));
    for k in [1, 2, 5] {
        let folder = tempfile::tempdir().unwrap();
        let mut torn = 0;
        let records = loop {
            let watcher = Watcher { brake_at_verdict: Some(k), ..Watcher::default() };
            match go(&suite, folder.path(), &watcher, |c| c.width = 3) {
                Err(Error::Interrupted) => {}
                other => break other.unwrap(),
            }
            // A kill in the middle of a write leaves half a line.
            for entry in std::fs::read_dir(folder.path().join("evaluations")).unwrap() {
                let path = entry.unwrap().path().join("partial.jsonl");
                let text = std::fs::read(&path).unwrap_or_default();
                if torn < 6 && text.len() > 30 {
                    std::fs::write(&path, &text[..text.len() - 9]).unwrap();
                    torn += 1;
                }
            }
        };
        assert!(torn > 0, "{k}: nothing was torn");
        assert!(bytes(&records) == wanted, "killed every {k} verdicts");
    }
}

#[test]
fn a_damaged_state_starts_the_training_again() {
    let suite = suite(&[HEAD, "[[row]]\nrecipe = \"ce\"\n", ATTACKS].concat());
    let folder = tempfile::tempdir().unwrap();
    let watcher = Watcher { brake_at_step: Some(9), ..Watcher::default() };
    assert!(matches!(go(&suite, folder.path(), &watcher, |_| {}), Err(Error::Interrupted)));
    let training = std::fs::read_dir(folder.path().join("trainings")).unwrap().next().unwrap().unwrap().path();
    let state = training.join("state.safetensors");
    let whole = std::fs::read(&state).unwrap();
    std::fs::write(&state, &whole[..whole.len() / 2]).unwrap();
    let watcher = Watcher::default();
    let records = go(&suite, folder.path(), &watcher, |_| {}).unwrap();
    assert!(watcher.lines.lock().unwrap().iter().any(|l| l.contains("starts again")));
    assert!(bytes(&records) == bytes(&undisturbed(&suite)));
    assert!(!state.exists());
}

#[test]
fn a_failed_part_leaves_the_rest_alone() {
    let rows = "[[row]]\nrecipe = \"explosive\"\n[[row]]\nrecipe = \"detached\"\n[[row]]\nrecipe = \"ce\"\n";
    let records = undisturbed(&suite(&[HEAD, rows, ATTACKS].concat()));
    let reason = records[0].failed.as_deref().unwrap();
    for say in ["the loss of explosive is not finite", "step 4 of epoch 1", "ce = NaN", "a lower learning rate"] {
        assert!(reason.contains(say), "{reason}");
    }
    let reason = records[1].failed.as_deref().unwrap();
    assert!(reason.contains("does not reach the parameters 0.weight, 0.bias"), "{reason}");
    assert!(records[1].result.clean.is_empty());
    assert_eq!((records[2].failed.as_deref(), records[2].result.attacked.len()), (None, 4));
}

#[test]
fn a_training_that_failed_since_is_not_tried_again() {
    let suite = suite(&[HEAD, "[[row]]\nrecipe = \"explosive\"\n", ATTACKS].concat());
    let folder = tempfile::tempdir().unwrap();
    let run = |since: Option<&str>| {
        let watcher = Watcher::default();
        let records = go(&suite, folder.path(), &watcher, |c| c.failed_since = since.map(String::from)).unwrap();
        assert!(records[0].failed.as_deref().unwrap().contains("is not finite"));
        watcher.steps.load(Ordering::Relaxed)
    };
    assert_eq!(run(Some("2000-01-01T00:00:00Z")), 3, "nobody has tried it yet");
    assert_eq!(run(Some("2000-01-01T00:00:00Z")), 0);
    assert_eq!(run(Some("2999-01-01T00:00:00Z")), 3, "it failed before that");
    assert_eq!(run(None), 3, "a run on its own tries again");
}

#[test]
fn held_out_rows_are_never_trained_on() {
    let suite = suite(&[HEAD, "[[row]]\nrecipe = \"spy\"\n", ATTACKS].concat());
    undisturbed(&suite);
    let shown = SHOWN.lock().unwrap().clone();
    assert_eq!(shown, (0..200).collect());
    // With nothing held out, training rows are monitored and the curve says so.
    let all = suite_of_everything();
    let records = undisturbed(&all);
    assert_eq!(records[0].result.curve[0].monitored_on, "train");
}
fn suite_of_everything() -> Suite {
    let head = HEAD.replace("validation = 60", "validation = 0");
    suite(&[&head, "[[row]]\nrecipe = \"ce\"\n", ATTACKS].concat())
}

#[test]
fn clipped_gradients_move_the_weights_no_further_than_they_may() {
    let head = HEAD.replace("name = \"adam\", lr = 0.01", "name = \"sgd\", lr = 0.5");
    let clipped = head.replace("epochs = 2", "epochs = 1, clip = 1e-3");
    let moved = |head: &str| {
        let suite = suite(&[head, "[[row]]\nrecipe = \"ce\"\n", ATTACKS].concat());
        let (registry, stop, images) = (registry(), AtomicBool::new(false), data(260, 50));
        let (network, _) = registry.model(&suite.model.given(), (1, 8, 8), 3).unwrap();
        let job = TrainingJob {
            compute: &gauntlet_core::Compute::default(),
            network: network.clone(),
            recipe: suite.rows[0].build(&registry).unwrap(),
            teacher: None,
            train: &images.train,
            extra: None,
            config: &suite.train,
            seed: 5,
            precision: Precision::F32,
            registry: &registry,
            width: 16,
            interrupt: &stop,
            part: Part { row: "ce", seed: 5, attack: None },
        };
        let end = job.run(None, &()).unwrap().weights;
        let start = Weights::init(&network.specs(), Key::new(5, Purpose::Init), Precision::F32, &Device::Cpu).unwrap();
        let squares = start.iter().map(|(name, t, _)| {
            let d: Vec<f32> = t.sub(end.get(name).unwrap()).unwrap().flatten_all().unwrap().to_vec1().unwrap();
            d.iter().map(|v| f64::from(v * v)).sum::<f64>()
        });
        squares.sum::<f64>().sqrt()
    };
    let (free, held) = (moved(&head), moved(&clipped));
    // Seven steps of 0.5 · 10⁻³ each at most.
    assert!(held > 1e-4 && held <= 7.0 * 0.5e-3 * 1.001 && free > 10.0 * held, "{held} {free}");
}

#[test]
fn a_store_that_cannot_be_written_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("plain");
    std::fs::write(&plain, "a file").unwrap();
    let error = go(&tiny(), &plain.join("runs"), &Watcher::default(), |_| {}).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::Store { .. }), "{text}");
    assert!(text.contains("plain") && text.contains("plain file; choose another folder"), "{text}");
    assert_eq!(std::fs::read_to_string(&plain).unwrap(), "a file");
}

#[test]
fn a_training_that_holds_out_everything_says_so() {
    let head = HEAD.replace("validation = 60", "validation = 260");
    let folder = tempfile::tempdir().unwrap();
    let suite = suite(&[&head, "[[row]]\nrecipe = \"ce\"\n", ATTACKS].concat());
    let error = go(&suite, folder.path(), &Watcher::default(), |_| {}).unwrap_err();
    let reason = error.to_string();
    assert!(reason.contains("nothing is left to train on") && reason.contains("lower `validation`"), "{reason}");
}

#[test]
fn committed_records_are_not_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("a"), folder.path().join("b"));
    let records = go(&tiny(), &first, &Watcher::default(), |_| {}).unwrap();
    let committed = folder.path().join("records");
    for record in &records {
        record_file::write(&committed, record).unwrap();
    }
    std::fs::write(committed.join("other.json"), "{}").unwrap();
    let watcher = Watcher::default();
    let imported = go(&tiny(), &second, &watcher, |c| c.records = vec![committed.clone()]).unwrap();
    assert!(bytes(&imported) == bytes(&records));
    assert_eq!((watcher.steps.load(Ordering::Relaxed), watcher.verdicts.load(Ordering::Relaxed)), (0, 0));
    assert!(watcher.lines.lock().unwrap().iter().any(|l| l.contains("other.json")));
    // A further attack needs the checkpoints, which are not committed: they are made again, the rest stays.
    let more = suite(&[HEAD, ROWS, ATTACKS, "[[attack]]\nname = \"noise\"\neps = \"0.1\"\n"].concat());
    let watcher = Watcher::default();
    let extended = go(&more, &second, &watcher, |c| c.records = vec![committed.clone()]).unwrap();
    // The cut row has the weights of `ce`: its evaluation is there when that of `ce` is done.
    assert_eq!(watcher.steps.load(Ordering::Relaxed), 2 * 14);
    assert_eq!(extended[0].result.checkpoint_sha256, records[0].result.checkpoint_sha256);
    assert_eq!(extended[0].result.attacked[..4], records[0].result.attacked[..]);
}

#[test]
fn two_processes_share_the_work() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (Watcher::default(), Watcher::default());
    let (a, b) = std::thread::scope(|scope| {
        let a = scope.spawn(|| go(&tiny(), folder.path(), &one, |_| {}).unwrap());
        let b = scope.spawn(|| go(&tiny(), folder.path(), &two, |_| {}).unwrap());
        (a.join().unwrap(), b.join().unwrap())
    });
    assert!(bytes(&a) == bytes(&b));
    let steps = one.steps.load(Ordering::Relaxed) + two.steps.load(Ordering::Relaxed);
    assert_eq!(steps, 3 * 14, "no step is taken twice");
}

#[test]
fn filters_leave_the_rest_out() {
    let folder = tempfile::tempdir().unwrap();
    let records = go(&tiny(), folder.path(), &Watcher::default(), |c| {
        c.only.recipes = vec!["cut".into()];
        c.only.attacks = vec!["fgsm".into()];
    });
    let records = records.unwrap();
    assert_eq!((records.len(), records[0].row.as_str(), records[0].result.attacked.len()), (1, "cut", 2));
}

#[test]
fn transfer_gives_a_column_for_every_row() {
    let attacks = "[[attack]]\nname = \"transfer\"\nsurrogates = \"all\"\nattack = { name = \"pgd\", steps = 4 }\neps = [\"0.1\", \"0.2\"]\n";
    let suite = suite(&[HEAD, ROWS, attacks].concat());
    let labels: Vec<&str> = suite.attacks.iter().map(|a| a.label.as_str()).collect();
    assert_eq!(labels, ["transfer from ce", "transfer from grad-norm", "transfer from cut"]);
    let folder = tempfile::tempdir().unwrap();
    // The first row alone trains the others, whose examples it is tried on.
    let only = |c: &mut Context<'_>| c.only.recipes = vec!["ce".into()];
    let first = go(&suite, folder.path(), &Watcher::default(), |c| {
        only(c);
        c.only.attacks = vec!["transfer from grad-norm".into()];
    });
    assert_eq!(first.unwrap()[0].result.attacked.len(), 2);
    let records = go(&suite, folder.path(), &Watcher::default(), |_| {}).unwrap();
    assert!(bytes(&records) == bytes(&undisturbed(&suite)));
    let robust = |row: usize, cell: usize| {
        records[row].result.attacked[cell].verdicts.iter().filter(|v| v.fate == Fate::Robust).count()
    };
    // `cut` is `ce` bit for bit, so what is crafted on either is the same; one's own examples break more than others'.
    for cell in 0..2 {
        assert_eq!(robust(0, cell), robust(2, cell));
        assert_eq!(robust(0, cell), robust(0, 4 + cell));
    }
    assert!(robust(0, 1) <= robust(0, 3) && robust(1, 3) <= robust(1, 1), "the diagonal is the weakest");
    let sha = &records[1].result.checkpoint_sha256;
    assert_eq!(records[0].result.configuration["attacks"][1]["surrogate_sha256"], sha.as_str());
    let (registry, catalogue, stop) = (registry(), Catalogue::default(), AtomicBool::new(false));
    let context = Context::new(&registry, &catalogue, Store::new(folder.path()), &stop);
    assert!(context.store.suite("tiny").exists());
}

#[test]
fn an_attack_on_rows_of_its_own_shares_its_result_and_the_clean_pass_covers_all() {
    let folder = tempfile::tempdir().unwrap();
    let row = "[[row]]\nrecipe = \"ce\"\n";
    let fgsm = |own: &str| format!("[[attack]]\nname = \"fgsm\"\neps = [\"0.1\", \"0.2\"]\n{own}\n");
    let pgd = |own: &str| format!("[[attack]]\nname = \"pgd\"\neps = \"0.1\"\nsteps = 5\n{own}\n");
    let run = |text: &str, watcher: &Watcher| go(&suite(text), folder.path(), watcher, |_| {}).unwrap().remove(0);
    // Forty rows for all, and fifty.
    let watcher = Watcher::default();
    let forty = run(&[HEAD, row, &fgsm(""), &pgd("")].concat(), &watcher);
    let given = watcher.verdicts.swap(0, Ordering::Relaxed);
    assert!(given > 0 && forty.result.attacked.iter().all(|c| c.examples.is_none()));
    let conditions = |r: &Record| r.result.configuration["evaluation"]["examples"].clone();
    assert_eq!(conditions(&forty), json!({ "take": 40 }));
    // The same forty for fgsm, asked for by the attack; ten drawn ones for pgd; fifty clean.
    let head = HEAD.replace("take = 40\n", "");
    let mixed = run(&[&head, row, &fgsm("take = 40"), &pgd("sample = 10")].concat(), &watcher);
    assert_eq!(conditions(&mixed), json!("all"));
    assert_eq!(mixed.result.configuration["attacks"][0]["examples"], json!({ "take": 40 }));
    assert_eq!(mixed.result.configuration["test"], json!({ "rows": 50 }));
    assert_eq!(mixed.result.clean.len(), 50);
    let of = |r: &Record, k: usize| (r.result.attacked[k].examples, r.result.attacked[k].verdicts.len());
    assert_eq!([of(&mixed, 0), of(&mixed, 1), of(&mixed, 2)], [(Some(40), 40), (Some(40), 40), (Some(10), 10)]);
    assert_eq!(mixed.result.attacked[0].verdicts, forty.result.attacked[0].verdicts);
    // fgsm came from the store; pgd was run on at most ten.
    assert!(watcher.verdicts.load(Ordering::Relaxed) <= 10);
    let ids: Vec<u64> = mixed.result.attacked[2].verdicts.iter().map(|v| v.id).collect();
    let drawn = Selection::Sample(10).indices(data(260, 50).test.labels(), 0);
    assert_eq!(ids, drawn.iter().map(|i| *i as u64).collect::<Vec<_>>());
    // An attack is a function of the example: what both ran on came out alike.
    for v in mixed.result.attacked[2].verdicts.iter().filter(|v| v.id < 40) {
        assert_eq!(Some(v), forty.result.attacked[2].verdicts.iter().find(|w| w.id == v.id));
    }
    // Read again from the store, and from its files in another one.
    assert_eq!(run(&[&head, row, &fgsm("take = 40"), &pgd("sample = 10")].concat(), &watcher), mixed);
    let (reports, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    assert_eq!(record_file::read(&record_file::write(reports.path(), &mixed).unwrap()).unwrap(), mixed);
    let watcher = Watcher::default();
    let text = [&head, row, &fgsm("take = 40"), &pgd("sample = 10")].concat();
    let again = go(&suite(&text), other.path(), &watcher, |c| c.records = vec![reports.path().into()]).unwrap();
    assert_eq!(again[0].result, mixed.result);
    assert_eq!((watcher.steps.load(Ordering::Relaxed), watcher.verdicts.load(Ordering::Relaxed)), (0, 0));
    // What is known of the order of the rows stands in the record, and is no part of any key.
    let ordered = Images { order: Some("hard ones first".into()), ..data(260, 50) };
    let told = go_on(&suite(&text), ordered, folder.path(), &watcher, |_| {}).unwrap().remove(0);
    assert_eq!(told.result.configuration["test"], json!({ "rows": 50, "order": "hard ones first" }));
    assert_eq!(told.result.attacked, mixed.result.attacked);
    assert_eq!((watcher.steps.load(Ordering::Relaxed), watcher.verdicts.load(Ordering::Relaxed)), (0, 0));
    // No attack on all rows: the clean pass covers what some attack needs.
    let both = run(&[HEAD, row, &fgsm("take = 5"), &pgd("sample = 20")].concat(), &Watcher::default());
    assert_eq!(conditions(&both), json!([{ "take": 40 }, { "stratified": 20 }]));
    let fewer = |k: usize| both.result.attacked[k].verdicts.iter().map(|v| v.id).max();
    assert!(fewer(0) == Some(4) && both.result.clean.len() > 40 && both.result.clean.len() <= 50);
}

#[test]
fn one_training_and_one_attack_outside_a_suite() {
    let folder = tempfile::tempdir().unwrap();
    let (registry, catalogue) = (registry(), Catalogue::default());
    let stop = AtomicBool::new(false);
    let mut context = Context::new(&registry, &catalogue, Store::new(folder.path()), &stop);
    context.data.quiet = true;
    let object = |v: serde_json::Value| v.as_object().unwrap().clone();
    let text = "format = 1\nname = \"one\"\ndata = \"glyphs\"\nmodel = \"linear\"\ntake = 30\ntrain = { epochs = 1, batch = 500, validation = 100 }\n[[row]]\nrecipe = \"ce\"\n[[attack]]\nname = \"fgsm\"\neps = \"0.1\"\n";
    let suite = suite(text);
    let before = plan(&suite, &context).unwrap();
    assert_eq!((before.trainings[0].state, before.trainings[0].steps, before.examples), (State::Missing, 20, 30));
    let request = TrainRequest {
        data: "glyphs".into(),
        model: object(json!({ "name": "linear" })),
        recipe: object(json!({ "name": "ce" })),
        train: suite.train.clone(),
        seed: 0,
    };
    let trained = train(&request, &context, &()).unwrap();
    // The suite's training is the same one.
    assert_eq!(plan(&suite, &context).unwrap().trainings[0].state, State::Stored);
    assert_eq!(Some(&trained.key), before.trainings[0].key.as_ref());
    let request = AttackRequest {
        model: object(json!({ "name": "linear" })),
        checkpoint: Some(trained.checkpoint.clone().into()),
        data: "glyphs".into(),
        examples: Selection::Take(30),
        attack: object(json!({ "name": "pgd", "steps": 5, "alpha": 0.02 })),
        norm: gauntlet_records::Norm::Linf,
        eps: vec!["0.02".parse().unwrap(), "0.1".parse().unwrap()],
        seed: 0,
        draws: 1,
        surrogate: None,
        keep: true,
        eight_bit: true,
        journal: None,
        names: None,
    };
    let report = attack(&request, &context, &()).unwrap();
    // Exactly eight bits, inside the budget, and the picture is one.
    for kept in &report.adversarial {
        let written = kept.write(&folder.path().join("kept"), &report.examples).unwrap();
        let levels = kept.x_adv.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert!(levels.iter().all(|v| (v * 255.0 - (v * 255.0).round()).abs() < 1e-4));
        let delta = (&kept.x_adv - report.examples.pixels()).unwrap().abs().unwrap();
        let largest = delta.flatten_all().unwrap().max(0).unwrap().to_scalar::<f32>().unwrap();
        assert!(f64::from(largest) <= kept.eps.value() + 1e-6, "{largest} at {}", kept.eps);
        let broken = kept.verdicts.iter().filter(|v| v.fate == Fate::Broken).count();
        assert!(kept.still_broken.unwrap() <= broken && (kept.eps.value() < 0.1 || largest > 0.05));
        let bytes = std::fs::read(&written[0]).unwrap();
        let (tensors, metadata) = gauntlet_core::checkpoint::from_bytes("it", &bytes).unwrap();
        assert_eq!((tensors["x_adv"].dims(), metadata["eps"].as_str()), (&[30, 1, 28, 28][..], &*kept.eps.to_string()));
        assert!(std::fs::read(&written[1]).unwrap().starts_with(b"\x89PNG"));
    }
    let request = AttackRequest { keep: false, eight_bit: false, ..request };
    // A journal of half the verdicts changes nothing; one of another request is refused.
    let journal = folder.path().join("mine.jsonl");
    let noted = AttackRequest { journal: Some(journal.clone()), ..request.clone() };
    let whole = attack(&noted, &context, &()).unwrap();
    let text = std::fs::read_to_string(&journal).unwrap();
    std::fs::write(&journal, &text[..text.len() / 2]).unwrap();
    let again = attack(&noted, &context, &()).unwrap();
    assert!(again.attacked == whole.attacked && again.attacked == report.attacked);
    assert!(again.forwards < whole.forwards, "{} of {}", again.forwards, whole.forwards);
    let error = attack(&AttackRequest { seed: 1, ..noted }, &context, &()).unwrap_err().to_string();
    assert!(error.contains("not the journal of this attack"), "{error}");
    assert_eq!((report.n, report.checkpoint_sha256), (30, trained.checkpoint_sha256));
    assert_eq!(report.robust_accuracy, report.by_eps[0].robust_accuracy);
    assert!(report.by_eps[1].robust_accuracy <= report.by_eps[0].robust_accuracy);
    assert!(report.robust_accuracy <= report.clean_accuracy && report.forwards > 60 && report.backwards > 30);
    let other = AttackRequest { model: object(json!({ "name": "mlp" })), ..request };
    let error = attack(&other, &context, &()).unwrap_err().to_string();
    assert!(error.contains("does not fit mlp") && error.contains("says it is a linear"), "{error}");
}

const CERTIFY: &str = r#"[[certify]]
eps = ["0.01", "0.1"]
methods = ["ibp", "crown", "bab"]
nodes = 60
undecided = 4000
[[certify]]
label = "intervals"
eps = "0.01"
methods = ["ibp"]
take = 10
"#;

fn certified() -> Suite {
    // A net of few rectifiers, so that some images are proved, some not.
    let head = HEAD.replace("model = \"lenet-small\"", "model = { name = \"mlp\", hidden = [12] }");
    suite(&[head.as_str(), "[[row]]\nrecipe = \"ce\"\n", ATTACKS, CERTIFY].concat())
}

#[test]
fn a_suite_proves_beside_its_attacks_and_neither_contradicts_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let (suite, store) = (certified(), folder.path().join("a"));
    let records = go(&suite, &store, &Watcher::default(), |_| {}).unwrap();
    let result = &records[0].result;
    assert_eq!(records[0].failed, None);
    let cells: Vec<(&str, String, usize)> =
        result.certified.iter().map(|c| (c.certify.as_str(), c.eps.to_string(), c.proofs.len())).collect();
    let expected = [("bounds", "0.01", 40), ("bounds", "0.1", 40), ("intervals", "0.01", 10)];
    assert_eq!(cells, expected.map(|(label, eps, n)| (label, eps.to_string(), n)));
    let of = |k: usize, fate| result.certified[k].count(fate);
    assert!(of(0, ProofFate::Certified) > of(1, ProofFate::Certified), "{:?}", result.certified[0].proofs);
    let right = result.clean.iter().filter(|v| v.label == v.predicted).count();
    assert_eq!(of(0, ProofFate::Wrong), 40 - right);
    // What a larger budget proves a smaller one does, and nothing that is proved is broken.
    let proved = |k: usize| -> BTreeSet<u64> {
        let cell = result.certified[k].proofs.iter();
        cell.filter(|p| p.fate == ProofFate::Certified).map(|p| p.id).collect()
    };
    assert!(proved(1).is_subset(&proved(0)));
    let at_large = result.attacked.iter().filter(|a| a.eps.to_string() == "0.1").flat_map(|a| &a.verdicts);
    let broken: BTreeSet<u64> = at_large.filter(|v| v.fate == Fate::Broken).map(|v| v.id).collect();
    assert!(!broken.is_empty() && broken.is_disjoint(&proved(1)));
    assert!(result.flags.iter().all(|f| f.name != CONTRADICTED && f.name != ROUNDING), "{:?}", result.flags);
    // The search leaves alone what an attack broke.
    let searched = |p: &&gauntlet_records::Proof| p.nodes > 0;
    assert!(result.certified[1].proofs.iter().filter(searched).all(|p| !broken.contains(&p.id)));
    assert!(result.certified[1].proofs.iter().any(|p| p.nodes > 0));
    // It is in the store.
    let watcher = Watcher::default();
    let again = go(&suite, &store, &watcher, |_| {}).unwrap();
    assert_eq!((bytes(&again), watcher.verdicts.load(Ordering::Relaxed)), (bytes(&records), 0));
    // From the record alone nothing is trained, attacked or proved again.
    record_file::write(folder.path(), &records[0]).unwrap();
    let (imported, watcher) = (folder.path().join("b"), Watcher::default());
    let from = go(&suite, &imported, &watcher, |c| c.records = vec![folder.path().to_path_buf()]).unwrap();
    assert_eq!(bytes(&from), bytes(&records));
    let work = (watcher.steps.load(Ordering::Relaxed), watcher.verdicts.load(Ordering::Relaxed));
    assert_eq!(work, (0, 0));
    // Stopped among the proofs and gone on, in batches of another width: the same bytes.
    let attacks = {
        let counted = Watcher::default();
        let alone = Suite { certify: Vec::new(), ..suite.clone() };
        go(&alone, &folder.path().join("c"), &counted, |_| {}).unwrap();
        counted.verdicts.load(Ordering::Relaxed)
    };
    let stopped = Watcher { brake_at_verdict: Some(attacks + 1), ..Watcher::default() };
    let killed = folder.path().join("d");
    assert!(matches!(go(&suite, &killed, &stopped, |_| {}), Err(Error::Interrupted)));
    assert_eq!(bytes(&go(&suite, &killed, &Watcher::default(), |c| c.width = 3).unwrap()), bytes(&records));
}

#[test]
fn a_network_without_bounds_says_so_and_its_attacks_stand() {
    let text =
        [HEAD, "[[row]]\nrecipe = \"ce\"\n", ATTACKS, "[[certify]]\neps = \"0.01\"\nexecuted = \"f32\"\n"].concat();
    let suite = suite(&text.replace("model = \"lenet-small\"", "model = { name = \"mlp\", activation = \"gelu\" }"));
    let record = &undisturbed(&suite)[0];
    let flag = record.result.flags.iter().find(|f| f.name == "no-bound").unwrap();
    assert!(
        flag.detail.starts_with("bounds proves nothing: ") && flag.detail.contains("no account of rounding"),
        "{flag:?}"
    );
    assert_eq!((record.failed.as_deref(), record.result.attacked.len(), record.result.proved().count()), (None, 4, 0));
}
