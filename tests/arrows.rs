//! Which crate may know which: the arrows of the design, and where candle's own derivative is used.

mod files;

use files::{Crate, circles, written};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// Every package of ours with its packages of ours (not those of its tests).
const ARROWS: &[(&str, &[&str])] = &[
    ("gauntlet-autograd", &[]),
    ("gauntlet-records", &[]),
    ("gauntlet-core", &["autograd", "records"]),
    ("gauntlet-data", &["core", "records"]),
    ("gauntlet-graph", &["autograd", "core"]),
    ("gauntlet-certify", &["autograd", "core", "graph", "records", "vnnlib"]),
    ("gauntlet-models", &["autograd", "core", "graph"]),
    ("gauntlet-onnx", &["autograd", "core", "graph", "records"]),
    ("gauntlet-recipes", &["autograd", "core", "graph", "records"]),
    ("gauntlet-attacks", &["autograd", "core", "records"]),
    ("gauntlet-report", &["records"]),
    ("gauntlet-vnnlib", &["core", "records"]),
    ("gauntlet-script", &["autograd", "core", "records"]),
    ("gauntlet-evaluate", &["autograd", "core", "records"]),
    ("gauntlet-engine", &["autograd", "certify", "core", "data", "evaluate", "graph", "records"]),
    (
        "gauntlet",
        &[
            "attacks", "autograd", "certify", "core", "data", "engine", "evaluate", "graph", "models", "onnx",
            "recipes", "records", "report", "script", "vnnlib",
        ],
    ),
    ("gauntlet-cli", &["gauntlet"]),
];

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn metadata() -> Value {
    let cargo = std::env::var("CARGO").unwrap_or("cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--offline", "--no-deps", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn dependencies(package: &Value, of: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut names: Vec<String> = package["dependencies"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|d| d["kind"].is_null())
        .map(|d| d["name"].as_str().unwrap().to_string())
        .filter(|n| of(n))
        .collect();
    names.sort();
    names
}

#[test]
fn the_arrows_between_the_crates_are_those_of_the_design() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    let found: BTreeMap<&str, Vec<String>> = packages
        .iter()
        .map(|p| {
            let ours = dependencies(p, &|n| n == "gauntlet" || n.starts_with("gauntlet-"));
            let short = |name: &String| name.strip_prefix("gauntlet-").unwrap_or(name).to_string();
            (p["name"].as_str().unwrap(), ours.iter().map(short).collect())
        })
        .collect();
    let designed: BTreeMap<&str, Vec<String>> =
        ARROWS.iter().map(|(p, to)| (*p, to.iter().map(|t| t.to_string()).collect())).collect();
    assert_eq!(found, designed);
}

#[test]
fn libraries_with_one_purpose_are_known_to_one_crate() {
    let metadata = metadata();
    let users = |library: &str| -> Vec<String> {
        let packages = metadata["packages"].as_array().unwrap().iter();
        packages
            .filter(|p| !dependencies(p, &|n| n == library).is_empty())
            .map(|p| p["name"].as_str().unwrap().to_string())
            .collect()
    };
    assert_eq!(users("polars"), ["gauntlet-report"]);
    assert_eq!(users("hf-hub"), ["gauntlet-data"]);
    assert_eq!(users("parquet"), ["gauntlet-data"]);
    // Networks there, events of TensorBoard here.
    assert_eq!(users("prost"), ["gauntlet-onnx", "gauntlet-report"]);
    for binary in ["clap", "libc", "mimalloc", "ctrlc"] {
        assert_eq!(users(binary), ["gauntlet-cli"], "{binary}");
    }
    assert_eq!(users("rhai"), ["gauntlet-script"]);
    assert!(built_with("gauntlet-core").contains("candle-core"));
    for package in ["gauntlet-records", "gauntlet-report"] {
        let all = built_with(package);
        assert!(all.contains("serde_json") && all.contains("safetensors"), "{all:?}");
        assert!(!all.iter().any(|name| name.starts_with("candle")), "{package} is built without candle: {all:?}");
    }
    assert!(users("candle-nn").is_empty(), "candle's layers serve in tests and examples only");
}

/// What a program of somebody else's is built with when it embeds the library.
#[test]
fn the_library_is_built_without_what_its_user_does_not_ask_for() {
    let tree = |with: &[&str]| -> BTreeSet<String> {
        let cargo = std::env::var("CARGO").unwrap_or("cargo".into());
        let output = Command::new(cargo)
            .args(["tree", "--offline", "--locked", "-p", "gauntlet", "-e", "normal", "--prefix", "none"])
            .args(["--format", "{p}"])
            .args(with)
            .current_dir(root())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let names = String::from_utf8(output.stdout).unwrap();
        names.lines().filter_map(|line| line.split(' ').next()).map(String::from).collect()
    };
    let lacks = |tree: &BTreeSet<String>, names: &[&str]| {
        assert!(tree.contains("gauntlet-engine") && tree.contains("candle-core"), "{tree:?}");
        let found: Vec<&&str> = names.iter().filter(|n| tree.contains(**n)).collect();
        assert!(found.is_empty(), "{found:?} are among what the library is built with");
    };
    let never = ["clap", "clap_builder", "ctrlc", "mimalloc", "annotate-snippets", "console"];
    let pages = ["gauntlet-report", "resvg", "usvg", "plotters", "polars", "polars-core", "minijinja"];
    let hub = ["hf-hub", "parquet", "reqwest", "tokio", "indicatif"];
    let scripts = ["gauntlet-script", "rhai"];
    let (bare, usual) = (tree(&["--no-default-features"]), tree(&[]));
    lacks(&bare, &[&never[..], &pages[..], &hub[..], &scripts[..]].concat());
    lacks(&usual, &pages);
    lacks(&usual, &["clap", "ctrlc", "mimalloc"]);
    // The names are those that cargo writes: with every feature they are there.
    let whole = tree(&["--features", "report"]);
    for name in pages.iter().chain(&hub).chain(&scripts) {
        assert!(whole.contains(*name), "{name}");
    }
    lacks(&whole, &["clap", "ctrlc", "mimalloc"]);
}

/// Names of everything that a package is built with, from what cargo resolved for the workspace.
fn built_with(package: &str) -> BTreeSet<String> {
    let cargo = std::env::var("CARGO").unwrap_or("cargo".into());
    let arguments = ["metadata", "--offline", "--format-version", "1"];
    let output = Command::new(cargo).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |v: &Value| v.as_str().unwrap().to_string();
    let names: BTreeMap<String, String> =
        metadata["packages"].as_array().unwrap().iter().map(|p| (text(&p["id"]), text(&p["name"]))).collect();
    let normal = |d: &&Value| d["dep_kinds"].as_array().unwrap().iter().any(|k| k["kind"] != "dev");
    let arrows: BTreeMap<String, Vec<String>> = metadata["resolve"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|n| {
            let to = n["deps"].as_array().unwrap().iter().filter(normal).map(|d| text(&d["pkg"]));
            (text(&n["id"]), to.collect())
        })
        .collect();
    let mut open: Vec<&String> = names.iter().filter(|(_, name)| *name == package).map(|(id, _)| id).collect();
    let mut found: BTreeSet<&String> = BTreeSet::new();
    while let Some(id) = open.pop() {
        if found.insert(id) {
            open.extend(&arrows[id]);
        }
    }
    found.into_iter().map(|id| names[id].clone()).collect()
}

/// The lint of clippy.toml says the same, but a lint can be switched off in a file; this reads them all.
#[test]
fn candles_own_derivative_is_used_for_foreign_modules_only() {
    let clippy = std::fs::read_to_string(root().join("clippy.toml")).unwrap();
    assert!(clippy.contains("candle_core::Tensor::backward"), "{clippy}");
    let mut open = vec![root().join("crates")];
    let mut read = 0;
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") && path.components().any(|c| c.as_os_str() == "src") {
                let text = std::fs::read_to_string(&path).unwrap();
                let code = text.lines().filter(|l| !l.trim_start().starts_with("//"));
                let calls: Vec<&str> = code.filter(|l| l.contains(".backward()")).collect();
                // A foreign module has no other derivative.
                let foreign = path.ends_with("models/src/candle_module.rs");
                assert_eq!(calls.len(), usize::from(foreign), "{}: {calls:?}", path.display());
                read += 1;
            }
        }
    }
    assert!(read > 50, "only {read} files were looked at");
}

