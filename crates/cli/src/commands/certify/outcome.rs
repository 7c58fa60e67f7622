//! What was proved and what was broken, image by image, and how it is told.

use crate::exit::{Code, Failure};
use gauntlet::candle::Tensor;
use gauntlet::certify::{Certificate, Executed, Fate, Method, Plan};
use gauntlet::core::checkpoint::to_bytes;
use gauntlet::engine::{AttackReport, AttackRequest};
use gauntlet::records::{Eps, Norm, file::write_atomically, statistics::wilson};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::fmt::Write;
use std::path::Path;

/// What became of an image.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Ended {
    /// Wrong before anything was done to it.
    Wrong,
    /// Proved, by this method.
    Certified(Method),
    /// Neither proved nor broken, and why not proved.
    Open(String),
    /// Broken by the attack.
    Attacked,
    /// Broken by the search's own proposal.
    Searched,
}

impl Ended {
    fn name(&self) -> &'static str {
        match self {
            Ended::Wrong => "wrong",
            Ended::Certified(_) => "certified",
            Ended::Open(_) => "open",
            Ended::Attacked | Ended::Searched => "broken",
        }
    }
}

/// What is known of an image after bounds or a search.
fn ended(certificate: &Certificate) -> Ended {
    match &certificate.fate {
        Fate::Certified => Ended::Certified(certificate.method),
        Fate::Open(why) => Ended::Open(why.clone()),
        Fate::Broken(_) => Ended::Searched,
    }
}

/// Of all images.
pub(super) struct Outcome {
    eps: Eps,
    plan: Plan,
    pub(super) ended: Vec<Ended>,
    /// Of those that are right: the last certificate.
    certificates: Vec<Option<Certificate>>,
    /// Proved and broken at once.
    contradicted: Vec<usize>,
    /// Broken in f32, proved and right in f64.
    rounded: Vec<usize>,
    /// What branch and bound broke, with its proposals.
    pub(super) found: Vec<(usize, Tensor)>,
    pub(super) seconds: f64,
}

impl Outcome {
    pub(super) fn new(report: &AttackReport, eps: Eps, plan: Plan) -> Self {
        let of = |clean: &gauntlet::records::CleanVerdict| {
            if clean.label == clean.predicted { Ended::Open("nothing was tried".into()) } else { Ended::Wrong }
        };
        Outcome {
            eps,
            plan,
            ended: report.clean.iter().map(of).collect(),
            certificates: vec![None; report.n],
            contradicted: Vec::new(),
            rounded: Vec::new(),
            found: Vec::new(),
            seconds: 0.0,
        }
    }

    /// Takes a certificate down; one of an image that is broken is a contradiction.
    pub(super) fn bounded(&mut self, i: usize, certificate: Certificate) {
        let now = ended(&certificate);
        match (&self.ended[i], &now) {
            (Ended::Attacked, Ended::Certified(_)) => self.contradicted.push(i),
            (Ended::Attacked, _) => {}
            _ => self.ended[i] = now,
        }
        self.certificates[i] = Some(certificate);
    }

    /// Whether a certificate covers it, broken or not.
    pub(super) fn certified(&self, i: usize) -> bool {
        self.contradicted.contains(&i) || matches!(self.ended[i], Ended::Certified(_))
    }

    /// Its contradiction is one of arithmetic alone.
    pub(super) fn rounding_decides(&mut self, i: usize) {
        self.contradicted.retain(|c| *c != i);
        self.rounded.push(i);
    }

    /// Places of the images that are neither proved nor broken.
    pub(super) fn open(&self) -> Vec<usize> {
        let open = |(i, ended): (usize, &Ended)| matches!(ended, Ended::Open(_)).then_some(i);
        self.ended.iter().enumerate().filter_map(open).collect()
    }

    fn count(&self, which: impl Fn(&Ended) -> bool) -> usize {
        self.ended.iter().filter(|e| which(e)).count()
    }

    /// The error that a contradiction is, after the example is saved.
    pub(super) fn contradiction(&self, report: &AttackReport, folder: &Path) -> Result<Option<Failure>, Failure> {
        let Some(i) = self.contradicted.first().copied() else { return Ok(None) };
        let examples = &report.examples;
        let x_adv = report.adversarial[0].x_adv.narrow(0, i, 1).map_err(gauntlet::core::Error::from)?;
        let x = examples.image(i).map_err(gauntlet::engine::Error::from)?;
        let certificate = self.certificates[i].as_ref();
        let metadata = HashMap::from([
            ("eps".to_string(), self.eps.to_string()),
            ("id".to_string(), examples.ids()[i].to_string()),
            ("label".to_string(), examples.labels()[i].to_string()),
            ("bound".to_string(), certificate.map_or(f64::NAN, |c| c.bound).to_string()),
            ("method".to_string(), certificate.map_or_else(String::new, |c| c.method.to_string())),
            ("checkpoint_sha256".to_string(), report.checkpoint_sha256.clone()),
        ]);
        let file = folder.join(format!("contradiction-{}.safetensors", examples.ids()[i]));
        let bytes = to_bytes([("x", &x), ("x_adv", &x_adv)].into_iter(), metadata)?;
        std::fs::create_dir_all(folder).map_err(|source| {
            let path = folder.display().to_string();
            Failure::from(gauntlet::core::Error::Io { action: "create", path, source })
        })?;
        write_atomically(&file, &bytes).map_err(gauntlet::engine::Error::from)?;
        let message = format!(
            "{} of {} images are certified and broken at once, which is a bug of the bounds or of the referee; row {} is in {}: please report it",
            self.contradicted.len(),
            report.n,
            examples.ids()[i],
            file.display()
        );
        Ok(Some(Failure::new(Code::Bug, message)))
    }

