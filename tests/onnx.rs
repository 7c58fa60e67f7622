//! Networks of ONNX files as models: trained, attacked, exported and in suites.

use crate::sandbox::Sandbox;

/// A sandbox with `net.onnx`: an untrained lenet-small for the tiny data.
fn exported() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.ok("export --model lenet-small --data tiny --out net.onnx");
    sandbox
}

fn trained(sandbox: &Sandbox, model: &str, recipe: &str, out: &str) -> String {
    let line = format!("train --model {model} --data tiny --recipe {recipe} --epochs 2 --batch 50 --out {out}");
    sandbox.json(&line)["checkpoint_sha256"].as_str().unwrap().to_string()
}

#[test]
fn an_exported_network_trains_to_the_same_bits() {
    let sandbox = exported();
    for recipe in ["ce", "{name=\"grad-norm\",weight=0.3}"] {
        let own = trained(&sandbox, "lenet-small", recipe, "own.safetensors");
        assert_eq!(trained(&sandbox, "onnx:net.onnx", recipe, "a.safetensors"), own);
        // Its parameters have the same names, so drawn anew they are the same.
        let anew = "{name=\"onnx:net.onnx\",init=\"torch\"}";
        assert_eq!(trained(&sandbox, anew, recipe, "b.safetensors"), own);
        // And ONNX again.
        sandbox.ok("export --model onnx:net.onnx --checkpoint a.safetensors --out again.onnx");
        let attack = |model: &str| {
            sandbox.json(&format!("attack --model {model} --data tiny --attack pgd --eps 0.02 --take 40"))
        };
        let (built_in, again) = (attack("lenet-small --checkpoint own.safetensors"), attack("onnx:again.onnx"));
        assert_eq!(again["checkpoint_sha256"], own);
        assert_eq!(
            (&again["clean_accuracy"], &again["robust_accuracy"]),
            (&built_in["clean_accuracy"], &built_in["robust_accuracy"])
        );
        assert_eq!(again["checkpoint"], "own weights");
        assert!(again["clean_accuracy"].as_f64().unwrap() > 0.11, "{again}");
    }
    let said = sandbox.ok("train --model onnx:again.onnx --data tiny --recipe ce --epochs 1 --out c.safetensors").err;
    assert!(said.contains("166406 numbers in 8 parameters, 0 in 0 buffers; trainings start from the file's"), "{said}");
    let other = sandbox.json("attack --model lenet-small --checkpoint own.safetensors --surrogate onnx:again.onnx --data tiny --attack pgd --eps 0.02 --take 10");
    assert_eq!(other["n"], 10);
    let step = sandbox.json("bench step --model onnx:again.onnx --recipe ce --batch 4 --seconds 0 --least 1");
    assert_eq!(step["model"], "again");
}

const SUITE: &str = r#"
format = 1
data = "tiny"
model = "onnx:nets/net.onnx"
take = 20

[train]
epochs = 1
batch = 50

[[row]]

[[row]]
recipe = "ce"

[[attack]]
name = "fgsm"
eps = ["0.05"]
"#;

