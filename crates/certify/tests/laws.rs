//! What must hold of every bound, on networks whose truth is known or can be searched.
#![allow(clippy::unwrap_used)]

mod nets;

use candle_core::{Device, Tensor};
use gauntlet_certify::{
    Between, Bounds, Budget, Ending, Executed, Fate, Method, Network, Plan, Region, Rows, Settings, Slope, certify,
};
use gauntlet_core::{Activation, Precision, Target, Weights};
use gauntlet_graph::{Builder, Function, Layer, Windows};
use gauntlet_records::Norm;
use nets::{Net, info, layers, net, stream, zoo};

const BETWEEN: [Between; 3] = [Between::Intervals, Between::Crown, Between::CrownAlone];
const SLOPES: [Slope; 4] = [Slope::Adaptive, Slope::Same, Slope::Zero, Slope::One];

/// Every sound bound of the rows that there is.
fn all_bounds(network: &Network, region: &Region, rows: &Rows) -> Vec<(String, Vec<f64>)> {
    let mut all = Vec::new();
    for between in BETWEEN {
        for slope in SLOPES {
            let bounds = Bounds::new(network, region.clone(), Settings { between, slope }).unwrap();
            all.push((format!("intervals behind {between:?}, {slope:?}"), bounds.interval_margins(rows).unwrap()));
            for last in SLOPES {
                all.push((format!("{last:?} behind {between:?}, {slope:?}"), bounds.crown(rows, last).unwrap()));
            }
        }
    }
    all
}

fn region(x: &[f64], norm: Norm, eps: f64, boxed: bool) -> Region {
    Region::ball(x, norm, eps, boxed.then_some((0.0, 1.0))).unwrap()
}

fn factors(classes: usize, label: usize) -> Vec<Vec<f64>> {
    let row = |other: usize| {
        let mut row = vec![0.0; classes];
        (row[label], row[other]) = (1.0, -1.0);
        row
    };
    (0..classes).filter(|o| *o != label).map(row).collect()
}

fn least(v: &[f64]) -> f64 {
    v.iter().copied().fold(f64::INFINITY, f64::min)
}

#[test]
fn the_lowered_network_computes_what_the_interpreter_does() {
    for seed in 0..3 {
        for (name, net) in zoo(seed) {
            let x = net.image(seed);
            for (a, b) in net.bounds.logits(&x).unwrap().iter().zip(net.logits(&x)) {
                assert!((a - b).abs() < 1e-12, "{name}: {a} and {b}");
            }
        }
    }
}

#[test]
fn no_point_of_a_region_is_below_a_bound() {
    for seed in 0..2 {
        for (name, net) in zoo(seed) {
            let x = net.image(seed);
            let label = net.label(&x);
            let rows = Rows::margins(3, label).unwrap();
            for (norm, eps, boxed) in [
                (Norm::Linf, 0.05, true),
                (Norm::Linf, 0.6, false),
                (Norm::L2, 0.3, true),
                (Norm::L2, 0.2, false),
                (Norm::L1, 0.5, true),
                (Norm::L1, 0.8, false),
            ] {
                let bounds = all_bounds(&net.bounds, &region(&x, norm, eps, boxed), &rows);
                for (k, row) in factors(3, label).iter().enumerate() {
                    let points = net.points(&x, (norm, eps), boxed, row, seed);
                    let margin = |p: &Vec<f64>| row.iter().zip(net.logits(p)).map(|(c, z)| c * z).sum::<f64>();
                    let found = points.iter().map(margin).fold(f64::INFINITY, f64::min);
                    for (how, bounds) in &bounds {
                        let bound = bounds[k];
                        assert!(
                            bound <= found + 1e-12,
                            "{name}, {norm} {eps}, box {boxed}, {how}: {bound} above {found}"
                        );
                        assert!(bound.is_finite(), "{name}, {norm} {eps}, {how}: no bound");
                    }
                }
            }
        }
    }
}

#[test]
fn at_radius_zero_a_bound_is_the_margin() {
    for (name, net) in zoo(5) {
        let x = net.image(1);
        let label = net.label(&x);
        let rows = Rows::margins(3, label).unwrap();
        let now = rows.at(&net.logits(&x));
        for (how, bounds) in all_bounds(&net.bounds, &region(&x, Norm::Linf, 0.0, true), &rows) {
            for (bound, now) in bounds.iter().zip(&now) {
                assert!((bound - now).abs() < 1e-11 && bound <= now, "{name}, {how}: {bound} and {now}");
            }
        }
    }
}

