//! The tables of keys: their defaults are what a suite without the key has, their examples are read, nothing that a suite holds is missing.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use gauntlet_core::key_doc::{Form, KeyDoc, Omitted};
use gauntlet_core::{Registry, key_doc::names};
use gauntlet_data::Catalogue;
use gauntlet_engine::keys::{ATTACK, EXPECT, MINUS, OR, QUICK, ROW, SUITE, TRAIN};
use gauntlet_engine::{Diagnostic, Suite};
use std::path::Path;
use toml::{Table, Value};

fn registry() -> Registry {
    let mut registry = Registry::default();
    gauntlet_models::register(&mut registry).unwrap();
    gauntlet_attacks::register(&mut registry).unwrap();
    gauntlet_recipes::register(&mut registry).unwrap();
    registry
}

fn load(suite: &Table, folder: &Path) -> Result<Suite, Vec<Diagnostic>> {
    let path = folder.join("mine.toml").display().to_string();
    Suite::load(&toml::to_string(suite).unwrap(), &path, &registry(), &Catalogue::new([]))
}

fn table(text: &str) -> Table {
    toml::from_str(text).unwrap()
}

const MINIMAL: &str = r#"
format = 1
data = "glyphs"
model = "linear"
[[row]]
id = "ce"
recipe = "ce"
[[row]]
id = "mine"
recipe = { name = "fgsm-aug", eps = "0.1" }
[[attack]]
name = "fgsm"
eps = "0.1"
[[attack]]
name = "pgd"
eps = "0.1"
"#;

/// Where a part's keys stand in a suite, and what stands beside the key.
fn beside(part: &str, key: &str) -> &'static str {
    match (part, key) {
        ("row", "recipe" | "note" | "model" | "id") => "id = \"new\"\nrecipe = \"ce\"",
        ("row", "base" | "penalties") => "id = \"new\"\nbase = \"ce\"",
        ("row", "teacher") => "id = \"new\"\nrecipe = { name = \"igam\", weight = 1.0 }\nteacher = \"ce\"",
        ("row", _) => "id = \"new\"\ncheckpoint = \"net.pt\"",
        ("attack", "surrogates") => "name = \"transfer\"\nlabel = \"new\"\neps = \"0.1\"\nattack = \"fgsm\"",
        ("attack", _) => "name = \"pgd\"\nlabel = \"new\"\neps = \"0.1\"",
        ("expect", "curve" | "epoch" | "scale") => {
            "row = \"mine\"\ncurve = \"clean_accuracy\"\nepoch = 1\nat_least = 0"
        }
        ("expect", "norm") => "row = \"mine\"\nattack = \"worst case\"\neps = \"0.1\"\nat_least = 0",
        ("expect", "band") => "row = \"mine\"\nattack = \"fgsm\"\neps = \"0.1\"",
        ("expect", _) => "row = \"mine\"\nattack = \"fgsm\"\neps = \"0.1\"\nvalue = 90.0\nsource = \"there\"",
        ("minus", "curve" | "epoch" | "scale") => "curve = \"alignment\"\nepoch = 1",
        ("or", "band") => "",
        ("or", _) => "at_most = 5",
        ("quick", "epochs") => "take = 10",
        ("quick", _) => "epochs = 1",
        _ => "",
    }
}

/// The minimal suite with a table of that part, in which `key` has `value` where one is given.
fn suite(part: &str, key: &str, value: Option<&str>) -> Table {
    let mut suite = table(MINIMAL);
    let mut own = table(beside(part, key));
    if let Some(value) = value {
        let given = table(&format!("value = {value}")).remove("value").unwrap();
        own.insert(key.to_string(), given);
    }
    let mut push = |name: &str, own: Table| {
        let list = suite.entry(name).or_insert(Value::Array(Vec::new()));
        list.as_array_mut().unwrap().push(Value::Table(own));
    };
    match part {
        "row" | "attack" | "expect" => push(part, own),
        "minus" | "or" => {
            let mut outer = table(beside("expect", if own.contains_key("curve") { "curve" } else { "value" }));
            outer.insert(part.into(), Value::Table(own));
            push("expect", outer);
        }
        "train" | "quick" => drop(suite.insert(part.into(), Value::Table(own))),
        _ => suite.extend(own),
    }
    suite
}

const PARTS: [(&str, &[KeyDoc]); 8] = [
    ("", SUITE),
    ("train", TRAIN),
    ("row", ROW),
    ("attack", ATTACK),
    ("expect", EXPECT),
    ("minus", MINUS),
    ("or", OR),
    ("quick", QUICK),
];

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("net.pt"), "").unwrap();
    std::fs::write(folder.path().join("names.txt"), "weight\n").unwrap();
    folder
}

