//! Closed forms on linear models, where every penalty is known (docs/architecture.md, "Conventions of recipes").

use super::{HERE, batch, loss, memory, model, part, recipe, weights};
use candle_core::{Device, Tensor};
use gauntlet_autograd::{Graph, Var, grad};
use gauntlet_core::position::Position;
use gauntlet_core::{Batch, Frozen, Memory, Network, Params, Recipe, Step, Target, Weights};
use serde_json::{Value, json};
use std::sync::Arc;

/// A linear model of two classes, with weights of one size.
fn binary() -> (Arc<dyn Network>, Weights) {
    let (registry, given) = (super::registry(), super::table(json!({ "name": "linear" })));
    let network = registry.model(&given, (1, 8, 8), 2).unwrap().0;
    let weights = weights(&*network);
    (network, weights)
}

/// Images away from the box's faces, so that no clamp interferes, with labels below `classes`.
fn inside(n: usize, classes: u32) -> Batch {
    let b = batch(n);
    let y: Vec<u32> = (0..n as u32).map(|i| i % classes).collect();
    Batch { x: b.x.affine(0.5, 0.25).unwrap(), y: Tensor::from_vec(y, n, &Device::Cpu).unwrap(), ids: b.ids }
}

fn term(given: Value, network: &Arc<dyn Network>, params: &Params, b: &Batch, name: &str) -> Vec<f64> {
    let r = recipe(given);
    let mut memory = memory(&*r, &**network, &batch(12));
    let (_, terms) = loss(&*r, network, params, b, &mut memory);
    terms.into_iter().find(|t| t.0 == name).unwrap().2
}

fn matrix(w: &Weights, name: &str) -> Vec<Vec<f64>> {
    w.get(name).unwrap().to_vec2().unwrap()
}

fn close(got: &[f64], want: &[f64], rtol: f64, what: &str) {
    assert_eq!(got.len(), want.len());
    for (g, w) in got.iter().zip(want) {
        assert!((g - w).abs() <= rtol * w.abs().max(1e-12), "{what}: {g} instead of {w}");
    }
}

#[test]
fn the_jacobian_of_a_linear_model_is_its_matrix_whatever_the_image() {
    let network = model(json!({ "name": "linear" }));
    let w = weights(&*network);
    let frobenius: f64 = matrix(&w, "1.weight").iter().flatten().map(|v| v * v).sum();
    let given = json!({ "name": "jacobian", "projections": 0, "weight": 0.5 });
    close(&term(given, &network, &w.leaves(), &inside(5, 4), "jac_sq"), &[frobenius; 5], 1e-12, "‖W‖_F²");
}

/// Mean K·‖vᵀJ‖² = ‖J‖_F², and its variance with one projection is 2K/(K+2)·Tr A² − 2/(K+2)·(Tr A)², A = J Jᵀ.
#[test]
fn the_projected_jacobian_is_unbiased_with_the_known_variance() {
    let network = model(json!({ "name": "linear" }));
    let w = weights(&*network);
    let j = matrix(&w, "1.weight");
    let k = j.len();
    let gram: Vec<Vec<f64>> =
        j.iter().map(|a| j.iter().map(|b| a.iter().zip(b).map(|(x, y)| x * y).sum()).collect()).collect();
    let trace: f64 = (0..k).map(|i| gram[i][i]).sum();
    let squares: f64 = gram.iter().flatten().map(|v| v * v).sum();
    let kf = k as f64;
    let variance = 2.0 * kf / (kf + 2.0) * squares - 2.0 / (kf + 2.0) * trace * trace;
    let n = 4000;
    let pixels = Tensor::zeros((n, 1, 8, 8), candle_core::DType::F64, &Device::Cpu).unwrap();
    let y = Tensor::zeros(n, candle_core::DType::U32, &Device::Cpu).unwrap();
    let many = Batch { x: pixels, y, ids: (0..n as u64).collect() };
    let draws = term(json!({ "name": "jacobian", "weight": 0.5 }), &network, &w.leaves(), &many, "jac_sq");
    let mean = draws.iter().sum::<f64>() / n as f64;
    let spread = draws.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / (n - 1) as f64;
    // Five standard errors of the mean; a tenth of the variance (its own standard error is about a fortieth).
    assert!((mean - trace).abs() < 5.0 * (variance / n as f64).sqrt(), "mean {mean} instead of {trace}");
    assert!((spread / variance - 1.0).abs() < 0.15, "variance {spread} instead of {variance}");
}