#[test]
fn a_suite_attacks_a_network_as_it_is_and_trains_it() {
    let sandbox = exported();
    sandbox.write("suites/nets/net.onnx", std::fs::read(sandbox.path("net.onnx")).unwrap());
    sandbox.write("suites/mine.toml", SUITE);
    sandbox.write("suites/datasets/tiny.toml", sandbox.read("datasets/tiny.toml"));
    let sha256 = sandbox.json("inspect onnx:net.onnx")["sha256"].as_str().unwrap().to_string();
    let plan = sandbox.ok("check suites/mine.toml").out;
    assert!(
        plan.contains("onnx:nets/net.onnx on tiny") && plan.contains("note: onnx:nets/net.onnx, of gauntlet"),
        "{plan}"
    );
    sandbox.ok("run suites/mine.toml --out report");
    let results = sandbox.results("report");
    let rows: Vec<&str> = results.iter().map(|r| r.0.as_str()).collect();
    assert_eq!(rows, ["ce-0.json", "net-0.json"]);
    for (row, record, _) in &results {
        let model = &record["configuration"]["training"]["model"];
        assert_eq!(
            (&model["name"], &model["args"]["sha256"]),
            (&"onnx:nets/net.onnx".into(), &sha256.clone().into()),
            "{row}"
        );
    }
    assert_eq!(results[1].1["configuration"]["checkpoint"], "own weights");
    assert_ne!(results[0].1["checkpoint_sha256"], results[1].1["checkpoint_sha256"]);
    let verified = sandbox.ok("verify report").out;
    assert!(verified.contains("2 records hold"), "{verified}");
    // Another file is another model, whatever it is called.
    let said = sandbox.run("check suites/mine.toml").expect(0).out;
    assert!(said.contains("0 of 2 trainings"), "{said}");
    sandbox.ok("train --model onnx:net.onnx --data tiny --recipe ce --epochs 1 --out other.safetensors");
    sandbox.ok("export --model onnx:net.onnx --checkpoint other.safetensors --out suites/nets/net.onnx");
    let said = sandbox.run("check suites/mine.toml").expect(0).out;
    assert!(
        said.contains("1 of 2 trainings and 2 of 2 evaluations") && said.contains("sha256 of onnx:nets/net.onnx was"),
        "{said}"
    );
    let pinned =
        SUITE.replace("\"onnx:nets/net.onnx\"", &format!("{{ name = \"onnx:nets/net.onnx\", sha256 = \"{sha256}\" }}"));
    sandbox.write("suites/mine.toml", pinned);
    sandbox.run("check suites/mine.toml").expect(2).says(&["mine.toml:4", "the file has sha256:", "it was changed"]);
}

#[test]
fn what_does_not_fit_is_said() {
    let sandbox = exported();
    let says = |line: &str, words: &[&str]| drop(sandbox.run(line).expect(2).says(words));
    let attack = "--data tiny --attack fgsm --eps 0.1 --take 1";
    says(
        &format!("attack --model onnx:gone.onnx {attack}"),
        &["there is no ONNX file \"gone.onnx\": not beside the suite"],
    );
    says(&format!("attack --model lenet-small {attack}"), &["--checkpoint is missing", "--model onnx:net.onnx"]);
    says(
        &format!("attack --model {{name=\"onnx:net.onnx\",init=\"torch\"}} {attack}"),
        &["net brings no weights along"],
    );
    says(
        &format!("attack --model {{name=\"onnx:net.onnx\",mean=[0.1,0.2]}} {attack}"),
        &["onnx:net.onnx.mean", "has 2 entries for 1 channels"],
    );
    says(
        &format!("attack --model {{name=\"onnx:net.onnx\",frozen=[\"7.biass\"]}} {attack}"),
        &["did you mean \"7.bias\"?"],
    );
    says(
        &format!("attack --model {{name=\"onnx:net.onnx\",layout=\"last\"}} {attack}"),
        &["parameter of onnx:net.onnx", "layout"],
    );
    sandbox.write("two.toml", SUITE.replace("nets/net.onnx", "two.onnx").replace("[[row]]\n\n", ""));
    sandbox.write(
        "datasets/two.toml",
        sandbox.read("datasets/tiny.toml").replace("\"tiny\"", "\"two\"").replace(", \"9\"]", "]"),
    );
    says(
        "attack --model onnx:net.onnx --data two --attack fgsm --eps 0.1",
        &["onnx:net.onnx", "has 10 outputs, and the data has 9 classes"],
    );
    says("export --model lenet-small --out n.onnx", &["--data is missing"]);
    sandbox.write("text.onnx", "import torch");
    says(&format!("attack --model onnx:text.onnx {attack}"), &["text.onnx: it is"]);
}

/// A box of pixels and a condition on the ten outputs.
fn property((low, high): (f64, f64), condition: &str) -> String {
    let inputs: String = (0..784)
        .map(|i| format!("(declare-const X_{i} Real)(assert (>= X_{i} {low}))(assert (<= X_{i} {high}))\n"))
        .collect();
    let outputs: String = (0..10).map(|i| format!("(declare-const Y_{i} Real)\n")).collect();
    format!("{inputs}{outputs}(assert {condition})\n")
}

