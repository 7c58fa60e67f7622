//! Recipes written as scripts, from a suite to its tables.

use crate::sandbox::{SUITE, Sandbox};
use serde_json::Value;

const STEEP: &str = r#"// Cross-entropy and the squared norm of the input gradient.
// formula: mean ℓ + WEIGHT · mean ‖∇ₓℓ‖₂²
const WEIGHT = 1.0; // weight of the penalty

fn loss(step) {
    let x = step.input();
    let ce = step.cross_entropy(x);
    let q = step.input_gradient(ce, x).sqr().sum_per_example();
    [term("ce", 1.0, ce), term("grad_norm", WEIGHT, q)]
}
"#;

/// The suite of the sandbox with a script in place of its built-in penalty.
fn suite() -> String {
    let built_in = "id = \"kept\"\nbase = \"ce\"\npenalties = [{ name = \"grad-norm\", weight = 1.0 }]";
    assert!(SUITE.contains(built_in));
    let script = "recipe = \"script:steep.rhai\"\n\n[[row]]\nid = \"gentle\"\nrecipe = { name = \"script:steep.rhai\", weight = 0 }";
    SUITE.replace(built_in, script)
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("mine/datasets/tiny.toml", sandbox.read("datasets/tiny.toml"));
    sandbox.write("mine/suite.toml", suite().replace("name = \"small\"", "name = \"scripted\""));
    sandbox.write("mine/steep.rhai", STEEP);
    sandbox
}

fn of(results: &[(String, Value, Vec<u8>)], name: &str) -> (Value, Vec<u8>) {
    let found = results.iter().find(|r| r.0 == name).unwrap_or_else(|| panic!("{name}"));
    (found.1.clone(), found.2.clone())
}

#[test]
fn a_script_trains_and_reports_as_the_built_in_recipe_does() {
    let sandbox = sandbox();
    let out = sandbox.ok("run mine/suite.toml").out;
    assert!(out.contains("\nsteep ") && out.contains("\ngentle ") && out.contains("\nce "), "{out}");
    sandbox.ok("run small.toml --only row=kept");
    // The same loss gives the same weights and verdicts, whoever wrote it.
    let (scripted, built_in) = (sandbox.results("reports/scripted"), sandbox.results("reports/small"));
    let (script, kept) = (of(&scripted, "steep-0.json").0, of(&built_in, "kept-0.json").0);
    assert_eq!(script["checkpoint_sha256"], kept["checkpoint_sha256"]);
    assert_eq!(script["curve"], kept["curve"]);
    // Weight 0 is ordinary training.
    let ce = of(&scripted, "ce-0.json").0;
    assert_eq!(of(&scripted, "gentle-0.json").0["checkpoint_sha256"], ce["checkpoint_sha256"]);
    let described = &script["configuration"]["training"]["recipe"]["base"];
    assert_eq!(
        (described["name"].as_str(), described["args"]["weight"].as_f64()),
        (Some("script:steep.rhai"), Some(1.0))
    );
    assert_eq!(described["args"]["sha256"].as_str().map(str::len), Some(64), "{described}");

    // Nothing is done twice, and a script that changed is trained again.
    let again = sandbox.ok("run mine/suite.toml");
    assert!(again.err.contains("steep, seed 0: in the store") && !again.err.contains("epoch"), "{}", again.err);
    sandbox.write("mine/steep.rhai", STEEP.replace("const WEIGHT = 1.0", "const WEIGHT = 2.0"));
    let changed = sandbox.json("check mine/suite.toml");
    let states = changed["trainings"].as_array().unwrap().iter();
    let states: Vec<(&str, &str)> =
        states.map(|t| (t["row"].as_str().unwrap(), t["state"].as_str().unwrap())).collect();
    assert_eq!(states, [("ce", "stored"), ("steep", "missing"), ("gentle", "missing"), ("cut", "stored")]);
}

#[test]
fn a_script_goes_on_after_a_kill() {
    let sandbox = sandbox();
    sandbox.write("mine/suite.toml", sandbox.read("mine/suite.toml").replace("epochs = 2", "epochs = 40"));
    let mut child = sandbox.start("run mine/suite.toml --only row=steep");
    crate::sandbox::wait("the training's state", || !sandbox.find("runs", "state.safetensors").is_empty());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(sandbox.find("runs", "training.json").is_empty(), "it was killed too late to show anything");
    let done = sandbox.ok("run mine/suite.toml --only row=steep");
    assert!(done.err.contains("goes on at epoch"), "{}", done.err);
    sandbox.ok("run mine/suite.toml --only row=steep --runs other --out undisturbed --fresh");
    let (killed, undisturbed) = (sandbox.results("reports/scripted"), sandbox.results("undisturbed"));
    assert_eq!(of(&killed, "steep-0.json"), of(&undisturbed, "steep-0.json"));
}

