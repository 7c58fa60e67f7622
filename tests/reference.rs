//! The reference of keys, the JSON Schemas, and the suite to begin with: all of them current, and what they say is so.

use crate::sandbox::Sandbox;
use serde_json::Value;
use std::path::Path;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../");
/// What stands before the generated part of a page.
const MARK: &str = "a test compares (UPDATE_GOLDEN=1 renews). -->\n";
const RENEW: &str = "out of date: UPDATE_GOLDEN=1 cargo test --release -p gauntlet-cli --test end_to_end reference";

fn current(path: &str, now: &str) {
    let path = Path::new(ROOT).join(path);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, now).unwrap();
    }
    assert!(std::fs::read_to_string(&path).unwrap() == now, "{}: {RENEW}", path.display());
}

#[test]
fn the_pages_of_keys_are_what_the_reader_knows() {
    let sandbox = Sandbox::new();
    for (what, page) in [("suite", "docs/suites.md"), ("dataset", "docs/datasets.md")] {
        let reference = sandbox.ok(&format!("schema {what} --markdown")).out;
        let text = std::fs::read_to_string(Path::new(ROOT).join(page)).unwrap();
        let (prose, _) = text.split_once(MARK).unwrap_or_else(|| panic!("{page} has no mark"));
        current(page, &format!("{prose}{MARK}{reference}"));
    }
    let page = std::fs::read_to_string(Path::new(ROOT).join("docs/suites.md")).unwrap();
    for (what, heading) in
        [("attacks", "Attacks"), ("models", "Models"), ("optimisers", "Optimisers"), ("schedules", "Schedules")]
    {
        let section = page.split(&format!("\n### {heading}\n")).nth(1).unwrap().split("\n### ").next().unwrap();
        for item in sandbox.json(&format!("list {what}")).as_array().unwrap() {
            assert!(section.contains(&format!("| **`{}`** |", item["name"].as_str().unwrap())), "{item}");
            for p in item["parameters"].as_array().unwrap() {
                assert!(section.contains(&format!("| | `{}` | ", p["name"].as_str().unwrap())), "{p}");
            }
        }
    }
}

#[test]
fn the_committed_schemas_are_current() {
    let sandbox = Sandbox::new();
    for what in ["suite", "dataset"] {
        current(&format!("docs/schema/{what}.json"), &sandbox.ok(&format!("schema {what}")).out);
    }
}

#[test]
fn a_suite_to_begin_with_passes_and_has_every_key() {
    let sandbox = Sandbox::new();
    let said = sandbox.ok("init mine.toml").out;
    assert!(said.contains("wrote mine.toml") && said.contains("gauntlet run mine.toml"), "{said}");
    let text = sandbox.read("mine.toml");
    assert!(text.starts_with("#:schema suite.schema.json\n"));
    let schema: Value = serde_json::from_str(&sandbox.read("suite.schema.json")).unwrap();
    let parts = [
        ("", "/properties"),
        ("[train]", "/properties/train/properties"),
        ("[[row]]", "/properties/row/items/properties"),
        ("# [[expect]]", "/properties/expect/items/properties"),
        ("# [quick]", "/properties/quick/properties"),
    ];
    for (heading, at) in parts {
        let part = text.split(&format!("\n{heading}\n")).nth(1).unwrap_or(&text);
        let part = part.split("\n[").next().unwrap();
        for (key, value) in
            schema.pointer(at).unwrap().as_object().unwrap().iter().filter(|(_, v)| v.get("examples").is_some())
        {
            let line = |l: &str| l.trim_start_matches("# ").starts_with(&format!("{key} = "));
            assert!(part.lines().any(line), "{heading}: {key} {value}");
        }
    }
    let said = sandbox.ok("check mine.toml").out;
    assert!(said.contains("2 of 2 trainings and 4 of 4 evaluations"), "{said}");
    // The line for editors is not what the suite is about.
    sandbox.write("suites/begun.toml", &text);
    assert!(sandbox.ok("list suites").out.contains("A suite to begin with."));
    sandbox.ok("init about/tiny.toml --data tiny");
    assert!(sandbox.read("about/tiny.toml").contains("\ndata = \"tiny\" "));
    sandbox.run("init mine.toml").expect(2).says(&["mine.toml exists already"]);
    sandbox.run("init mine.txt").expect(2).says(&["something.toml", "mine.txt"]);
    sandbox.run("init other.toml --data tyni").expect(2).says(&["did you mean \"tiny\""]);
    assert_eq!(sandbox.read("mine.toml"), text);
}

