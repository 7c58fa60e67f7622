//! Suite files: the committed ones resolve, and every mistake is found where it stands.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use gauntlet_core::Registry;
use gauntlet_data::Catalogue;
use gauntlet_engine::{Augmentation, CheckpointSource, Diagnostic, Suite, Teacher};
use gauntlet_evaluate::Selection;
use gauntlet_records::Norm;
use proptest::prelude::*;

fn registry() -> Registry {
    let mut registry = Registry::default();
    gauntlet_models::register(&mut registry).unwrap();
    gauntlet_attacks::register(&mut registry).unwrap();
    gauntlet_recipes::register(&mut registry).unwrap();
    registry
}
fn load(text: &str) -> Result<Suite, Vec<Diagnostic>> {
    Suite::load(text, "suites/mine.toml", &registry(), &Catalogue::new([]))
}

#[test]
fn committed_suites_resolve() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../suites");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let suite = Suite::load(&text, &path.display().to_string(), &registry(), &Catalogue::new([]))
            .unwrap_or_else(|d| panic!("{}: {d:?}", path.display()));
        assert_eq!(path.file_stem().unwrap().to_str().unwrap(), suite.name);
        names.push(suite.name);
    }
    for needed in ["quickstart", "mnist-recipes", "mnist-gauntlet", "fashion-recipes", "cifar10-short"] {
        assert!(names.iter().any(|n| n == needed), "{needed} is missing in {names:?}");
    }
}

const GOOD: &str = r#"format = 1
name = "mine"
data = "mnist"
model = { name = "lenet-small", activation = "gelu" }
seeds = [0, 1]
take = 1000
train = { epochs = 10, batch = 64, optimiser = { name = "sgd", lr = 0.1, momentum = 0.9 }, schedule = { name = "step", at = [5] }, augmentation = "crop-flip", validation = 0, clip = 1.0 }
[[row]]
recipe = "ce"
[[row]]
id = "gn"
recipe = { name = "grad-norm", weight = 2 }
[[row]]
id = "both"
base = { name = "fgsm-aug", eps = "0.3" }
penalties = [{ name = "grad-norm", weight = 1.0, norm = "l1" }, "direction-matching"]
note = "a note"
[[attack]]
name = "fgsm"
eps = "8/255"
[[attack]]
name = "pgd"
label = "pgd-l2"
norm = "l2"
eps = [0.5, 1]
steps = 7
"#;

#[test]
fn a_suite_is_resolved_with_every_default() {
    let suite = load(GOOD).unwrap();
    assert_eq!(
        (suite.seeds.as_slice(), suite.examples, suite.attack_seed, suite.carry),
        ([0, 1].as_slice(), Selection::Take(1000), 0, false)
    );
    assert_eq!(
        (suite.train.epochs, suite.train.batch, suite.train.validation, suite.train.clip),
        (10, 64, Some(0), Some(1.0))
    );
    assert_eq!(suite.train.augmentation, Augmentation::CropFlip);
    let ids: Vec<&str> = suite.rows.iter().map(|r| r.id.as_str()).collect();
    assert_eq!(ids, ["ce", "gn", "both"]);
    assert_eq!(suite.rows[1].base.as_ref().unwrap().name, "ce");
    assert_eq!(suite.rows[1].penalties[0].args["norm"], "l2sq");
    assert_eq!(suite.rows[2].penalties.len(), 2);
    let pgd = &suite.attacks[1];
    assert_eq!((pgd.label.as_str(), pgd.norm), ("pgd-l2", Norm::L2));
    assert_eq!(pgd.eps.iter().map(|e| e.to_string()).collect::<Vec<_>>(), ["0.5", "1"]);
    assert_eq!((pgd.attack.args["steps"].clone(), pgd.attack.args["random_start"].clone()), (7.into(), true.into()));
    assert_eq!(pgd.attack.args["objective"]["name"], "ce");
    assert_eq!(pgd.attack.numerics.keys().collect::<Vec<_>>(), ["attack pgd", "objective ce"]);
    // The middle (here the only) L∞ budget is monitored.
    assert_eq!(suite.train.monitor.eps.to_string(), "8/255");
    assert_eq!(
        (suite.train.monitor.attack.name.as_str(), suite.train.monitor.attack.args["steps"].clone()),
        ("pgd", 10.into())
    );
    let again: Suite = serde_json::from_str(&serde_json::to_string(&suite).unwrap()).unwrap();
    assert_eq!(again, suite);
}