/// ∇ℓ of two classes is parallel to w₁ − w₀ everywhere.
#[test]
fn neighbouring_gradients_of_a_binary_linear_model_are_aligned() {
    let (network, w) = binary();
    for two_sided in [false, true] {
        let given = json!({ "name": "grad-align", "eps": "0.3", "two_sided": two_sided });
        let align = term(given, &network, &w.leaves(), &inside(6, 2), "align");
        assert!(align.iter().all(|a| a.abs() < 1e-12), "{align:?}");
    }
    // With four classes the softmax turns the gradient.
    let many = model(json!({ "name": "linear" }));
    let params = weights(&*many).leaves();
    let align = term(json!({ "name": "grad-align", "eps": "0.3" }), &many, &params, &inside(6, 4), "align");
    assert!(align.iter().all(|a| *a > 1e-6), "{align:?}");
}

/// ℓ(x + ε sign g) = softplus(ε ‖w‖₁ − m): no point of the ball is worse, and no other recipe's example is.
#[test]
fn one_step_is_the_exact_worst_case_of_a_binary_linear_model() {
    let (network, w) = binary();
    let (m, bias) = (matrix(&w, "1.weight"), w.get("1.bias").unwrap().to_vec1::<f64>().unwrap());
    let b = inside(6, 2);
    let images: Vec<Vec<f64>> = b.x.flatten_from(1).unwrap().to_vec2().unwrap();
    let (eps, l1) = (0.1, m[1].iter().zip(&m[0]).map(|(a, b)| (a - b).abs()).sum::<f64>());
    let worst: Vec<f64> = images
        .iter()
        .zip(b.y.to_vec1::<u32>().unwrap())
        .map(|(x, y)| {
            let z = |k: usize| bias[k] + m[k].iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
            let margin = z(y as usize) - z(1 - y as usize);
            (1.0 + (eps * l1 - margin).exp()).ln()
        })
        .collect();
    let params = w.leaves();
    for given in [
        json!({ "name": "fgsm-aug", "eps": "0.1" }),
        json!({ "name": "pgd-at", "eps": "0.1", "attack": { "name": "fgsm" } }),
        json!({ "name": "pgd-at", "eps": "0.1", "attack": { "name": "pgd", "steps": 40, "alpha": "0.02" } }),
        json!({ "name": "fgsm-rs", "eps": "0.1", "alpha": 2.0 }),
        json!({ "name": "grad-align", "eps": "0.1" }),
    ] {
        let got = term(given.clone(), &network, &params, &b, "adv_ce");
        close(&got, &worst, 1e-9, &given.to_string());
    }
}

/// ℓ(x + ε sign g) − ℓ = ε ‖g‖₁ + O(ε²): the penalty on ‖g‖₁ is FGSM augmentation to first order.
#[test]
fn to_first_order_augmentation_is_the_l1_penalty() {
    let network = model(json!({ "name": "lenet-small", "activation": "softplus" }));
    let params = weights(&*network).leaves();
    let b = inside(6, 4);
    let l1 = term(json!({ "name": "grad-norm", "norm": "l1", "weight": 1.0 }), &network, &params, &b, "grad_norm");
    let rise = |eps: f64| -> Vec<f64> {
        let given = json!({ "name": "fgsm-aug", "eps": format!("{eps}") });
        let (clean, moved) =
            (term(given.clone(), &network, &params, &b, "ce"), term(given, &network, &params, &b, "adv_ce"));
        moved.iter().zip(&clean).map(|(m, c)| (m - c) / eps).collect()
    };
    let error = |eps: f64| rise(eps).iter().zip(&l1).map(|(r, l)| (r - l).abs()).fold(0.0, f64::max);
    let (coarse, fine) = (error(1e-3), error(1e-4));
    assert!(coarse < 0.05 * l1.iter().copied().fold(0.0, f64::max), "{coarse} of {l1:?}");
    assert!((coarse / fine - 10.0).abs() < 1.0, "the rest falls with ε: {coarse} at 0.001, {fine} at 0.0001");
}

