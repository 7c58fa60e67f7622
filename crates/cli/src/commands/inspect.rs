//! `gauntlet inspect`: what a network of a file is, layer by layer, or what of it cannot be imported.

use crate::arguments::{Channels, Inspect};
use crate::exit::{Code, Failure};
use crate::session::Session;
use gauntlet::graph::Summary;
use gauntlet::onnx::{Imported, Layout, Options, PREFIX, TRAINABLE_EXPORT, open};
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::Path;

pub(crate) fn inspect(session: &Session, arguments: &Inspect) -> Result<Code, Failure> {
    let layout = match arguments.channels {
        None => Layout::Auto,
        Some(Channels::First) => Layout::ChannelsFirst,
        Some(Channels::Last) => Layout::ChannelsLast,
    };
    let options = Options { layout, output: arguments.output.clone(), ..Options::default() };
    // As --model writes it.
    let file = arguments.file.to_str().and_then(|f| f.strip_prefix(PREFIX)).map_or(&*arguments.file, Path::new);
    let net = open(file, &options).map_err(|e| Failure::new(Code::User, e.to_string()))?;
    session.result(|| object(&net), || text(arguments, &net))?;
    Ok(Code::Done)
}

/// Names of tensors, and the numbers in all of them.
fn tensors(net: &Imported, trained: bool) -> (Vec<&str>, usize) {
    let found = || net.weights.iter().filter(|w| w.2 == trained);
    (found().map(|w| w.0).collect(), found().map(|w| w.1.elem_count()).sum())
}

fn object(net: &Imported) -> Value {
    let (info, Summary { rows, total }) = (net.graph.interface(), net.graph.summary());
    let layers: Vec<Value> = rows
        .iter()
        .map(|row| json!({ "name": row.name, "layer": row.layer, "shape": row.shape, "parameters": row.cost.parameters }))
        .collect();
    let ((trained, parameters), (frozen, buffers)) = (tensors(net, true), tensors(net, false));
    json!({
        "producer": net.producer,
        "opset": net.opset,
        "sha256": net.sha256,
        "nodes": net.nodes,
        "input": [info.input.0, info.input.1, info.input.2],
        "classes": info.classes,
        "layers": layers,
        "multiply_adds": total.multiply_adds,
        "parameters": { "count": parameters, "names": trained },
        "buffers": { "count": buffers, "names": frozen },
        "notes": net.notes,
        "files": net.external,
        "trainable_export": TRAINABLE_EXPORT,
    })
}

fn text(arguments: &Inspect, net: &Imported) -> String {
    let info = net.graph.interface();
    let (c, h, w) = info.input;
    let by = if net.producer.is_empty() { String::new() } else { format!("{}, ", net.producer) };
    let mut out = String::new();
    let _ = writeln!(out, "{}: {by}opset {}, {} nodes", arguments.file.display(), net.opset, net.nodes);
    let _ = writeln!(out, "images {c} × {h} × {w}, {} classes\n", info.classes);
    let _ = writeln!(out, "{}", net.graph.summary());
    for (what, trained) in [("parameters", true), ("buffers", false)] {
        let (names, count) = tensors(net, trained);
        let _ = writeln!(out, "{what}: {count} numbers in {} tensors", names.len());
        if !trained && !names.is_empty() {
            let _ = writeln!(out, "  {}", names.join(", "));
        }
    }
    for note in &net.notes {
        let _ = writeln!(out, "note: {note}");
    }
    let _ = writeln!(out, "to train it with batch norm and all parameters, export it by\n  {TRAINABLE_EXPORT}");
    out
}