/// A folder of images becomes a data set that is checked, trained on and attacked.
#[test]
fn a_folder_becomes_a_data_set() {
    let sandbox = Sandbox::new();
    let idx = |dims: &[u32], body: Vec<u8>| {
        let mut out = vec![0, 0, 8, dims.len() as u8];
        dims.iter().for_each(|d| out.extend(d.to_be_bytes()));
        out.extend(body);
        out
    };
    for (prefix, n) in [("train", 60u32), ("t10k", 20)] {
        let pixels = (0..n * 36).map(|i| if (i / 36) % 2 == 0 { (i % 7) as u8 } else { 255 - (i % 5) as u8 });
        sandbox.write(&format!("My Images/{prefix}-images-idx3-ubyte"), idx(&[n, 6, 6], pixels.collect()));
        sandbox.write(
            &format!("My Images/{prefix}-labels-idx1-ubyte"),
            idx(&[n], (0..n).map(|i| (i % 2) as u8).collect()),
        );
    }
    let run = |line: &str| sandbox.shell(&format!("\"$GAUNTLET\" {line}"));
    let said = run("new dataset 'My Images' --classes dark,bright").expect(0).out;
    for words in [
        "wrote datasets/my-images.toml: 60 training and 20 test images (idx), 1 × 6 × 6, 2 classes",
        "dark    30 + 10",
        "gauntlet init mine.toml --data my-images",
    ] {
        assert!(said.contains(words), "{said}");
    }
    let manifest = sandbox.read("datasets/my-images.toml");
    assert!(
        manifest.contains("folder = \"../My Images\"") && manifest.contains("classes = [\"dark\", \"bright\"]"),
        "{manifest}"
    );
    assert!(sandbox.ok("list datasets my-images").out.contains("6×6 grey, 60 + 20"));
    sandbox.ok("init own.toml --data my-images");
    let text = sandbox.read("own.toml").replace("\"lenet-small\"", "\"linear\"");
    sandbox.write("own.toml", &text);
    sandbox.ok("check own.toml");
    sandbox.ok("run own.toml");
    assert!(sandbox.read("reports/own/table.csv").contains("fgsm-aug"));
    run("new dataset 'My Images'").expect(2).says(&["datasets/my-images.toml exists already"]);
    let json = run("new dataset 'My Images' --name other --json").expect(0).out;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((json["train"].as_u64(), json["classes"][1].as_str()), (Some(60), Some("1")));
    run("new dataset 'My Images' --name mnist").expect(2).says(&["there is a data set mnist already"]);
    run("new dataset 'My Images' --name Upper").expect(2).says(&["lower-case letters"]);
    run("new dataset nowhere").expect(2).says(&["there is no folder nowhere"]);
    sandbox.write("two/train.parquet", "");
    run("new dataset two").expect(2).says(&["has no parquet file of the test split"]);
    assert!(!sandbox.path("datasets/two.toml").exists());
    // NumPy's arrays, with two channels.
    let npy = |shape: &str, body: Vec<u8>| {
        let about = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({shape}), }}\n");
        [&b"\x93NUMPY\x01\x00"[..], &(about.len() as u16).to_le_bytes(), about.as_bytes(), &body].concat()
    };
    for (split, n) in [("train", 40u8), ("test", 10)] {
        let pixels = (0..n).flat_map(|i| [200 * (i % 2); 32]).collect();
        sandbox.write(&format!("arrays/x_{split}.npy"), npy(&format!("{n}, 4, 4, 2"), pixels));
        sandbox.write(&format!("arrays/y_{split}.npy"), npy(&format!("{n},"), (0..n).map(|i| i % 2).collect()));
    }
    run("new dataset arrays --resize 8").expect(2).says(&["--crop"]);
    let said = run("new dataset arrays").expect(0).out;
    assert!(said.contains("40 training and 10 test images (NumPy's arrays), 2 × 4 × 4, 2 classes"), "{said}");
    let manifest = sandbox.read("datasets/arrays.toml");
    assert!(manifest.contains("arrays = { images = \"x_train.npy\", labels = \"y_train.npy\" }"), "{manifest}");
    sandbox.ok("train --model linear --recipe ce --data arrays --epochs 1 --batch 10 --out a.safetensors");
    // From elsewhere the folder is named as a whole.
    run("new dataset \"$PWD/My Images\" --name whole").expect(0);
    assert!(sandbox.read("datasets/whole.toml").contains("folder = \"/"));
    let attack = "attack --model linear --checkpoint w.safetensors --data whole --attack fgsm --eps 0.1 --threads 1";
    sandbox.ok("train --model linear --recipe ce --data whole --epochs 1 --batch 10 --out w.safetensors");
    assert!(sandbox.ok(attack).out.contains("n = 20 test examples of whole"));
}
