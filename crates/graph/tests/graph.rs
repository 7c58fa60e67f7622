//! Building: order, shapes and what is said of those that do not fit; what graphs say of themselves; plans.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use candle_core::{DType, Device, Tensor};
use gauntlet_autograd::Var;
use gauntlet_core::{Activation, Init, Key, ModelInfo, Network, ParamSpec, Pass, Precision, Purpose, Result, Weights};
use gauntlet_graph::{Binary, Builder, Cost, Fans, Graph, Interpreter, Layer, NodeId, Plan, Windows};

fn info(input: (usize, usize, usize), activation: Activation) -> ModelInfo {
    ModelInfo { name: "net".into(), input, classes: 10, activation, mean: Vec::new(), std: Vec::new(), numerics: 1 }
}

fn builder(input: (usize, usize, usize)) -> Builder {
    Builder::new(info(input, Activation::Relu))
}

/// A residual block with a shortcut, everything between that has a kernel of its own, and dropout.
fn everything(activation: Activation) -> Result<Graph> {
    let mut g = Builder::new(info((2, 8, 8), activation));
    let x = g.affine(g.input(), vec![2.0, 4.0], vec![-1.0, 0.5])?;
    let y = g.conv("stem", 4, 3).padding(1).of(x)?;
    let y = g.act(y)?;
    let y = g.max_pool(y, 2)?;
    let normal = g.batch_norm("block.bn", y)?;
    let active = g.act(normal)?;
    let shortcut = g.conv("block.shortcut", 6, 1).without_bias().of(active)?;
    let inner = g.conv("block.conv1", 6, 3).padding(1).of(active)?;
    let inner = g.act(inner)?;
    let inner = g.conv("block.conv2", 6, 3).padding(1).without_bias().of(inner)?;
    g.list_after(shortcut, inner)?;
    let y = g.add(inner, shortcut)?;
    let y = g.global_avg_pool(y)?;
    let y = g.linear("hidden", 12).of(y)?;
    let y = g.act(y)?;
    let y = g.dropout(y, 0.25)?;
    let y = g.linear("pieces", 15).of(y)?;
    let y = g.maxout(y, 3)?;
    let z = g.linear("last", 10).of(y)?;
    g.finish(z)
}

#[test]
fn nodes_stand_behind_what_they_read_and_parameters_where_they_are_listed() {
    let graph = everything(Activation::Relu).unwrap();
    assert_eq!(graph.nodes()[0].op, Layer::Input);
    for (i, node) in graph.nodes().iter().enumerate() {
        assert!(node.inputs.iter().all(|input| input.index() < i), "{node:?}");
        assert_eq!(node.inputs.is_empty(), i == 0, "{node:?}");
    }
    assert_eq!(graph.output().index(), graph.nodes().len() - 1);
    // The shortcut is computed before the block's convolutions and listed behind them.
    let names: Vec<&str> = graph.params().iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names[2..6], ["block.bn.weight", "block.bn.bias", "block.bn.running_mean", "block.bn.running_var"]);
    assert_eq!(names[6..10], ["block.conv1.weight", "block.conv1.bias", "block.conv2.weight", "block.shortcut.weight"]);
    let place = |name: &str| graph.nodes().iter().position(|n| n.name == name).unwrap();
    assert!(place("block.shortcut") < place("block.conv1"));
    // Every node finds its own.
    for node in graph.nodes() {
        assert!(node.params.iter().all(|id| graph.param(*id).name.starts_with(&format!("{}.", node.name))), "{node:?}");
    }
    assert_eq!(graph.nodes().iter().map(|n| n.params.len()).sum::<usize>(), names.len());
}

