//! Every operator and its settings against what ONNX Runtime computes (scripts/onnx/operators.py), with gradient checks of both
//! orders by the image and by every parameter.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use candle_core::{DType, Device, Tensor};
use gauntlet_autograd::check::{Order, Probe, along};
use gauntlet_autograd::{Error, Var};
use gauntlet_core::{Network, Params, Pass, Precision};
use gauntlet_graph::Interpreter;
use gauntlet_onnx::{Imported, Options, import};

#[derive(serde::Deserialize)]
struct Case {
    name: String,
    file: String,
    shape: Vec<usize>,
    x: Vec<f64>,
    y: Vec<Vec<f64>>,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("golden/operators.json")).unwrap()
}

fn imported(case: &Case) -> Result<Imported, String> {
    import(BASE64_STANDARD.decode(&case.file).unwrap(), &case.name, &Options::default()).map_err(|e| e.to_string())
}

/// The pixels of a case as gauntlet has them: channels in front.
fn images(case: &Case, net: &Imported, dtype: DType) -> Tensor {
    let (c, h, w) = net.graph.interface().input;
    let x = Tensor::from_slice(&case.x, case.x.len(), &Device::Cpu).unwrap();
    let last = case.shape.len() == 3 && (c, h, w) != (case.shape[0], case.shape[1], case.shape[2]);
    let x = if last {
        x.reshape((case.y.len(), h, w, c)).unwrap().permute((0, 3, 1, 2)).unwrap().contiguous().unwrap()
    } else {
        x.reshape((case.y.len(), c, h, w)).unwrap()
    };
    x.to_dtype(dtype).unwrap()
}

fn logits(net: &Imported, x: &Tensor) -> Vec<Vec<f64>> {
    let weights = net.weights.to_precision(Precision::of(x).unwrap()).unwrap();
    let ids: Vec<u64> = (0..x.dim(0).unwrap() as u64).collect();
    let network = Interpreter::new(net.graph.clone());
    let z = network.forward(&weights.constants(), &Var::constant(x.clone()), &mut Pass::eval(&ids)).unwrap();
    z.tensor().to_dtype(DType::F64).unwrap().to_vec2().unwrap()
}

#[test]
fn operators_compute_what_onnx_runtime_computes() {
    let mut wrong = Vec::new();
    let cases = cases();
    for case in &cases {
        let net = match imported(case) {
            Ok(net) => net,
            Err(e) => {
                wrong.push(format!("{}: {e}", case.name));
                continue;
            }
        };
        let largest = case.y.iter().flatten().fold(1e-3f64, |m, v| m.max(v.abs()));
        for dtype in [DType::F32, DType::F64] {
            let found = logits(&net, &images(case, &net, dtype));
            let sizes = |y: &[Vec<f64>]| y.iter().map(Vec::len).collect::<Vec<_>>();
            if sizes(&found) != sizes(&case.y) {
                wrong.push(format!("{}: {:?} instead of {:?}", case.name, sizes(&found), sizes(&case.y)));
                break;
            }
            let off = found.iter().flatten().zip(case.y.iter().flatten()).map(|(a, b)| (a - b).abs() / largest);
            let worst = off.fold(0.0, |m, d| if d <= m { m } else { d });
            if worst > 2e-6 || worst.is_nan() {
                wrong.push(format!("{} in {dtype:?}: off by {worst:.1e}", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert!(cases.len() > 180, "{}", cases.len());
}

#[test]
fn operators_have_the_derivatives_of_what_they_compute() {
    let mut wrong = Vec::new();
    for case in cases() {
        // What cannot be imported is told by the other test.
        let Ok(net) = imported(&case) else { continue };
        let weights = net.weights.to_precision(Precision::F64).unwrap();
        // Apart from one another: no ties, nothing on a kink.
        let x = images(&case, &net, DType::F64);
        let count = x.elem_count();
        let apart: Vec<f64> = (0..count).map(|i| 1e-3 * (((i * 7 + 3) % count) as f64 / count as f64 + 0.31)).collect();
        let x = (&x + Tensor::from_vec(apart, x.dims(), &Device::Cpu).unwrap()).unwrap();
        let trained: Vec<String> = weights.iter().filter(|w| w.2).map(|w| w.0.to_string()).collect();
        let at: Vec<Tensor> =
            std::iter::once(x.clone()).chain(trained.iter().map(|n| weights.get(n).unwrap().clone())).collect();
        let network = Interpreter::new(net.graph.clone());
        let ids: Vec<u64> = (0..x.dim(0).unwrap() as u64).collect();
        let f = |v: &[Var]| -> Result<Var, Error> {
            let given = weights.iter().map(|(name, tensor, trainable)| {
                let place = trained.iter().position(|t| t == name);
                (name.to_string(), place.map_or_else(|| Var::constant(tensor.clone()), |i| v[i + 1].clone()), trainable)
            });
            let z = network.forward(&Params::from_entries(given), &v[0], &mut Pass::eval(&ids));
            // So that functions that are linear have a second order.
            z.map_err(|e| Error::Check(e.to_string()))?.affine(0.3, 0.0)?.tanh()
        };
        for order in [Order::First, Order::Second] {
            let probe = Probe { h: 1e-5, directions: Some(3), tolerance: 1e-5 };
            if let Err(e) = along(&f, &at, order, probe) {
                wrong.push(format!("{}: {e}", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}
