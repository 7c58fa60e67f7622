//! Recipes that train by bounds: what their bounds are, beside those of `gauntlet-certify`, and where there are none.

use super::{batch, loss, model, part, recipe, run, weights};
use candle_core::DType;
use gauntlet_certify as certify;
use gauntlet_core::{Memory, ParamSpec};
use gauntlet_graph::graph_of;
use serde_json::{Value, json};

/// The value of a term for every example of a batch.
fn term(given: Value, network: &Value, name: &str) -> Vec<f64> {
    let network = model(network.clone());
    let params = weights(&*network).leaves();
    let (_, terms) = loss(&*recipe(given), &network, &params, &batch(6), &mut Memory::new());
    terms.into_iter().find(|t| t.0 == name).unwrap().2
}

/// −log of the softmax of (0, −margins) at its first entry.
fn worst(margins: &[f64]) -> f64 {
    margins.iter().map(|m| (-m).exp()).sum::<f64>().ln_1p()
}

/// Margins by `gauntlet-certify` on x ± ε cut to [0, 1].
fn bounded(network: &Value, eps: f64, of: impl Fn(&certify::Bounds<'_>, &certify::Rows) -> Vec<f64>) -> Vec<f64> {
    let network = model(network.clone());
    let own = weights(&*network);
    let layers = certify::Network::new(graph_of(&*network).unwrap(), &own).unwrap();
    let images = batch(6);
    let labels: Vec<u32> = images.y.to_vec1().unwrap();
    let each = |i: usize| {
        let x: Vec<f64> =
            images.x.get(i).unwrap().to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        let region = certify::Region::ball(&x, gauntlet_records::Norm::Linf, eps, Some((0.0, 1.0))).unwrap();
        let settings = certify::Settings { between: certify::Between::Intervals, slope: certify::Slope::Adaptive };
        let bounds = certify::Bounds::new(&layers, region, settings).unwrap();
        worst(&of(&bounds, &certify::Rows::margins(4, labels[i] as usize).unwrap()))
    };
    (0..6).map(each).collect()
}

/// As near as the account of rounding lets the certificates come.
fn near(a: &[f64], b: &[f64]) {
    assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-7 * (1.0 + b.abs())), "{a:?} {b:?}");
}