#[test]
fn a_layer_starts_as_it_says_unless_the_scheme_says_otherwise() {
    let seen = |fans: Fans| (Init::HeNormal { fan: fans.inputs }, Init::HeNormal { fan: fans.outputs });
    let net = |mut g: Builder| {
        let x = g.input();
        let y = g.conv("conv", 8, 3).start(seen).of(x)?;
        let y = g.flatten(y)?;
        let z = g.linear("fc", 10).of(y)?;
        Ok::<_, gauntlet_core::Error>(g.finish(z)?.params().iter().map(|p| p.init).collect::<Vec<_>>())
    };
    // fan_in = C · KH · KW, fan_out = O · KH · KW.
    let torch = Init::TorchDefault { fan_in: 8 * 2 * 2 };
    let found = net(Builder::new(info((2, 4, 4), Activation::Relu))).unwrap();
    assert_eq!(found, [Init::HeNormal { fan: 18 }, Init::HeNormal { fan: 72 }, torch, torch]);
    let zero = |_: Fans| (Init::Constant(0.0), Init::Constant(1.0));
    let found = net(Builder::new(info((2, 4, 4), Activation::Relu)).starting(zero)).unwrap();
    assert_eq!(found, [Init::Constant(0.0), Init::Constant(1.0), Init::Constant(0.0), Init::Constant(1.0)]);
}

#[test]
fn what_does_not_fit_is_said_where_it_is_told() {
    let says = |found: Result<NodeId>, words: &[&str]| {
        let said = found.unwrap_err().to_string();
        assert!(words.iter().all(|w| said.contains(w)), "{said}");
    };
    let mut g = builder((3, 5, 5));
    let x = g.input();
    let large = g.conv("conv1", 4, 8).padding(1).of(x);
    says(
        large,
        &["bad value for net, layer conv1:", "a 8×8 kernel (stride 1, padding 1) does not fit an image of 5×5"],
    );
    says(g.conv("conv1", 4, 3).stride(0).of(x), &["layer conv1", "stride 0"]);
    says(g.max_pool(x, 6), &["layer max pool", "a 6×6 window (stride 6) does not fit an image of 5×5"]);
    says(g.linear("fc", 10).of(x), &["layer fc", "expects a vector, its input is 3×5×5: flatten it before"]);
    says(g.maxout(x, 3), &["layer maxout", "expects a vector"]);
    says(g.affine(x, vec![1.0], vec![0.0]), &["layer affine", "1 factors and 1 shifts for 3 channels"]);
    let flat = g.flatten(x).unwrap();
    says(g.conv("conv1", 4, 3).of(flat), &["layer conv1", "expects channels, height and width, its input is 75"]);
    let rows = g.layer(Layer::Reshape(vec![15, 5]), &[x]).unwrap();
    says(g.batch_norm("bn", rows), &["layer bn", "expects channels, height and width"]);
    says(g.global_avg_pool(flat), &["layer global average pool", "expects channels, height and width"]);
    says(g.maxout(flat, 7), &["75 values are not units of 7 pieces"]);
    says(g.maxout(flat, 0), &["75 values are not units of 0 pieces"]);
    says(g.add(x, flat), &["layer add", "its inputs are 3×5×5 and 75, sums need one shape"]);
    let y = g.linear("fc", 10).of(flat).unwrap();
    says(g.linear("fc", 10).of(y), &["layer fc", "two layers have this name"]);
    says(g.batch_norm("fc", x), &["layer fc", "two layers have this name"]);
    let said = g.list_after(y, flat).unwrap_err().to_string();
    assert!(said.contains("one of the two layers has no parameters"), "{said}");
    for p in [1.0, -0.1, f64::NAN] {
        says(g.dropout(y, p), &["layer dropout", "drops with a probability from 0 to below 1, got"]);
    }
    says(g.linear("none", 0).of(flat), &["layer none", "would give 0, which is no value at all"]);
    says(g.conv("none", 0, 3).of(x), &["layer none", "would give 0×3×3, which is no value at all"]);
    let y = g.dropout(y, 0.5).unwrap();
    let mut other = builder((3, 5, 5));
    says(other.act(y), &["net, layer input", "is a node of another network"]);
    // What was refused is no part of the network.
    assert_eq!(g.finish_reachable(y).unwrap().nodes().len(), 4);

    let mut g = builder((3, 5, 5));
    let y = g.act(g.input()).unwrap();
    let said = g.finish(y).unwrap_err().to_string();
    assert!(said.contains("layer output") && said.contains("is 3×5×5, logits are 10 values, one per class"), "{said}");
    let mut g = builder((3, 5, 5));
    let flat = g.flatten(g.input()).unwrap();
    let z = g.linear("fc", 10).of(flat).unwrap();
    g.linear("auxiliary", 10).of(flat).unwrap();
    let said = g.finish(z).unwrap_err().to_string();
    assert!(said.contains("layer auxiliary: nothing reads its value"), "{said}");
}