/// [(ℓ(x + hv) − ℓ)/h]² → ‖g‖₂², ‖g‖₁²/d, ‖g‖_∞², with an error of O(h); O(h²) for the central difference.
#[test]
fn finite_differences_approach_the_norms() {
    let network = model(json!({ "name": "lenet-small", "activation": "softplus" }));
    let params = weights(&*network).leaves();
    let b = inside(6, 4);
    let norm = |norm: &str| {
        let given = json!({ "name": "grad-norm", "norm": norm, "weight": 1.0 });
        term(given, &network, &params, &b, "grad_norm")
    };
    let d = 64.0;
    let squares = |v: Vec<f64>, scale: f64| v.iter().map(|x| x * x / scale).collect::<Vec<_>>();
    for (name, want) in [("l2", norm("l2sq")), ("l1", squares(norm("l1"), d)), ("linf", squares(norm("linf"), 1.0))] {
        let error = |h: f64, scheme: &str| {
            let given = json!({ "name": "grad-norm-fd", "norm": name, "h": h, "scheme": scheme, "weight": 1.0 });
            let got = term(given, &network, &params, &b, "fd_sq");
            got.iter().zip(&want).map(|(g, w)| (g - w).abs() / w).fold(0.0, f64::max)
        };
        let (coarse, fine) = (error(1e-2, "forward"), error(1e-3, "forward"));
        assert!((coarse / fine - 10.0).abs() < 1.5, "{name}: {coarse} at 0.01, {fine} at 0.001");
        assert!(error(1e-2, "central") < 0.05 * coarse, "{name}: the central difference is of second order");
    }
}

/// Loss of a step at `at`, then what the recipe does after it; the network stays.
fn stepped(recipe: &dyn Recipe, network: &Arc<dyn Network>, b: &Batch, at: Position, memory: &mut Memory) -> f64 {
    let params = weights(&**network).leaves();
    let mut step = Step::new(network.clone(), &params, b, 5, at, memory).unwrap();
    let loss = recipe.loss(&mut step).unwrap().total.tensor().to_scalar().unwrap();
    recipe.after(&mut step).unwrap();
    loss
}

fn predicted(network: &Arc<dyn Network>, b: &Batch, temperature: f64) -> Vec<Vec<f64>> {
    let z = Frozen::new(network.clone(), weights(&**network).constants()).logits(&b.x).unwrap();
    let p = Var::constant(z).affine(1.0 / temperature, 0.0).unwrap().softmax().unwrap();
    p.tensor().to_vec2().unwrap()
}