    /// One line per image.
    pub(super) fn write(&self, file: &Path) -> Result<(), Failure> {
        let mut out = csv::Writer::from_writer(Vec::new());
        let wrong = |e: csv::Error| Failure::new(Code::Environment, format!("verdicts: {e}"));
        out.write_record(["index", "fate", "method", "bound", "nodes", "undecided", "why"]).map_err(wrong)?;
        for (i, (ended, certificate)) in self.ended.iter().zip(&self.certificates).enumerate() {
            let of = |f: &dyn Fn(&Certificate) -> String| certificate.as_ref().map_or_else(String::new, f);
            let why = if let Ended::Open(why) = ended { why.clone() } else { String::new() };
            let method = match ended {
                Ended::Certified(method) => method.to_string(),
                Ended::Searched => Method::Bab.to_string(),
                Ended::Attacked => "attack".into(),
                _ => String::new(),
            };
            let numbers =
                [of(&|c| c.bound.to_string()), of(&|c| c.nodes.to_string()), of(&|c| c.undecided.to_string())];
            let [bound, nodes, undecided] = numbers;
            let line = [i.to_string(), ended.name().into(), method, bound, nodes, undecided, why];
            out.write_record(line).map_err(wrong)?;
        }
        let table = out.into_inner().map_err(|e| wrong(e.into_error().into()))?;
        write_atomically(file, &table).map_err(gauntlet::engine::Error::from)?;
        Ok(())
    }

    fn by_method(&self) -> Vec<(Method, usize)> {
        self.plan.methods.iter().map(|m| (*m, self.count(|e| *e == Ended::Certified(*m)))).collect()
    }

    fn counts(&self) -> Counts {
        let n = self.ended.len();
        let wrong = self.count(|e| *e == Ended::Wrong);
        let certified = self.count(|e| matches!(e, Ended::Certified(_)));
        let attacked = self.count(|e| *e == Ended::Attacked);
        let searched = self.count(|e| *e == Ended::Searched);
        Counts { n, wrong, certified, attacked, searched, open: n - wrong - certified - attacked - searched }
    }

    fn notes(&self, report: &AttackReport) -> Vec<String> {
        let mut notes = report.notes.clone();
        if !self.rounded.is_empty() {
            let count = self.rounded.len();
            notes.push(format!(
                "rounding-decides: {count} images are proved for real numbers and right in f64, and broken in f32; they count as broken"
            ));
        }
        let Counts { n, wrong, certified, .. } = self.counts();
        if certified == 0 && wrong < n {
            notes.push("bound-vacuous: nothing is certified, which says nothing about robustness; bounds are good for small networks at small ε, and for networks trained for them".into());
        }
        notes
    }

    pub(super) fn object(&self, request: &AttackRequest, report: &AttackReport) -> Value {
        let Counts { n, wrong, certified, attacked, searched, open } = self.counts();
        let share = |count: usize| count as f64 / n as f64;
        let by_method: Map<String, Value> =
            self.by_method().into_iter().map(|(m, count)| (m.to_string(), count.into())).collect();
        json!({
            "model": request.model["name"],
            "checkpoint": request.checkpoint.as_ref().map(ToString::to_string),
            "checkpoint_sha256": report.checkpoint_sha256,
            "data": request.data,
            "norm": request.norm,
            "eps": self.eps,
            "n": n,
            "clean_accuracy": share(n - wrong),
            "certified_accuracy": share(certified),
            "attacked_accuracy": share(certified + open),
            "open": open,
            "certified": by_method,
            "broken": { "attack": attacked, "bab": searched },
            "attack": report.attacked[0].parameters,
            "executed": if self.plan.executed == Executed::Exactly { "exact" } else { "f32" },
            "nodes": self.plan.budget.nodes,
            "seed": request.seed,
            "seconds": self.seconds,
            "threads": rayon::current_num_threads(),
            "notes": self.notes(report),
            "flags": report.flags,
        })
    }