const NETS: [&str; 2] =
    [r#"{ "name": "lenet-small" }"#, r#"{ "name": "mlp", "hidden": [12, 9], "activation": "sigmoid" }"#];

#[test]
fn the_bound_of_ibp_is_that_of_the_certificates() {
    for text in NETS {
        let network: Value = serde_json::from_str(text).unwrap();
        let given = json!({ "name": "ibp", "eps": "0.05", "warm_up": 0.0, "ramp": 0.0 });
        let intervals = bounded(&network, 0.05, |bounds, rows| bounds.interval_margins(rows).unwrap());
        near(&term(given, &network, "ibp_ce"), &intervals);
    }
}

#[test]
fn the_bound_of_crown_ibp_is_that_of_the_certificates() {
    let network = json!({ "name": "lenet-small" });
    // Half way, the margins are a mean of both: with ramp 2.4 after 1.2 epochs.
    let given = json!({ "name": "crown-ibp", "eps": "0.1", "warm_up": 0.0, "ramp": 2.4 });
    let mixed = bounded(&network, 0.05, |bounds, rows| {
        let lines = bounds.crown(rows, certify::Slope::Adaptive).unwrap();
        let intervals = bounds.interval_margins(rows).unwrap();
        lines.iter().zip(&intervals).map(|(a, b)| 0.5 * a + 0.5 * b).collect()
    });
    near(&term(given, &network, "crown_ibp_ce"), &mixed);
}

#[test]
fn a_box_of_no_width_gives_the_cross_entropy() {
    for text in NETS {
        let network: Value = serde_json::from_str(text).unwrap();
        let clean = term(json!({ "name": "ce" }), &network, "ce");
        // λ = 0 and a step that moves no pixel: the box is the image.
        let none = json!({ "name": "pgd", "steps": 1, "alpha": "1e-300", "random_start": false });
        let given =
            json!({ "name": "sabr", "eps": "0.05", "lambda": 0.0, "attack": none, "ramp": 0.0, "warm_up": 0.0 });
        let found = term(given, &network, "sabr_ce");
        assert!(found.iter().zip(&clean).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?} {clean:?}");
    }
}

#[test]
fn sabr_with_the_whole_box_and_mtl_with_the_whole_bound_are_ibp() {
    let network = model(json!({ "name": "lenet-small" }));
    let grow = |mut given: Value| {
        given["eps"] = "0.1".into();
        given["ramp"] = 1.0.into();
        recipe(given)
    };
    let ibp = run(&*grow(json!({ "name": "ibp", "kappa": 0.0 })), &network, &batch(6));
    let sabr = run(&*grow(json!({ "name": "sabr", "lambda": 1.0, "kappa": 0.0 })), &network, &batch(6));
    assert_eq!(sabr.2.len(), ibp.2.len());
    let close = |a: &[Vec<u64>], b: &[Vec<u64>]| {
        let each = a.iter().flatten().zip(b.iter().flatten());
        each.map(|(a, b)| (f64::from_bits(*a) - f64::from_bits(*b)).abs()).fold(0.0, f64::max)
    };
    // κ is 1 − 0.2 in both.
    assert!(close(&sabr.2, &ibp.2) < 1e-14);
    let whole = run(&*grow(json!({ "name": "mtl-ibp", "alpha": 1.0 })), &network, &batch(6));
    let (own, theirs) = (&whole.1.last().unwrap().2, &ibp.1.last().unwrap().2);
    assert!(own.iter().zip(theirs).all(|(a, b)| (a - b).abs() < 1e-12));
}

#[test]
fn layers_without_an_interval_are_named() {
    let given = json!({ "name": "ibp", "eps": "0.1", "ramp": 0.0, "warm_up": 0.0 });
    let refused = |network: Value, given: &Value| {
        let network = model(network);
        let params = weights(&*network).leaves();
        let images = part(&batch(6), 0, 2);
        let mut memory = Memory::new();
        let step = gauntlet_core::Step::new(network.clone(), &params, &images, 5, super::HERE, &mut memory);
        recipe(given.clone()).loss(&mut step.unwrap()).err().unwrap().to_string()
    };
    let said = refused(json!({ "name": "mlp", "activation": "gelu" }), &given);
    assert!(said.contains("no interval of its layer gelu"), "{said}");
    let crown = json!({ "name": "crown-ibp", "eps": "0.1", "ramp": 5.0, "warm_up": 0.0 });
    let said = refused(json!({ "name": "mlp", "activation": "tanh" }), &crown);
    assert!(said.contains("crown-ibp could go back through"), "{said}");
}

#[test]
fn ibp_starts_narrow_where_it_is_told_to() {
    let network = model(json!({ "name": "lenet-small" }));
    let given = |init: &str| recipe(json!({ "name": "ibp", "eps": "0.1", "ramp": 1.0, "init": init }));
    let specs = network.specs();
    assert_eq!(given("model").starting(specs.clone()), specs);
    let narrow = given("ibp").starting(specs.clone());
    let changed: Vec<&ParamSpec> = narrow.iter().zip(&specs).filter(|(a, b)| a != b).map(|(a, _)| a).collect();
    assert_eq!(changed.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["0.weight", "2.weight", "5.weight"]);
    // 4 · 4 taps of one channel: σ = √(2π) / 16.
    let gauntlet_core::Init::Normal { std, truncated: false } = changed[0].init else { panic!("{changed:?}") };
    assert!((std - (2.0 * std::f64::consts::PI).sqrt() / 16.0).abs() < 1e-15);
}
