//! What a training does beside its recipe: averages, the best epoch, perturbed weights; and that none of it is there unasked.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod halves;

use gauntlet_core::Precision;
use gauntlet_core::Registry;
use gauntlet_data::Catalogue;
use gauntlet_engine::{Context, Error, Event, Events, Images, Store, Suite, run_on};
use gauntlet_records::{Record, record_file};
use halves::split;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

fn registry() -> Registry {
    let mut registry = Registry::default();
    gauntlet_models::register(&mut registry).unwrap();
    gauntlet_attacks::register(&mut registry).unwrap();
    gauntlet_recipes::register(&mut registry).unwrap();
    registry
}

fn head(train: &str) -> String {
    format!(
        r#"format = 1
name = "tricks"
data = "glyphs"
model = "lenet-small"
take = 20
train = {{ batch = 32, validation = 60, optimiser = {{ name = "sgd", lr = 0.1, momentum = 0.9 }}, {train} }}
"#
    )
}
const ATTACK: &str = "[[attack]]\nname = \"pgd\"\nsteps = 3\neps = \"0.2\"\n";
const AT: &str = "[[row]]\nrecipe = { name = \"pgd-at\", eps = \"0.2\", attack = { name = \"pgd\", steps = 2 } }\n";

fn load(text: &str) -> Result<Suite, String> {
    Suite::load(text, "tricks.toml", &registry(), &Catalogue::default())
        .map_err(|found| found.iter().map(|d| format!("{d:?}")).collect::<Vec<_>>().join("\n"))
}
fn suite(train: &str, rows: &str) -> Suite {
    load(&[&head(train), rows, ATTACK].concat()).unwrap()
}

/// Pulls the brake at every `every`-th step.
#[derive(Default)]
struct Brake {
    every: Option<usize>,
    steps: AtomicUsize,
    stop: AtomicBool,
}
impl Events for Brake {
    fn event(&self, event: &Event<'_>) {
        if matches!(event, Event::Step { .. }) {
            let n = self.steps.fetch_add(1, Ordering::Relaxed) + 1;
            if self.every.is_some_and(|k| n >= k) {
                self.stop.store(true, Ordering::Relaxed);
            }
        }
    }
}

fn go(suite: &Suite, store: &Path, brake: &Brake) -> gauntlet_engine::Result<Vec<Record>> {
    let classes = ["left", "right", "top"].map(String::from).to_vec();
    let images = Images { train: split(1, 260), test: split(2, 30), classes, order: None };
    let (registry, catalogue) = (registry(), Catalogue::default());
    let mut context = Context::new(&registry, &catalogue, Store::new(store), &brake.stop);
    context.width = 8;
    run_on(suite, images, &context, brake)
}
fn run(suite: &Suite) -> Vec<Record> {
    let folder = tempfile::tempdir().unwrap();
    go(suite, folder.path(), &Brake::default()).unwrap()
}
fn bytes(records: &[Record]) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let file = |r: &Record| {
        assert_eq!(r.failed, None);
        let still = Record { provenance: gauntlet_records::Provenance::default(), ..r.clone() };
        std::fs::read(record_file::write(folder.path(), &still).unwrap()).unwrap()
    };
    records.iter().map(file).collect()
}

/// With everything on at once, and batch norm: 7 steps an epoch.
#[test]
fn an_interrupted_training_ends_in_the_same_record() {
    let tricks = [
        "epochs = 3, ema = { decay = 0.9, start = 0.5 }, evaluate = \"best-robust-ema\", smoothing = 0.1, accumulate = 2, \
         perturb = { name = \"awp\", start = 1 }, decay = \"weights\", clip = 1.0, augmentation = \"crop-flip\"",
        "epochs = 3, swa = { start = 0, every = 2 }, evaluate = \"swa\", perturb = { name = \"asam\" }, \
         schedule = { name = \"one-cycle\" }",
    ];
    for (i, train) in tricks.iter().enumerate() {
        // With batch norm, whose statistics are gathered anew.
        let model = if i == 1 { "model = { name = \"resnet18\", width = 1 }\n" } else { "" };
        let suite = suite(train, &[AT, model].concat());
        let wanted = bytes(&run(&suite));
        for k in if i == 0 { vec![1, 7] } else { vec![9] } {
            let folder = tempfile::tempdir().unwrap();
            let mut interruptions = 0;
            let records = loop {
                match go(&suite, folder.path(), &Brake { every: Some(k), ..Brake::default() }) {
                    Err(Error::Interrupted) => interruptions += 1,
                    other => break other.unwrap(),
                }
            };
            assert!(interruptions >= 2, "{k}: {interruptions}");
            assert!(bytes(&records) == wanted, "{train}: interrupted every {k} steps");
        }
    }
}

