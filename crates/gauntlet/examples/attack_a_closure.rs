//! Attacks a function of one's own: images in, logits out.
//!
//! ```sh
//! cargo run --release -p gauntlet --example attack_a_closure
//! ```

use gauntlet::candle::{self, Device, Tensor};
use gauntlet::{AttackEntry, CandleModule, Evaluator, Examples, Norm, evaluate, registry};
use std::error::Error;
use std::sync::atomic::AtomicBool;

/// One logit for each half of an image: how bright it is. Whatever candle can differentiate will do.
fn brightness(x: &Tensor) -> candle::Result<Tensor> {
    Tensor::stack(&[x.narrow(3, 0, 4)?.mean((1, 2, 3))?, x.narrow(3, 4, 4)?.mean((1, 2, 3))?], 1)
}

/// Twenty images whose left half is brighter than the right one, by 0.01, 0.02, ..., 0.2.
fn images() -> candle::Result<Tensor> {
    let left = Tensor::from_iter((1..=20).map(|i| 0.4 + 0.01 * i as f32), &Device::Cpu)?.reshape((20, 1, 1, 1))?;
    let right = Tensor::full(0.4f32, (20, 1, 8, 4), &Device::Cpu)?;
    Tensor::cat(&[&left.broadcast_as((20, 1, 8, 4))?, &right], 3)
}

fn main() -> Result<(), Box<dyn Error>> {
    let registry = registry()?;
    let target = CandleModule::new("brightness", (1, 8, 8), 2, brightness);
    let examples = Examples::new(images()?, vec![0; 20], (0..20).collect())?;
    let attacks = [AttackEntry::new(&registry, "pgd", Norm::Linf, &["0.027", "0.057"])?];
    let stop = AtomicBool::new(false);
    let found = evaluate(&Evaluator::new(&target, &examples, &stop), &attacks, &registry, &mut ())?;
    println!("clean {:.0} %", 100.0 * found.clean_accuracy());
    for cell in &found.attacked {
        println!("{} {} ε = {}: {:.0} %", cell.attack, cell.norm, cell.eps, 100.0 * cell.robust_accuracy());
    }
    found.flags.iter().for_each(|flag| println!("flag: {flag:?}"));
    Ok(())
}
