//! `gauntlet check RECIPE`.

use crate::sandbox::Sandbox;

#[test]
fn a_recipe_is_checked_by_name_with_probe_values_and_as_a_table() {
    let sandbox = Sandbox::new();
    let text = sandbox.ok("check grad-norm").out;
    assert!(text.contains("required and not given, so tried with weight = 1.0"), "{text}");
    for check in ["terms", "repeats", "batch", "pixels", "reach", "gradient", "second order", "zero", "training"] {
        assert!(text.lines().any(|l| l.starts_with(&format!("✓ {check} "))), "{check}: {text}");
    }
    assert!(text.contains("measured: ") && text.contains("0 failed") && !text.contains('\x1b'), "{text}");

    let found =
        sandbox.shell("\"$GAUNTLET\" check '{ name = \"grad-norm\", weight = 3.0, norm = \"l1\" }' --json").expect(0);
    let found: serde_json::Value = serde_json::from_str(&found.out).unwrap();
    assert_eq!(
        (&found["passed"], &found["recipe"], &found["probed"]),
        (&true.into(), &"grad-norm".into(), &serde_json::json!([]))
    );
    assert_eq!((&found["args"]["weight"], &found["args"]["norm"]), (&3.0.into(), &"l1".into()));
    assert!(found["checks"].as_array().unwrap().iter().all(|c| c["outcome"] == "passed"), "{found}");
    // Counted: an input gradient and its derivative are at least another forward and backward.
    let arithmetic = found["cost"]["arithmetic"].as_f64().unwrap();
    assert!((1.8..3.0).contains(&arithmetic) && found["cost"]["ratio"].as_f64().unwrap() > 0.0, "{found}");
}

#[test]
fn a_suite_of_that_name_comes_first_and_mistakes_are_named() {
    let sandbox = Sandbox::new();
    sandbox.write("suites/ce.toml", std::fs::read(sandbox.path("small.toml")).unwrap());
    sandbox.write("suites/datasets/tiny.toml", std::fs::read(sandbox.path("datasets/tiny.toml")).unwrap());
    assert!(sandbox.ok("check ce").out.contains("trainings and"));
    sandbox.run("check gradnorm").expect(2).says(&["unknown suite or recipe", "did you mean \"grad-norm\"?"]);
    sandbox.run("check nowhere/a.toml").expect(2).says(&["nowhere/a.toml does not exist"]);
    let wrong = sandbox.shell("\"$GAUNTLET\" check '{ name = \"grad-norm\", weight = -1 }'").expect(2);
    assert!(wrong.err.contains("must be at least 0"), "{}", wrong.err);
}
