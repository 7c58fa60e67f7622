//! Published networks, where they are on this machine: `GAUNTLET_VNNCOMP=FOLDER cargo test -p gauntlet-onnx --test vnncomp -- --ignored`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use candle_core::{DType, Device, Tensor};
use gauntlet_autograd::Var;
use gauntlet_core::{Network, Pass};
use gauntlet_graph::Interpreter;
use gauntlet_onnx::{Options, open};
use std::path::{Path, PathBuf};

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|e| e == "onnx") {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
#[ignore = "needs the networks of VNN-COMP"]
fn networks_of_the_competition_load_and_compute() {
    let folder = std::env::var("GAUNTLET_VNNCOMP").expect("GAUNTLET_VNNCOMP names their folder");
    let files = files(folder.as_ref());
    assert!(!files.is_empty());
    for file in files {
        let net = open(&file, &Options::default()).unwrap();
        let (c, h, w) = net.graph.interface().input;
        assert_eq!(net.graph.interface().classes, 10);
        let x = Var::constant(Tensor::full(0.5f32, (2, c, h, w), &Device::Cpu).unwrap());
        let network = Interpreter::new(net.graph.clone());
        let z = network.forward(&net.weights.constants(), &x, &mut Pass::eval(&[0, 1])).unwrap();
        let z: Vec<Vec<f32>> = z.tensor().to_dtype(DType::F32).unwrap().to_vec2().unwrap();
        assert_eq!(z[0], z[1]);
        assert!(z[0].iter().all(|v| v.is_finite()), "{z:?}");
        println!("{}: {} nodes, {:?}, {:?}", file.display(), net.nodes, net.graph.cost(), net.notes);
    }
}
