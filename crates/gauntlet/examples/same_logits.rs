//! Whether a published checkpoint answers here as where it comes from.
//!
//! ```sh
//! cargo run --release -p gauntlet --example same_logits -- '{ "name": "resnet18" }' weights.pt answers.safetensors
//! ```
//!
//! `answers.safetensors` holds images `x (N, C, H, W)` in [0, 1] and the logits `z (N, K)` of the original. Printed is one JSON object:
//! `error`, the largest difference as a share of the largest logit, and `notes`, what was adapted while the checkpoint was read.

use gauntlet::candle::{DType, Device, Tensor, safetensors};
use gauntlet::core::Compute;
use gauntlet::{Origin, Precision, Subject, Target, registry};
use serde_json::{Map, Value, json};
use std::error::Error;
use std::path::Path;

fn largest(t: &Tensor) -> Result<f64, Box<dyn Error>> {
    Ok(t.to_dtype(DType::F64)?.abs()?.flatten_all()?.max(0)?.to_scalar()?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, weights, answers] = arguments.as_slice() else {
        return Err("give a model as JSON, its checkpoint, and a safetensors file with x and z".into());
    };
    let model: Map<String, Value> = serde_json::from_str(model)?;
    let answers = safetensors::load(answers, &Device::Cpu)?;
    let tensor = |name: &str| answers.get(name).ok_or_else(|| format!("the answers have no tensor {name}"));
    let (x, z) = (tensor("x")?, tensor("z")?);
    let ((_, c, h, w), (_, classes)) = (x.dims4()?, z.dims2()?);
    let (network, _) = registry()?.model(&model, (c, h, w), classes)?;
    let subject = Subject::open_published(network, Origin::file(Path::new(weights)), Precision::F32)?;
    let found = subject.target(&Compute::default())?.logits(x)?;
    let error =
        largest(&(found.to_dtype(DType::F64)? - z.to_dtype(DType::F64)?)?)? / largest(z)?.max(f64::MIN_POSITIVE);
    println!("{}", json!({ "error": error, "notes": subject.notes }));
    Ok(())
}
