//! A test of the tests: bounds of a network that is wrong in one place must be caught by what the laws compare bounds with.

use crate::affine::{Affine, Map};
use crate::bounds::{Between, Bounds, Rows, Settings};
use crate::lines::Slope;
use crate::network::{Network, Op};
use crate::region::Region;
use candle_core::{Device, Tensor};
use gauntlet_core::{Activation, Key, ModelInfo, Precision, Purpose, Weights};
use gauntlet_graph::Builder;
use gauntlet_records::Norm;

/// Two convolutions and a linear layer, all that a mutant can be made of.
fn network(seed: u64) -> Network {
    let (activation, mean, std) = (Activation::Relu, Vec::new(), Vec::new());
    let info = ModelInfo { name: "net".into(), input: (1, 5, 5), classes: 2, activation, mean, std, numerics: 1 };
    let mut g = Builder::new(info);
    let x = g.input();
    let x = g.conv("a", 2, 3).padding(1).of(x).unwrap();
    let x = g.act(x).unwrap();
    let x = g.conv("b", 2, 3).stride(2).of(x).unwrap();
    let x = g.act(x).unwrap();
    let x = g.flatten(x).unwrap();
    let z = g.linear("c", 2).of(x).unwrap();
    let graph = g.finish(z).unwrap();
    let weights = Weights::init(graph.params(), Key::new(seed, Purpose::Init), Precision::F64, &Device::Cpu).unwrap();
    Network::new(&graph, &weights).unwrap()
}

fn affine(network: &mut Network, which: usize) -> &mut Affine {
    let found = network.nodes.iter_mut().filter_map(|n| if let Op::Affine(a) = &mut n.op { Some(a) } else { None });
    found.into_iter().nth(which).unwrap()
}

/// The weight of a convolution, changed.
fn weight(network: &mut Network, which: usize, change: impl Fn(Vec<f64>) -> Vec<f64>) {
    let Map::Conv(g, weight, _) = &affine(network, which).map else { panic!("no convolution") };
    let (g, dims) = (*g, weight.dims().to_vec());
    let numbers = change(weight.flatten_all().unwrap().to_vec1().unwrap());
    affine(network, which).map = Map::conv(g, &Tensor::from_vec(numbers, dims, &Device::Cpu).unwrap()).unwrap();
}

/// How often a point of a ball lies below the bounds that `change` spoils, on networks that are not spoilt.
fn caught(change: &dyn Fn(&mut Network), spoil: &dyn Fn(&mut Bounds<'_>)) -> usize {
    let mut below = 0;
    for seed in 0..20 {
        let whole = network(seed);
        let mut mutant = whole.clone();
        change(&mut mutant);
        let mut stream = Key::new(seed, Purpose::AttackStart).stream(0, 0, 0);
        let x: Vec<f64> = (0..25).map(|_| stream.uniform()).collect();
        let eps = 0.02;
        let region = Region::ball(&x, Norm::Linf, eps, Some((0.0, 1.0))).unwrap();
        for label in 0..2 {
            let rows = Rows::margins(2, label).unwrap();
            let settings = Settings { between: Between::Crown, slope: Slope::Adaptive };
            let mut bounds = Bounds::new(&mutant, region.clone(), settings).unwrap();
            spoil(&mut bounds);
            bounds.lines = bounds.lines_of(Slope::Adaptive);
            let bound = bounds.crown(&rows, Slope::Adaptive).unwrap()[0];
            let point = |_| -> Vec<f64> {
                x.iter().map(|x| (x + eps * (2.0 * stream.uniform() - 1.0)).clamp(0.0, 1.0)).collect()
            };
            let points: Vec<Vec<f64>> = (0..20).map(point).collect();
            below += usize::from(points.iter().any(|p| rows.at(&whole.logits(p).unwrap())[0] < bound));
        }
    }
    below
}

#[test]
fn every_mutant_is_caught_and_the_network_itself_is_not() {
    let nothing = |_: &mut Network| {};
    let as_it_is = |_: &mut Bounds<'_>| {};
    assert_eq!(caught(&nothing, &as_it_is), 0);
    let sign = |n: &mut Network| {
        weight(n, 1, |mut w| {
            w[4] = -w[4];
            w
        })
    };
    let mirrored = |n: &mut Network| {
        weight(n, 0, |w| w.chunks(9).flat_map(|k| k.iter().rev().copied().collect::<Vec<_>>()).collect())
    };
    let bias = |n: &mut Network| affine(n, 2).bias.fill(0.0);
    // As if what is below 0 were above it.
    let ends = |b: &mut Bounds<'_>| {
        for i in 0..b.low.len() {
            if matches!(b.network.nodes[i].op, Op::Affine(_)) {
                let (low, high) = (b.low[i].clone(), b.high[i].clone());
                b.low[i] = high.iter().map(|h| -h).collect();
                b.high[i] = low.iter().map(|l| -l).collect();
            }
        }
    };
    for (name, found) in [
        ("a sign", caught(&sign, &as_it_is)),
        ("the kernel mirrored, as a transpose that forgets to turn it", caught(&mirrored, &as_it_is)),
        ("a bias", caught(&bias, &as_it_is)),
        ("lower and upper ends", caught(&nothing, &ends)),
    ] {
        assert!(found > 0, "{name} changed, and nothing was found");
    }
}
