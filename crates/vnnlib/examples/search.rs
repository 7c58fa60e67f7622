//! Counterexamples to properties of ONNX networks.
//!
//! Usage: `search NET.onnx PROPERTY.vnnlib[.gz] [SECONDS] [--json]` prints `sat` with the witness, or `unknown`;
//! `search FOLDER [SECONDS] [--known sat] [--witnesses FOLDER]` prints a table of the instances in FOLDER/instances.csv, one file for each witness.

use gauntlet_graph::Interpreter;
use gauntlet_onnx::{Layout, Options, open};
use gauntlet_vnnlib::{Answer, Limits, Outcome, Property, Subject, instances, run, search};
use std::error::Error;
use std::path::Path;
use std::sync::Arc;

fn main() {
    match answer() {
        Ok(()) => {}
        Err(e) => {
            eprintln!("{e}");
            std::process::exit(2);
        }
    }
}

/// `X_i` are numbered as the file's input has them, wherever its channels stand.
fn subject(path: &Path) -> gauntlet_vnnlib::Result<Subject> {
    let options = Options { layout: Layout::ChannelsFirst, ..Options::default() };
    let net = open(path, &options).map_err(gauntlet_core::Error::from)?;
    Subject::of(Arc::new(Interpreter::new(net.graph)), &net.weights)
}

fn answer() -> Result<(), Box<dyn Error>> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let json = arguments.iter().position(|a| a == "--json").map(|at| arguments.remove(at)).is_some();
    let mut option = |name: &str| -> Option<String> {
        let at = arguments.iter().position(|a| a == name).filter(|at| at + 1 < arguments.len())?;
        arguments.drain(at..at + 2).nth(1)
    };
    let (known, witnesses) = (option("--known"), option("--witnesses"));
    let mut limits = Limits::default();
    if let Some(seconds) = arguments.last().and_then(|a| a.parse().ok()) {
        limits.seconds = seconds;
        arguments.pop();
    }
    match &arguments[..] {
        [folder] => table(folder.as_ref(), &limits, known.as_deref(), witnesses.as_deref()),
        [net, property] => {
            let property = Property::open(property.as_ref())?;
            let answer = search(&subject(net.as_ref())?, &property, &limits)?;
            println!("{}", if json { answer.json()? } else { answer.to_string() });
            Ok(())
        }
        _ => Err("usage: search NET.onnx PROPERTY.vnnlib[.gz] [SECONDS] [--json] | search FOLDER [SECONDS]".into()),
    }
}

fn table(folder: &Path, limits: &Limits, known: Option<&str>, witnesses: Option<&str>) -> Result<(), Box<dyn Error>> {
    let mut all = instances(folder)?;
    all.retain(|i| known.is_none_or(|k| i.expected.as_deref() == Some(k)));
    println!("{}", Outcome::TITLES);
    let (mut sat, mut wrong, mut failed) = (0, 0, None);
    let count = all.len();
    run(all, limits, &mut subject, &mut |outcome| {
        println!("{outcome}");
        sat += usize::from(matches!(&outcome.answer, Ok(Answer { witness: Some(_), .. })));
        wrong += usize::from(outcome.contradicts());
        if let (Some(into), Ok(answer @ Answer { witness: Some(_), .. })) = (witnesses, &outcome.answer) {
            let name = outcome.witness_file();
            let written = std::fs::write(Path::new(into).join(name), format!("{answer}\n"));
            failed = failed.take().or(written.err());
        }
    });
    println!("{sat} of {count} sat; {wrong} of them said to be unsat");
    failed.map_or(Ok(()), |e| Err(e.into()))
}