#[test]
fn costs_and_summary_are_those_by_hand() {
    let graph = everything(Activation::Relu).unwrap();
    // Weights and biases; γ and β; running statistics are no parameters.
    let parameters =
        (4 * 18 + 4) + 8 + (6 * 4) + (6 * 36 + 6) + (6 * 54) + (12 * 6 + 12) + (15 * 12 + 15) + (10 * 5 + 10);
    let multiply_adds = 64 * 4 * 18 + 16 * 6 * (4 + 36 + 54) + 12 * 6 + 15 * 12 + 10 * 5;
    assert_eq!(graph.cost(), Cost { parameters, multiply_adds });
    let summary = graph.summary();
    assert_eq!(summary.total, graph.cost());
    assert_eq!(
        summary.to_string(),
        "\
name            layer                            output  parameters  multiply-adds
                input                            2×8×8
                affine                           2×8×8
stem            conv2d 3×3, stride 1, padding 1  4×8×8           76          4,608
                relu                             4×8×8
                max pool 2×2, stride 2           4×4×4
block.bn        batch norm                       4×4×4            8
                relu                             4×4×4
block.shortcut  conv2d 1×1, stride 1             6×4×4           24            384
block.conv1     conv2d 3×3, stride 1, padding 1  6×4×4          222          3,456
                relu                             6×4×4
block.conv2     conv2d 3×3, stride 1, padding 1  6×4×4          324          5,184
                add                              6×4×4
                global average pool              6
hidden          linear                           12              84             72
                relu                             12
                dropout 0.25                     12
pieces          linear                           15             195            180
                maxout of 3                      5
last            linear                           10              60             50
total                                                           993         13,934
"
    );
}

/// A parameter as a value.
fn parameter(g: &mut Builder, name: &str, shape: &[usize]) -> NodeId {
    let spec = ParamSpec { name: name.into(), shape: shape.to_vec(), init: Init::Constant(1.0), trainable: true };
    g.layer_with(Layer::Parameter, &[], name, vec![spec]).unwrap()
}

