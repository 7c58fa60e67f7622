//! Which crate may know which: the arrows of the design, and where candle's own derivative is used.

use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Every package of ours with its packages of ours (not those of its tests).
const ARROWS: &[(&str, &[&str])] = &[
    ("gauntlet-autograd", &[]),
    ("gauntlet-core", &["autograd"]),
    ("gauntlet-data", &["core"]),
    ("gauntlet-graph", &["autograd", "core"]),
    ("gauntlet-models", &["core", "graph"]),
    ("gauntlet-recipes", &["autograd", "core"]),
    ("gauntlet-attacks", &["autograd", "core"]),
    ("gauntlet-report", &["core"]),
    ("gauntlet-script", &["autograd", "core"]),
    ("gauntlet-engine", &["autograd", "core", "data"]),
    ("gauntlet", &["attacks", "autograd", "core", "data", "engine", "graph", "models", "recipes", "report", "script"]),
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
            let ours = dependencies(p, &|n| n.starts_with("gauntlet-"));
            (p["name"].as_str().unwrap(), ours.iter().map(|n| n["gauntlet-".len()..].to_string()).collect())
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
    assert_eq!(users("clap"), ["gauntlet"]);
    assert_eq!(users("rhai"), ["gauntlet-script"]);
    assert!(!users("candle-core").contains(&"gauntlet-report".to_string()), "report knows nothing but records");
    assert!(users("candle-nn").is_empty(), "candle's layers serve in tests and examples only");
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
