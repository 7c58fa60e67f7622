//! The three founding examples against PyTorch's values (f64), in every reading.
//!
//! A linear model 10 → 1, squared error against 1.5, and three losses: mse + 0.01·‖g‖, mse + 0.05·(1 − cos(g, d)),
//! mse + 0.1·mse(f(x − 0.1·sign g)), with g = ∇ₓf(x).
#![allow(clippy::unwrap_used, clippy::expect_used)]

use candle_core::{Device, Tensor};
use gauntlet_autograd::{Graph, Var, grad};
use serde_json::Value;

const TOLERANCE: f64 = 1e-13;

fn golden() -> Value {
    serde_json::from_str(include_str!("golden/founding_examples.json")).unwrap()
}

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn row(v: &Value) -> Tensor {
    let v = numbers(v);
    let n = v.len();
    Tensor::from_vec(v, (1, n), &Device::Cpu).unwrap()
}

struct Linear {
    x: Var,
    w: Var,
    b: Var,
    direction: Var,
    target: f64,
}

impl Linear {
    fn new(golden: &Value) -> Self {
        let b = Tensor::from_vec(numbers(&golden["bias"]), 1, &Device::Cpu).unwrap();
        Linear {
            x: Var::leaf(row(&golden["x"])),
            w: Var::leaf(row(&golden["weight"])),
            b: Var::leaf(b),
            direction: Var::constant(row(&golden["direction"])),
            target: golden["target"].as_f64().unwrap(),
        }
    }
    fn output(&self, x: &Var) -> Var {
        x.linear(&self.w, Some(&self.b)).unwrap()
    }
    fn mse(&self, output: &Var) -> Var {
        output.affine(1.0, -self.target).unwrap().sqr().unwrap().mean_all().unwrap()
    }
    fn input_gradient(&self, graph: Graph) -> Var {
        grad(&self.output(&self.x), &[&self.x], graph).unwrap().swap_remove(0)
    }
    fn penalty(&self, name: &str, g: &Var) -> (Var, f64) {
        match name {
            "norm" => (g.norm_l2_per_example().unwrap().sum_all().unwrap(), 0.01),
            "direction" => {
                let cos = g.cosine_per_example(&self.direction).unwrap();
                (cos.affine(-1.0, 1.0).unwrap().sum_all().unwrap(), 0.05)
            }
            _ => {
                let moved = self.x.detach().sub(&g.sign().unwrap().affine(0.1, 0.0).unwrap()).unwrap();
                (self.mse(&self.output(&moved)), 0.1)
            }
        }
    }
}

fn flat(v: &Var) -> Vec<f64> {
    v.tensor().flatten_all().unwrap().to_vec1().unwrap()
}

fn close(got: &[f64], want: &[f64], what: &str) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (g, w) in got.iter().zip(want) {
        assert!((g - w).abs() <= TOLERANCE * w.abs().max(1.0), "{what}: {g} instead of {w}");
    }
}

#[test]
fn every_reading_of_every_example_has_pytorchs_values() {
    let golden = golden();
    let m = Linear::new(&golden);
    for name in ["norm", "direction", "adversarial"] {
        // `as_written_zeroed`: the popular snippet; the gradient is cut, so the penalty is a constant.
        // `as_written`: the same without zero_grad, so ∇f is left in the weight gradient.
        // `create_graph`: as meant.
        for (reading, graph, left_over) in [
            ("as_written_zeroed", Graph::Free, false),
            ("as_written", Graph::Free, true),
            ("create_graph", Graph::Keep, false),
        ] {
            let want = &golden["recipes"][name][reading];
            let what = format!("{name}, {reading}");
            let output = m.output(&m.x);
            let mse = m.mse(&output);
            let g = m.input_gradient(graph);
            assert_eq!(g.id().is_some(), want["gradient_has_graph"].as_bool().unwrap(), "{what}");
            let (penalty, weight) = m.penalty(name, &g);
            let loss = mse.add(&penalty.affine(weight, 0.0).unwrap()).unwrap();
            let scalar = |key: &str| [want[key].as_f64().unwrap()];
            close(&flat(&output), &scalar("output"), &what);
            close(&flat(&mse), &scalar("mse"), &what);
            // The file holds the weighted penalty.
            close(&flat(&penalty.affine(weight, 0.0).unwrap()), &scalar("penalty"), &what);
            close(&flat(&loss), &scalar("loss"), &what);
            close(&flat(&g), &numbers(&want["input_gradient"]), &what);
            let grads = grad(&loss, &[&m.w, &m.b], Graph::Free).unwrap();
            let (mut dw, mut db) = (flat(&grads[0]), flat(&grads[1]));
            if left_over {
                // output.backward() left d f / d w = x and d f / d b = 1 behind.
                dw.iter_mut().zip(flat(&m.x)).for_each(|(d, x)| *d += x);
                db[0] += 1.0;
            }
            close(&dw, &numbers(&want["weight_grad"]), &what);
            close(&db, &scalar("bias_grad"), &what);
        }
    }
}

#[test]
fn the_cut_penalties_train_nothing_and_the_kept_ones_are_their_closed_forms() {
    let golden = golden();
    let m = Linear::new(&golden);
    let weight_gradient = |name: Option<&str>, graph| {
        let mse = m.mse(&m.output(&m.x));
        let loss = match name {
            None => mse,
            Some(name) => {
                let (penalty, weight) = m.penalty(name, &m.input_gradient(graph));
                mse.add(&penalty.affine(weight, 0.0).unwrap()).unwrap()
            }
        };
        flat(&grad(&loss, &[&m.w], Graph::Free).unwrap()[0])
    };
    let plain = weight_gradient(None, Graph::Free);
    for name in ["norm", "direction"] {
        assert_eq!(weight_gradient(Some(name), Graph::Free), plain, "{name}: cut equals plain mse bit for bit");
        let kept: Vec<f64> = weight_gradient(Some(name), Graph::Keep).iter().zip(&plain).map(|(k, p)| k - p).collect();
        close(&kept, &numbers(&golden["closed_form"][name]), name);
    }
    // For a linear model g is w itself: d 0.01·‖w‖ / d w = 0.01·w/‖w‖.
    let w = flat(&m.w);
    let size = w.iter().map(|v| v * v).sum::<f64>().sqrt();
    let by_hand: Vec<f64> = w.iter().map(|v| 0.01 * v / size).collect();
    close(&by_hand, &numbers(&golden["closed_form"]["norm"]), "by hand");
    // sign has no derivative: the third loss is the same either way.
    let adversarial = |graph| weight_gradient(Some("adversarial"), graph);
    assert_eq!(adversarial(Graph::Free), adversarial(Graph::Keep));
    assert_ne!(adversarial(Graph::Free), plain);
}
