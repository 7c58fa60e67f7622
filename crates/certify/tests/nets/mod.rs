//! Small networks and where they can be broken: what the tests of bounds have in common.
#![allow(dead_code, missing_docs, clippy::unwrap_used)]

use candle_core::{Device, Tensor};
use gauntlet_certify::Network;
use gauntlet_core::{Activation, Frozen, Key, ModelInfo, Precision, Purpose, Target, Weights};
use gauntlet_graph::{Binary, Builder, Function, Graph, Interpreter, Layer, NodeId, Windows};
use gauntlet_records::Norm;
use std::sync::Arc;

pub struct Net {
    pub graph: Graph,
    pub weights: Weights,
    pub bounds: Network,
    pub target: Frozen,
}

pub fn info(input: (usize, usize, usize), classes: usize, activation: Activation) -> ModelInfo {
    ModelInfo { name: "net".into(), input, classes, activation, mean: Vec::new(), std: Vec::new(), numerics: 1 }
}

pub fn stream(seed: u64) -> impl FnMut() -> f64 {
    let mut stream = Key::new(seed, Purpose::Init).stream(0, 0, 0);
    move || 2.0 * stream.uniform() - 1.0
}

/// The graph with random weights; variances are positive.
pub fn net(graph: Graph, seed: u64, scale: f64) -> Net {
    let mut next = stream(seed);
    let entries = graph.params().iter().map(|spec| {
        let count: usize = spec.shape.iter().product();
        let fan = spec.shape.iter().skip(1).product::<usize>().max(1);
        let value = |v: f64| {
            if spec.name.ends_with("running_var") { 0.5 + v.abs() } else { v * scale * (3.0 / fan as f64).sqrt() }
        };
        let numbers: Vec<f64> = (0..count).map(|_| value(next())).collect();
        (spec.name.clone(), Tensor::from_vec(numbers, spec.shape.as_slice(), &Device::Cpu).unwrap(), spec.trainable)
    });
    let weights = Weights::from_entries(entries.collect::<Vec<_>>());
    given(graph, weights)
}

pub fn given(graph: Graph, weights: Weights) -> Net {
    let bounds = Network::new(&graph, &weights).unwrap();
    let target = Frozen::new(Arc::new(Interpreter::new(graph.clone())), weights.constants());
    Net { graph, weights, bounds, target }
}

/// Layers of (weights by rows, biases) with rectifiers between.
pub fn layers(inputs: usize, layers: &[(&[f64], &[f64])]) -> Net {
    let classes = layers.last().unwrap().1.len();
    let mut g = Builder::new(info((1, 1, inputs), classes, Activation::Relu));
    let x = g.input();
    let mut x = g.flatten(x).unwrap();
    let mut entries = Vec::new();
    for (i, (weight, bias)) in layers.iter().enumerate() {
        if i > 0 {
            x = g.act(x).unwrap();
        }
        x = g.linear(format!("fc{i}"), bias.len()).of(x).unwrap();
        let columns = weight.len() / bias.len();
        let tensor = |v: &[f64], dims: &[usize]| Tensor::from_slice(v, dims, &Device::Cpu).unwrap();
        entries.push((format!("fc{i}.weight"), tensor(weight, &[bias.len(), columns]), true));
        entries.push((format!("fc{i}.bias"), tensor(bias, &[bias.len()]), true));
    }
    given(g.finish(x).unwrap(), Weights::from_entries(entries))
}