#[test]
fn an_attack_may_have_test_rows_of_its_own() {
    let with = |line: &str| load(&GOOD.replace("steps = 7", &format!("steps = 7\n{line}"))).unwrap();
    for (line, own, covered) in [
        ("", None, vec![Selection::Take(1000)]),
        ("take = 50", Some(Selection::Take(50)), vec![Selection::Take(1000)]),
        ("take = 5000", Some(Selection::Take(5000)), vec![Selection::Take(5000)]),
        ("sample = 200", Some(Selection::Sample(200)), vec![Selection::Take(1000), Selection::Sample(200)]),
        ("all = true", Some(Selection::All), vec![Selection::All]),
    ] {
        let suite = with(line);
        assert_eq!((suite.attacks[0].examples, suite.attacks[1].examples), (None, own), "{line}");
        assert_eq!(suite.covered(), covered, "{line}");
        // They are no parameters of the attack, so no part of what it is.
        assert_eq!(suite.attacks[1].attack, with("").attacks[1].attack);
        let again: Suite = serde_json::from_str(&serde_json::to_string(&suite).unwrap()).unwrap();
        assert_eq!(again, suite);
    }
    let mut suite = with("all = true");
    suite.select(Selection::Take(9));
    assert_eq!(suite.covered(), [Selection::Take(9)]);
}

