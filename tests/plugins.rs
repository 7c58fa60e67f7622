//! The compiled plug-in, and crates made after it.

use crate::sandbox::Sandbox;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).canonicalize().unwrap()
}

fn table(path: PathBuf) -> toml::Table {
    toml::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn the_plug_in_is_built_as_the_workspace_is_and_depends_on_gauntlet_alone() {
    let (ours, theirs) = (table(root().join("Cargo.toml")), table(root().join("plugins/example-recipe/Cargo.toml")));
    assert_eq!(theirs["dependencies"].as_table().unwrap().keys().collect::<Vec<_>>(), ["gauntlet", "gauntlet-cli"]);
    // The same profile: dependencies are compiled once for both. Our own crates are dependencies there.
    let (ours, theirs) = (&ours["profile"]["release"], &theirs["profile"]["release"]);
    let mut left = theirs["package"].as_table().unwrap().clone();
    for (name, profile) in ours["package"].as_table().unwrap() {
        assert_eq!(left.remove(name).as_ref(), Some(profile), "{name}");
    }
    let fast: toml::Value = toml::from_str::<toml::Table>("opt-level = 3").unwrap().into();
    assert!(left.values().all(|p| *p == fast), "{left:?}");
    let mut crates: Vec<String> = fs::read_dir(root().join("crates"))
        .unwrap()
        .map(|e| table(e.unwrap().path().join("Cargo.toml"))["package"]["name"].as_str().unwrap().to_string())
        .collect();
    // Those of another level stand in the workspace's profile already.
    let own = ours["package"].as_table().unwrap().keys().filter(|name| name.starts_with("gauntlet"));
    let mut listed: Vec<String> = left.keys().chain(own).cloned().collect();
    crates.sort();
    listed.sort();
    assert_eq!(listed, crates);
    for key in ["opt-level", "debug"] {
        assert_eq!(ours[key], theirs[key]);
    }
}

/// The Python package is a workspace of its own too, which the tests do not build.
#[test]
fn the_python_package_is_built_as_the_workspace_is() {
    let (ours, theirs) = (table(root().join("Cargo.toml")), table(root().join("python/Cargo.toml")));
    let (ours, theirs) = (&ours["profile"]["release"], &theirs["profile"]["release"]);
    for key in ["opt-level", "debug"] {
        assert_eq!(ours[key], theirs[key]);
    }
    let lock = table(root().join("python/Cargo.lock"));
    let names: Vec<&str> = lock["package"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
    let facade = table(root().join("crates/gauntlet/Cargo.toml"));
    for crate_ in facade["dependencies"].as_table().unwrap().keys().filter(|name| name.starts_with("gauntlet")) {
        let way = "(cd python && cargo metadata > /dev/null)";
        assert!(names.contains(&crate_.as_str()), "python/Cargo.lock lacks {crate_}: {way}");
    }
    let (ours, theirs) = (ours["package"].as_table().unwrap(), theirs["package"].as_table().unwrap());
    for (name, profile) in ours.iter().filter(|(name, _)| *name == "*" || names.contains(&name.as_str())) {
        assert_eq!(theirs.get(name), Some(profile), "{name}: python/Cargo.toml");
    }
    for name in names.iter().filter(|n| n.starts_with("gauntlet") && **n != "gauntlet-python") {
        let level = ours.get(*name).map_or(3, |p| p["opt-level"].as_integer().unwrap());
        assert_eq!(
            theirs.get(*name).and_then(|p| p["opt-level"].as_integer()),
            Some(level),
            "{name}: python/Cargo.toml"
        );
    }
    let version = |path: &str| table(root().join(path))["package"]["version"].clone();
    assert_eq!(table(root().join("Cargo.toml"))["workspace"]["package"]["version"], version("python/Cargo.toml"));
    for licence in ["LICENSE-APACHE", "LICENSE-MIT"] {
        let read = |path: PathBuf| fs::read_to_string(path).unwrap();
        assert_eq!(read(root().join(licence)), read(root().join("python").join(licence)));
    }
}

#[test]
fn both_lock_files_hold_the_same_versions() {
    let packages = |path: &str| -> Vec<(String, String)> {
        let lock = table(root().join(path));
        let of = |p: &toml::Value, key: &str| p[key].as_str().unwrap().to_string();
        lock["package"].as_array().unwrap().iter().map(|p| (of(p, "name"), of(p, "version"))).collect()
    };
    let ours = packages("Cargo.lock");
    let theirs = packages("plugins/example-recipe/Cargo.lock");
    for package in theirs.iter().filter(|p| p.0 != "gradient-times-input") {
        assert!(
            ours.contains(package),
            "{package:?} is not what the workspace has: cp Cargo.lock plugins/example-recipe && (cd \
             plugins/example-recipe && cargo metadata --offline > /dev/null)"
        );
    }
    // What the package has beside: Python's side of it, and nothing in two versions.
    for (name, version) in packages("python/Cargo.lock") {
        let known: Vec<&String> = ours.iter().filter(|p| p.0 == name).map(|p| &p.1).collect();
        assert!(
            known.is_empty() || known.contains(&&version),
            "{name} {version} is not what the workspace has: cp Cargo.lock python && (cd python && cargo metadata > /dev/null)"
        );
    }
}

#[test]
fn a_new_recipe_is_the_example_under_another_name() {
    let sandbox = Sandbox::new();
    let made = sandbox.json("new recipe my-first-loss --path made");
    let files: Vec<&str> = made["files"].as_array().unwrap().iter().map(|f| f.as_str().unwrap()).collect();
    let crates = root().join("crates").display().to_string();
    for file in &files {
        let example = fs::read_to_string(root().join("plugins/example-recipe").join(file)).unwrap();
        let renamed = example
            .replace("gradient-times-input", "my-first-loss")
            .replace("gradient_times_input", "my_first_loss")
            .replace("GradientTimesInput", "MyFirstLoss")
            .replace("../../crates", &crates);
        let found = sandbox.read(&format!("made/{file}"));
        if *file == "Cargo.lock" {
            // Cargo wants the packages in the order of their names.
            let names = |t: &str| t.lines().filter(|l| l.starts_with("name = ")).map(String::from).collect::<Vec<_>>();
            let (mut wanted, names) = (names(&renamed), names(&found));
            wanted.sort();
            assert_eq!(names, wanted);
            continue;
        }
        assert_eq!(found, renamed, "{file}");
    }
    for file in
        ["Cargo.toml", "Cargo.lock", "src/lib.rs", "src/main.rs", "tests/conformance.rs", "suite.toml", "README.md"]
    {
        assert!(files.contains(&file), "{file} is not among {files:?}");
    }
    // What is there is left alone.
    sandbox.run("new recipe my-first-loss --path made").expect(2).says(&["made exists already", "--path"]);

    let said = sandbox.ok("new recipe second").out;
    assert!(said.contains("cd second\ncargo run --release -- check second"), "{said}");
    sandbox.ok("new recipe third --gauntlet https://example.org/gauntlet.git");
    let third = sandbox.read("third/Cargo.toml");
    for package in ["gauntlet", "gauntlet-cli"] {
        assert!(third.contains(&format!("{package} = {{ git = \"https://example.org/gauntlet.git\" }}\n")), "{third}");
    }
    sandbox.ok(&format!("new recipe fourth --gauntlet {}", root().display()));
    assert_eq!(sandbox.read("fourth/Cargo.toml"), sandbox.read("second/Cargo.toml").replace("second", "fourth"));
}

#[test]
fn names_that_cannot_be_are_refused_and_nothing_is_written() {
    let sandbox = Sandbox::new();
    for (name, why) in [
        ("My-loss", "lower-case words"),
        ("my_loss", "lower-case words"),
        ("my--loss", "lower-case words"),
        ("2-losses", "lower-case words"),
        ("../loss", "lower-case words"),
        ("fn", "cannot be the name of a crate"),
        ("gauntlet", "cannot be the name of a crate"),
        ("grad-norm", "registered already"),
    ] {
        sandbox.run(&format!("new recipe {name} --path made")).expect(2).says(&[why]);
    }
    sandbox.run("new recipe mine --path made --gauntlet datasets").expect(2).says(&["no checkout of gauntlet"]);
    assert!(!sandbox.path("made").exists());
}