/// Networks of every layer that has a bound.
pub fn zoo(seed: u64) -> Vec<(String, Net)> {
    let mut all = Vec::new();
    for activation in Activation::ALL {
        let mut g = Builder::new(info((1, 1, 4), 3, activation));
        let x = g.input();
        let x = g.flatten(x).unwrap();
        let x = g.linear("a", 7).of(x).unwrap();
        let x = g.act(x).unwrap();
        let x = g.linear("b", 5).of(x).unwrap();
        let x = g.act(x).unwrap();
        let z = g.linear("c", 3).of(x).unwrap();
        all.push((format!("mlp, {}", activation.name()), net(g.finish(z).unwrap(), seed, 1.5)));
    }
    let relu = || Builder::new(info((2, 6, 6), 3, Activation::Relu));
    let head = |mut g: Builder, x: NodeId, seed: u64| {
        let x = g.flatten(x).unwrap();
        let z = g.linear("head", 3).of(x).unwrap();
        net(g.finish(z).unwrap(), seed, 1.5)
    };
    let mut g = relu();
    let x = g.input();
    let x = g.affine(x, vec![2.0, 0.5], vec![-1.0, 0.25]).unwrap();
    let x = g.conv("a", 3, 3).stride(2).padding(1).of(x).unwrap();
    let x = g.batch_norm("n", x).unwrap();
    let x = g.act(x).unwrap();
    let x = g.conv("b", 4, 2).of(x).unwrap();
    let x = g.act(x).unwrap();
    all.push(("convolutions".into(), head(g, x, seed + 1)));
    let mut g = relu();
    let x = g.input();
    let y = g.conv("a", 2, 3).padding(1).of(x).unwrap();
    let y = g.act(y).unwrap();
    let y = g.conv("b", 2, 3).padding(1).of(y).unwrap();
    let y = g.add(y, x).unwrap();
    let y = g.act(y).unwrap();
    let y = g.global_avg_pool(y).unwrap();
    all.push(("a residual sum".into(), head(g, y, seed + 2)));
    let mut g = relu();
    let x = g.input();
    let y = g.conv("a", 2, 3).of(x).unwrap();
    let y = g.act(y).unwrap();
    let y = g.max_pool(y, 2).unwrap();
    all.push(("max pool".into(), head(g, y, seed + 3)));
    let mut g = relu();
    let x = g.input();
    let padded = Windows { size: (3, 3), strides: (2, 2), pads: [1, 1, 1, 1], dilations: (1, 1) };
    let mean = Layer::WindowMean { windows: padded, overhang: (0, 0), padding_counts: false };
    let a = g.layer(Layer::WindowMax(padded), &[x]).unwrap();
    let b = g.layer(mean, &[x]).unwrap();
    let y = g.layer(Layer::Concat { axis: 0 }, &[a, b]).unwrap();
    let y = g.layer(Layer::Transpose(vec![1, 2, 0]), &[y]).unwrap();
    let y = g.layer(Layer::Slice { axis: 0, start: 0, count: 2, step: 2 }, &[y]).unwrap();
    let y = g.layer(Layer::Pad { axis: 1, before: 1, after: 0, value: 0.5 }, &[y]).unwrap();
    let y = g.layer(Layer::Map(Function::Clamp { lo: 0.2, hi: 0.7 }), &[y]).unwrap();
    let y = g.layer(Layer::Map(Function::Abs), &[y]).unwrap();
    all.push(("pools side by side, moved, clamped".into(), head(g, y, seed + 4)));
    let mut g = relu();
    let x = g.input();
    let spec = |name: &str, shape: Vec<usize>| gauntlet_core::ParamSpec {
        name: name.into(),
        shape,
        init: gauntlet_core::Init::Constant(0.0),
        trainable: true,
    };
    let windows = Windows { size: (2, 3), strides: (2, 1), pads: [1, 0, 0, 1], dilations: (1, 2) };
    let y = g
        .layer_with(
            Layer::Conv { windows, groups: 2 },
            &[x],
            "a",
            vec![spec("a.weight", vec![4, 1, 2, 3]), spec("a.bias", vec![4])],
        )
        .unwrap();
    let y = g.layer(Layer::Map(Function::LeakyRelu { slope: 0.3 }), &[y]).unwrap();
    let k = g.layer_with(Layer::Parameter, &[], "k", vec![spec("k", vec![4, 1, 1])]).unwrap();
    let y = g.layer(Layer::Binary(Binary::Mul), &[y, k]).unwrap();
    let y = g.layer(Layer::Binary(Binary::Add), &[k, y]).unwrap();
    let y = g.layer(Layer::Map(Function::HardSigmoid { alpha: 0.5, beta: 0.4 }), &[y]).unwrap();
    all.push(("groups, dilation, constants".into(), head(g, y, seed + 5)));
    let mut g = relu();
    let x = g.input();
    let x = g.flatten(x).unwrap();
    let x = g.linear("a", 12).of(x).unwrap();
    let x = g.maxout(x, 3).unwrap();
    let w = g.layer_with(Layer::Parameter, &[], "w", vec![spec("w", vec![4, 5])]).unwrap();
    let x = g.layer(Layer::MatMul, &[x, w]).unwrap();
    let x = g.act(x).unwrap();
    all.push(("maxout and a product".into(), head(g, x, seed + 6)));
    all
}

