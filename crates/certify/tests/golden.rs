//! Fast-Lin as its authors' package computes it (`scripts/parity/bounds.py`), and properties in VNN-LIB.
#![allow(clippy::unwrap_used)]

mod nets;

use candle_core::{Device, Tensor};
use gauntlet_certify::{Between, Bounds, Budget, Region, Rows, Settings, Slope, Verdict, verify};
use gauntlet_core::{Activation, Weights};
use gauntlet_graph::Builder;
use gauntlet_records::Norm;
use gauntlet_vnnlib::Property;
use nets::{given, info, layers};

/// SplitMix64 of (FNV-1a(name) + i) in [low, high), as `scripts/parity/hashed_numbers.py`.
fn hashed(name: &str, n: usize, low: f64, high: f64) -> Vec<f64> {
    let start = name.bytes().fold(0xCBF2_9CE4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01B3));
    let number = |i: usize| {
        let mut z = start.wrapping_add((i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        low + (high - low) * ((z >> 11) as f64 / (1u64 << 53) as f64)
    };
    (0..n).map(number).collect()
}

#[test]
fn fast_lin_is_that_of_its_authors() {
    let golden: serde_json::Value = serde_json::from_str(include_str!("golden/fast_lin.json")).unwrap();
    let mut g = Builder::new(info((1, 5, 5), 3, Activation::Relu));
    let x = g.input();
    let x = g.conv("0", 3, 3).stride(2).padding(1).of(x).unwrap();
    let x = g.act(x).unwrap();
    let x = g.conv("2", 4, 2).of(x).unwrap();
    let x = g.act(x).unwrap();
    let x = g.flatten(x).unwrap();
    let x = g.linear("5", 6).of(x).unwrap();
    let x = g.act(x).unwrap();
    let z = g.linear("7", 3).of(x).unwrap();
    let graph = g.finish(z).unwrap();
    let entry = |s: &gauntlet_core::ParamSpec| {
        let numbers = hashed(&format!("bounds/{}", s.name), s.shape.iter().product(), -0.6, 0.6);
        (s.name.clone(), Tensor::from_vec(numbers, s.shape.as_slice(), &Device::Cpu).unwrap(), true)
    };
    let weights = Weights::from_entries(graph.params().iter().map(entry).collect::<Vec<_>>());
    let net = given(graph, weights);
    let images = hashed("bounds/x", 50, 0.0, 1.0);
    for (i, x) in images.chunks(25).enumerate() {
        let label = net.label(x);
        assert_eq!(golden["labels"][i], label);
        let rows = Rows::margins(3, label).unwrap();
        for (name, norm, eps, boxed) in
            [("linf, box", Norm::Linf, 0.05, true), ("linf", Norm::Linf, 0.05, false), ("l2", Norm::L2, 0.2, false)]
        {
            let region = Region::ball(x, norm, eps, boxed.then_some((0.0, 1.0))).unwrap();
            let settings = Settings { between: Between::CrownAlone, slope: Slope::Same };
            let found = Bounds::new(&net.bounds, region, settings).unwrap().crown(&rows, Slope::Same).unwrap();
            for (k, found) in found.iter().enumerate() {
                let theirs = golden[name][i][k].as_f64().unwrap();
                assert!((found - theirs).abs() < 1e-9, "{name}, image {i}: {found} and {theirs}");
            }
        }
    }
}

/// Y_0 = |x₀ − x₁|, Y_1 = 0.5.
fn distance() -> nets::Net {
    layers(2, &[(&[1.0, -1.0, -1.0, 1.0], &[0.0, 0.0]), (&[1.0, 1.0, 0.0, 0.0], &[0.0, 0.5])])
}

fn verdict(asked: &str) -> Verdict {
    let declared =
        "(declare-const X_0 Real) (declare-const X_1 Real) (declare-const Y_0 Real) (declare-const Y_1 Real)";
    let property = Property::parse(&format!("{declared} {asked}"), "p.vnnlib").unwrap();
    let net = distance();
    let mut judge = |x: &[f64]| Ok(property.satisfied(x, &net.logits(x)));
    verify(&net.bounds, &property, &Budget::default(), &mut judge).unwrap().0
}

#[test]
fn properties_are_proved_or_broken() {
    let near = "(assert (>= X_0 0)) (assert (<= X_0 0.4)) (assert (>= X_1 0)) (assert (<= X_1 0.4))";
    let far = "(assert (>= X_0 0)) (assert (<= X_0 0.6)) (assert (>= X_1 0)) (assert (<= X_1 0.4))";
    assert_eq!(verdict(&format!("{near} (assert (>= Y_0 Y_1))")), Verdict::Unsat);
    let Verdict::Sat(x) = verdict(&format!("{far} (assert (>= Y_0 Y_1))")) else { panic!("0.6 is far enough") };
    assert!((x[0] - x[1]).abs() >= 0.5);
    // Two boxes; conditions that hold one by one and not together.
    let boxes = "(assert (or (and (>= X_0 0) (<= X_0 0.1)) (and (>= X_0 0.2) (<= X_0 0.4)))) (assert (>= X_1 0)) (assert (<= X_1 0.3))";
    assert_eq!(verdict(&format!("{boxes} (assert (>= Y_0 Y_1))")), Verdict::Unsat);
    assert_eq!(verdict(&format!("{near} (assert (or (and (>= Y_0 0.1) (>= Y_0 0.6)) (<= Y_1 0.4)))")), Verdict::Unsat);
    // No single inequality fails everywhere: it is not known, and never said to be.
    assert!(matches!(verdict(&format!("{near} (assert (>= Y_0 0.1)) (assert (<= Y_0 0.05))")), Verdict::Unknown(_)));
}

#[test]
fn a_property_of_another_network_is_refused() {
    let text =
        "(declare-const X_0 Real) (declare-const Y_0 Real) (assert (>= X_0 0)) (assert (<= X_0 1)) (assert (>= Y_0 1))";
    let property = Property::parse(text, "p.vnnlib").unwrap();
    let e = verify(&distance().bounds, &property, &Budget::default(), &mut |_| Ok(false)).unwrap_err().to_string();
    assert!(e.contains("1 inputs and 1 outputs, and this one has 2 and 2"), "{e}");
}
