//! `[[expect]]` and `[quick]`: read as they are written, and every mistake found where it stands.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use gauntlet_core::Registry;
use gauntlet_data::Catalogue;
use gauntlet_engine::{Diagnostic, Suite};
use gauntlet_evaluate::Selection;
use gauntlet_records::{Band, Norm, Quantity};

const GOOD: &str = r#"format = 1
name = "mine"
data = "mnist"
model = "lenet-small"
seeds = [0, 1]
take = 1000
train = { epochs = 10 }
[quick]
epochs = 2
take = 50
seeds = [1]
rows = ["plain", "taught"]
note = "the ordering can be seen"
[[row]]
id = "plain"
recipe = "ce"
[[row]]
id = "at"
recipe = { name = "pgd-at", eps = "0.1" }
[[row]]
id = "taught"
recipe = "ce"
teacher = "plain"
[[attack]]
name = "fgsm"
eps = ["0.1", "8/255"]
[[attack]]
name = "pgd"
eps = ["0.1"]
[[attack]]
name = "pgd"
label = "pgd-l2"
norm = "l2"
eps = ["0.5"]
[[attack]]
name = "transfer"
surrogates = "all"
attack = "fgsm"
eps = ["0.1"]
[[expect]]
row = "plain"
attack = "clean"
value = 99.1
sd = 0.2
n = 10000
source = "a table"
[[expect]]
row = "at"
attack = "pgd"
eps = 0.1
value = 90
band = [85, 95]
or = { band = [0, 5], flag = "catastrophic-overfitting" }
source = "another table"
published_with = "100 epochs"
[[expect]]
row = "at"
attack = "worst case"
eps = "0.1"
at_most = 95
[[expect]]
row = "at"
attack = "pgd-l2"
eps = "0.5"
minus = { row = "plain" }
at_least = 0
source = "an order"
[[expect]]
row = "at"
curve = "alignment"
epoch = 10
scale = 2
minus = { epoch = 1 }
band = [-1, 0]
source = "a figure"
[[expect]]
row = "taught"
attack = "transfer from plain"
eps = "0.1"
minus = { row = "plain", attack = "transfer from taught" }
band = [-100, 0]
source = "an order"
"#;

fn load(text: &str) -> Result<Suite, Vec<Diagnostic>> {
    let mut registry = Registry::default();
    gauntlet_models::register(&mut registry).unwrap();
    gauntlet_attacks::register(&mut registry).unwrap();
    gauntlet_recipes::register(&mut registry).unwrap();
    Suite::load(text, "suites/mine.toml", &registry, &Catalogue::new([]))
}

#[test]
fn expectations_are_read_as_they_are_written() {
    let suite = load(GOOD).unwrap();
    let said: Vec<String> = suite.expect.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "plain: clean",
            "at: pgd ε = 0.1",
            "at: worst case ε = 0.1",
            "at − plain: pgd-l2 L2 ε = 0.5",
            "at: 2 · alignment, epoch 10 − at: 2 · alignment, epoch 1",
            "taught: transfer from plain ε = 0.1 − plain: transfer from taught ε = 0.1",
        ]
    );
    let second = &suite.expect[1];
    let pgd = Quantity::Attack { attack: "pgd".into(), norm: Norm::Linf, eps: "0.1".parse().unwrap() };
    assert_eq!((&second.of, second.value, second.band), (&pgd, Some(90.0), Some(Band(Some(85.0), Some(95.0)))));
    assert_eq!(second.published_with.as_deref(), Some("100 epochs"));
    let or = second.or.as_ref().unwrap();
    assert_eq!((or.band, or.flag.as_deref()), (Band(Some(0.0), Some(5.0)), Some("catastrophic-overfitting")));
    let (first, third, fourth) = (&suite.expect[0], &suite.expect[2], &suite.expect[3]);
    assert_eq!((first.value, first.sd, first.n, first.band), (Some(99.1), Some(0.2), Some(10000), None));
    assert_eq!((third.value, third.band, third.source.as_deref()), (None, Some(Band(None, Some(95.0))), None));
    assert_eq!((fourth.band, fourth.counts(), first.counts()), (Some(Band(Some(0.0), None)), false, true));
    let again: Suite = serde_json::from_str(&serde_json::to_string(&suite).unwrap()).unwrap();
    assert_eq!(again, suite);
}

#[test]
fn the_smaller_version_keeps_what_it_can_still_measure() {
    let suite = load(GOOD).unwrap().quick().unwrap();
    assert_eq!((suite.name.as_str(), suite.train.epochs, suite.seeds.as_slice()), ("mine-quick", 2, [1].as_slice()));
    assert_eq!(suite.examples, Selection::Take(50));
    let ids: Vec<&str> = suite.rows.iter().map(|r| r.id.as_str()).collect();
    assert_eq!(ids, ["plain", "taught"]);
    let labels: Vec<&str> = suite.attacks.iter().map(|a| a.label.as_str()).collect();
    assert_eq!(labels, ["fgsm", "pgd", "pgd-l2", "transfer from plain", "transfer from taught"]);
    let said: Vec<String> = suite.expect.iter().map(ToString::to_string).collect();
    assert_eq!(said, ["plain: clean", "taught: transfer from plain ε = 0.1 − plain: transfer from taught ε = 0.1"]);
    assert!(suite.notes[0].contains("2 epochs; the first 50 test images; seeds 1; rows plain, taught; the ordering"));
    assert!(suite.quick().is_none(), "a smaller version has none of its own");
}

