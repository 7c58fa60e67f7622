//! What stays open, for other verifiers: the network as ONNX, and a property in VNN-LIB for every image.

use crate::exit::{Code, Failure};
use crate::session::Session;
use gauntlet::Precision;
use gauntlet::candle::DType;
use gauntlet::core::{Error, ThreatModel};
use gauntlet::engine::{AttackRequest, Context};
use gauntlet::evaluate::{Examples, Origin, Subject};
use gauntlet::graph::graph_of;
use gauntlet::records::{Norm, file::write_atomically};
use std::fmt::Write;
use std::path::Path;

/// Seconds that `instances.csv` grants an instance.
const SECONDS: u32 = 300;

/// Writes `net.onnx`, a property for each of these images, and `instances.csv` as the competition has it.
pub(super) fn write(
    session: &Session,
    request: &AttackRequest,
    context: &Context<'_>,
    (folder, threat): (&Path, ThreatModel),
    examples: &Examples,
    places: &[usize],
) -> Result<(), Failure> {
    if threat.norm != Norm::Linf {
        return Err(Failure::user("--export-open writes boxes, which are L∞ balls: VNN-LIB has no others"));
    }
    session.create(folder)?;
    let manifest = session.catalogue.get(&request.data)?;
    let classes = manifest.labels().len();
    let (network, _) = session.registry.model(&request.model, manifest.shape, classes)?;
    let Some(checkpoint) = &request.checkpoint else { return Err(Failure::user("--checkpoint is needed")) };
    let (file, _) = checkpoint.resolve(&context.data)?;
    let origin = file.as_deref().map_or(Origin::Own, Origin::file);
    let subject = Subject::open(network, origin, Precision::F32).map_err(gauntlet::engine::Error::from)?;
    let Some(graph) = graph_of(subject.network.as_ref()) else {
        return Err(Failure::user("--export-open: only networks whose layers are known can be written as ONNX"));
    };
    let bytes = gauntlet::onnx::export(graph, &subject.weights)?;
    put(&folder.join("net.onnx"), &bytes)?;
    let mut instances = String::new();
    for i in places {
        let image = examples.image(*i).map_err(gauntlet::engine::Error::from)?;
        let x: Vec<f64> = image.to_dtype(DType::F64).and_then(|x| x.flatten_all()?.to_vec1()).map_err(Error::from)?;
        let (id, label) = (examples.ids()[*i], examples.labels()[*i]);
        let text = property(&x, label as usize, classes, &threat);
        put(&folder.join(format!("{id}.vnnlib")), text.as_bytes())?;
        let _ = writeln!(instances, "net.onnx,{id}.vnnlib,{SECONDS}");
    }
    put(&folder.join("instances.csv"), instances.as_bytes())
}

fn put(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let wrong = |e: gauntlet::records::Error| Failure::new(Code::Environment, e.to_string());
    write_atomically(path, bytes).map_err(wrong)
}

/// That another class answers for some point of the box around x: satisfied by counterexamples.
fn property(x: &[f64], label: usize, classes: usize, threat: &ThreatModel) -> String {
    let mut out = format!("; an image of class {label} within L-infinity {} of it, cut to [0, 1]\n", threat.eps);
    (0..x.len()).for_each(|i| out += &format!("(declare-const X_{i} Real)\n"));
    (0..classes).for_each(|j| out += &format!("(declare-const Y_{j} Real)\n"));
    for (i, pixel) in x.iter().enumerate() {
        let (low, high) = ((pixel - threat.eps).max(threat.bounds.0), (pixel + threat.eps).min(threat.bounds.1));
        let _ = writeln!(out, "(assert (>= X_{i} {low}))\n(assert (<= X_{i} {high}))");
    }
    out += "(assert (or\n";
    for j in (0..classes).filter(|j| *j != label) {
        let _ = writeln!(out, "  (and (>= Y_{j} Y_{label}))");
    }
    out + "))\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use gauntlet::vnnlib::Property;

    #[test]
    fn what_is_written_reads_as_the_ball_and_the_other_classes() {
        let threat = ThreatModel::new(Norm::Linf, 0.1);
        let text = property(&[0.05, 0.5, 1.0], 1, 3, &threat);
        let read = Property::parse(&text, "written").unwrap();
        assert_eq!((read.inputs(), read.outputs(), read.cases().len()), (3, 3, 2));
        let region = &read.regions()[0];
        assert_eq!(region.lower, [0.0, 0.4, 0.9]);
        assert_eq!(region.upper, [0.05 + 0.1, 0.6, 1.0]);
        // Satisfied where another class is at least as large, and inside the box alone.
        assert!(read.satisfied(&[0.1, 0.5, 0.95], &[0.0, 1.0, 1.5]));
        assert!(!read.satisfied(&[0.1, 0.5, 0.95], &[0.0, 1.0, 0.5]));
        assert!(!read.satisfied(&[0.2, 0.5, 0.95], &[0.0, 1.0, 1.5]));
    }
}