#[test]
fn defaults_are_what_a_suite_without_the_key_has() {
    let folder = folder();
    let mut compared = 0;
    for (part, keys) in PARTS {
        for key in keys {
            if let Omitted::Is(value) = key.omitted {
                let [without, with] =
                    [None, Some(value)].map(|value| load(&suite(part, key.name, value), folder.path()));
                let with = with.unwrap_or_else(|d| panic!("{part}.{} = {value}: {d:?}", key.name));
                assert_eq!(without.unwrap(), with, "{part}.{} = {value}", key.name);
                compared += 1;
            }
        }
    }
    assert!(compared >= 14, "{compared}");
}

#[test]
fn what_is_required_is_missed_and_examples_are_read() {
    let folder = folder();
    for (part, keys) in PARTS {
        for key in keys {
            if key.omitted == Omitted::Refused {
                let mut all = suite(part, key.name, None);
                let own = match part {
                    "" => &mut all,
                    list => all[list].as_array_mut().unwrap().last_mut().unwrap().as_table_mut().unwrap(),
                };
                assert!(own.remove(key.name).is_some(), "{part}.{}", key.name);
                assert!(load(&all, folder.path()).is_err(), "{part}.{} is not required", key.name);
            }
            let inner = matches!(key.form, Form::Table(_) | Form::Tables(_));
            assert_eq!(key.example.is_empty(), inner, "{part}.{}", key.name);
            if !inner {
                let read = load(&suite(part, key.name, Some(key.example)), folder.path());
                assert!(read.is_ok(), "{part}.{} = {}: {:?}", key.name, key.example, read.err());
            }
        }
    }
}

/// Every field of what a suite becomes has a key, or is made of others.
#[test]
fn nothing_that_a_suite_holds_is_missing() {
    let folder = folder();
    let mut full = table(MINIMAL);
    full.insert("quick".into(), Value::Table(table("epochs = 1")));
    full.insert("draws".into(), Value::Integer(2));
    let more = suite("expect", "value", None);
    full.insert("expect".into(), more["expect"].clone());
    for key in ["names", "model", "teacher"] {
        let row = suite("row", key, Some(ROW.iter().find(|k| k.name == key).unwrap().example))["row"].clone();
        let mut row = row.as_array().unwrap().last().unwrap().clone();
        row.as_table_mut().unwrap().insert("id".into(), Value::String(format!("row-{key}")));
        full["row"].as_array_mut().unwrap().push(row);
    }
    let resolved = serde_json::to_value(load(&full, folder.path()).unwrap()).unwrap();
    let compare = |value: &serde_json::Value, keys: &[KeyDoc], made: &[(&str, &str)]| {
        let known = names(keys);
        for field in value.as_object().unwrap().keys() {
            let key = made.iter().find(|(f, _)| f == field).map_or(field.as_str(), |(_, key)| key);
            assert!(known.contains(&key), "{field} has no key among {known:?}");
        }
    };
    compare(&resolved, SUITE, &[("examples", "take"), ("rows", "row"), ("attacks", "attack")]);
    compare(&resolved["train"], TRAIN, &[("monitor", "monitor_eps")]);
    for row in resolved["rows"].as_array().unwrap() {
        compare(row, ROW, &[]);
    }
    compare(&resolved["attacks"][0], ATTACK, &[("attack", "name"), ("examples", "take")]);
    compare(&resolved["quick"], QUICK, &[]);
}

#[test]
fn a_line_for_editors_is_a_comment() {
    let text = format!("#:schema suite.schema.json\n{MINIMAL}");
    let marked = Suite::load(&text, "mine.toml", &registry(), &Catalogue::new([])).unwrap();
    assert_eq!(marked, Suite::load(MINIMAL, "mine.toml", &registry(), &Catalogue::new([])).unwrap());
}

#[test]
fn a_list_of_names_goes_with_a_checkpoint_and_must_be_there() {
    let folder = folder();
    let named = load(&suite("row", "names", Some("\"names.txt\"")), folder.path()).unwrap();
    assert_eq!(named.row("new").unwrap().names, Some(folder.path().join("names.txt")));
    let said = |suite: &Table| format!("{:?}", load(suite, folder.path()).unwrap_err());
    assert!(said(&suite("row", "names", Some("\"nowhere.txt\""))).contains("there is no file nowhere.txt"));
    assert!(said(&suite("row", "names", Some("7"))).contains("`names` must be a text, got integer"));
    let mut trained = suite("row", "note", None);
    trained["row"]
        .as_array_mut()
        .unwrap()
        .last_mut()
        .unwrap()
        .as_table_mut()
        .unwrap()
        .insert("names".into(), "names.txt".into());
    assert!(said(&trained).contains("`names` goes with `checkpoint`"), "{}", said(&trained));
}