#[test]
fn general_layers_say_what_does_not_fit() {
    let says = |found: Result<NodeId>, words: &str| {
        let said = found.unwrap_err().to_string();
        assert!(said.contains(words), "{words:?}: {said}");
    };
    let mut g = builder((4, 5, 5));
    let x = g.input();
    let windows = Windows { size: (3, 2), strides: (1, 1), pads: [3, 0, 0, 0], dilations: (1, 1) };
    says(g.layer(Layer::WindowMax(windows), &[x]), "a window lies in the padding altogether");
    let large = Windows { size: (3, 3), dilations: (3, 1), pads: [0; 4], ..windows };
    says(g.layer(Layer::WindowMax(large), &[x]), "a 3×3 window, stride 1, dilation 3×1 does not fit an image of 5×5");
    let weight = |shape: &[usize]| ParamSpec {
        name: "w".into(),
        shape: shape.to_vec(),
        init: Init::Constant(0.0),
        trainable: true,
    };
    let conv = Layer::Conv { windows: Windows { size: (1, 1), pads: [0; 4], ..windows }, groups: 3 };
    let words = "4 channels and a weight of 6×1×1×1 do not make 3 groups";
    says(g.layer_with(conv, &[x], "w", vec![weight(&[6, 1, 1, 1])]), words);
    let w = parameter(&mut g, "matrix", &[4, 3]);
    says(g.layer(Layer::MatMul, &[x, w]), "the product of 4×5×5 and 4×3: inner sizes differ");
    says(g.layer(Layer::Binary(Binary::Add), &[x, w]), "4×5×5 and 4×3 do not go together");
    let flat = g.flatten(x).unwrap();
    says(g.layer(Layer::Binary(Binary::Mul), &[flat, w]), "4×3 without a batch is more than 100");
    says(g.layer(Layer::Binary(Binary::Mul), &[flat, x]), "its inputs are 100 and 4×5×5 for every example");
    says(g.layer(Layer::Concat { axis: 0 }, &[x, w]), "its inputs are 4×5×5 and 4×3: they differ beside axis 0");
    says(g.layer(Layer::Reshape(vec![7, 3]), &[x]), "7×3 has another number of values than 4×5×5");
    says(g.layer(Layer::Transpose(vec![0, 1, 1]), &[x]), "is no order of the 3 axes");
    let beyond = Layer::Slice { axis: 1, start: 1, count: 3, step: 2 };
    says(g.layer(beyond, &[x]), "3 entries from 1 in steps of 2 are not in 4×5×5");
    says(g.layer(Layer::Select { axis: 0, places: vec![4] }, &[x]), "entry 4 of axis 0 is not in 4×5×5");
    says(g.layer(Layer::Softmax { axis: 3, log: false }, &[x]), "there is no axis 3 in 4×5×5");
    says(g.layer(Layer::Expand(vec![4, 5, 6]), &[x]), "4×5×5 and 4×5×6 do not go together");
    says(g.layer(Layer::Expand(vec![1, 5, 5]), &[x]), "4×5×5 cannot be repeated to 1×5×5");
    let said = g.finish(w).unwrap_err().to_string();
    assert!(said.contains("layer output: does not depend on the image"), "{said}");
}

#[test]
fn a_parameter_of_two_layers_is_one_and_what_is_not_reached_is_left_out() {
    let tied = |shape: &[usize]| {
        let mut g = builder((1, 1, 10));
        let x = g.flatten(g.input()).unwrap();
        let spec = |shape: &[usize]| {
            vec![ParamSpec { name: "w".into(), shape: shape.to_vec(), init: Init::Constant(1.0), trainable: true }]
        };
        let y = g.layer_with(Layer::Linear, &[x], "a", spec(&[10, 10])).unwrap();
        let z = g.layer_with(Layer::Linear, &[y], "b", spec(shape)).unwrap();
        parameter(&mut g, "idle", &[3]);
        g.linear("auxiliary", 10).of(y).unwrap();
        g.finish_reachable(z)
    };
    let graph = tied(&[10, 10]).unwrap();
    let names: Vec<&str> = graph.params().iter().map(|p| p.name.as_str()).collect();
    assert_eq!((names, graph.nodes().len()), (vec!["w"], 4));
    assert_eq!(graph.nodes()[2].params, graph.nodes()[3].params);
    let said = tied(&[10, 10, 1]).unwrap_err().to_string();
    assert!(said.contains("layer w: is a parameter of 10×10 and of 10×10×1"), "{said}");
}

/// Kinds of the calls, with a `+` where a rectifier comes along.
fn calls(graph: &Graph) -> Vec<String> {
    let plan = Plan::of(graph);
    let word =
        |c: &gauntlet_graph::Call| format!("{}{}", graph.node(c.node).op.kind(), if c.rectified { "+" } else { "" });
    plan.calls().iter().map(word).collect()
}

#[test]
fn layers_with_one_kernel_are_one_call() {
    let rectified = calls(&everything(Activation::Relu).unwrap());
    // The rectifier behind the stem is applied to what the pool leaves.
    let wanted = "affine, conv2d, max pool, relu, batch norm+, conv2d, conv2d+, conv2d, add, global average pool, linear+, \
                  dropout, linear, maxout, linear";
    assert_eq!(rectified.join(", "), wanted);
    let smooth = calls(&everything(Activation::Softplus).unwrap());
    assert_eq!(smooth.len(), everything(Activation::Softplus).unwrap().nodes().len() - 1);
    assert!(smooth.iter().all(|c| !c.ends_with('+')), "{smooth:?}");
}

