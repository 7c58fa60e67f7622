//! Attacks two vision models of candle-transformers, built from its own code with random weights, as they are.
//!
//! The vision transformer's layer norms and fused softmax cut candle's graph, so its input gradient lacks whole
//! branches: the gradient check raises a flag, and attacks without gradients show what those with them miss. The
//! convolutional network's gradient is sound.
//!
//! ```sh
//! cargo run --release --example attack_candle_transformers
//! ```

use candle_core::{DType, Device, Shape, Tensor};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Activation, Init, Module, VarBuilder};
use candle_transformers::models::{efficientnet, vit};
use gauntlet_core::attack::{predicted, rows};
use gauntlet_core::{Key, Precision, Purpose, Registry, Target};
use gauntlet_data::{Catalogue, LoadOptions, load};
use gauntlet_evaluate::{AttackEntry, Component, Evaluator, Examples, Kind, evaluate};
use gauntlet_models::CandleModule;
use gauntlet_records::Norm;
use serde_json::json;
use std::error::Error;
use std::sync::atomic::AtomicBool;

const CLASSES: usize = 10;

/// Weights drawn by name: N(0, 1/fan in) for matrices and kernels, what the layer proposes for vectors.
struct Drawn;

impl SimpleBackend for Drawn {
    fn get(&self, s: Shape, name: &str, h: Init, dtype: DType, dev: &Device) -> candle_core::Result<Tensor> {
        let dims = s.dims();
        if let (Init::Const(c), [_]) = (h, dims) {
            return Tensor::full(c as f32, dims, dev)?.to_dtype(dtype);
        }
        let spread = match dims {
            [_] => 0.0,
            [_, inner @ ..] => 1.0 / (inner.iter().product::<usize>() as f64).sqrt(),
            [] => 1.0,
        };
        let mut stream = Key::new(0, Purpose::Init).named(name).stream(0, 0, 0);
        let values: Vec<f64> = (0..s.elem_count()).map(|_| spread * stream.normal()).collect();
        Tensor::from_vec(values, s, dev)?.to_dtype(dtype)
    }
    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> candle_core::Result<Tensor> {
        candle_core::bail!("the shape of {name} is needed")
    }
    fn contains_tensor(&self, _: &str) -> bool {
        true
    }
}

/// A vision transformer: 16 patches of 7 × 7, width 32, 3 layers.
fn transformer(vb: VarBuilder<'_>) -> candle_core::Result<CandleModule> {
    let config = vit::Config {
        hidden_size: 32,
        num_hidden_layers: 3,
        num_attention_heads: 4,
        intermediate_size: 64,
        hidden_act: Activation::Gelu,
        layer_norm_eps: 1e-6,
        image_size: 28,
        patch_size: 7,
        num_channels: 1,
        qkv_bias: true,
    };
    let model = vit::Model::new(&config, CLASSES, vb)?;
    Ok(CandleModule::new("vit", (1, 28, 28), CLASSES, move |x| model.forward(x)))
}

/// The stem, the first stage and the head of an EfficientNet-B0; it wants three channels.
fn convolutional(vb: VarBuilder<'_>) -> candle_core::Result<CandleModule> {
    let stages = efficientnet::MBConvConfig::b0().into_iter().take(1).collect();
    let model = efficientnet::EfficientNet::new(vb, stages, CLASSES)?;
    Ok(CandleModule::new("efficientnet", (1, 28, 28), CLASSES, move |x| model.forward(&x.repeat((1, 3, 1, 1))?)))
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut registry = Registry::default();
    gauntlet_attacks::register(&mut registry)?;
    let glyphs = load(&Catalogue::default().get("glyphs")?, &LoadOptions::default())?;
    let images = glyphs.test.batch(&(0..16).collect::<Vec<_>>(), Precision::F32, &Device::Cpu)?;
    let weights = || VarBuilder::from_backend(Box::new(Drawn), DType::F32, Device::Cpu);
    for target in [transformer(weights())?, convolutional(weights())?] {
        // Random weights know no glyphs: the labels are the model's own answers.
        let answers = rows(&target.logits(&images.x)?)?;
        let labels =
            answers.iter().map(|z| predicted(z).ok_or("logits that are not finite")).collect::<Result<_, _>>()?;
        let examples = Examples::new(images.x.clone(), labels, images.ids.clone())?;
        let entry = |name: &str, arguments: serde_json::Value| -> Result<AttackEntry, Box<dyn Error>> {
            let mut given = arguments.as_object().cloned().unwrap_or_default();
            given.insert("name".into(), name.into());
            let attack = Component::resolve(Kind::Attack, &registry, &given)?;
            Ok(AttackEntry {
                label: name.into(),
                attack,
                norm: Norm::Linf,
                eps: vec!["8/255".parse()?],
                examples: None,
            })
        };
        let attacks = [
            entry("pgd", json!({ "steps": 10, "alpha": "eps/4" }))?,
            // The four of AutoAttack, shortened.
            entry("apgd-ce", json!({ "steps": 10 }))?,
            entry("apgd-t", json!({ "steps": 5 }))?,
            entry("fab-t", json!({ "steps": 3 }))?,
            entry("square", json!({ "queries": 100 }))?,
        ];
        let never = AtomicBool::new(false);
        // Among the flags: whether the model's input gradient is the derivative of its logits.
        let found = evaluate(&Evaluator::new(&target, &examples, &never), &attacks, &registry, &mut ())?;
        let percent = |of: &dyn Fn(usize) -> bool| 100.0 * (0..16).filter(|i| of(*i)).count() as f64 / 16.0;
        let clean = percent(&|i| found.clean[i].predicted == found.clean[i].label);
        println!("{} on {} glyphs, L∞, ε = 8/255", target.info().name, examples.len());
        println!("  {:8} {clean:6.1} %", "clean");
        for cell in &found.attacked {
            println!(
                "  {:8} {:6.1} %",
                cell.attack,
                percent(&|i| cell.verdicts[i].fate == gauntlet_records::Fate::Robust)
            );
        }
        for flag in &found.flags {
            println!("  {}: {}", flag.name, flag.detail);
        }
    }
    Ok(())
}