#[test]
fn scripts_are_listed_and_serve_without_a_suite() {
    let sandbox = sandbox();
    sandbox.write("scripts/recipes/steep.rhai", STEEP);
    sandbox.write("scripts/recipes/broken.rhai", "fn loss(step) { step.inptu() }\n");
    let list = sandbox.json("list recipes");
    let item = |name: &str| list.as_array().unwrap().iter().find(|i| i["name"] == name).cloned().unwrap();
    for name in ["grad-norm", "direction-matching", "fgsm-aug", "steep"] {
        let item = item(&format!("script:{name}.rhai"));
        assert!(item["origin"] == "script" && !item["summary"].as_str().unwrap().is_empty(), "{item}");
    }
    let broken = item("script:broken.rhai")["summary"].as_str().unwrap().to_string();
    assert!(broken.contains("there is no function `inptu`, did you mean `input`?"), "{broken}");
    let text = sandbox.ok("list recipes --verbose").out;
    assert!(text.contains("weight = 1.0 (float or length): weight of the penalty"), "{text}");
    let train =
        "train --model lenet-small --data tiny --epochs 1 --batch 50 --validation 50 --recipe script:steep.rhai";
    assert!(sandbox.ok(&format!("{train} --out steep.safetensors")).out.contains("steep.safetensors"));
    for name in ["grad-norm", "direction-matching", "fgsm-aug"] {
        let checked = sandbox.ok(&format!("check script:{name}.rhai")).out;
        assert!(checked.contains("0 failed") && checked.contains("measured: "), "{name}: {checked}");
    }
    let cut = sandbox.shell("\"$GAUNTLET\" check '{ name = \"script:grad-norm.rhai\", graph = \"cut\" }'").expect(0);
    assert!(cut.out.contains("bit for bit: the penalty is a constant"), "{}", cut.out);
    assert!(sandbox.ok("check mine/steep.rhai").out.contains("0 failed"));
    sandbox.ok("bench step --model linear --recipe script:fgsm-aug.rhai --batch 2 --seconds 0");
}

#[test]
fn mistakes_in_scripts_are_shown_with_their_line() {
    let sandbox = sandbox();
    let edited = |right: &str, wrong: &str| {
        assert!(STEEP.contains(right), "{right}");
        sandbox.write("mine/steep.rhai", STEEP.replace(right, wrong));
    };
    // Found when the suite is read: nothing is trained.
    edited("sqr()", "sqrr()");
    let done = sandbox.run("run mine/suite.toml").expect(2);
    let done =
        done.says(&["suite.toml:", "steep.rhai:8:40: there is no function `sqrr`, did you mean `sqr`?", "let q = "]);
    assert!(!done.err.contains("epoch"), "{}", done.err);
    sandbox.write("mine/steep.rhai", STEEP);
    sandbox.write("mine/wrong.toml", suite().replace("weight = 0", "wieght = 0"));
    sandbox.run("check mine/wrong.toml").expect(2).says(&["\"wieght\"", "^", "did you mean \"weight\"?"]);
    sandbox.write("mine/wrong.toml", suite().replace("weight = 0", "sha256 = \"ab\""));
    sandbox.run("check mine/wrong.toml").expect(2).says(&["it was changed", "^"]);
    sandbox.write("mine/wrong.toml", suite().replace("steep.rhai", "stepe.rhai"));
    sandbox.run("check mine/wrong.toml").expect(2).says(&["there is no script \"stepe.rhai\"", "^"]);

    // Found in the first step: the row fails with its reason, the others go on.
    for (right, wrong, needles) in [
        (
            ".sum_per_example()",
            "",
            &["steep.rhai:9:27: term \"grad_norm\" has the shape [50, 1, 28, 28] instead of [50]"][..],
        ),
        ("let ce", "loop { x.detach(); } let ce", &["steep.rhai:7:", "is there a loop without an end?"]),
        ("sqr()", "affine(-1.0, 0.0).sqrt()", &["is not finite", "grad_norm = NaN"]),
        ("cross_entropy(x);", "cross_entropy(x).detach();", &["steep.rhai:8:", "the values do not depend on x"]),
        (
            "[term(\"ce\", 1.0, ce), term(\"grad_norm\", WEIGHT, q)]",
            "[term(\"ce\", 1.0, ce.detach()), logged(\"q\", q)]",
            &["does not reach the parameters 0.weight", "was a value detached on the way?"],
        ),
    ] {
        edited(right, wrong);
        let done = sandbox.run("run mine/suite.toml --only row=steep --only row=ce").expect(4).says(needles);
        assert!(done.out.contains("steep †") && done.out.contains("\nce "), "{}", done.out);
        assert!(sandbox.read("reports/scripted/table.md").contains("## Failed"));
    }
}

/// What keeps the loss from being computed would fail every check alike.
#[test]
fn one_mistake_of_a_script_is_told_once() {
    let sandbox = Sandbox::new();
    sandbox.write("bad.rhai", "fn loss(step) { let x = step.input(); [term(\"it\", 1.0, step.cross_entropy(x) + x)] }");
    let told = sandbox.run("check bad.rhai").expect(1).out;
    assert_eq!(told.matches("bad.rhai:1:").count(), 1, "{told}");
    assert!(
        told.contains("not tried: the loss cannot be computed") && told.contains("0 passed, 1 failed, 9 do not apply"),
        "{told}"
    );
}