impl Net {
    pub fn pixels(&self) -> usize {
        self.bounds.pixels()
    }
    pub fn image(&self, seed: u64) -> Vec<f64> {
        let mut next = stream(seed ^ 0x5eed);
        (0..self.pixels()).map(|_| 0.5 + 0.5 * next()).collect()
    }
    pub fn logits(&self, x: &[f64]) -> Vec<f64> {
        let (c, h, w) = self.graph.interface().input;
        let x = Tensor::from_slice(x, (1, c, h, w), &Device::Cpu).unwrap();
        self.target.logits(&x).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    }
    pub fn label(&self, x: &[f64]) -> usize {
        let z = self.logits(x);
        (0..z.len()).max_by(|a, b| z[*a].total_cmp(&z[*b])).unwrap()
    }
    /// ∇ₓ Σ cotangent · logits.
    pub fn gradient(&self, x: &[f64], cotangent: &[f64]) -> Vec<f64> {
        let (c, h, w) = self.graph.interface().input;
        let x = Tensor::from_slice(x, (1, c, h, w), &Device::Cpu).unwrap();
        let cotangent = Tensor::from_slice(cotangent, (1, cotangent.len()), &Device::Cpu).unwrap();
        let linear = self.target.linearise(&x).unwrap();
        linear.pull(&cotangent).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    }
    /// The same weights in f32.
    pub fn in_single(&self) -> Frozen {
        let weights = self.weights.to_precision(Precision::F32).unwrap();
        Frozen::new(Arc::new(Interpreter::new(self.graph.clone())), weights.constants())
    }

    /// Points of the ball (and the box, where there is one) that come near to its worst: random ones, corners, and ascents.
    pub fn points(&self, x: &[f64], (norm, eps): (Norm, f64), boxed: bool, row: &[f64], seed: u64) -> Vec<Vec<f64>> {
        let mut next = stream(seed);
        let inside = |delta: &[f64]| -> Vec<f64> {
            let size = norm.of(delta.iter().copied());
            let shrink = if size > eps { eps / size * (1.0 - 1e-12) } else { 1.0 };
            let clamp = |v: f64| if boxed { v.clamp(0.0, 1.0) } else { v };
            delta.iter().zip(x).map(|(d, x)| clamp(x + d * shrink)).collect()
        };
        let mut found = Vec::new();
        for k in 0..30 {
            let delta: Vec<f64> =
                (0..x.len()).map(|_| if k % 2 == 0 { eps * next() } else { eps * next().signum() }).collect();
            found.push(inside(&delta));
        }
        let mut at = x.to_vec();
        for step in 0..40 {
            let g = self.gradient(&at, row);
            let size = 0.5 * eps / (1.0 + step as f64 / 8.0);
            let length = g.iter().map(|g| g * g).sum::<f64>().sqrt().max(1e-12);
            let largest = g.iter().fold(0.0f64, |m, g| m.max(g.abs()));
            let moved: Vec<f64> = g
                .iter()
                .zip(&at)
                .zip(x)
                .map(|((g, a), x)| {
                    a - x
                        - size
                            * match norm {
                                Norm::Linf => g.signum(),
                                Norm::L2 => g / length,
                                Norm::L0 => unreachable!("nothing is certified in L0"),
                                Norm::L1 => {
                                    if g.abs() == largest {
                                        g.signum()
                                    } else {
                                        0.0
                                    }
                                }
                            }
                })
                .collect();
            at = inside(&moved);
            found.push(at.clone());
        }
        found
    }
}