#[test]
fn no_files_of_a_crate_know_one_another_in_a_circle() {
    let mut read = 0;
    let mut wrong = Vec::new();
    for entry in std::fs::read_dir(root().join("crates")).unwrap() {
        let folder = entry.unwrap().path();
        let files = Crate::read(&folder.join("src"));
        read += files.len();
        let arrows = files.arrows();
        assert!(files.len() == 1 || !arrows.is_empty(), "{}: no arrow was found", folder.display());
        let name = folder.file_name().unwrap().to_string_lossy();
        wrong.extend(circles(&arrows).iter().map(|circle| format!("{name}: {}", circle.join(", "))));
    }
    assert!(read > 300, "only {read} files were read");
    assert!(wrong.is_empty(), "files that know one another in a circle:\n{}", wrong.join("\n"));
}

/// The engine's folders from the bottom up: each knows those before it and no other. What lies beside them is the first.
const FLOORS: [&str; 6] = ["", "train", "suite", "store", "run", "verify"];
/// Stands aside: it knows training, and nobody knows it.
const ASIDE: (&str, [&str; 2]) = ("conformance", ["", "train"]);

#[test]
fn the_engines_folders_know_what_lies_below_them() {
    let arrows = Crate::read(&root().join("crates/engine/src")).arrows();
    let places = || arrows.iter().flat_map(|(from, to)| to.iter().chain([from]));
    let folders: BTreeSet<&String> = places().filter(|place| place.len() > 1).map(|place| &place[0]).collect();
    let folder = |place: &[String]| place.first().filter(|name| folders.contains(name)).cloned().unwrap_or_default();
    let floor = |name: &str| FLOORS.iter().position(|f| *f == name);
    let mut known: BTreeSet<String> = BTreeSet::new();
    let mut wrong = Vec::new();
    for (from, to) in arrows.iter().flat_map(|(from, all)| all.iter().map(move |to| (from, to))) {
        let (a, b) = (folder(from), folder(to));
        let below = match (floor(&a), floor(&b)) {
            (Some(a), Some(b)) => b <= a,
            _ if a == ASIDE.0 => b == a || ASIDE.1.contains(&b.as_str()),
            _ => false,
        };
        if !below {
            wrong.push(format!("{} -> {}", written(from), written(to)));
        }
        known.extend([a, b]);
    }
    assert!(wrong.is_empty(), "arrows up:\n{}", wrong.join("\n"));
    let all: BTreeSet<String> = FLOORS.iter().chain([&ASIDE.0]).map(|f| f.to_string()).collect();
    assert_eq!(known, all, "a folder that this test does not know, or one that is gone");
}
