//! `gauntlet certify --property`: a property in VNN-LIB, proved, broken by a witness, or open.

use crate::arguments::Certify;
use crate::commands::attack::brings_weights;
use crate::component;
use crate::exit::{Code, Failure};
use crate::session::Session;
use gauntlet::Precision;
use gauntlet::candle::{Device, Tensor};
use gauntlet::certify::{Budget, Network, Verdict, verify};
use gauntlet::core::{Error, Frozen, Target};
use gauntlet::vnnlib::{self, Limits, Property, Subject, Witness};
use serde_json::json;
use std::path::Path;
use std::time::Instant;

/// Forwards of the search for a counterexample before anything is proved: a count, so that the answer is the same everywhere.
const FORWARDS: u64 = 4000;
/// Steps of one of its climbs.
const STEPS: u32 = 40;

pub(super) fn property(session: &Session, arguments: &Certify, path: &Path) -> Result<Code, Failure> {
    if !session.compute.device().is_cpu() {
        return Err(Failure::user("--property is proved on the CPU: leave --device out"));
    }
    if !brings_weights(&arguments.model) || arguments.checkpoint.is_some() {
        return Err(Failure::user(
            "--property is about the network of a file: --model onnx:net.onnx, without --checkpoint",
        ));
    }
    let start = Instant::now();
    let property = Property::open(path).map_err(failure)?;
    let mut given = component::parse("model", &arguments.model)?;
    // `X_i` are numbered as the file's input has them.
    given.entry("channels").or_insert_with(|| "first".into());
    let net = gauntlet::onnx::imported(&session.registry, &given, None)?;
    let (input, classes) = (net.graph.interface().input, net.graph.interface().classes);
    let (network, _) = session.registry.model(&given, input, classes)?;
    network.notes().iter().for_each(|note| session.say(format!("note: {note}")));
    let layers = Network::new(&net.graph, &net.weights)?;
    let double = Frozen::new(network.clone(), net.weights.to_precision(Precision::F64)?.constants());
    let outputs = |x: &[f64]| -> Result<Vec<f64>, Error> {
        let image = Tensor::from_slice(x, (1, input.0, input.1, input.2), &Device::Cpu)?;
        Ok(double.logits(&image)?.flatten_all()?.to_vec1()?)
    };
    let subject = Subject::of(network, &net.weights).map_err(failure)?;
    let limits =
        Limits { seconds: f64::INFINITY, forwards: FORWARDS, steps: STEPS, seed: arguments.seed, ..Limits::default() };
    let found = vnnlib::search(&subject, &property, &limits).map_err(failure)?;
    let mut nodes = 0;
    let (verdict, by, witness) = match found.witness {
        Some(witness) => (Verdict::Sat(witness.x.clone()), found.attack, Some(witness)),
        None => {
            let budget = Budget { nodes: arguments.nodes, most_undecided: arguments.undecided, ..Budget::default() };
            let mut judge = |x: &[f64]| -> Result<bool, Error> { Ok(property.satisfied(x, &outputs(x)?)) };
            let (verdict, made) = verify(&layers, &property, &budget, &mut judge)?;
            nodes = made;
            let witness = match &verdict {
                Verdict::Sat(x) => Some(witness(&property, x, outputs(x)?)),
                _ => None,
            };
            (verdict, Some("bab"), witness)
        }
    };
    let why = if let Verdict::Unknown(why) = &verdict { Some(why.clone()) } else { None };
    let by = by.filter(|_| !matches!(verdict, Verdict::Unknown(_)));
    session.result(
        || {
            json!({
                "result": verdict.to_string(), "by": by, "why": why, "nodes": nodes, "witness": witness,
                "seconds": start.elapsed().as_secs_f64(),
            })
        },
        || match &witness {
            Some(witness) => format!("{verdict}\n{witness}"),
            None => verdict.to_string(),
        },
    )?;
    Ok(Code::Done)
}

/// The point with its outputs and by how much it meets a case.
fn witness(property: &Property, x: &[f64], y: Vec<f64>) -> Witness {
    let slack = property.cases().iter().map(|case| case.slack(&y)).fold(f64::NEG_INFINITY, f64::max);
    Witness { x: x.to_vec(), y, slack }
}

fn failure(error: vnnlib::Error) -> Failure {
    Failure::user(error.to_string())
}
