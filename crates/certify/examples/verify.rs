//! Properties of ONNX networks: proved, broken, or open.
//!
//! Usage: `verify NET.onnx PROPERTY.vnnlib[.gz] [--nodes N]` prints `unsat`, `sat` with the witness, or `unknown`;
//! `verify FOLDER [--nodes N] [--undecided N] [--only TEXT]` prints a table of the instances in FOLDER/instances.csv and fails where one is contradicted.

use gauntlet_certify::{Budget, Network, Verdict, verify};
use gauntlet_core::Precision;
use gauntlet_core::Target;
use gauntlet_graph::Interpreter;
use gauntlet_onnx::{Layout, Options, open};
use gauntlet_vnnlib::{Limits, Property, Subject, instances, search};
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

/// A network as bounds read it, as the search asks it, and in f64.
struct Opened {
    layers: Network,
    subject: Subject,
    double: gauntlet_core::Frozen,
}

fn opened(path: &Path) -> Result<Opened, Box<dyn Error>> {
    let options = Options { layout: Layout::ChannelsFirst, ..Options::default() };
    let net = open(path, &options).map_err(gauntlet_core::Error::from)?;
    let network = Arc::new(Interpreter::new(net.graph.clone()));
    let double = gauntlet_core::Frozen::new(network.clone(), net.weights.to_precision(Precision::F64)?.constants());
    Ok(Opened { layers: Network::new(&net.graph, &net.weights)?, subject: Subject::of(network, &net.weights)?, double })
}

/// A short search for a counterexample, then proofs.
fn answer(net: &Opened, property: &Property, budget: &Budget) -> Result<(Verdict, usize), Box<dyn Error>> {
    let limits = Limits { seconds: f64::INFINITY, forwards: 4_000, steps: 40, ..Limits::default() };
    if let Some(witness) = search(&net.subject, property, &limits)?.witness {
        return Ok((Verdict::Sat(witness.x), 0));
    }
    let (c, h, w) = net.double.info().input;
    let mut judge = |x: &[f64]| -> gauntlet_core::Result<bool> {
        let image = candle_core::Tensor::from_slice(x, (1, c, h, w), &candle_core::Device::Cpu)?;
        let y: Vec<f64> = net.double.logits(&image)?.flatten_all()?.to_vec1()?;
        Ok(property.satisfied(x, &y))
    };
    Ok(verify(&net.layers, property, budget, &mut judge)?)
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<bool, Box<dyn Error>> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut option = |name: &str| -> Option<String> {
        let at = arguments.iter().position(|a| a == name).filter(|at| at + 1 < arguments.len())?;
        arguments.drain(at..at + 2).nth(1)
    };
    let mut budget = Budget::default();
    if let Some(nodes) = option("--nodes") {
        budget.nodes = nodes.parse()?;
    }
    if let Some(undecided) = option("--undecided") {
        budget.most_undecided = undecided.parse()?;
    }
    let only = option("--only").unwrap_or_default();
    match &arguments[..] {
        [folder] => table(folder.as_ref(), &only, &budget),
        [net, property] => {
            let property = Property::open(property.as_ref())?;
            let net = opened(net.as_ref())?;
            let (verdict, _) = answer(&net, &property, &budget)?;
            println!("{verdict}");
            if let Verdict::Sat(x) = verdict {
                let values: Vec<String> = x.iter().enumerate().map(|(i, v)| format!("(X_{i} {v})")).collect();
                println!("({})", values.join("\n "));
            }
            Ok(true)
        }
        _ => Err("usage: verify NET.onnx PROPERTY.vnnlib[.gz] [--nodes N] | verify FOLDER [--nodes N]".into()),
    }
}

fn table(folder: &Path, only: &str, budget: &Budget) -> Result<bool, Box<dyn Error>> {
    let mut last: Option<(std::path::PathBuf, Opened)> = None;
    let (mut proved, mut unsat, mut broken, mut sat, mut wrong) = (0, 0, 0, 0, 0);
    let mut times = Vec::new();
    println!("property | network | known | result | parts | seconds");
    for instance in instances(folder)? {
        let name = instance.network.file_name().unwrap_or_default().to_string_lossy().to_string();
        if !name.contains(only) {
            continue;
        }
        let start = Instant::now();
        if last.as_ref().is_none_or(|(path, _)| *path != instance.network) {
            last = Some((instance.network.clone(), opened(&instance.network)?));
        }
        let Some((_, net)) = &last else { continue };
        let property = Property::open(&instance.property)?;
        let (verdict, parts) = answer(net, &property, budget)?;
        let (seconds, known) = (start.elapsed().as_secs_f64(), instance.expected.as_deref().unwrap_or("-"));
        println!("{} | {name} | {known} | {verdict} | {parts} | {seconds:.1}", instance.name);
        times.push(seconds);
        (unsat, sat) = (unsat + usize::from(known == "unsat"), sat + usize::from(known == "sat"));
        match (verdict, known) {
            (Verdict::Unsat, "sat") | (Verdict::Sat(_), "unsat") => wrong += 1,
            (Verdict::Unsat, "unsat") => proved += 1,
            (Verdict::Sat(_), "sat") => broken += 1,
            _ => {}
        }
    }
    times.sort_by(f64::total_cmp);
    let median = times.get(times.len() / 2).copied().unwrap_or(0.0);
    println!(
        "{proved} of {unsat} unsat proved, {broken} of {sat} sat broken, {wrong} contradicted; median {median:.1} s"
    );
    Ok(wrong == 0)
}
