//! Logits and input gradients of an ONNX network, for comparison with other tools.
//!
//! Usage: `onnx_logits NET.onnx X.f32 [f32|f64]`: X holds images (N, C, H, W) as float32 in a row, little-endian. Prints one JSON
//! object: `logits` (N, K), `gradient` of Σ logits · (1, 2, .., K) by the images, both in order, `parameters`, `buffers`, `notes`.

use candle_core::{DType, Device, Tensor};
use gauntlet_autograd::{Graph, Var, grad};
use gauntlet_core::{Network, Pass, Precision};
use gauntlet_graph::Interpreter;
use gauntlet_onnx::{Options, open};
use std::error::Error;

fn main() {
    if let Err(e) = answer() {
        eprintln!("{e}");
        std::process::exit(1);
    }
}

fn answer() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, pixels, rest @ ..] = &arguments[..] else {
        return Err("usage: onnx_logits NET.onnx X.f32 [f32|f64]".into());
    };
    let precision = if rest.first().is_some_and(|d| d == "f64") { Precision::F64 } else { Precision::F32 };
    let net = open(file.as_ref(), &Options::default())?;
    let (c, h, w) = net.graph.interface().input;
    let pixels: Vec<f32> = std::fs::read(pixels)?.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    let n = pixels.len() / (c * h * w);
    let x = Var::leaf(Tensor::from_vec(pixels, (n, c, h, w), &Device::Cpu)?.to_dtype(precision.dtype())?);
    let params = net.weights.to_precision(precision)?.constants();
    let ids: Vec<u64> = (0..n as u64).collect();
    let network = Interpreter::new(net.graph.clone());
    let start = std::time::Instant::now();
    let z = network.forward(&params, &x, &mut Pass::eval(&ids))?;
    let forward = start.elapsed().as_secs_f64();
    let k = net.graph.interface().classes;
    let ramp: Vec<f64> = (0..n * k).map(|i| (i % k + 1) as f64).collect();
    let ramp = Var::constant(Tensor::from_vec(ramp, (n, k), &Device::Cpu)?.to_dtype(precision.dtype())?);
    let total = z.mul(&ramp)?.sum_all()?;
    let gradient = grad(&total, &[&x], Graph::Free)?.swap_remove(0);
    let list =
        |t: &Tensor| -> Result<Vec<f64>, candle_core::Error> { t.flatten_all()?.to_dtype(DType::F64)?.to_vec1() };
    let count = |trained: bool| {
        net.weights.iter().filter(|(_, _, t)| *t == trained).map(|(_, t, _)| t.elem_count()).sum::<usize>()
    };
    let answer = serde_json::json!({
        "logits": list(z.tensor())?,
        "gradient": list(gradient.tensor())?,
        "shape": [n, c, h, w],
        "parameters": count(true),
        "buffers": count(false),
        "names": net.weights.iter().map(|(name, _, _)| name).collect::<Vec<_>>(),
        "notes": net.notes,
        "forward": forward,
    });
    println!("{answer}");
    Ok(())
}