#[test]
fn the_best_epochs_weights_are_those_of_a_training_that_ends_there() {
    let chosen = run(&suite("epochs = 4, evaluate = \"best-robust\"", AT));
    let curve = &chosen[0].result.curve;
    let best = curve.iter().position(|e| e.evaluated).unwrap();
    assert_eq!(curve.iter().filter(|e| e.evaluated).count(), 1);
    let robust = |i: usize| curve[i].robust_accuracy;
    assert!((0..4).all(|i| robust(i) <= robust(best)) && (0..best).all(|i| robust(i) < robust(best)));
    let short = run(&suite(&format!("epochs = {}", best + 1), AT));
    assert_eq!(short[0].result.checkpoint_sha256, chosen[0].result.checkpoint_sha256);
    assert_eq!(short[0].result.attacked[0].verdicts, chosen[0].result.attacked[0].verdicts);
    // The curve is that of the training, whichever epoch is chosen.
    let last = run(&suite("epochs = 4", AT));
    assert!(last[0].result.curve.iter().all(|e| !e.evaluated));
    assert_eq!(
        last[0].result.curve.iter().map(|e| e.robust_accuracy).collect::<Vec<_>>(),
        (0..4).map(robust).collect::<Vec<_>>()
    );
}

#[test]
fn averages_that_average_nothing_are_the_weights() {
    let plain = run(&suite("epochs = 2", AT));
    for (same, train) in [
        (true, "epochs = 2, ema = { decay = 0.0 }, evaluate = \"ema\""),
        (true, "epochs = 2, ema = { start = 9 }, evaluate = \"ema\""),
        (true, "epochs = 2, swa = { start = 1 }, evaluate = \"swa\""),
        (false, "epochs = 2, ema = { decay = 0.9 }, evaluate = \"ema\""),
        (false, "epochs = 2, swa = { start = 0 }, evaluate = \"swa\""),
    ] {
        let averaged = run(&suite(train, AT));
        let equal = averaged[0].result.checkpoint_sha256 == plain[0].result.checkpoint_sha256;
        assert_eq!(equal, same, "{train}");
    }
}

#[test]
fn what_is_not_asked_for_is_no_part_of_a_key() {
    let value = |train: &str| serde_json::to_value(suite(train, AT).train).unwrap();
    let plain = value("epochs = 2");
    let keys: Vec<&String> = plain.as_object().unwrap().keys().collect();
    let known = ["augmentation", "batch", "clip", "epochs", "monitor", "optimiser", "schedule", "validation"];
    assert_eq!(
        {
            let mut k = keys.clone();
            k.sort();
            k
        },
        known
    );
    assert_eq!(plain["schedule"], serde_json::json!({ "name": "constant" }));
    for same in [
        "epochs = 2, evaluate = \"last\"",
        "epochs = 2, smoothing = 0",
        "epochs = 2, accumulate = 1",
        "epochs = 2, decay = \"all\"",
    ] {
        assert_eq!(value(same), plain, "{same}");
    }
    assert_eq!(
        value("epochs = 2, schedule = \"cosine\"")["schedule"],
        serde_json::json!({ "name": "cosine" }),
        "what was added to it later is not there unless it is given"
    );
}

#[test]
fn a_row_can_be_trained_otherwise() {
    let rows = format!(
        "{AT}{}{}",
        AT.replace("[[row]]", "[[row]]\nid = \"smooth\"\ntrain = { smoothing = 0.1 }"),
        AT.replace("[[row]]", "[[row]]\nid = \"longer\"\ntrain = { epochs = 3, schedule = \"cosine\" }"),
    );
    let both = suite("epochs = 2", &rows);
    assert_eq!(both.rows[0].train, None);
    let smooth = both.rows[1].train.as_ref().unwrap();
    assert_eq!((smooth.epochs, smooth.tricks.smoothing, &smooth.optimiser), (2, Some(0.1), &both.train.optimiser));
    assert_eq!(both.rows[2].train.as_ref().unwrap().epochs, 3);
    let records = run(&both);
    assert_eq!(records.iter().map(|r| r.result.curve.len()).collect::<Vec<_>>(), [2, 2, 3]);
    // As a suite that trains all its rows so.
    let alone = run(&suite("epochs = 2, smoothing = 0.1", AT));
    assert_eq!(records[1].result.configuration["training"], alone[0].result.configuration["training"]);
    assert_eq!(records[1].result.checkpoint_sha256, alone[0].result.checkpoint_sha256);
    assert_ne!(records[0].result.checkpoint_sha256, records[1].result.checkpoint_sha256);
}