#[test]
fn a_linear_model_is_bounded_exactly_in_every_norm() {
    let mut g = Builder::new(info((1, 2, 3), 4, Activation::Relu));
    let x = g.input();
    let x = g.flatten(x).unwrap();
    let z = g.linear("a", 4).of(x).unwrap();
    let net = net(g.finish(z).unwrap(), 3, 2.0);
    let x = net.image(7);
    let label = net.label(&x);
    let rows = Rows::margins(4, label).unwrap();
    let now = rows.at(&net.logits(&x));
    for (norm, eps) in [(Norm::Linf, 0.07), (Norm::L2, 0.2), (Norm::L1, 0.3)] {
        for boxed in [false, true] {
            for (how, bounds) in all_bounds(&net.bounds, &region(&x, norm, eps, boxed), &rows) {
                if boxed && norm != Norm::Linf && how.starts_with("intervals") {
                    continue;
                }
                for (k, row) in factors(4, label).iter().enumerate() {
                    let a = net.gradient(&x, row);
                    let exact = now[k] + steepest(&a, &x, norm, eps, boxed);
                    assert!((bounds[k] - exact).abs() < 1e-9, "{norm} box {boxed}, {how}: {} and {exact}", bounds[k]);
                }
            }
        }
    }
}

/// min ⟨a, δ⟩ over ‖δ‖ ≤ ε and the box: coordinates at their ends, or by a search for the multiplier in small steps.
fn steepest(a: &[f64], x: &[f64], norm: Norm, eps: f64, boxed: bool) -> f64 {
    let room = |i: usize| match (boxed, a[i] > 0.0) {
        (false, _) => f64::INFINITY,
        (true, true) => x[i],
        (true, false) => 1.0 - x[i],
    };
    match norm {
        Norm::Linf => (0..a.len()).map(|i| -a[i].abs() * room(i).min(eps)).sum(),
        Norm::L1 => {
            let mut order: Vec<usize> = (0..a.len()).collect();
            order.sort_by(|i, j| a[*j].abs().total_cmp(&a[*i].abs()));
            let mut left = eps;
            let mut fall = 0.0;
            for i in order {
                let step = room(i).min(left);
                (fall, left) = (fall - a[i].abs() * step, left - step);
            }
            fall
        }
        Norm::L0 => unreachable!("nothing is certified in L0"),
        Norm::L2 => {
            // Coordinates that hit their ends, largest ratio first, are taken out one by one.
            let mut free: Vec<usize> = (0..a.len()).collect();
            let (mut fall, mut left) = (0.0, eps * eps);
            loop {
                let length = free.iter().map(|i| a[*i] * a[*i]).sum::<f64>().sqrt();
                let hit = free.iter().position(|i| a[*i].abs() / length * left.sqrt() > room(*i));
                match hit {
                    None => return fall - length * left.sqrt(),
                    Some(k) => {
                        let i = free.remove(k);
                        fall -= a[i].abs() * room(i);
                        left -= room(i) * room(i);
                    }
                }
            }
        }
    }
}

#[test]
fn bounds_fall_with_the_radius_and_rise_with_the_box() {
    for (name, net) in zoo(11).into_iter().filter(|(n, _)| !n.contains("mlp") || n.contains("relu")) {
        let x = net.image(2);
        let rows = Rows::margins(3, net.label(&x)).unwrap();
        for norm in [Norm::Linf, Norm::L2, Norm::L1] {
            let mut last = f64::INFINITY;
            let mut certified = true;
            for eps in [0.0, 0.01, 0.03, 0.1, 0.3, 1.0] {
                let of = |between, boxed| {
                    let settings = Settings { between, slope: Slope::Same };
                    Bounds::new(&net.bounds, region(&x, norm, eps, boxed), settings).unwrap()
                };
                let bound = least(&of(Between::Intervals, true).interval_margins(&rows).unwrap());
                assert!(bound <= last + 1e-12, "{name}: {bound} after {last}");
                last = bound;
                let open = least(&of(Between::Intervals, false).interval_margins(&rows).unwrap());
                assert!(open <= bound + 1e-12, "{name}, {norm} {eps}: {open} without the box, {bound} with it");
                let crown = of(Between::Crown, true);
                let meet = crown.interval_margins(&rows).unwrap();
                let alone = of(Between::Intervals, true).interval_margins(&rows).unwrap();
                assert!(meet.iter().zip(&alone).all(|(m, a)| m >= &(a - 1e-12)), "{name}: {meet:?} {alone:?}");
                let now = least(&crown.crown(&rows, Slope::Same).unwrap()) > 0.0;
                assert!(certified || !now, "{name}: certified again at {norm} {eps}");
                certified = now;
            }
        }
    }
}