#[test]
fn every_mistake_is_found_where_it_stands() {
    // What is replaced, by what, where the complaint must point, what message or hint must say.
    let cases: &[(&str, &str, &str, &str)] = &[
        (
            "row = \"plain\"\nattack = \"clean\"",
            "row = \"plan\"\nattack = \"clean\"",
            "\"plan\"",
            "did you mean \"plain\"?",
        ),
        ("row = \"plain\"\nattack = \"clean\"", "attack = \"clean\"", "[[expect]]", "`row` is missing"),
        ("attack = \"clean\"\n", "", "[[expect]]", "does not say which number"),
        ("attack = \"clean\"", "attack = \"pdg\"\neps = 0.1", "\"pdg\"", "did you mean \"pgd\"?"),
        ("attack = \"clean\"", "attack = \"pgd\"", "[[expect]]", "pgd needs a budget"),
        ("eps = 0.1\n", "eps = 0.2\n", "0.2\n", "it is run at 0.1"),
        (
            "attack = \"worst case\"\neps = \"0.1\"",
            "attack = \"worst case\"\neps = \"8/255\"",
            "\"8/255\"",
            "1 attacks",
        ),
        ("band = [85, 95]", "band = [95, 85]", "[95, 85]", "95 is above 85"),
        ("band = [85, 95]", "band = 99", "99\n", "the lowest and the highest value"),
        ("band = [85, 95]", "band = [85, 95]\nat_least = 85", "at_least", "`at_least` and `band` exclude each other"),
        ("at_most = 95\n", "at_most = 95\nat_least = 96\n", "96", "96 is above `at_most`, 95"),
        ("at_most = 95\n", "at_most = \"95\"\n", "\"95\"", "must be a number"),
        ("at_most = 95\n", "", "[[expect]]", "neither a published `value` nor a band"),
        ("at_most = 95\n", "at_most = 95\nsd = 1\n", "1\n", "the error of a published `value`, and there is none"),
        ("at_least = 0\n", "value = 3\nn = 10000\n", "10000\n", "as `sd`"),
        ("epoch = 10\n", "epoch = 10\nvalue = 1\nn = 50\n", "50\n", "the error of an accuracy"),
        ("value = 99.1", "value = 101", "10000\n", "the error of an accuracy in percent"),
        ("sd = 0.2", "sd = 0", "0\n", "a number above 0"),
        ("n = 10000", "n = 0", "0\n", "at least 1"),
        ("value = 99.1", "value = \"99.1\"", "\"99.1\"", "must be a number"),
        ("source = \"a table\"\n", "", "[[expect]]", "`source` is missing"),
        ("source = \"a table\"", "sources = \"a table\"", "sources", "did you mean \"source\"?"),
        ("curve = \"alignment\"", "curve = \"alignmet\"", "\"alignmet\"", "did you mean \"alignment\"?"),
        ("epoch = 10\n", "epoch = 11\n", "11\n", "past the last of 10"),
        ("epoch = 10\n", "", "[[expect]]", "needs an `epoch`"),
        ("epoch = 10\n", "epoch = 10\neps = 0.1\n", "eps", "`eps` and `curve` exclude each other"),
        ("minus = { row = \"plain\" }", "minus = \"plain\"", "\"plain\"", "must be a table"),
        ("minus = { row = \"plain\" }", "minus = { row = \"plan\" }", "\"plan\"", "did you mean \"plain\"?"),
        ("or = { band = [0, 5]", "or = { bands = [0, 5]", "bands", "did you mean \"band\"?"),
        ("or = { band = [0, 5], flag = ", "or = { flag = ", "{ flag", "needs the band of the second outcome"),
        ("or = { band = [0, 5], flag = \"catastrophic-overfitting\" }", "or = 5", "5\n", "`or` must be a table"),
        ("epochs = 2\n", "epoch = 2\n", "epoch", "did you mean \"epochs\"?"),
        ("rows = [\"plain\", \"taught\"]", "rows = [\"plan\"]", "[\"plan\"]", "did you mean \"plain\"?"),
        ("rows = [\"plain\", \"taught\"]", "rows = [\"taught\"]", "[\"taught\"]", "taught is taught by plain"),
        (
            "epochs = 2\ntake = 50\nseeds = [1]\nrows = [\"plain\", \"taught\"]\nnote = \"the ordering can be seen\"\n",
            "",
            "[quick]",
            "changes nothing",
        ),
    ];
    for (what, with, place, said) in cases {
        assert!(GOOD.contains(what), "{what}");
        let text = GOOD.replacen(what, with, 1);
        let Err(complaints) = load(&text) else { panic!("{with:?} was accepted") };
        let all = complaints.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        let whole = complaints.iter().map(|d| format!("{d} {}", d.hint.as_deref().unwrap_or(""))).collect::<String>();
        assert!(whole.contains(said), "{with:?}: {whole}");
        let found = complaints.iter().filter_map(|d| d.span.clone()).any(|s| text[s.start..].starts_with(place));
        assert!(found, "{with:?}: no complaint stands at {place:?}: {all}");
    }
}