/// q ← m q + (1 − m) p, by rows, from the first epoch that counts; rows that no step showed stay 0.
#[test]
fn te_averages_every_rows_predictions() {
    let network = model(json!({ "name": "lenet-small", "activation": "softplus" }));
    let te = recipe(json!({ "name": "te", "eps": "0.1", "steps": 1, "start": 2, "end": 3, "momentum": 0.75 }));
    let (shown, train) = (part(&batch(8), 3, 4), batch(8));
    let mut memory = memory(&*te, &*network, &train);
    let p = predicted(&network, &shown, 1.0);
    let at = |epoch| Position { epoch, epochs: 4, step: 0, steps: 2, replay: 0 };
    for (epoch, share) in [(0, 0.0), (1, 0.25), (2, 0.25 + 0.75 * 0.25)] {
        stepped(&*te, &network, &shown, at(epoch), &mut memory);
        let kept: Vec<Vec<f64>> = memory["te.averages"].to_vec2().unwrap();
        for (row, kept) in kept.iter().enumerate() {
            for (k, q) in kept.iter().enumerate() {
                let want = if (3..7).contains(&row) { share * p[row - 3][k] } else { 0.0 };
                assert!((q - want).abs() < 1e-12, "epoch {epoch}, row {row}: {q} {want}");
            }
        }
        assert!(!memory.contains_key("te.pending"));
    }
    let unseen = Batch { ids: vec![90, 91, 92, 93], ..shown };
    let params = weights(&*network).leaves();
    let mut step = Step::new(network.clone(), &params, &unseen, 5, at(3), &mut memory).unwrap();
    let said = te.loss(&mut step).map(|_| ()).unwrap_err().to_string();
    assert!(said.contains("no training row 90"), "{said}");
}

/// The weights of an epoch are the classes' mean predictions of the one before; a class without an image keeps its own.
#[test]
fn ikl_weighs_by_the_epoch_before() {
    let network = model(json!({ "name": "lenet-small", "activation": "softplus" }));
    let ikl = recipe(json!({ "name": "ikl", "eps": "0.1", "attack": { "name": "pgd", "steps": 1 } }));
    // Labels 0, 1, 2, 3, 0, 1, 2 and then the 3 left out.
    let whole = batch(7);
    let b = Batch { y: Tensor::from_vec(vec![0u32, 1, 2, 2, 0, 1, 2], 7, &Device::Cpu).unwrap(), ..whole };
    let mut memory = memory(&*ikl, &*network, &b);
    let at = |epoch, step| Position { epoch, epochs: 3, step, steps: 2, replay: 0 };
    let (first, second) = (part(&b, 0, 4), part(&b, 4, 3));
    stepped(&*ikl, &network, &first, at(0, 0), &mut memory);
    stepped(&*ikl, &network, &second, at(0, 1), &mut memory);
    let uniform: Vec<Vec<f64>> = memory["ikl.weights"].to_vec2().unwrap();
    assert!(uniform.iter().flatten().all(|w| *w == 0.25));
    stepped(&*ikl, &network, &first, at(1, 0), &mut memory);
    let kept: Vec<Vec<f64>> = memory["ikl.weights"].to_vec2().unwrap();
    let (p, labels) = (predicted(&network, &b, 4.0), b.y.to_vec1::<u32>().unwrap());
    for (class, kept) in kept.iter().enumerate() {
        let own: Vec<&Vec<f64>> =
            p.iter().zip(&labels).filter(|(_, y)| **y as usize == class).map(|(p, _)| p).collect();
        for (k, w) in kept.iter().enumerate() {
            let want = if own.is_empty() { 0.25 } else { own.iter().map(|p| p[k]).sum::<f64>() / own.len() as f64 };
            assert!((w - want).abs() < 1e-12, "{class} {k}: {w} {want}");
        }
    }
}

/// With one network as student and teacher nothing is left to learn: the gradient of the clean half of RSLAD is zero.
#[test]
fn distances_to_oneself_are_nothing() {
    let network = model(json!({ "name": "lenet-small", "activation": "softplus" }));
    let b = batch(4);
    let itself: Arc<dyn Target> = Arc::new(Frozen::new(network.clone(), weights(&*network).constants()));
    for given in
        [json!({ "name": "rslad", "eps": "0", "share": 0.5 }), json!({ "name": "ard", "eps": "0", "temperature": 3.0 })]
    {
        let (r, params, mut memory) = (recipe(given.clone()), weights(&*network).leaves(), Memory::new());
        let step = Step::new(network.clone(), &params, &b, 5, HERE, &mut memory).unwrap();
        let loss = r.loss(&mut step.taught_by(Some(itself.clone()))).unwrap();
        let leaves: Vec<&Var> = params.trained().map(|(_, v)| v).collect();
        let largest = grad(&loss.total, &leaves, Graph::Free).unwrap().iter().fold(0.0f64, |m, g| {
            g.tensor().flatten_all().unwrap().to_vec1::<f64>().unwrap().iter().fold(m, |m, x| m.max(x.abs()))
        });
        // RSLAD starts a thousandth beside the image, but the ball of size 0 takes it back.
        assert!(loss.total.tensor().to_scalar::<f64>().unwrap().abs() < 1e-9 && largest < 1e-9, "{given}: {largest}");
    }
}

