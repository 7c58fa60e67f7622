//! Third founding example: mse + 0.1 · mse(f(x − 0.1 · sign ∇ₓf)), in both readings.
//!
//! Run with `cargo run --release -p gauntlet-recipes --example 03_fgsm_augmented`.

use candle_core::{Device, Tensor};
use gauntlet_autograd::{Graph, Var, grad};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A linear model 10 → 1, squared error against 1.5.
    let ramp = |scale: f64, shift: f64| -> Vec<f64> { (0..10).map(|i| scale * (f64::from(i) - shift)).collect() };
    let row = |v: Vec<f64>| Tensor::from_vec(v, (1, 10), &Device::Cpu);
    let x = Var::leaf(row(ramp(0.3, 4.0))?);
    let w = Var::leaf(row(ramp(-0.1, 5.5))?);
    let b = Var::leaf(Tensor::new(&[0.1f64], &Device::Cpu)?);
    let model = |x: &Var| x.linear(&w, Some(&b));
    let mse = |output: &Var| output.affine(1.0, -1.5)?.sqr()?.mean_all();

    let plain = mse(&model(&x)?)?;
    let without = grad(&plain, &[&w], Graph::Free)?.swap_remove(0);
    println!("weight gradient of the plain loss:    {}", show(&without)?);
    for (reading, graph) in [("cut (as popularly written)", Graph::Free), ("kept (as meant)", Graph::Keep)] {
        let g = grad(&model(&x)?, &[&x], graph)?.swap_remove(0); // ∇ₓ f(x)
        let moved = x.detach().sub(&g.sign()?.affine(0.1, 0.0)?)?;
        let penalty = mse(&model(&moved)?)?.affine(0.1, 0.0)?;
        let loss = mse(&model(&x)?)?.add(&penalty)?;
        let dw = grad(&loss, &[&w], Graph::Free)?.swap_remove(0);
        println!("with the penalty, graph {reading:26}: {}", show(&dw)?);
    }
    println!("Both readings agree bit for bit: sign has no derivative, so there is nothing to cut.");
    Ok(())
}

fn show(v: &Var) -> Result<String, Box<dyn std::error::Error>> {
    let values: Vec<f64> = v.tensor().flatten_all()?.to_vec1()?;
    Ok(values.iter().take(4).map(|x| format!("{x:9.5}")).collect::<Vec<_>>().join(" ") + " …")
}