/// Parts that were made, how it ended and the bound.
fn search(net: &Net, region: &Region, rows: &Rows, budget: &Budget) -> gauntlet_certify::Search {
    let bounds = Bounds::new(&net.bounds, region.clone(), Settings::default()).unwrap();
    let known = bounds.crown(rows, Slope::Adaptive).unwrap();
    let judge = |x: &[f64]| -> gauntlet_core::Result<bool> {
        assert!(region.contains(x));
        Ok(rows.at(&net.logits(x)).iter().any(|m| *m <= 0.0))
    };
    bounds.search(rows, &known, budget, &mut { judge }).unwrap()
}

#[test]
fn the_more_is_done_the_better_the_bound() {
    for (name, net) in zoo(21).into_iter().filter(|(n, _)| n != "mlp, gelu" && n != "mlp, silu") {
        let x = net.image(3);
        let rows = Rows::margins(3, net.label(&x)).unwrap();
        let region = region(&x, Norm::Linf, 0.08, true);
        let crown = Bounds::new(&net.bounds, region.clone(), Settings::default()).unwrap();
        // What cannot be proved shows the bounds themselves.
        let rows = rows.above(&[1.0, 1.0]);
        let first = crown.crown(&rows, Slope::Adaptive).unwrap();
        let mut last = least(&first);
        for nodes in [2, 30] {
            let judge = &mut |_: &[f64]| Ok(false);
            let found = crown.search(&rows, &first, &Budget { nodes, ..Budget::default() }, judge).unwrap();
            assert!(found.bound >= last - 1e-12, "{name}, {nodes} parts: {} after {last}", found.bound);
            last = found.bound;
        }
    }
}

/// The least value of a piecewise linear function of one number in [low, high]: it is attained at a kink or an end.
fn least_on_a_line(net: &Net, widths: &[usize], row: &[f64], low: f64, high: f64) -> f64 {
    let mut kinks = vec![low, high];
    let values = |x: f64| -> Vec<Vec<f64>> {
        let mut all: Vec<Vec<f64>> = Vec::new();
        let mut now = vec![x];
        for (i, _) in widths.iter().enumerate() {
            let w: Vec<Vec<f64>> = net.weights.get(&format!("fc{i}.weight")).unwrap().to_vec2().unwrap();
            let b: Vec<f64> = net.weights.get(&format!("fc{i}.bias")).unwrap().to_vec1().unwrap();
            let z: Vec<f64> =
                w.iter().zip(&b).map(|(w, b)| w.iter().zip(&now).map(|(w, x)| w * x).sum::<f64>() + b).collect();
            now = z.iter().map(|z| z.max(0.0)).collect();
            all.push(z);
        }
        all
    };
    for layer in 0..widths.len() {
        kinks.sort_by(f64::total_cmp);
        let mut more = Vec::new();
        for pair in kinks.windows(2).filter(|p| p[1] > p[0]) {
            let (a, b) = (values(pair[0]), values(pair[1]));
            for (p, q) in a[layer].iter().zip(&b[layer]) {
                if p * q < 0.0 {
                    more.push(pair[0] + (pair[1] - pair[0]) * p / (p - q));
                }
            }
        }
        kinks.extend(more);
    }
    let at = |x: &f64| net.logits(&[*x]).iter().zip(row).map(|(z, c)| z * c).sum::<f64>();
    kinks.iter().map(at).fold(f64::INFINITY, f64::min)
}