/// (weight, bias) of every layer of an mlp.
fn layers(w: &Weights) -> Vec<(Vec<Vec<f64>>, Vec<f64>)> {
    let tensors: Vec<&Tensor> = w.iter().map(|(_, t, _)| t).collect();
    tensors.chunks(2).map(|pair| (pair[0].to_vec2().unwrap(), pair[1].to_vec1().unwrap())).collect()
}

/// All hidden units before their rectifiers.
fn hidden(layers: &[(Vec<Vec<f64>>, Vec<f64>)], x: &[f64]) -> Vec<f64> {
    let (mut at, mut all) = (x.to_vec(), Vec::new());
    for (weight, bias) in &layers[..layers.len() - 1] {
        let dot = |row: &Vec<f64>| row.iter().zip(&at).map(|(w, x)| w * x).sum::<f64>();
        let z: Vec<f64> = weight.iter().zip(bias).map(|(row, b)| dot(row) + b).collect();
        at = z.iter().map(|z| z.max(0.0)).collect();
        all.extend(z);
    }
    all
}

/// Inside the ball up to the nearest boundary no rectifier switches; just beyond it, in the boundary's own direction, one does.
#[test]
fn the_nearest_boundary_is_where_the_first_rectifier_switches() {
    let network = model(json!({ "name": "mlp", "hidden": [12, 9] }));
    let w = weights(&*network);
    let (layers, b, units) = (layers(&w), batch(8), 21);
    let images: Vec<Vec<f64>> = b.x.flatten_from(1).unwrap().to_vec2().unwrap();
    for norm in ["linf", "l2"] {
        // One unit counts, and its hinge is far from its end.
        let (gamma, one) = (1e3, 1.5 / units as f64);
        let given = json!({ "name": "mmr", "norm": norm, "gamma_rb": gamma, "first": one, "last": one });
        for (x, hinge) in images.iter().zip(term(given, &network, &w.leaves(), &b, "mmr_regions")) {
            let d = gamma * (1.0 - hinge);
            assert!(d > 0.0, "{d}");
            let z = hidden(&layers, x);
            let mut switched = 0;
            for (u, zu) in z.iter().enumerate() {
                // Within a linear region a difference of values is the gradient.
                let step = 1e-3 * d;
                let gradient: Vec<f64> = (0..x.len())
                    .map(|i| {
                        let mut near = x.clone();
                        near[i] += step;
                        (hidden(&layers, &near)[u] - zu) / step
                    })
                    .collect();
                let length = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
                if length == 0.0 {
                    continue;
                }
                let towards = |size: f64| -> Vec<f64> {
                    let way = |g: &f64| if norm == "l2" { g / length } else { g.signum() * f64::from(*g != 0.0) };
                    x.iter().zip(&gradient).map(|(x, g)| x - size * zu.signum() * way(g)).collect()
                };
                let same = |at: &[f64]| hidden(&layers, at).iter().zip(&z).all(|(a, z)| (*a > 0.0) == (*z > 0.0));
                assert!(same(&towards(0.9999 * d)), "{norm}: unit {u} before {d}");
                switched += usize::from(!same(&towards(1.0001 * d)));
            }
            assert!(switched >= 1, "{norm}: nothing switches beyond {d}");
        }
    }
}

