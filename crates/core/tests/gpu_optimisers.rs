//! Optimisers, draws and steps of the threat model on a GPU beside the CPU, and what becomes of a gradient that is no number.
#![cfg(feature = "cuda")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use candle_core::{DType, Device, Tensor};
use gauntlet_core::optimiser::{Optimiser, OptimiserState};
use gauntlet_core::{Compute, Key, Processor, Purpose, ThreatModel, Weights};
use gauntlet_records::Norm;

/// More than fit one launch.
const PARAMETERS: usize = 40;

fn gpu() -> Compute {
    Compute::open(Processor::Cuda(0), false).unwrap()
}

fn flat(t: &Tensor) -> Vec<f64> {
    t.to_device(&Device::Cpu).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

fn numbers(n: usize, salt: usize) -> Vec<f64> {
    (0..n).map(|i| ((i * 37 + salt * 101) % 211) as f64 / 105.5 - 1.0).collect()
}

fn weights(device: &Device) -> Weights {
    let entries = (0..PARAMETERS).map(|k| {
        let t = Tensor::from_vec(numbers(k + 1, k), k + 1, &Device::Cpu).unwrap();
        (format!("p{k}"), t.to_device(device).unwrap(), k != 7)
    });
    Weights::from_entries(entries)
}

/// After each of these steps; step 3 may have a NaN in p35.
fn trained(how: &Optimiser, device: &Device, nan: bool) -> (Vec<Vec<f64>>, OptimiserState, Weights) {
    let (mut weights, mut state) = (weights(device), OptimiserState::default());
    let mut seen = Vec::new();
    for t in 1..=4 {
        let gradients: Vec<(String, Tensor)> = (0..PARAMETERS)
            .map(|k| {
                let mut g = numbers(k + 1, 1000 * t + k);
                if nan && t == 3 && k == 35 {
                    g[11] = f64::NAN;
                }
                (format!("p{k}"), Tensor::from_vec(g, k + 1, device).unwrap())
            })
            .collect();
        let gradients: Vec<(&str, Tensor)> = gradients.iter().map(|(n, t)| (n.as_str(), t.clone())).collect();
        state.step(how, &mut weights, &gradients, 0.1 / t as f64).unwrap();
        seen.push(weights.iter().flat_map(|(_, t, _)| flat(t)).collect());
    }
    (seen, state, weights)
}

#[test]
fn every_optimiser_takes_the_cpus_steps() {
    let read = |text: &str| serde_json::from_str::<Optimiser>(text).unwrap();
    for how in [
        read(r#"{"name":"sgd","lr":0.1}"#),
        read(r#"{"name":"sgd","lr":0.1,"momentum":0.9,"weight_decay":0.01}"#),
        read(r#"{"name":"sgd","lr":0.1,"momentum":0.9,"nesterov":true}"#),
        read(r#"{"name":"adam","lr":0.1,"weight_decay":0.01}"#),
        read(r#"{"name":"adamw","lr":0.1,"weight_decay":0.1}"#),
    ] {
        let (cpu, _, _) = trained(&how, &Device::Cpu, false);
        let (there, state, weights) = trained(&how, gpu().device(), false);
        state.settle(&weights).unwrap();
        for (t, (a, b)) in cpu.iter().zip(&there).enumerate() {
            assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12), "{how:?}, step {}", t + 1);
        }
    }
}

#[test]
fn a_gradient_that_is_no_number_stops_everything_and_is_named() {
    for text in [r#"{"name":"sgd","lr":0.1,"momentum":0.9}"#, r#"{"name":"adamw","lr":0.1}"#] {
        let how: Optimiser = serde_json::from_str(text).unwrap();
        let (seen, state, weights) = trained(&how, gpu().device(), true);
        assert_ne!(seen[0], seen[1]);
        assert_eq!(seen[1], seen[2], "the step with the NaN moves nothing");
        assert_eq!(seen[1], seen[3], "nor does the one after it");
        let said = state.settle(&weights).unwrap_err().to_string();
        assert!(said.contains("\"p35\"") && said.contains("step 3") && !said.contains("\"p34\""), "{said}");
    }
}

#[test]
fn draws_and_steps_are_the_cpus() {
    let compute = gpu();
    let ids = [5u64, (1 << 40) + 3, 0];
    let like = |device: &Device| Tensor::zeros(1, DType::F64, device).unwrap();
    let key = Key::new(3, Purpose::RecipeAttack);
    let (here, there) = (like(&Device::Cpu), like(compute.device()));
    let dims = [3, 1, 5, 5];
    let uniform = |t: &Tensor| flat(&key.uniform(&ids, &dims, (-0.3, 0.7), t).unwrap());
    assert_eq!(uniform(&here), uniform(&there));
    let normal = |t: &Tensor| flat(&key.normal(&ids, &dims, t).unwrap());
    assert!(normal(&here).iter().zip(normal(&there)).all(|(a, b)| (a - b).abs() < 1e-12));
    let image = |salt, device: &Device| {
        let values = numbers(75, salt).iter().map(|v| 0.5 + 0.5 * v).collect::<Vec<_>>();
        Tensor::from_vec(values, &dims, &Device::Cpu).unwrap().to_device(device).unwrap()
    };
    for norm in [Norm::Linf, Norm::L2, Norm::L1] {
        let threat = ThreatModel::new(norm, 0.2);
        let moved = |device: &Device| {
            let (x0, g) = (image(1, device), image(3, device));
            let start = threat.start(&x0, key, &ids).unwrap();
            let there = threat.step(&start, &x0, &g, &[0.15; 3]).unwrap();
            let far = threat.step(&there, &x0, &g, &[0.1, 0.2, 0.3]).unwrap();
            [flat(&start), flat(&there), flat(&far)].concat()
        };
        let (a, b) = (moved(&Device::Cpu), moved(compute.device()));
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-12), "{norm}");
    }
}