#[test]
fn a_counterexample_to_a_property_is_printed_as_the_competition_has_it() {
    let sandbox = exported();
    // One of two classes is the higher one, whatever the weights; and no network of this size reaches 1000.
    sandbox.write("sat.vnnlib", property((0.25, 0.75), "(or (>= Y_0 Y_1) (>= Y_1 Y_0))"));
    sandbox.write("never.vnnlib", property((0.25, 0.75), "(>= Y_0 1000)"));
    let sat = sandbox.ok("attack --model onnx:net.onnx --property sat.vnnlib").out;
    let lines: Vec<&str> = sat.lines().collect();
    assert!(sat.starts_with("sat\n((X_0 0."), "{}", &sat[..40]);
    assert_eq!(
        (lines.len(), lines[1 + 784].starts_with(" (Y_0 "), lines[794].ends_with("))")),
        (1 + 784 + 10, true, true)
    );
    let found = sandbox.json("attack --model onnx:net.onnx --property sat.vnnlib");
    let keys: Vec<&str> = found.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["result", "attack", "seconds", "forwards", "backwards", "witness"]);
    assert!(found["witness"]["x"].as_array().unwrap().iter().all(|x| (0.25..=0.75).contains(&x.as_f64().unwrap())));
    // The same network without the file: y is what float64 computes of x.
    sandbox.ok("train --model lenet-small --data tiny --recipe ce --epochs 1 --out own.safetensors");
    sandbox.ok("export --model lenet-small --checkpoint own.safetensors --data tiny --out own.onnx");
    let built_in =
        sandbox.json("attack --model lenet-small --checkpoint own.safetensors --data tiny --property sat.vnnlib");
    let own = sandbox.json("attack --model onnx:own.onnx --property sat.vnnlib");
    assert_eq!((&built_in["result"], &built_in["witness"]), (&"sat".into(), &own["witness"]));
    let never = "attack --model onnx:net.onnx --property never.vnnlib --seconds 0.2";
    assert_eq!(sandbox.ok(never).out, "unknown\n");
    assert_eq!(sandbox.json(never)["witness"], serde_json::Value::Null);

    sandbox.write("all/instances.csv", "net.onnx,sat.vnnlib,sat\nnet.onnx,never.vnnlib,unsat\n");
    for file in ["net.onnx", "sat.vnnlib", "never.vnnlib"] {
        sandbox.write(&format!("all/{file}"), std::fs::read(sandbox.path(file)).unwrap());
    }
    let table = sandbox.ok("attack --property all --seconds 0.2 --witnesses out").out;
    assert!(
        table.starts_with(
            "instance | network | known | result | seconds | attack | forwards\nsat.vnnlib | net.onnx | sat | sat |"
        ),
        "{table}"
    );
    assert!(table.contains("1 of 2 sat; 0 known ones not found; 0 of those found are said to be unsat"), "{table}");
    assert_eq!(sandbox.read("out/net.sat.vnnlib.txt"), sat);
    // Found where there is said to be none; a network that is not there.
    sandbox.write("all/instances.csv", "net.onnx,sat.vnnlib,unsat\n");
    sandbox.run("attack --property all").expect(1);
    sandbox.write("all/instances.csv", "gone.onnx,sat.vnnlib,60\n");
    let failed = sandbox.run("attack --property all").expect(4);
    assert!(failed.out.contains("there is no ONNX file") && failed.out.contains("1 failed"), "{}", failed.out);

    let says = |line: &str, words: &[&str]| drop(sandbox.run(line).expect(2).says(words));
    says("attack --property sat.vnnlib", &["--model is missing", "--model onnx:net.onnx"]);
    says("attack --property all --model onnx:net.onnx", &["a folder's instances.csv names its networks"]);
    says("attack --model onnx:net.onnx --property gone.vnnlib", &["gone.vnnlib"]);
    says("attack --model onnx:net.onnx --property sat.vnnlib --eps 0.1", &["--eps", "cannot be used with"]);
    says("attack --model lenet-small --checkpoint own.safetensors --property sat.vnnlib", &["--data is missing"]);
    says("attack --model onnx:net.onnx --property sat.vnnlib --seconds 0", &["--seconds must be above 0, got 0"]);
    sandbox.write(
        "other.vnnlib",
        "(declare-const X_0 Real)(declare-const Y_0 Real)(assert (>= X_0 0))(assert (<= X_0 1))(assert (>= Y_0 0))",
    );
    says("attack --model onnx:net.onnx --property other.vnnlib", &["1 inputs and 1 outputs", "784 and 10"]);
}