#[test]
fn branch_and_bound_is_exact_where_everything_can_be_enumerated() {
    for seed in 0..12 {
        let mut next = stream(100 + seed);
        let mut numbers = |n: usize, scale: f64| -> Vec<f64> { (0..n).map(|_| scale * next()).collect() };
        let (w0, b0, w1, b1) = (numbers(6, 3.0), numbers(6, 1.5), numbers(36, 1.0), numbers(6, 0.5));
        let (w2, b2) = (numbers(12, 1.0), numbers(2, 0.5));
        let net = layers(1, &[(&w0, &b0), (&w1, &b1), (&w2, &b2)]);
        let exact = least_on_a_line(&net, &[6, 6], &[1.0, -1.0], 0.0, 1.0);
        let region = Region::of_box(&[0.0], &[1.0]).unwrap();
        let rows = |less: f64| Rows::new(2, vec![1.0, -1.0], vec![-(exact - less)]).unwrap();
        let budget = Budget { nodes: 20_000, ..Budget::default() };
        let proved = search(&net, &region, &rows(1e-6), &budget);
        assert_eq!(proved.ending, Ending::Proved, "seed {seed}: {proved:?}, least {exact}");
        assert!(proved.bound > 0.0 && proved.bound <= 1e-6 + 1e-12, "{proved:?}");
        let broken = search(&net, &region, &rows(-1e-6), &budget);
        assert!(!matches!(broken.ending, Ending::Proved), "seed {seed}: proved beyond the least value: {broken:?}");
    }
}

/// |⟨w, x − x₀⟩| − c as two rectifiers: logits (|·|, c).
fn planted(w: &[f64], x0: &[f64], c: f64) -> Net {
    let at: f64 = w.iter().zip(x0).map(|(w, x)| w * x).sum();
    let both: Vec<f64> = w.iter().copied().chain(w.iter().map(|w| -w)).collect();
    layers(w.len(), &[(&both, &[-at, at]), (&[1.0, 1.0, 0.0, 0.0], &[0.0, c])])
}

fn plan(nodes: usize) -> Plan {
    Plan { methods: Method::ALL.into(), executed: Executed::Exactly, budget: Budget { nodes, ..Budget::default() } }
}

fn fate(net: &Net, region: &Region, rows: &Rows) -> Fate {
    let judge = &mut |x: &[f64]| Ok(rows.at(&net.logits(x)).iter().any(|m| *m <= 0.0));
    certify(&net.bounds, region, rows, &plan(500), judge).unwrap().fate
}

#[test]
fn a_planted_radius_is_found_to_a_thousandth() {
    let (w, x0) = ([1.0, -2.0, 0.5], [0.5, 0.5, 0.5]);
    let net = planted(&w, &x0, 0.3);
    let x = [0.7, 0.2, 0.6];
    let distance: f64 = 0.2 + 0.6 + 0.05;
    let rows = Rows::margins(2, 0).unwrap();
    for (norm, dual) in [(Norm::Linf, 3.5), (Norm::L2, 5.25f64.sqrt()), (Norm::L1, 2.0)] {
        let radius = (distance - 0.3) / dual;
        let of = |share: f64| fate(&net, &region(&x, norm, share * radius, false), &rows);
        assert_eq!(of(0.999), Fate::Certified, "{norm}");
        assert!(matches!(of(1.001), Fate::Broken(_)), "{norm}");
    }
}

#[test]
fn a_planted_counterexample_is_never_certified_away() {
    // One rectifier fires within τ of one corner of the cube, and only there.
    let n = 12;
    let (eps, tau) = (0.1, 0.02);
    let x = vec![0.5; n];
    let signs: Vec<f64> = (0..n).map(|i| if i % 3 == 0 { -1.0 } else { 1.0 }).collect();
    let middle: f64 = signs.iter().map(|s| 0.5 * s).sum();
    let bias = -(middle + n as f64 * eps - tau);
    let net = layers(n, &[(&signs, &[bias]), (&[-100.0, 0.0], &[1.0, 0.0])]);
    let region = region(&x, Norm::Linf, eps, true);
    let rows = Rows::margins(2, 0).unwrap();
    for (how, bounds) in all_bounds(&net.bounds, &region, &rows) {
        assert!(bounds[0] <= 1.0 - 100.0 * tau + 1e-12, "{how}: {bounds:?}");
    }
    assert!(matches!(fate(&net, &region, &rows), Fate::Broken(_)));
    // Random points see nothing.
    let seen = net.points(&x, (Norm::Linf, eps), true, &[1.0, -1.0], 1);
    assert!(seen.iter().take(30).all(|p| net.logits(p)[0] > net.logits(p)[1]));
}