#[test]
fn every_mistake_is_found_where_it_stands() {
    // What is replaced in the good suite, by what, where the complaint must point, what message or hint must say.
    let cases: &[(&str, &str, &str, &str)] = &[
        ("format = 1", "format = 2", "format = 2", "format 2 is not known"),
        ("format = 1\n", "", "", "`format` is missing"),
        ("format = 1", "format = 1 1", "1 1\nname", "expected"),
        ("data = \"mnist\"", "data = \"mnits\"", "\"mnits\"", "did you mean \"mnist\"?"),
        ("data = \"mnist\"\n", "", "", "`data` is missing"),
        ("seeds = [0, 1]", "seed = [0, 1]", "seed", "did you mean \"seeds\"?"),
        ("seeds = [0, 1]", "seeds = []", "seeds = []", "`seeds` is empty"),
        ("seeds = [0, 1]", "seeds = [0, 0]", "0]", "listed twice"),
        ("seeds = [0, 1]", "seeds = [0, -1]", "-1", "whole numbers"),
        ("seeds = [0, 1]", "seeds = \"0\"", "\"0\"", "must be a list"),
        ("take = 1000", "take = 0", "0\ntrain", "a whole number of at least 1, got 0"),
        ("take = 1000", "draws = 0", "0\n", "a whole number of at least 1, got 0"),
        ("take = 1000", "take = 10\nsample = 10", "sample = 10", "exclude each other"),
        ("eps = \"8/255\"", "eps = \"8/255\"\ntake = 0", "0\n", "a whole number of at least 1, got 0"),
        ("eps = \"8/255\"", "eps = \"8/255\"\ntake = 5\nsample = 5", "sample = 5", "exclude each other"),
        ("eps = \"8/255\"", "eps = \"8/255\"\ntake = 5\nall = true", "all = true", "stands alone"),
        ("eps = \"8/255\"", "eps = \"8/255\"\nall = false", "all = false", "`all` is `true`"),
        ("name = \"mine\"", "name = \"../x\"", "name = \"../x\"", "cannot name a folder"),
        ("\"lenet-small\"", "\"lenet-smal\"", "\"lenet-smal\"", "did you mean \"lenet-small\"?"),
        ("activation = \"gelu\"", "activation = \"gelo\"", "\"gelo\"", "did you mean \"gelu\"?"),
        ("activation = \"gelu\"", "activaton = \"gelu\"", "activaton", "did you mean \"activation\"?"),
        ("activation = \"gelu\"", "mean = [0.1, 0.2]", "[0.1, 0.2]", "2 entries for 1 channels"),
        ("model = { name = \"lenet-small\", activation = \"gelu\" }", "model = 3", "3\nseeds", "a name or a table"),
        ("epochs = 10", "epoch = 10", "epoch", "did you mean \"epochs\"?"),
        ("epochs = 10", "epochs = 0", "0,", "at least 1"),
        ("epochs = 10", "epochs = \"ten\"", "\"ten\"", "whole number"),
        ("name = \"sgd\"", "name = \"sdg\"", "\"sdg\"", "did you mean \"sgd\"?"),
        ("momentum = 0.9", "momentun = 0.9", "momentun", "did you mean \"momentum\"?"),
        ("momentum = 0.9", "momentum = 1.5", "1.5", "momentum must be below 1, got 1.5"),
        ("lr = 0.1", "lr = -0.1", "-0.1", "lr must be above 0, got -0.1"),
        ("lr = 0.1, ", "", "{ name = \"sgd\"", "missing field `lr`"),
        ("name = \"step\"", "name = \"stp\"", "\"stp\"", "did you mean \"step\"?"),
        ("\"crop-flip\"", "\"flip\"", "\"flip\"", "it is one of none, crop-flip, crop-flip-reflect, cutout"),
        ("clip = 1.0", "clip = 0", "0 }", "above 0"),
        ("name = \"fgsm\"", "name = \"transfer\"\nsurrogate = \"cee\"", "\"cee\"", "did you mean \"ce\"?"),
        ("name = \"fgsm\"", "name = \"transfer\"\nsurrogates = 3", "3\n", "\"all\" or a list"),
        ("recipe = \"ce\"", "recipe = \"cee\"", "\"cee\"", "did you mean \"ce\"?"),
        ("recipe = \"ce\"", "recipe = \"grad-nrm\"", "\"grad-nrm\"", "did you mean \"grad-norm\"?"),
        ("recipe = \"ce\"\n", "", "[[row]]", "a row needs a recipe"),
        ("recipe = \"ce\"", "recipe = \"ce\"\nbase = \"ce\"", "base", "exclude each other"),
        ("recipe = \"ce\"", "recipe = \"ce\"\npenalties = []", "penalties", "go with `base`"),
        ("recipe = \"ce\"", "recipe = \"grad-norm\"", "\"grad-norm\"\n[[row]]", "weight"),
        ("id = \"gn\"", "id = \"ce\"", "id = \"ce\"", "two rows are called \"ce\""),
        ("id = \"gn\"", "id = \"a/b\"", "id = \"a/b\"", "row id"),
        ("id = \"gn\"", "identity = \"gn\"", "identity", "unknown key of [[row]]"),
        ("weight = 2", "weigth = 2", "weigth", "did you mean \"weight\"?"),
        ("weight = 2", "weight = \"two\"", "\"two\"", "grad-norm.weight"),
        ("norm = \"l1\"", "norm = \"l3\"", "\"l3\"", "grad-norm.norm"),
        ("eps = \"0.3\"", "eps = \"-0.3\"", "\"-0.3\"", "at least 0"),
        (
            "\"direction-matching\"",
            "\"direction-matchng\"",
            "\"direction-matchng\"",
            "did you mean \"direction-matching\"?",
        ),
        ("eps = \"8/255\"", "eps = \"-8/255\"", "\"-8/255\"", "at least 0"),
        ("eps = [0.5, 1]", "eps = [0.5, -1]", "-1", "at least 0"),
        ("eps = [0.5, 1]", "eps = []", "[]", "the list of budgets is empty"),
        ("eps = [0.5, 1]", "eps = [0.5, 0.5]", "0.5]", "listed twice"),
        ("eps = [0.5, 1]", "eps = [0.5, 0]", "0]", "must be above 0, got \"0\""),
        ("eps = [0.5, 1]", "eps = [0.5, 30]", "30]", "at most √784 = 28.00 in L2"),
        ("eps = [0.5, 1]", "eps = [0.5, 1e-9]", "1e-9]", "at least 0.000001"),
        ("eps = \"8/255\"", "eps = 8", "8\n", "at most 1 in L∞, got \"8\""),
        ("eps = \"8/255\"", "eps = 8", "8\n", "write \"8/255\""),
        ("eps = \"0.3\"", "eps = \"8\"", "\"8\"", "fgsm-aug.eps: must be at most 1 in L∞"),
        ("eps = \"0.3\"", "eps = 0", "0 }", "must be above 0"),
        ("clip = 1.0", "monitor_eps = 8", "8 }", "write \"8/255\""),
        ("steps = 7", "steps = 7\nalpha = 0", "0\n", "pgd.alpha: must be above 0, got \"0\""),
        (
            "steps = 7",
            "steps = 7\nalpha = 0.1\nrandom_start = false",
            "0.1\n",
            "7 steps of 0.1 get 0.7 far from the clean image and never to ε = 1 in L2; take 10 steps or more",
        ),
        ("name = \"fgsm\"", "name = \"bim\"\nalpha = \"eps/20\"", "\"eps/20\"", "take 20 steps or more"),
        (
            "name = \"fgsm\"",
            "name = \"worst-case\"\nattacks = [\"pgd\", { name = \"mi-fgsm\", steps = 3 }]",
            "[[attack]]",
            "mi-fgsm.alpha: 3 steps of",
        ),
        ("name = \"fgsm\"", "name = \"r-fgsm\"\nalpha = 0.1", "0.1\n", "r-fgsm.alpha: must be below ε"),
        ("eps = [0.5, 1]", "eps = [true]", "true", "a length in pixels"),
        ("eps = [0.5, 1]\n", "", "[[attack]]\nname = \"pgd\"", "an attack needs budgets"),
        ("name = \"pgd\"", "name = \"pdg\"", "\"pdg\"", "did you mean \"pgd\"?"),
        ("steps = 7", "step = 7", "step", "did you mean \"steps\"?"),
        ("steps = 7", "steps = 0", "0\n", "at least 1"),
        ("norm = \"l2\"", "norm = \"l22\"", "\"l22\"", "did you mean"),
        ("label = \"pgd-l2\"", "label = \"fgsm\"", "label = \"fgsm\"", "two attacks are called \"fgsm\""),
        ("label = \"pgd-l2\"", "label = 3", "3\nnorm", "must be a text"),
        ("recipe = \"ce\"", "checkpoint = \"nowhere.pt\"", "\"nowhere.pt\"", "there is no file nowhere.pt"),
        ("recipe = \"ce\"", "checkpoint = \"hf:a/b.pt\"", "\"hf:a/b.pt\"", "names no file"),
        ("recipe = \"ce\"", "recipe = \"ce\"\noptional = true", "optional", "`optional` goes with `checkpoint`"),
        (
            "recipe = \"ce\"",
            "checkpoint = \"m.pt\"\nid = \"m\"\noptional = 1",
            "1\n",
            "`optional` must be true or false",
        ),
        ("recipe = \"ce\"", "checkpoint = 3", "3\n", "`checkpoint` must be a text, got integer"),
        ("recipe = \"ce\"", "checkpoint = \"hf:a/b/c.pt\"", "[[row]]", "a row with a checkpoint needs an id"),
        ("recipe = \"ce\"", "recipe = \"ce\"\ncheckpoint = \"hf:a/b/c.pt\"", "recipe", "a checkpoint is not trained"),
        ("note = \"a note\"", "checkpoint = \"hf:a/b/c.pt\"", "base", "`base` and `checkpoint` exclude each other"),
        ("note = \"a note\"", "checkpoint = \"hf:a/b/c.pt\"", "penalties", "`penalties` and `checkpoint`"),
        ("id = \"gn\"", "teacher = \"both\"\nid = \"gn\"\ncheckpoint = \"hf:a/b/c.pt\"", "teacher", "`teacher` and"),
        ("id = \"gn\"", "id = \"gn\"\nteacher = \"bth\"", "\"bth\"", "did you mean \"both\"?"),
        ("id = \"gn\"", "id = \"gn\"\nteacher = \"bth\"", "\"bth\"", "or a checkpoint, such as"),
        ("id = \"gn\"", "id = \"gn\"\nteacher = \"gn\"", "\"gn\"", "gn learns from gn in a circle"),
        ("id = \"gn\"", "id = \"gn\"\nteacher = \"../t.safetensors\"", "\"../t", "there is no file ../t.safetensors"),
        ("id = \"gn\"", "id = \"gn\"\nteacher = 7", "7\n", "`teacher` must be a text, got integer"),
        ("id = \"gn\"", "id = \"gn\"\nmodel = \"lenet-smal\"", "\"lenet-smal\"", "did you mean \"lenet-small\"?"),
        ("id = \"gn\"", "id = \"gn\"\nmodel = { name = \"mlp\", mean = [0, 0] }", "[0, 0]", "2 entries for 1 channels"),
    ];
    let mut wrong = Vec::new();
    for (from, to, place, say) in cases {
        // The last occurrence, so that `norm` or `name` of an attack can be meant.
        let at = GOOD.rfind(from).unwrap_or_else(|| panic!("{from} is not in the suite"));
        let text = format!("{}{to}{}", &GOOD[..at], &GOOD[at + from.len()..]);
        let complaints = match load(&text) {
            Ok(_) => {
                wrong.push(format!("{to:?} was accepted"));
                continue;
            }
            Err(complaints) => complaints,
        };
        match complaints.iter().find(|d| d.to_string().contains(say)) {
            None => wrong.push(format!("{from:?} -> {to:?}: nobody says {say:?}: {complaints:?}")),
            Some(Diagnostic { span: None, .. }) if place.is_empty() => {}
            Some(Diagnostic { span: Some(span), .. }) if !place.is_empty() && text[span.start..].starts_with(place) => {
            }
            Some(found) => {
                let at = found.span.clone().map(|s| &text[s]);
                wrong.push(format!("{from:?} -> {to:?}: points at {at:?}, not at {place:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_the_file() {
    let text =
        GOOD.replace("\"mnist\"", "\"mnits\"").replace("weight = 2", "weigth = 2").replace("steps = 7", "step = 7");
    let lines: Vec<usize> = load(&text).unwrap_err().iter().map(|d| d.line_column(&text).unwrap().0).collect();
    assert_eq!(lines, [3, 12, 26]);
}

#[test]
fn an_attack_that_does_not_know_the_norm_is_refused() {
    let text = GOOD.replace("name = \"pgd\"", "name = \"noise\"\nshape = \"sign\"").replace("steps = 7\n", "");
    let complaints = load(&text).unwrap_err();
    assert!(complaints[0].to_string().contains("noise is not defined for l2 (it knows linf)"), "{complaints:?}");
    // The published code has an L1 version of `standard` alone.
    for (version, known) in [("standard", true), ("plus", false), ("rand", false)] {
        let given = format!("name = \"autoattack\"\nversion = \"{version}\"\nnorm = \"l1\"");
        let text = GOOD.replace("name = \"fgsm\"", &given);
        assert_ne!(text, GOOD);
        match load(&text) {
            Ok(_) => assert!(known, "{version}"),
            Err(complaints) => {
                assert!(
                    !known && complaints[0].to_string().contains("autoattack is not defined for l1"),
                    "{complaints:?}"
                );
            }
        }
    }
}

#[test]
fn rows_name_checkpoints_teachers_and_models_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("t.safetensors"), "").unwrap();
    let path = folder.path().join("mine.toml").display().to_string();
    let rows = r#"
[[row]]
id = "theirs"
checkpoint = "t.safetensors"
model = { name = "mlp", activation = "softplus" }
[[row]]
id = "pupil"
recipe = "ce"
teacher = "theirs"
[[row]]
id = "second"
recipe = "ce"
teacher = "pupil"
[[row]]
id = "third"
recipe = "ce"
teacher = "t.safetensors"
[[row]]
id = "fourth"
recipe = "ce"
teacher = "hf:a/b/c.pt@v1"
"#;
    let suite = Suite::load(&[GOOD, rows].concat(), &path, &registry(), &Catalogue::new([])).unwrap();
    let row = |id: &str| suite.row(id).unwrap();
    assert_eq!(row("theirs").model.as_ref().unwrap().args["activation"], "softplus");
    let file = CheckpointSource::File(folder.path().join("t.safetensors"));
    assert_eq!((row("theirs").checkpoint.as_ref(), row("theirs").base.as_ref()), (Some(&file), None));
    assert_eq!(row("pupil").teacher, Some(Teacher::Row("theirs".into())));
    assert_eq!(row("second").teacher, Some(Teacher::Row("pupil".into())));
    assert_eq!(row("third").teacher, Some(Teacher::Checkpoint(file)));
    assert_eq!(row("fourth").teacher.as_ref().unwrap().to_string(), "hf:a/b/c.pt@v1");
    assert!(row("ce").teacher.is_none() && row("ce").model.is_none());
    let again: Suite = serde_json::from_str(&serde_json::to_string(&suite).unwrap()).unwrap();
    assert_eq!(again, suite);
}

#[test]
fn a_circle_of_teachers_is_told_once() {
    let circle = GOOD
        .replace("recipe = \"ce\"", "recipe = \"ce\"\nteacher = \"both\"")
        .replace("id = \"both\"", "id = \"both\"\nteacher = \"gn\"")
        .replace("id = \"gn\"", "id = \"gn\"\nteacher = \"ce\"");
    let complaints = load(&circle).unwrap_err();
    assert_eq!(complaints.len(), 1, "{complaints:?}");
    assert!(complaints[0].to_string().contains("ce learns from both learns from gn learns from ce in a circle"));
    // Whoever learns from a circle is in none.
    let tail = GOOD
        .replace("recipe = \"ce\"", "recipe = \"ce\"\nteacher = \"both\"")
        .replace("id = \"both\"", "id = \"both\"\nteacher = \"gn\"")
        .replace("id = \"gn\"", "id = \"gn\"\nteacher = \"both\"");
    let complaints = load(&tail).unwrap_err();
    assert_eq!(complaints.len(), 1, "{complaints:?}");
    assert!(complaints[0].to_string().contains("gn learns from both learns from gn in a circle"), "{complaints:?}");
}

/// From a random start some of the ball is within reach whatever the steps: the referee flags it, and the suite stands.
#[test]
fn short_steps_from_a_random_start_are_no_error() {
    let text = GOOD.replace("steps = 7", "steps = 7\nalpha = 0.1");
    assert!(load(&text).is_ok());
}

const VALUES: [&str; 18] = [
    "0",
    "-1",
    "1e300",
    "nan",
    "9223372036854775807",
    "18446744073709551616",
    "\"\"",
    "\"../../x\"",
    "\"\\u001b\"",
    "[]",
    "[[]]",
    "{}",
    "true",
    "\"8/0\"",
    "[1, 1]",
    "{ name = 1 }",
    "{ name = \"mlp\", hidden = [65536, 65536] }",
    "\"ce\"",
];

/// Cases of a target: PROPTEST_CASES where it is set, for scripts/hostile/long.sh.
fn cases(usual: u32) -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(300), failure_persistence: None, ..ProptestConfig::default() })]

    /// A suite or complaints that lie inside of the text.
    #[test]
    fn no_harm_to_a_suite_harms_its_reader(
        harms in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<char>(), 0u8..4), 1..4)
    ) {
        let mut lines: Vec<String> = GOOD.lines().map(String::from).collect();
        for (at, value, letter, kind) in harms {
            let at = at.index(lines.len());
            let line = lines[at].clone();
            match kind {
                0 => lines[at] = line.chars().rev().collect(),
                1 => lines.insert(at, line),
                2 => lines[at] = format!("{line}{letter}"),
                _ => lines[at] = format!("{}= {}", line.split('=').next().unwrap_or_default(), value.get(&VALUES)),
            }
        }
        let text = lines.join("\n");
        if let Err(complaints) = load(&text) {
            prop_assert!(!complaints.is_empty());
            for complaint in complaints {
                prop_assert!(complaint.span.is_none_or(|s| s.start <= s.end && s.end <= text.len()));
            }
        }
    }
}