#[test]
fn what_is_read_twice_or_is_the_output_stays() {
    let mut g = builder((1, 4, 4));
    let x = g.input();
    let y = g.conv("conv", 2, 1).of(x).unwrap();
    let rectified = g.act(y).unwrap();
    let sum = g.add(rectified, y).unwrap();
    let pooled = g.max_pool(rectified, 2).unwrap();
    let (sum, pooled) = (g.flatten(sum).unwrap(), g.flatten(pooled).unwrap());
    let (sum, pooled) = (g.linear("a", 10).of(sum).unwrap(), g.linear("b", 10).of(pooled).unwrap());
    let z = g.add(sum, pooled).unwrap();
    let graph = g.finish(z).unwrap();
    assert_eq!(calls(&graph).join(", "), "conv2d, relu, add, max pool, flatten, flatten, linear, linear, add");
    // A value is let go by the last call that reads it: once, and the logits never.
    let plan = Plan::of(&graph);
    let mut last: Vec<usize> = plan.calls().iter().flat_map(|c| &c.last).map(|id| id.index()).collect();
    last.sort_unstable();
    assert_eq!(last, (0..graph.nodes().len() - 1).collect::<Vec<_>>());
    let read = |call: &gauntlet_graph::Call, id: &NodeId| call.inputs.contains(id);
    for (i, call) in plan.calls().iter().enumerate() {
        assert!(call.last.iter().all(|id| read(call, id) && !plan.calls()[i + 1..].iter().any(|c| read(c, id))));
    }

    let mut g = builder((1, 1, 10));
    let y = g.flatten(g.input()).unwrap();
    let y = g.linear("fc", 10).of(y).unwrap();
    let z = g.act(y).unwrap();
    assert_eq!(calls(&g.finish(z).unwrap()).join(", "), "flatten, linear+", "the logits themselves may be rectified");
}

/// What a network computes, layer by layer from the definitions: no plan, one kernel per layer.
fn by_layers(graph: &Graph, weights: &Weights, x: &Var) -> Var {
    let param = |name: String| Var::constant(weights.get(&name).unwrap().clone());
    let mut values: Vec<Var> = Vec::new();
    for node in graph.nodes() {
        let input = |i: usize| &values[node.inputs[i].index()];
        let own = |leaf: &str| param(format!("{}.{leaf}", node.name));
        let y = match &node.op {
            Layer::Input => Ok(x.clone()),
            Layer::Affine { scale, shift } => {
                let constant = |v: &[f64]| Var::constant(Tensor::new(v, &Device::Cpu).unwrap());
                input(0).channel_affine(&constant(scale), &constant(shift))
            }
            Layer::Conv2d { stride, padding } => {
                let bias = (node.params.len() > 1).then(|| own("bias"));
                input(0).conv2d(&own("weight"), bias.as_ref(), *stride, *padding)
            }
            Layer::Linear => input(0).linear(&own("weight"), Some(&own("bias"))),
            Layer::BatchNorm { eps, .. } => {
                let (mean, var) = (own("running_mean"), own("running_var"));
                input(0).batch_norm_eval(&own("weight"), &own("bias"), mean.tensor(), var.tensor(), *eps)
            }
            Layer::Act(act) => Ok(act.apply(input(0)).unwrap()),
            Layer::MaxPool { size, stride } => input(0).max_pool2d(*size, *stride),
            Layer::GlobalAvgPool => input(0).mean_keepdim(&[2, 3]).unwrap().flatten(),
            Layer::Add => input(0).add(input(1)),
            Layer::Flatten => input(0).flatten(),
            Layer::Maxout { pieces } => {
                let (rows, units) = (input(0).tensor().to_vec2::<f64>().unwrap(), node.shape[0]);
                let largest = |row: &[f64], u: usize| (0..*pieces).map(|p| row[p * units + u]).fold(f64::MIN, f64::max);
                let units: Vec<f64> = rows.iter().flat_map(|r| (0..units).map(|u| largest(r, u))).collect();
                Ok(Var::constant(Tensor::from_vec(units, (rows.len(), node.shape[0]), &Device::Cpu).unwrap()))
            }
            Layer::Dropout { .. } => Ok(input(0).clone()),
            other => unreachable!("not in this network: {other:?}"),
        };
        let y = y.unwrap();
        assert_eq!(y.dims()[1..], node.shape, "{node:?}");
        values.push(y);
    }
    values[graph.output().index()].clone()
}

