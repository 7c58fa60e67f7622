//! Networks written as ONNX files: read again, they are the same networks.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod file;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use candle_core::{DType, Device, Tensor};
use gauntlet_autograd::Var;
use gauntlet_core::{Network, Pass};
use gauntlet_graph::Interpreter;
use gauntlet_onnx::{FileNetwork, Imported, Options, export, import};

/// Every operator with its settings, as scripts/onnx/operators.py wrote it.
#[derive(serde::Deserialize)]
struct Case {
    name: String,
    file: String,
    y: Vec<Vec<f64>>,
}

fn logits(net: &Imported, n: usize) -> Vec<f64> {
    let (c, h, w) = net.graph.interface().input;
    let count = n * c * h * w;
    let pixels: Vec<f32> = (0..count).map(|i| ((i * 37 + 11) % 101) as f32 / 101.0 + 0.003).collect();
    let x = Tensor::from_vec(pixels, (n, c, h, w), &Device::Cpu).unwrap();
    let ids: Vec<u64> = (0..n as u64).collect();
    let network = Interpreter::new(net.graph.clone());
    let z = network.forward(&net.weights.constants(), &Var::constant(x), &mut Pass::eval(&ids)).unwrap();
    z.tensor().flatten_all().unwrap().to_dtype(DType::F64).unwrap().to_vec1().unwrap()
}

#[test]
fn what_is_written_and_read_again_computes_the_same() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("golden/operators.json")).unwrap();
    let mut wrong = Vec::new();
    for case in &cases {
        let net =
            import(BASE64_STANDARD.decode(&case.file).unwrap(), &case.name, &Options::default()).expect("an import");
        let bytes = export(&net.graph, &net.weights).unwrap();
        let again = match import(bytes, &case.name, &Options::default()) {
            Ok(again) => again,
            Err(e) => {
                wrong.push(e.to_string());
                continue;
            }
        };
        let (a, b) = (logits(&net, case.y.len()), logits(&again, case.y.len()));
        let largest = a.iter().fold(1e-3f64, |m, v| m.max(v.abs()));
        let off = a.iter().zip(&b).map(|(a, b)| (a - b).abs() / largest).fold(0.0, f64::max);
        if a.len() != b.len() || off > 2e-6 || b.iter().any(|v| v.is_nan()) {
            wrong.push(format!("{}: {} and {} numbers, off by {off:.1e}", case.name, a.len(), b.len()));
        }
        // What is trained stays so; constants of formulas may be written as what they are.
        let trained =
            |net: &Imported| -> Vec<String> { net.weights.iter().filter(|w| w.2).map(|w| w.0.to_string()).collect() };
        if trained(&net) != trained(&again) {
            wrong.push(format!("{}: {:?} are trained, then {:?}", case.name, trained(&net), trained(&again)));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn weights_names_and_batch_norm_come_back_bit_for_bit() {
    let net = import(file::small().bytes(), "small", &Options::default()).unwrap();
    let again = import(export(&net.graph, &net.weights).unwrap(), "small", &Options::default()).unwrap();
    assert_eq!(again.graph.nodes(), net.graph.nodes());
    assert_eq!(again.graph.params(), net.graph.params());
    for ((name, a, trained), (other, b, same)) in net.weights.iter().zip(again.weights.iter()) {
        let values = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!((name, values(a), trained), (other, values(b), same));
    }
    assert_eq!((again.producer.as_str(), again.opset), (concat!("gauntlet ", env!("CARGO_PKG_VERSION")), 20));
    assert_eq!(logits(&net, 3), logits(&again, 3));
}

#[test]
fn whoever_trains_it_is_told_about_batch_norm() {
    let of = |file: &file::File, anew| {
        let net = import(file.bytes(), "net", &Options::default()).unwrap();
        FileNetwork::new("onnx:net.onnx", net, anew).unwrap()
    };
    let network = of(&file::small(), false);
    assert!(network.own_weights().is_some());
    let notes = network.notes().join("\n");
    for words in [
        "354 numbers in 6 parameters, 4 in 2 buffers; trainings start from the file's",
        "1 batch norms take the batch's statistics in training",
    ] {
        assert!(notes.contains(words), "{words}: {notes}");
    }
    let anew = of(&file::small(), true);
    assert!(anew.own_weights().is_none() && anew.notes()[0].ends_with("trainings start anew, as PyTorch does"));
    // Without the batch norm it may have been folded.
    let mut folded = file::small();
    folded.graph().node.remove(1);
    let conv = folded.graph().node[0].output[0].clone();
    folded.graph().node[1].input[0] = conv;
    let notes = of(&folded, false).notes().join("\n");
    assert!(
        notes.contains("there is no batch norm in it; if the network had some") && notes.contains("optimize=False"),
        "{notes}"
    );
}

#[test]
fn weights_of_another_network_and_what_is_not_finite_are_refused() {
    let net = import(file::small().bytes(), "small", &Options::default()).unwrap();
    let mut weights = net.weights.clone();
    weights.set("fc.bias", Tensor::zeros(9, DType::F32, &Device::Cpu).unwrap()).unwrap();
    let said = export(&net.graph, &weights).unwrap_err().to_string();
    assert!(said.contains("fc.bias is [10] in the network and [9] in the weights"), "{said}");
    weights.set("fc.bias", Tensor::full(f32::NAN, 10, &Device::Cpu).unwrap()).unwrap();
    let said = FileNetwork::new("onnx:n.onnx", Imported { weights, ..net }, false).unwrap_err().to_string();
    assert!(said.contains("fc.bias is not finite"), "{said}");
}
