//! The shipped scripts are the built-in recipes of the same definition, bit for bit.

use crate::bench::{Bench, recipe, registry};
use gauntlet_script::SHIPPED;
use serde_json::json;

#[test]
fn every_shipped_script_equals_the_built_in_recipe_bit_for_bit() {
    let (bench, registry) = (Bench::new(5), registry());
    let pairs = [
        (json!({ "name": "script:grad-norm.rhai" }), json!({ "name": "grad-norm", "norm": "l2", "weight": 0.1 })),
        (
            json!({ "name": "script:grad-norm.rhai", "weight": 3, "graph": "cut" }),
            json!({ "name": "grad-norm", "norm": "l2", "weight": 3.0, "graph": "cut" }),
        ),
        (
            json!({ "name": "script:direction-matching.rhai" }),
            json!({ "name": "direction-matching", "direction": "fixed", "weight": 0.5 }),
        ),
        (
            json!({ "name": "script:direction-matching.rhai", "weight": 0.8, "graph": "cut" }),
            json!({ "name": "direction-matching", "direction": "fixed", "weight": 0.8, "graph": "cut" }),
        ),
        (json!({ "name": "script:fgsm-aug.rhai" }), json!({ "name": "fgsm-aug", "eps": "0.1" })),
        (
            json!({ "name": "script:fgsm-aug.rhai", "eps": "8/255", "alpha": 0.25 }),
            json!({ "name": "fgsm-aug", "eps": "8/255", "alpha": 0.25 }),
        ),
    ];
    for (script, built_in) in &pairs {
        let (a, b) = (recipe(&registry, script.clone()), recipe(&registry, built_in.clone()));
        let (a, b) = (bench.everything(&*a), bench.everything(&*b));
        assert_eq!(a.terms, b.terms, "{script}");
        assert_eq!(a.total, b.total, "{script}");
        assert!(a.gradients == b.gradients, "{script}: weight gradients");
    }
    for (name, _) in SHIPPED {
        assert!(pairs.iter().any(|(s, _)| s["name"] == format!("script:{name}")), "{name} is compared with nothing");
    }
}

#[test]
fn the_cut_readings_train_nothing_and_the_kept_ones_do() {
    let (bench, registry) = (Bench::new(5), registry());
    let gradients = |v| bench.everything(&*recipe(&registry, v)).gradients;
    let ce = gradients(json!({ "name": "ce" }));
    for name in ["script:grad-norm.rhai", "script:direction-matching.rhai"] {
        assert!(gradients(json!({ "name": name, "graph": "cut" })) == ce, "{name}: cut equals ce bit for bit");
        assert!(gradients(json!({ "name": name })) != ce, "{name}: kept differs");
    }
}

#[test]
fn a_script_is_a_base_for_penalties() {
    let (bench, registry) = (Bench::new(4), registry());
    let base = recipe(&registry, json!({ "name": "script:fgsm-aug.rhai" }));
    let penalty = registry.penalty(&crate::bench::table(json!({ "name": "grad-norm", "weight": 0.3 }))).unwrap().0;
    let both = gauntlet_core::recipe::Composed { base, penalties: vec![penalty], name: "both".into() };
    let names: Vec<String> = bench.everything(&both).terms.iter().map(|t| t.0.clone()).collect();
    assert_eq!(names, ["ce", "adv_ce", "grad_norm"]);
}