#[test]
fn wrong_tricks_are_told_with_their_place() {
    for (train, word) in [
        ("evaluate = \"best\"", "did you mean"),
        ("evaluate = \"ema\"", "say ema = { decay = 0.995 }"),
        ("ema = 0.9", "`ema` must be a table, got float"),
        ("ema = { deca = 0.9 }, evaluate = \"ema\"", "decay"),
        ("ema = { decay = 1.5 }, evaluate = \"ema\"", "`decay` must be below 1, got 1.5"),
        ("swa = { every = 2 }, evaluate = \"swa\"", "missing field `start`"),
        ("smoothing = \"much\"", "`smoothing` must be a number"),
        ("smoothing = 1.0", "must be below 1, got 1"),
        ("accumulate = 0", "`accumulate` must be a whole number of at least 1"),
        ("decay = \"bias\"", "all, weights"),
        ("perturb = \"aws\"", "did you mean"),
        ("perturb = { name = \"awp\", gamma = -1 }", "gamma must be above 0, got -1"),
        ("schedule = { name = \"piecewise\", at = [1, 0], factor = [1, 1] }", "at must ascend"),
    ] {
        let said = load(&[&head(train), AT, ATTACK].concat()).unwrap_err();
        assert!(said.contains(word), "{train}: {said}");
    }
    let none = head("evaluate = \"best-robust\"").replace("validation = 60", "validation = 0");
    let said = load(&[&none, AT, ATTACK].concat()).unwrap_err();
    assert!(said.contains("chosen on held-out training images; `validation` must be above 0"), "{said}");
    let row = AT.replace("[[row]]", "[[row]]\ntrain = { epoch = 3 }");
    let said = load(&[&head("epochs = 2"), &row, ATTACK].concat()).unwrap_err();
    assert!(said.contains("key of [[row]]'s train") && said.contains("epochs"), "{said}");
    let row = AT.replace("[[row]]", "[[row]]\ntrain = 3");
    let said = load(&[&head("epochs = 2"), &row, ATTACK].concat()).unwrap_err();
    assert!(said.contains("`train` must be a table, got integer"), "{said}");
}

#[test]
fn augmented_trainings_repeat_and_depend_on_no_interruption() {
    let train = "epochs = 2, augmentation = [\"crop-flip\", { name = \"cutout\", size = 3 }, \"trivial-augment\", \"cutmix\"], \
                 smoothing = 0.1";
    let suite = suite(train, AT);
    assert_eq!(suite.train.tricks.augmentations.len(), 3);
    let wanted = bytes(&run(&suite));
    let folder = tempfile::tempdir().unwrap();
    let records = loop {
        match go(&suite, folder.path(), &Brake { every: Some(3), ..Brake::default() }) {
            Err(Error::Interrupted) => {}
            other => break other.unwrap(),
        }
    };
    assert!(bytes(&records) == wanted);
    // A list of one is the name alone.
    let alone = serde_json::to_value(self::suite("epochs = 2, augmentation = \"crop-flip\"", AT).train).unwrap();
    let listed = serde_json::to_value(self::suite("epochs = 2, augmentation = [\"crop-flip\"]", AT).train).unwrap();
    assert_eq!(alone, listed);
    assert_eq!(alone["augmentation"], "crop-flip");
    assert!(alone.get("augmentations").is_none());
}

#[test]
fn wrong_augmentations_are_told() {
    for (augmentation, word) in [
        ("\"cutuot\"", "did you mean \\\"cutout\\\"?"),
        ("\"cutout\"", "cutout.size is required"),
        ("[\"cutmix\", \"crop-flip\"]", "crop-flip comes before all other augmentations"),
        ("[\"cutmix\", \"mixup\"]", "what mixes two images comes last, and once"),
        ("[\"mixup\", \"trivial-augment\"]", "what mixes two images comes last, and once"),
        ("{ name = \"crop-flip\", size = 4 }", "crop-flip has no parameters"),
        ("{ name = \"mixup\", alpha = 0 }", "must be above 0"),
        ("3", "an augmentation must be a name or a table with a `name`"),
    ] {
        let said = load(&[&head(&format!("augmentation = {augmentation}")), AT, ATTACK].concat()).unwrap_err();
        assert!(said.contains(word), "{augmentation}: {said}");
    }
}

/// Cross-entropy that notes which rows it was shown, step by step.
struct Spy(std::sync::Mutex<Vec<Vec<u64>>>);
impl gauntlet_core::Recipe for Spy {
    fn name(&self) -> &str {
        "spy"
    }
    fn terms(&self, step: &mut gauntlet_core::Step<'_>) -> gauntlet_core::Result<Vec<gauntlet_core::Term>> {
        self.0.lock().unwrap().push(step.ids().to_vec());
        let x = step.input();
        Ok(vec![gauntlet_core::Term::new("ce", 1.0, step.cross_entropy(&x)?)])
    }
}