#[test]
fn huge_and_tiny_weights_end_open_or_right() {
    // Zombori et al.: a number so large that f32, and f64 at larger scales, lose the difference that decides.
    for scale in [1e6, 1e16, 1e30, 1e-6, 1e-30] {
        let net = layers(1, &[(&[scale, scale], &[0.0, -1.0]), (&[1.0, -1.0, 0.0, 0.0], &[-0.5, 0.0])]);
        // relu(s·x) − relu(s·x − 1) − 0.5: for large s·x 1 − 0.5, at x = 0 −0.5.
        let rows = Rows::margins(2, 0).unwrap();
        let zero = Region::of_box(&[0.0], &[1.0]).unwrap();
        let judge = &mut |_: &[f64]| Ok(false);
        // A box is no ball, which `kw` would have without it.
        let methods = vec![Method::Ibp, Method::Crown, Method::Bab];
        let found = certify(&net.bounds, &zero, &rows, &Plan { methods, ..plan(50) }, judge).unwrap();
        assert!(found.fate != Fate::Certified, "{scale}: {found:?}");
        assert!(found.bound <= -0.5 + 1e-9, "{scale}: {found:?}");
    }
}

#[test]
fn what_is_not_finite_is_never_certified() {
    // Two layers of 10²⁰⁰ overflow; the margin is +1 on paper.
    let net = layers(1, &[(&[1e200, -1e200], &[1e200, 0.0]), (&[1e200, 1e200, 0.0, 0.0], &[1.0, 0.0])]);
    let region = Region::of_box(&[0.0], &[1.0]).unwrap();
    for (how, bounds) in all_bounds(&net.bounds, &region, &Rows::margins(2, 0).unwrap()) {
        assert_eq!(bounds, [f64::NEG_INFINITY], "{how}");
    }
}

#[test]
fn what_f32_computes_is_within_its_account() {
    for seed in 0..3 {
        for (name, net) in zoo(seed + 40) {
            // The network of the weights that f32 has.
            let single = net.weights.to_precision(Precision::F32).unwrap();
            let net = nets::given(net.graph, single.to_precision(Precision::F64).unwrap());
            let x: Vec<f64> = net.image(seed).iter().map(|v| f64::from(*v as f32)).collect();
            let region = region(&x, Norm::Linf, 0.01, true);
            let bounds = Bounds::new(&net.bounds, region, Settings::default()).unwrap();
            let smooth = ["softplus", "gelu", "silu", "mlp, elu", "tanh", "sigmoid"];
            let errors = match bounds.rounding_in_single() {
                Ok(errors) => errors,
                Err(e) => {
                    assert!(smooth.iter().any(|s| name.contains(s)) && !name.contains("moved"), "{name}: {e}");
                    assert!(e.to_string().contains("whose f32 arithmetic has no account"), "{e}");
                    continue;
                }
            };
            let (c, h, w) = net.graph.interface().input;
            let points = net.points(&x, (Norm::Linf, 0.01), true, &[1.0, -1.0, 0.0], seed);
            for point in points {
                let point: Vec<f32> = point.iter().map(|v| *v as f32).collect();
                let wide: Vec<f64> = point.iter().map(|v| f64::from(*v)).collect();
                let x = Tensor::from_vec(point, (1, c, h, w), &Device::Cpu).unwrap();
                let computed: Vec<f32> = net.in_single().logits(&x).unwrap().flatten_all().unwrap().to_vec1().unwrap();
                for ((a, b), e) in computed.iter().zip(net.logits(&wide)).zip(&errors) {
                    assert!((f64::from(*a) - b).abs() <= *e, "{name}: {a} and {b}, allowed {e}");
                    assert!(*e < 1e-3, "{name}: {e} is no account of much use");
                }
            }
        }
    }
}