/// d_j of a linear model is the distance to a hyperplane.
#[test]
fn the_decision_boundaries_of_a_linear_model_are_hyperplanes() {
    let network = model(json!({ "name": "linear" }));
    let w = weights(&*network);
    let (rows, b) = (matrix(&w, "1.weight"), batch(6));
    let bias: Vec<f64> = w.get("1.bias").unwrap().to_vec1().unwrap();
    let images: Vec<Vec<f64>> = b.x.flatten_from(1).unwrap().to_vec2().unwrap();
    let labels: Vec<u32> = b.y.to_vec1().unwrap();
    for (norm, gamma) in [("linf", 0.05), ("l2", 0.3)] {
        let want: Vec<f64> = images
            .iter()
            .zip(&labels)
            .map(|(x, y)| {
                let y = *y as usize;
                let others = (0..rows.len()).filter(|j| *j != y).map(|j| {
                    let apart: Vec<f64> = rows[y].iter().zip(&rows[j]).map(|(a, b)| a - b).collect();
                    let margin = apart.iter().zip(x).map(|(a, x)| a * x).sum::<f64>() + bias[y] - bias[j];
                    let sizes = apart.iter().map(|a| a.abs());
                    let length = match norm {
                        "l2" => sizes.map(|a| a * a).sum::<f64>().sqrt(),
                        _ => sizes.sum::<f64>(),
                    };
                    (1.0 - margin / length / gamma).max(0.0)
                });
                others.sum::<f64>() / rows.len() as f64
            })
            .collect();
        assert!(want.iter().any(|v| *v > 0.0));
        let given = json!({ "name": "mmr", "norm": norm, "gamma_db": gamma });
        let got = term(given, &network, &w.leaves(), &b, "mmr_decisions");
        // An entry below 10⁻⁵ is raised by as much.
        close(&got, &want, 1e-4, norm);
    }
}

#[test]
fn regions_of_other_layers_are_refused_by_name() {
    let network = model(json!({ "name": "lenet-small", "activation": "gelu" }));
    let params = weights(&*network).leaves();
    let (b, mut memory) = (batch(2), Memory::new());
    let mut step = Step::new(network.clone(), &params, &b, 5, HERE, &mut memory).unwrap();
    let said = recipe(json!({ "name": "mmr" })).loss(&mut step).map(|_| ()).unwrap_err().to_string();
    assert!(said.contains("lenet-small") && said.contains("not of gelu"), "{said}");
}

/// θ̄ ← d θ̄ + (1 − d) θ once a step, however often the step's loss is asked for, from the weights of the first one.
#[test]
fn adr_follows_the_weights_step_by_step() {
    let network = model(json!({ "name": "lenet-small" }));
    let adr = recipe(json!({ "name": "adr", "eps": "0.1", "steps": 1, "decay": 0.75 }));
    let (start, b, mut memory) = (weights(&*network), batch(2), Memory::new());
    let mut factor = 1.0;
    for number in 0..4u32 {
        let size = 1.0 + f64::from(number * number);
        let sized = start.iter().map(|(name, t, trained)| (name.to_string(), t.affine(size, 0.0).unwrap(), trained));
        let params = Weights::from_entries(sized).leaves();
        for _ in 0..2 {
            let at = Position { epoch: 0, step: number, ..HERE };
            let mut step = Step::new(network.clone(), &params, &b, 5, at, &mut memory).unwrap();
            adr.loss(&mut step).unwrap();
        }
        factor = if number == 0 { size } else { 0.75 * factor + 0.25 * size };
        for (name, t, _) in start.iter() {
            let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f64>().unwrap();
            let want: Vec<f64> = flat(t).iter().map(|v| factor * v).collect();
            close(&flat(&memory[&format!("adr.average/{name}")]), &want, 1e-12, name);
        }
    }
}