#[test]
fn extra_images_take_their_share_of_every_batch() {
    let suite = suite("epochs = 2", AT);
    let (registry, stop) = (registry(), AtomicBool::new(false));
    let (train, extra) = (split(1, 260), std::sync::Arc::new(split(3, 150)));
    let mut config = suite.train.clone();
    config.tricks.extra = Some(gauntlet_engine::Extra { data: "more".into(), fraction: 0.7 });
    let spy = std::sync::Arc::new(Spy(std::sync::Mutex::default()));
    let job = gauntlet_engine::TrainingJob {
        compute: &gauntlet_core::Compute::default(),
        network: registry.model(&suite.model.given(), (1, 8, 8), 3).unwrap().0,
        recipe: spy.clone(),
        teacher: None,
        train: &train,
        extra: Some(extra),
        config: &config,
        seed: 5,
        precision: Precision::F32,
        registry: &registry,
        width: 16,
        interrupt: &stop,
        part: gauntlet_engine::Part { row: "spy", seed: 5, attack: None },
    };
    job.run(None, &()).unwrap();
    let shown = spy.0.lock().unwrap().clone();
    // 200 rows are trained on, 10 of 32 in a batch: 20 steps an epoch, after the one that the cost is counted on.
    assert_eq!((config.own(), config.steps_per_epoch(260), shown.len()), (10, 20, 41));
    for step in &shown[1..] {
        assert_eq!((step.len(), step.iter().filter(|id| **id < 200).count()), (32, 10));
        assert!(step[10..].iter().all(|id| (260..410).contains(id)));
    }
    let mut own: Vec<u64> = shown[1..21].iter().flat_map(|s| s[..10].to_vec()).collect();
    own.sort_unstable();
    assert_eq!(own, (0..200).collect::<Vec<u64>>(), "an epoch is one pass over the training images");
    // Every extra image once before any comes again.
    let more: Vec<u64> = shown[1..].iter().flat_map(|s| s[10..].to_vec()).collect();
    for pass in more.chunks(150).filter(|p| p.len() == 150) {
        assert_eq!(pass.iter().collect::<std::collections::BTreeSet<_>>().len(), 150);
    }
}

#[test]
fn extra_data_that_do_not_fit_are_told() {
    let said = load(&[&head("extra = { data = \"glyhps\", fraction = 0.5 }"), AT, ATTACK].concat()).unwrap_err();
    assert!(said.contains("did you mean \\\"glyphs\\\""), "{said}");
    let said = load(&[&head("extra = { data = \"glyphs\", fraction = 1.5 }"), AT, ATTACK].concat()).unwrap_err();
    assert!(said.contains("`fraction` must be below 1, got 1.5"), "{said}");
    let folder = tempfile::tempdir().unwrap();
    let other = suite("epochs = 1, extra = { data = \"glyphs\", fraction = 0.5 }", AT);
    let records = go(&other, folder.path(), &Brake::default());
    let said = match records {
        Ok(records) => records[0].failed.clone().unwrap(),
        Err(error) => error.to_string(),
    };
    assert!(said.contains("do not go with the training's (1, 8, 8) in 3"), "{said}");
}

/// What a recipe remembers of the weights, and what it trains beside them, survives; the checkpoint has the network's alone, or it
/// would not load.
#[test]
fn recipes_with_a_second_network_depend_on_no_interruption() {
    let rows = "[[row]]\nrecipe = { name = \"adr\", eps = \"0.2\", steps = 1 }\n\
                [[row]]\nrecipe = { name = \"lbgat\", eps = \"0.2\", attack = { name = \"pgd\", steps = 1, objective = \"kl\" } }\n\
                model = { name = \"resnet18\", width = 1 }\n";
    let suite =
        suite("epochs = 2, perturb = { name = \"awp\", start = 1 }, augmentation = [\"idbh\", \"auto-augment\"]", rows);
    let wanted = bytes(&run(&suite));
    assert_eq!(wanted.len(), 2);
    let folder = tempfile::tempdir().unwrap();
    let mut interruptions = 0;
    let records = loop {
        match go(&suite, folder.path(), &Brake { every: Some(5), ..Brake::default() }) {
            Err(Error::Interrupted) => interruptions += 1,
            other => break other.unwrap(),
        }
    };
    assert!(interruptions >= 4, "{interruptions}");
    assert!(bytes(&records) == wanted);
}
