//! That fused layers are recorded as one operation. Alone in its program: operations are numbered by a counter that all share.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use candle_core::{DType, Device, Tensor};
use gauntlet_autograd::Var;
use gauntlet_core::{Activation, Key, ModelInfo, Network, Pass, Precision, Purpose, Weights};
use gauntlet_graph::{Builder, Interpreter};

/// Operations that a training pass records.
fn recorded(activation: Activation) -> u64 {
    let (name, input, classes) = ("net".to_string(), (1, 8, 8), 10);
    let info = ModelInfo { name, input, classes, activation, mean: Vec::new(), std: Vec::new(), numerics: 1 };
    let mut g = Builder::new(info);
    let x = g.input();
    let y = g.conv("conv1", 4, 3).padding(1).of(x).unwrap();
    let y = g.act(y).unwrap();
    let y = g.conv("conv2", 4, 3).padding(1).of(y).unwrap();
    let y = g.act(y).unwrap();
    let y = g.max_pool(y, 2).unwrap();
    let y = g.batch_norm("bn", y).unwrap();
    let y = g.act(y).unwrap();
    let y = g.flatten(y).unwrap();
    let y = g.linear("fc1", 12).of(y).unwrap();
    let y = g.act(y).unwrap();
    let z = g.linear("fc2", 10).of(y).unwrap();
    let net = Interpreter::new(g.finish(z).unwrap());
    let params =
        Weights::init(&net.specs(), Key::new(1, Purpose::Init), Precision::F32, &Device::Cpu).unwrap().leaves();
    let x = Var::constant(Tensor::ones((2, 1, 8, 8), DType::F32, &Device::Cpu).unwrap());
    let next = || Var::leaf(Tensor::zeros(1, DType::F32, &Device::Cpu).unwrap()).id().unwrap();
    let before = next();
    net.forward(&params, &x, &mut Pass::train(&[0, 1], Key::new(1, Purpose::Dropout))).unwrap();
    next() - before - 1
}

#[test]
fn fused_layers_are_one_operation() {
    // conv+, conv, pool, relu, bn+, flatten, linear+, linear
    assert_eq!(recorded(Activation::Relu), 8);
    // Four activations of their own, and none behind the pool.
    assert_eq!(recorded(Activation::Softplus), 11);
}