/// Where f32 kernels compute by Winograd's algorithms there is no account, whatever the layer calls its kernel: 2×2 with dilation 2 is
/// computed as 3×3, with dilation 4 as 5×5.
#[test]
fn winograd_is_refused_by_the_kernel_that_is_computed() {
    let refused = |size: usize, dilation: usize, channels: usize, stride: usize| {
        let mut g = Builder::new(nets::info((channels, 8, 8), 2, Activation::Relu));
        let x = g.input();
        let windows =
            Windows { size: (size, size), strides: (stride, stride), pads: [0; 4], dilations: (dilation, dilation) };
        let weight = gauntlet_core::ParamSpec {
            name: "a.weight".into(),
            shape: vec![16, channels, size, size],
            init: gauntlet_core::Init::Constant(0.0),
            trainable: true,
        };
        let y = g.layer_with(Layer::Conv { windows, groups: 1 }, &[x], "a", vec![weight]).unwrap();
        let y = g.flatten(y).unwrap();
        let y = g.linear("head", 2).of(y).unwrap();
        let net = nets::net(g.finish(y).unwrap(), 7, 1.0);
        let x = net.image(0);
        let bounds = Bounds::new(&net.bounds, region(&x, Norm::Linf, 0.01, true), Settings::default()).unwrap();
        match bounds.rounding_in_single() {
            Ok(_) => false,
            Err(e) => {
                assert!(
                    e.to_string().contains("layer a") && e.to_string().contains("is computed by Winograd's algorithm"),
                    "{e}"
                );
                true
            }
        }
    };
    for (size, dilation, channels, stride, expected) in [
        (3, 1, 16, 1, true),
        (2, 2, 16, 1, true),
        (2, 4, 16, 1, true),
        (2, 1, 16, 1, false),
        (3, 2, 16, 1, true),
        (2, 3, 16, 1, false),
        (2, 2, 15, 1, false),
        (3, 1, 16, 2, false),
    ] {
        assert_eq!(refused(size, dilation, channels, stride), expected, "{size} {dilation} {channels} {stride}");
    }
}

#[test]
fn threads_and_repetition_change_no_bit() {
    let of = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let (_, net) = zoo(31).into_iter().find(|(n, _)| n == "convolutions").unwrap();
            let x = net.image(3);
            let rows = Rows::margins(3, net.label(&x)).unwrap().above(&[0.3, 0.3]);
            let found =
                search(&net, &region(&x, Norm::Linf, 0.1, true), &rows, &Budget { nodes: 41, ..Budget::default() });
            format!("{found:?}")
        })
    };
    assert_eq!(of(1), of(2));
    assert_eq!(of(1), of(1));
}

#[test]
fn a_layer_without_a_bound_is_named() {
    let mut g = Builder::new(info((1, 1, 4), 2, Activation::Relu));
    let x = g.input();
    let x = g.flatten(x).unwrap();
    let x = g.linear("a", 2).of(x).unwrap();
    let z = g.layer(Layer::Map(Function::Softsign), &[x]).unwrap();
    let graph = g.finish(z).unwrap();
    let key = gauntlet_core::Key::new(0, gauntlet_core::Purpose::Init);
    let weights = Weights::init(graph.params(), key, Precision::F64, &Device::Cpu).unwrap();
    let e = Network::new(&graph, &weights).unwrap_err().to_string();
    assert!(e.contains("net, layer softsign (node 3)") && e.contains("has no bound"), "{e}");
}

#[test]
fn what_does_not_fit_is_refused() {
    let net = planted(&[1.0, 1.0], &[0.0, 0.0], 0.1);
    let region = Region::of_box(&[0.0; 3], &[1.0; 3]).unwrap();
    let e = Bounds::new(&net.bounds, region, Settings::default()).unwrap_err().to_string();
    assert!(e.contains("3 pixels for a network of 2"), "{e}");
    let e = Rows::margins(3, 3).unwrap_err().to_string();
    assert!(e.contains("3 of 3 classes"), "{e}");
    let bounds = Bounds::new(&net.bounds, Region::of_box(&[0.0; 2], &[1.0; 2]).unwrap(), Settings::default()).unwrap();
    let e = bounds.crown(&Rows::margins(3, 0).unwrap(), Slope::Zero).unwrap_err().to_string();
    assert!(e.contains("of 3 logits for a network of 2"), "{e}");
    assert!(Method::named("milp").unwrap_err().to_string().contains("none of ibp, kw, crown, bab"));
}
