//! `gauntlet list`, `doctor`, help and exit codes.

use crate::sandbox::Sandbox;
use serde_json::json;

#[test]
fn everything_that_a_suite_can_name_is_listed() {
    let sandbox = Sandbox::new();
    let wanted: [(&str, &[&str]); 5] = [
        ("recipes", &["ce", "grad-norm", "direction-matching", "fgsm-aug", "pgd-at"]),
        ("attacks", &["fgsm", "pgd", "noise"]),
        ("models", &["linear", "mlp", "lenet-small", "madry-cnn", "trades-smallcnn", "preactresnet18", "wideresnet"]),
        ("datasets", &["glyphs", "mnist", "fashion-mnist", "cifar10", "tiny"]),
        ("suites", &["quickstart", "mnist-recipes"]),
    ];
    for (what, names) in wanted {
        let list = sandbox.json(&format!("list {what}"));
        for name in names {
            let item = list.as_array().unwrap().iter().find(|i| i["name"] == *name);
            let item = item.unwrap_or_else(|| panic!("{name} is not among the {what}: {list}"));
            assert!(!item["summary"].as_str().unwrap().is_empty() && item["origin"].is_string(), "{item}");
        }
        let text = sandbox.ok(&format!("list {what} --verbose")).out;
        assert!(names.iter().all(|n| text.lines().any(|l| l.starts_with(&format!("{n} ")))), "{text}");
    }
    let pgd = sandbox.ok("list attacks --verbose").out;
    assert!(pgd.contains("steps = 40 (int): steps per restart") && pgd.contains("Madry et al. 2018"), "{pgd}");
    let suite = sandbox.json("list suites");
    sandbox.write("suites/mine.toml", "# Mine alone.\nformat = 1\n");
    let more = sandbox.json("list suites");
    assert_eq!(more.as_array().unwrap().len(), suite.as_array().unwrap().len() + 1);
    assert!(more.as_array().unwrap().iter().any(|s| s["name"] == "mine" && s["summary"] == "Mine alone."), "{more}");
}

#[test]
fn the_layers_of_a_model_are_listed_with_their_shapes_and_costs() {
    let sandbox = Sandbox::new();
    let text = sandbox.ok("list models --verbose").out;
    for (model, golden) in [
        ("lenet-small", include_str!("golden/layers/lenet-small.txt")),
        ("preactresnet18", include_str!("golden/layers/preactresnet18.txt")),
    ] {
        let lines = text.lines().skip_while(|l| !l.starts_with(&format!("{model} "))).skip(1);
        let lines = lines.take_while(|l| l.starts_with(' ')).skip_while(|l| !l.starts_with("    layers,"));
        let found: String = lines.map(|l| format!("{l}\n")).collect();
        assert!(found == golden, "{model}, tests/golden/layers:\n{found}");
    }
    assert!(!sandbox.ok("list models").out.contains("multiply-adds"));
    let list = sandbox.json("list models");
    let lenet = list.as_array().unwrap().iter().find(|m| m["name"] == "lenet-small").unwrap();
    assert_eq!(lenet["total"], json!({ "parameters": 166_406, "multiply_adds": 609_384 }));
    let conv = json!({
        "name": "2", "layer": "conv2d 4×4, stride 2, padding 1", "shape": [32, 7, 7], "parameters": 8_224,
        "multiply_adds": 401_408,
    });
    assert_eq!(lenet["layers"][3], conv);
}

#[test]
fn the_page_of_recipes_is_what_the_registry_says() {
    let sandbox = Sandbox::new();
    let page = sandbox.ok("list recipes --markdown").out;
    let committed = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/recipes.md")).unwrap();
    assert!(page == committed, "out of date: cargo run --release -- list recipes --markdown > docs/recipes.md");
    let listed = sandbox.json("list recipes");
    for item in listed.as_array().unwrap().iter().filter(|i| i["origin"] == "built-in") {
        let heading = format!("\n## {} ({})\n", item["name"].as_str().unwrap(), item["kind"].as_str().unwrap());
        let section = page.split(&heading).nth(1).unwrap_or_else(|| panic!("{heading}"));
        let section = section.split("\n## ").next().unwrap();
        assert!(section.contains(item["formula"].as_str().unwrap()), "{heading}");
        for p in item["parameters"].as_array().unwrap() {
            assert!(section.contains(&format!("\n| `{}` | ", p["name"].as_str().unwrap())), "{heading}: {p}");
        }
    }
    sandbox.run("list attacks --markdown").expect(2).says(&["--markdown is for recipes"]);
}

#[test]
fn every_built_in_suite_resolves() {
    let sandbox = Sandbox::new();
    let ours = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../suites")).unwrap().count();
    let suites = sandbox.json("list suites");
    assert_eq!(suites.as_array().unwrap().len(), ours);
    for suite in suites.as_array().unwrap() {
        let name = suite["name"].as_str().unwrap();
        // Data that is not embedded cannot be had without a network: then that, and nothing else, is the complaint.
        let done = sandbox.run(&format!("check {name} --data-dir nowhere"));
        assert!(done.code == 0 || !done.err.contains("-->"), "{name}: {}", done.err);
    }
    assert!(sandbox.ok("check quickstart").out.contains("glyphs"));
}

#[test]
fn the_doctor_checks_every_derivative() {
    let sandbox = Sandbox::new();
    let text = sandbox.ok("doctor --threads 1").out;
    assert!(text.contains("conv2d") && text.contains("all agree") && text.contains(", 1 threads"), "{text}");
    assert!(text.contains("http://127.0.0.1:9"), "{text}");
    let json = sandbox.json("doctor");
    assert_eq!(json["failed"], 0);
    let list = json["derivatives"].as_array().unwrap();
    assert!(list.len() > 50 && list.iter().all(|d| d["first_order"].is_number() && d["second_order"].is_number()));
}

#[test]
fn mistakes_on_the_command_line_are_user_errors() {
    let sandbox = Sandbox::new();
    sandbox.run("").expect(2).says(&["Usage: gauntlet", "run", "attack"]);
    sandbox.run("atack").expect(2).says(&["'atack'", "'attack'"]);
    sandbox.run("run quikstart").expect(2).says(&["unknown suite \"quikstart\"", "did you mean \"quickstart\"?"]);
    sandbox.run("run suites/nothing.toml").expect(2).says(&["suites/nothing.toml does not exist"]);
    sandbox.run("run small.toml --threads 0").expect(2).says(&["--threads"]);
    sandbox.run("run small.toml --take 5 --all").expect(2).says(&["cannot be used with"]);
    sandbox.run("report nowhere").expect(2).says(&["cannot list nowhere"]);
    sandbox.run("report datasets").expect(2).says(&["no records in datasets", "gauntlet run"]);
    let help = sandbox.ok("--help").out;
    assert!(help.contains("Exit codes: 0 done") && help.contains("130 interrupted"), "{help}");
}
