//! Names, files, parameters and hashes.

use crate::bench::{registry, table};
use gauntlet_core::{Args, Registry};
use gauntlet_script::{SHIPPED, Script};
use serde_json::json;
use std::path::Path;

const CE: &str = "// Ordinary training.\n// formula: mean ℓ\n// paper: -\nconst WEIGHT = 1.0; // of the only term\nconst STEPS = -3;\nconst ON = true;\nconst TERM = \"ce\";\nfn loss(step) { [term(TERM, WEIGHT, step.cross_entropy(step.input()))] }\n";

fn fails(registry: &Registry, given: serde_json::Value) -> String {
    registry.recipe(&table(given)).err().unwrap().to_string()
}

#[test]
fn the_shipped_scripts_are_those_of_the_folder_and_are_described() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/recipes");
    let mut files: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    files.sort();
    let mut shipped: Vec<&str> = SHIPPED.iter().map(|(name, _)| *name).collect();
    shipped.sort_unstable();
    assert_eq!(files, shipped);
    let registry = registry();
    let listed: Vec<_> = registry.recipes.iter().filter(|s| s.origin == "script").collect();
    assert_eq!(listed.len(), SHIPPED.len());
    for spec in listed {
        assert!(spec.name.starts_with("script:") && !spec.summary.is_empty(), "{spec:?}");
        assert!(!spec.formula.is_empty() && !spec.paper.is_empty(), "{spec:?}");
        assert!(spec.params.iter().all(|p| !p.doc.is_empty()), "{spec:?}");
    }
}

#[test]
fn constants_are_parameters() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mine.rhai"), CE).unwrap();
    let registry = registry();
    registry.recipes.look_in(folder.path());
    let spec = registry.recipes.get("script:mine.rhai").unwrap();
    assert_eq!(
        [&spec.summary, &spec.formula, &spec.paper, &spec.origin],
        ["Ordinary training", "mean ℓ", "-", "script"]
    );
    let shown: Vec<_> = spec.params.iter().map(|p| [p.name.clone(), p.kind.to_string(), p.default.clone()]).collect();
    assert_eq!(
        shown[..4],
        [
            ["weight", "float or length", "1.0"],
            ["steps", "int", "-3"],
            ["on", "bool", "true"],
            ["term", "string", "\"ce\""],
        ]
    );
    assert_eq!([&shown[4][0], &spec.params[0].doc], ["sha256", "of the only term"]);
    let with = |key: &str, value: serde_json::Value| {
        let mut given = table(json!({ "name": "script:mine.rhai" }));
        given.insert(key.to_string(), value);
        registry.recipe(&given).map(|_| ()).map_err(|e| e.to_string())
    };
    for (key, value) in [
        ("weight", json!(2)),
        ("weight", json!(0.5)),
        ("weight", json!("8/255")),
        ("steps", json!(7)),
        ("on", json!(false)),
        ("term", json!("it")),
    ] {
        assert_eq!(with(key, value.clone()), Ok(()), "{key} = {value}");
    }
    for (key, value, needle) in [
        ("weight", json!("heavy"), "script:mine.rhai.weight: must be a number, or a length in pixels"),
        (
            "weight",
            json!([1]),
            "script:mine.rhai.weight: must be a number, or a length in pixels such as \"8/255\", got [1]",
        ),
        ("steps", json!(1.5), "script:mine.rhai.steps: must be a whole number, got 1.5"),
        ("on", json!(1), "script:mine.rhai.on: must be true or false, got 1"),
        ("term", json!(1), "script:mine.rhai.term: must be a text, got 1"),
        ("WEIGHT", json!(1), "unknown parameter of script:mine.rhai \"WEIGHT\" (did you mean \"weight\"?)"),
        ("wieght", json!(1), "did you mean \"weight\"?"),
        ("sha256", json!("0123"), "it was changed"),
    ] {
        let said = with(key, value.clone()).unwrap_err();
        assert!(said.contains(needle), "{key} = {value}: {needle} is not in {said}");
    }
}

#[test]
fn the_texts_hash_is_among_the_arguments() {
    let hash = |text: &str| Script::parse("a.rhai", text).unwrap().sha256;
    let folder = tempfile::tempdir().unwrap();
    let arguments = |text: &str| {
        std::fs::write(folder.path().join("mine.rhai"), text).unwrap();
        // A registry of its own, as a new process would have.
        let registry = registry();
        registry.recipes.look_in(folder.path());
        let given = table(json!({ "name": "script:mine.rhai" }));
        Args::new(&registry.recipes.get("script:mine.rhai").unwrap(), &given).unwrap().canonical().clone()
    };
    let (first, changed) = (arguments(CE), arguments(&format!("{CE}// once more\n")));
    assert_eq!(first["sha256"], hash(CE));
    assert_ne!(first["sha256"], changed["sha256"]);
    assert_eq!(arguments(CE), first);
}

#[test]
fn one_name_means_one_text_for_the_whole_process() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.rhai");
    std::fs::write(&file, CE).unwrap();
    let registry = registry();
    registry.recipes.look_in(folder.path());
    let before = registry.recipe(&table(json!({ "name": "script:mine.rhai" }))).unwrap().1;
    std::fs::write(&file, "fn loss(step) { 3 }").unwrap();
    let after = registry.recipe(&table(json!({ "name": "script:mine.rhai" }))).unwrap().1;
    assert_eq!(before.canonical(), after.canonical());
}

#[test]
fn a_file_that_is_not_there_or_broken_is_named() {
    let registry = registry();
    let said = fails(&registry, json!({ "name": "script:grad_norm.rhai" }));
    for needle in ["\"grad_norm.rhai\"", "not beside the suite", "did you mean \"script:grad-norm.rhai\"?"] {
        assert!(said.contains(needle), "{said}");
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("broken.rhai"), "fn loss(step) { step.inptu() }").unwrap();
    registry.recipes.look_in(folder.path());
    let said = fails(&registry, json!({ "name": "script:broken.rhai" }));
    assert!(said.contains("broken.rhai:1:22: there is no function `inptu`, did you mean `input`?"), "{said}");
    std::fs::write(folder.path().join("bytes.rhai"), [0xff, 0xfe, 0x00]).unwrap();
    assert!(fails(&registry, json!({ "name": "script:bytes.rhai" })).contains("bytes.rhai"));
    let long = format!("// {}\n{CE}", "a".repeat(70_000));
    std::fs::write(folder.path().join("long.rhai"), long).unwrap();
    assert!(fails(&registry, json!({ "name": "script:long.rhai" })).contains(" bytes, and a script has at most "));
}