    pub(super) fn text(&self, request: &AttackRequest, report: &AttackReport) -> String {
        let Counts { n, wrong, certified, attacked, searched, open } = self.counts();
        let attack = request.attack["name"].as_str().unwrap_or_default();
        let symbol = request.norm.symbol();
        let mut out = format!("n = {n} test examples of {}, {symbol} ε = {}\n", request.data, self.eps);
        let lines = [
            ("clean".to_string(), n - wrong),
            ("certified".to_string(), certified),
            (format!("under {attack}"), certified + open),
        ];
        let width = lines.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
        for (label, count) in lines {
            let (low, high) = wilson(count as u64, n as u64, 1.96);
            let share = 100.0 * count as f64 / n as f64;
            let _ = writeln!(out, "{label:width$}  {share:5.1} %  (95 %: {:.1} to {:.1})", 100.0 * low, 100.0 * high);
        }
        let methods: Vec<String> = self.by_method().iter().map(|(m, count)| format!("{m} {count}")).collect();
        let _ = writeln!(
            out,
            "certified by {}; broken by {attack} {attacked}, bab {searched}; open {open}",
            methods.join(", ")
        );
        let norm = match request.norm {
            Norm::Linf => "moves no pixel by more than",
            Norm::L2 => "has an L2 norm of at most",
            Norm::L1 => "has an L1 norm of at most",
            Norm::L0 => "changes no more values than",
        };
        let about = match self.plan.executed {
            Executed::Exactly => "the network of real numbers with these weights",
            Executed::Single => "the network as a CPU computes it in f32",
        };
        let _ = writeln!(
            out,
            "proved: of these {n} images {certified} are classified right by {about}, whatever perturbation inside [0, 1] {norm} {}",
            self.eps
        );
        let _ = writeln!(out, "{:.1} s", self.seconds);
        for note in self.notes(report) {
            let _ = writeln!(out, "note: {note}");
        }
        for told in gauntlet::report::folded(&report.flags) {
            let _ = writeln!(out, "flag: {told}");
        }
        out
    }
}

struct Counts {
    n: usize,
    wrong: usize,
    certified: usize,
    attacked: usize,
    searched: usize,
    open: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use gauntlet::candle::Device;
    use gauntlet::certify::Budget;
    use gauntlet::engine::Adversarial;
    use gauntlet::evaluate::Examples;
    use gauntlet::records::CleanVerdict;

    fn certificate(fate: Fate) -> Certificate {
        Certificate { fate, method: Method::Crown, bound: 0.5, nodes: 0, undecided: 3 }
    }

    #[test]
    fn what_is_certified_and_broken_is_an_error_that_saves_the_example() {
        let x = Tensor::full(0.5f32, (2, 1, 1, 1), &Device::Cpu).unwrap();
        let clean = |id| CleanVerdict { id, label: 0, predicted: 0, margin: 1.0 };
        let eps: Eps = "0.1".parse().unwrap();
        let report = AttackReport {
            n: 2,
            clean_accuracy: 1.0,
            robust_accuracy: 0.5,
            by_eps: Vec::new(),
            seconds: 0.0,
            forwards: 0,
            backwards: 0,
            checkpoint_sha256: String::new(),
            notes: Vec::new(),
            flags: Vec::new(),
            clean: vec![clean(7), clean(8)],
            attacked: Vec::new(),
            examples: Examples::new(x.clone(), vec![0, 0], vec![7, 8]).unwrap(),
            adversarial: vec![Adversarial { eps: eps.clone(), x_adv: x, verdicts: Vec::new(), still_broken: None }],
        };
        let plan = Plan { methods: vec![Method::Crown], executed: Executed::Exactly, budget: Budget::default() };
        let folder = tempfile::tempdir().unwrap();
        let mut outcome = Outcome::new(&report, eps, plan);
        outcome.ended[0] = Ended::Attacked;
        outcome.bounded(0, certificate(Fate::Open("no".into())));
        outcome.bounded(1, certificate(Fate::Certified));
        assert!(outcome.contradiction(&report, folder.path()).unwrap().is_none());
        outcome.bounded(0, certificate(Fate::Certified));
        let failure = outcome.contradiction(&report, folder.path()).unwrap().unwrap();
        assert_eq!(failure.code, Code::Bug);
        assert!(failure.message.contains("1 of 2 images are certified and broken at once"), "{}", failure.message);
        assert!(folder.path().join("contradiction-7.safetensors").is_file());
        // In f64 it is right: the arithmetic decides, and no one is to blame.
        outcome.rounding_decides(0);
        assert!(outcome.contradiction(&report, folder.path()).unwrap().is_none());
        assert!(outcome.notes(&report)[0].starts_with("rounding-decides: 1 images"));
        let Counts { certified, attacked, open, .. } = outcome.counts();
        assert_eq!((certified, attacked, open), (1, 1, 0));
    }
}
