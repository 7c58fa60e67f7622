//! BPDA: values to the bit, another layer's derivatives.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use candle_core::{Device, Tensor};
use gauntlet_autograd::{Graph as Keeping, Var, grad};
use gauntlet_core::{Activation, Key, ModelInfo, Network, Params, Pass, Purpose, Weights};
use gauntlet_graph::{Backward, Builder, Function, Interpreter, Layer, NodeId};

/// A convolution, a middle layer, a linear layer; and which the middle is.
fn network(middle: Option<Layer>) -> (Interpreter, Option<NodeId>) {
    let info = ModelInfo {
        name: "tiny".into(),
        input: (1, 6, 6),
        classes: 3,
        activation: Activation::Relu,
        mean: Vec::new(),
        std: Vec::new(),
        numerics: 1,
    };
    let mut g = Builder::new(info);
    let x = g.input();
    let y = g.conv("conv", 4, 3).of(x).unwrap();
    let middle = middle.map(|layer| g.layer(layer, &[y]).unwrap());
    let y = g.flatten(middle.unwrap_or(y)).unwrap();
    let z = g.linear("fc", 3).of(y).unwrap();
    (Interpreter::new(g.finish(z).unwrap()), middle)
}

/// Parameters and images, the same for networks with the same ones.
fn numbers(network: &Interpreter) -> (Params, Var) {
    let mut stream = Key::new(3, Purpose::Init).stream(0, 0, 0);
    let mut draw = |dims: &[usize]| {
        let values: Vec<f64> = (0..dims.iter().product()).map(|_| stream.normal()).collect();
        Tensor::from_vec(values, dims, &Device::Cpu).unwrap()
    };
    let entries: Vec<(String, Tensor, bool)> =
        network.specs().into_iter().map(|s| (s.name, draw(&s.shape), s.trainable)).collect();
    (Weights::from_entries(entries).constants(), Var::leaf(draw(&[2, 1, 6, 6])))
}

fn flat(t: &Tensor) -> Vec<f64> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

/// Logits, and the gradient of Σ z² by the image where there is one.
fn run(network: &Interpreter) -> (Vec<f64>, Option<Vec<f64>>) {
    let (params, x) = numbers(network);
    let z = network.forward(&params, &x, &mut Pass::eval(&[0, 1])).unwrap();
    let slope = grad(&z.sqr().unwrap().sum_all().unwrap(), &[&x], Keeping::Free).ok().map(|mut all| all.remove(0));
    (flat(z.tensor()), slope.map(|slope| flat(slope.tensor())))
}

/// What the network without a middle layer hands back for the cotangent 2 z of these logits.
fn pulled(logits: &[f64]) -> Vec<f64> {
    let (linear, _) = network(None);
    let (params, x) = numbers(&linear);
    let z = linear.forward(&params, &x, &mut Pass::eval(&[0, 1])).unwrap();
    let cotangent = Tensor::from_vec(logits.iter().map(|z| 2.0 * z).collect(), z.dims(), &Device::Cpu).unwrap();
    let along = z.mul(&Var::constant(cotangent)).unwrap().sum_all().unwrap();
    flat(grad(&along, &[&x], Keeping::Free).unwrap()[0].tensor())
}

#[test]
fn values_stay_and_derivatives_are_the_others() {
    let step = Some(Layer::Map(Function::Step));
    let (own, id) = network(step.clone());
    let (values, nothing) = run(&own);
    assert_eq!(nothing, None, "through a step no gradient goes");
    let (through, straight) = run(&network(step.clone()).0.with_backward(id.unwrap(), Backward::Identity).unwrap());
    assert_eq!(through, values);
    // Straight through: the slope is that of the layers around it.
    let (straight, want) = (straight.unwrap(), pulled(&values));
    assert!(want.iter().any(|g| *g != 0.0));
    assert!(straight.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-12), "{straight:?} {want:?}");
    // Replaced again, the last one counts; a function that is its own replacement changes nothing.
    let sigmoid = Function::HardSigmoid { alpha: 0.25, beta: 0.5 };
    let (exact, id) = network(Some(Layer::Map(sigmoid)));
    let same = network(Some(Layer::Map(sigmoid))).0.with_backward(id.unwrap(), Backward::Identity).unwrap();
    let same = same.with_backward(id.unwrap(), Backward::Map(sigmoid)).unwrap();
    assert_eq!(run(&same), run(&exact));
}

/// A rectifier comes along with the convolution before it, unless its backward is another's.
#[test]
fn fused_layers_are_taken_apart() {
    let (rectified, id) = network(Some(Layer::Act(Activation::Relu)));
    let (values, slope) = run(&rectified);
    let through = |backward| {
        let (network, id) = network(Some(Layer::Act(Activation::Relu)));
        run(&network.with_backward(id.unwrap(), backward).unwrap())
    };
    let (own, soft, straight) = (
        through(Backward::Act(Activation::Relu)),
        through(Backward::Act(Activation::Softplus)),
        through(Backward::Identity),
    );
    for (got, _) in [&own, &soft, &straight] {
        assert!(got.iter().zip(&values).all(|(a, b)| (a - b).abs() < 1e-12));
    }
    let (slope, soft, straight) = (slope.unwrap(), soft.1.unwrap(), straight.1.unwrap());
    assert!(own.1.unwrap().iter().zip(&slope).all(|(a, b)| (a - b).abs() < 1e-12));
    assert!(soft != slope && straight != soft);
    assert!(straight.iter().zip(&pulled(&values)).all(|(a, b)| (a - b).abs() < 1e-12));
    assert!(
        rectified.plan().calls().len()
            < rectified.with_backward(id.unwrap(), Backward::Identity).unwrap().plan().calls().len()
    );
}

#[test]
fn what_is_not_elementwise_is_refused_by_name() {
    let (network, _) = network(None);
    let last = network.graph().output();
    let refused = network.with_backward(last, Backward::Identity).unwrap_err().to_string();
    assert!(refused.contains("it is a linear, and only layers of one input whose shape they keep"), "{refused}");
}