#[test]
fn the_interpreter_computes_what_the_layers_say() {
    for activation in [Activation::Relu, Activation::Softplus, Activation::Gelu] {
        let graph = everything(activation).unwrap();
        let net = Interpreter::new(graph.clone());
        let weights = Weights::init(&net.specs(), Key::new(1, Purpose::Init), Precision::F64, &Device::Cpu).unwrap();
        let mut s = Key::new(2, Purpose::Sample).stream(0, 0, 0);
        let pixels: Vec<f64> = (0..3 * 2 * 64).map(|_| s.uniform()).collect();
        let x = Var::constant(Tensor::from_vec(pixels, (3, 2, 8, 8), &Device::Cpu).unwrap());
        let z = net.forward(&weights.constants(), &x, &mut Pass::eval(&[0, 1, 2])).unwrap();
        let (found, wanted) = (z.tensor().to_vec2::<f64>().unwrap(), by_layers(&graph, &weights, &x));
        for (a, b) in found.iter().flatten().zip(wanted.tensor().to_vec2::<f64>().unwrap().iter().flatten()) {
            assert!((a - b).abs() < 1e-12, "{activation:?}: {a} instead of {b}");
        }
    }
}

#[test]
fn activations_are_the_numbers_of_all_outputs() {
    let mut g = builder((2, 8, 8));
    let x = g.input();
    let y = g.conv("a", 4, 3).padding(1).of(x).unwrap();
    let y = g.act(y).unwrap();
    let y = g.max_pool(y, 2).unwrap();
    let y = g.global_avg_pool(y).unwrap();
    let z = g.linear("b", 10).of(y).unwrap();
    let network = Interpreter::new(g.finish(z).unwrap());
    assert_eq!(network.activations(), 2 * 64 + 4 * 64 + 4 * 64 + 4 * 16 + 4 + 10);
}

/// Two layers in a row keep a quarter of the values; with one mask for both it would be half.
#[test]
fn every_dropout_draws_its_own_mask() {
    let mut g = Builder::new(ModelInfo { classes: 1200, ..info((3, 20, 20), Activation::Relu) });
    let y = g.dropout(g.input(), 0.5).unwrap();
    let y = g.dropout(y, 0.5).unwrap();
    let z = g.flatten(y).unwrap();
    let net = Interpreter::new(g.finish(z).unwrap());
    let weights = Weights::init(&net.specs(), Key::new(0, Purpose::Init), Precision::F64, &Device::Cpu).unwrap();
    let x = Var::constant(Tensor::ones((1, 3, 20, 20), DType::F64, &Device::Cpu).unwrap());
    let mut pass = Pass::train(&[0], Key::new(1, Purpose::Dropout));
    let z = net.forward(&weights.constants(), &x, &mut pass).unwrap();
    let values: Vec<f64> = z.tensor().flatten_all().unwrap().to_vec1().unwrap();
    assert!(values.iter().all(|v| *v == 0.0 || *v == 4.0));
    let kept = values.iter().filter(|v| **v > 0.0).count();
    // Three deviations of a binomial of 1200 with a quarter are 45.
    assert!((255..=345).contains(&kept), "{kept}");
}
