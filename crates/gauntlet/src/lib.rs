//! Adversarial robustness of image classifiers, as a library: attack what lives in your own program, train with a loss of your
//! own, keep what came out as records.
//!
//! What can be attacked is a [`Target`]. A function from images to logits is one as a [`CandleModule`]; a network with weights of ours
//! is opened as a [`Subject`].
//!
//! ```
//! use gauntlet::candle::{self, Device, Tensor};
//! use gauntlet::{AttackEntry, CandleModule, Evaluator, Examples, Norm, evaluate, registry};
//! use std::sync::atomic::AtomicBool;
//!
//! /// One logit for each half of an image: how bright it is.
//! fn brightness(x: &Tensor) -> candle::Result<Tensor> {
//!     Tensor::stack(&[x.narrow(3, 0, 4)?.mean((1, 2, 3))?, x.narrow(3, 4, 4)?.mean((1, 2, 3))?], 1)
//! }
//!
//! // Twenty images whose left half is brighter than the right one by 0.01, 0.02, …, 0.2.
//! let left = Tensor::from_iter((1..=20).map(|i| 0.4 + 0.01 * i as f32), &Device::Cpu)?.reshape((20, 1, 1, 1))?;
//! let left = left.broadcast_as((20, 1, 8, 4))?;
//! let images = Tensor::cat(&[&left, &Tensor::full(0.4f32, (20, 1, 8, 4), &Device::Cpu)?], 3)?;
//!
//! let registry = registry()?;
//! let target = CandleModule::new("brightness", (1, 8, 8), 2, brightness);
//! let examples = Examples::new(images, vec![0; 20], (0..20).collect())?;
//! let attacks = [AttackEntry::new(&registry, "pgd", Norm::Linf, &["0.027", "0.057"])?];
//! let stop = AtomicBool::new(false);
//! let found = evaluate(&Evaluator::new(&target, &examples, &stop), &attacks, &registry, &mut ())?;
//! let robust: Vec<f64> = found.attacked.iter().map(|cell| cell.robust_accuracy()).collect();
//! // ε darkens one half and brightens the other: a difference of 2 ε at most is turned round.
//! assert_eq!((found.clean_accuracy(), robust), (1.0, vec![0.75, 0.45]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `found.record(..)` is a record, as the binary writes them, and feature `report` makes tables and pages of those.
//! [`run`] runs a suite, [`train`](train()) trains one model, [`attack`] attacks one checkpoint; all three keep their results in a
//! [`Store`](engine::Store).
//!
//! | feature | what it adds | default |
//! |---|---|---|
//! | `scripts` | recipes written in Rhai | yes |
//! | `hub` | data sets and checkpoints of the Hugging Face hub, parquet files | yes |
//! | `report` | records as tables, pictures and pages | no |
//! | `cuda` | NVIDIA GPUs | no |
//! | `interpose` | two functions of the CUDA driver defined anew, for a program that wants its speed | no |
//!
//! The command line is another package, `gauntlet-cli`; a plug-in that wants one with its own components depends on both.

pub use candle_core as candle;
pub use gauntlet_attacks as attacks;
pub use gauntlet_autograd as autograd;
pub use gauntlet_certify as certify;
pub use gauntlet_core as core;
pub use gauntlet_data as data;
pub use gauntlet_engine as engine;
pub use gauntlet_evaluate as evaluate;
pub use gauntlet_graph as graph;
pub use gauntlet_models as models;
pub use gauntlet_onnx as onnx;
pub use gauntlet_recipes as recipes;
pub use gauntlet_records as records;
#[cfg(feature = "report")]
pub use gauntlet_report as report;
#[cfg(feature = "scripts")]
pub use gauntlet_script as script;
pub use gauntlet_vnnlib as vnnlib;

pub use gauntlet_core::Precision;
pub use gauntlet_core::{Network, Registry, Target};
pub use gauntlet_engine::{attack, run, train};
pub use gauntlet_evaluate::{AttackEntry, Evaluated, Evaluator, Examples, Origin, Subject, evaluate};
pub use gauntlet_models::CandleModule;
pub use gauntlet_records::{Norm, Record};

/// Every built-in recipe, penalty, attack, objective and model, networks of ONNX files (`onnx:net.onnx`), and recipes written as
/// scripts where this is built with them.
///
/// One's own are added to its tables: `registry.attacks.add(SPEC)?`.
///
/// # Errors
/// A name that is registered twice.
pub fn registry() -> gauntlet_core::Result<Registry> {
    let mut registry = Registry::default();
    gauntlet_attacks::register(&mut registry)?;
    gauntlet_models::register(&mut registry)?;
    gauntlet_onnx::register(&mut registry);
    gauntlet_recipes::register(&mut registry)?;
    #[cfg(feature = "scripts")]
    gauntlet_script::register(&mut registry);
    Ok(registry)
}
