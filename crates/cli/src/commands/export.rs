//! `gauntlet export`: a model with its weights as an ONNX file.

use crate::arguments::Export;
use crate::commands::attack::{brings_weights, source};
use crate::component;
use crate::exit::{Code, Failure};
use crate::session::Session;
use gauntlet::Precision;
use gauntlet::evaluate::{Origin, Subject};
use gauntlet::onnx::OPSET;
use gauntlet::records::file::write_atomically;
use serde_json::json;

pub(crate) fn export(session: &Session, arguments: &Export) -> Result<Code, Failure> {
    let given = component::parse("model", &arguments.model)?;
    let shape = match &arguments.data {
        Some(name) => {
            let manifest = session.catalogue.get(name)?;
            Some((manifest.shape, manifest.labels().len()))
        }
        None => None,
    };
    let graph = match shape {
        _ if brings_weights(&arguments.model) => {
            gauntlet::onnx::imported(&session.registry, &given, shape.map(|(input, _)| input))?.graph
        }
        Some((input, classes)) => gauntlet::models::graph(&given, Some(input), classes)?,
        None => {
            return Err(Failure::user(
                "--data is missing: it says which images the network takes, and how many classes it has",
            ));
        }
    };
    let (input, classes) = (graph.interface().input, graph.interface().classes);
    let (network, _) = session.registry.model(&given, input, shape.map_or(classes, |(_, classes)| classes))?;
    let options = gauntlet::data::LoadOptions { quiet: session.global.quiet, ..Default::default() };
    let (file, mut notes) = match &arguments.checkpoint {
        Some(checkpoint) => source(checkpoint)?.resolve(&options)?,
        None => (None, Vec::new()),
    };
    let origin = file.as_deref().map_or(Origin::Initial, Origin::file);
    let mut subject = Subject::open(network, origin, Precision::F32).map_err(gauntlet::engine::Error::from)?;
    notes.append(&mut subject.notes);
    let bytes = gauntlet::onnx::export(&graph, &subject.weights)?;
    write_atomically(&arguments.out, &bytes).map_err(gauntlet::engine::Error::from)?;
    let path = arguments.out.display().to_string();
    session.result(
        || {
            json!({
                "file": path, "opset": OPSET, "bytes": bytes.len(), "checkpoint_sha256": subject.sha256, "notes": notes,
            })
        },
        || {
            let notes: String = notes.iter().map(|note| format!("note: {note}\n")).collect();
            format!("{path}: opset {OPSET}, {} bytes, weights {}\n{notes}", bytes.len(), subject.sha256)
        },
    )?;
    Ok(Code::Done)
}
