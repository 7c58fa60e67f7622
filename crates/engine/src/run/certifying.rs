//! One checkpoint's certifications: what is proved beside what its attacks broke, each side checking the other.

use crate::event::{Event, Part};
use crate::run::attempt::of_all;
use crate::run::prover::Prover;
use crate::run::runner::Runner;
use crate::store::import::NO_BOUND;
use crate::store::proof_journal::ProofJournal;
use crate::store::results::TrainingEntry;
use crate::suite::certification::CertifyEntry;
use crate::train::clock::Clock;
use crate::{Error, Result, Row};
use candle_core::{DType, Tensor};
use gauntlet_certify::{Fate as Ended, Method, Plan};
use gauntlet_core::{Target, ThreatModel, checkpoint};
use gauntlet_evaluate::{AttackEntry, Cost, Evaluator, Examples, evaluate, flags};
use gauntlet_records::{Certified, Eps, Fate, Flag, Norm, Proof, ProofFate, Record, Verdict, file::write_atomically};
use rayon::prelude::*;
use serde_json::Value;
use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Images that are bounded before what is known of them is written down.
const CHUNK: usize = 64;

/// Flag of an example that is proved and broken at once.
pub const CONTRADICTED: &str = "certificate-contradicted";
/// Flag of one whose contradiction is of arithmetic alone.
pub const ROUNDING: &str = "rounding-decides";

/// Whether a broken example lies inside a certificate's ball: broken at no larger ε in the same norm; or in a norm that is
/// never smaller, by a perturbation that is no larger.
pub(crate) fn inside((norm, eps): (Norm, &Eps), verdict: &Verdict, (other, larger): (Norm, &Eps)) -> bool {
    let narrower = match other {
        Norm::Linf => true,
        Norm::L2 => norm == Norm::L1,
        // Nothing is certified in L0.
        Norm::L1 | Norm::L0 => false,
    };
    let fell = matches!(verdict.fate, Fate::Broken | Fate::Carried);
    fell && if norm == other { eps <= larger } else { narrower && verdict.size <= larger.value() }
}

/// What one certification is made of.
struct Work<'s> {
    entry: &'s CertifyEntry,
    plan: Plan,
    examples: &'s Examples,
    /// Right before anything was done.
    right: Vec<bool>,
}

impl<'a> Runner<'a> {
    /// Certifications that the filters leave; a share of the attacks has none.
    pub(crate) fn certifications(&self) -> Vec<&'a CertifyEntry> {
        let only = &self.context.only.attacks;
        let named = |c: &&CertifyEntry| only.is_empty() || only.contains(&c.label);
        let all = self.suite.certify.iter().filter(named);
        if self.context.shard.is_some() { Vec::new() } else { all.collect() }
    }

    /// All that a certification's proofs depend on beside the checkpoint; `None` while a surrogate of an attack that it
    /// looks at is not in the store.
    pub(crate) fn certifiable(&self, entry: &CertifyEntry, seed: u64) -> Result<Option<Value>> {
        let mut attacks = Vec::new();
        for attack in self.looked_at(entry) {
            let Some(described) = self.evaluations.describable(attack, seed)? else { return Ok(None) };
            attacks.push(described);
        }
        Ok(Some(self.evaluations.certification(entry, attacks)))
    }

    /// The attacks whose broken examples are not searched.
    fn looked_at(&self, entry: &CertifyEntry) -> Vec<&'a AttackEntry> {
        let all = self.suite.attacks.iter();
        if entry.searches() { all.collect() } else { Vec::new() }
    }

    /// Certifies one checkpoint as far as the store does not hold it. True: another process is at it.
    pub(crate) fn certify(
        &self,
        record: &mut Record,
        row: &'a Row,
        seed: u64,
        trained: (&str, &TrainingEntry),
        failures: &mut Vec<String>,
    ) -> Result<bool> {
        let prover: OnceCell<Prover> = OnceCell::new();
        let mut described = Vec::new();
        for entry in self.certifications() {
            match self.certified(record, row, seed, trained, entry, &prover) {
                Ok(Some((description, cells))) => {
                    described.push(description);
                    record.result.certified.extend(cells);
                }
                Ok(None) => return Ok(true),
                Err(error) if of_all(&error) => return Err(error),
                Err(error) => {
                    let reason = error.to_string();
                    let part = Part { row: &row.id, seed, attack: Some(&entry.label) };
                    self.teller.event(&Event::Failed { part, reason: &reason });
                    failures.push(format!("{}: {reason}", entry.label));
                }
            }
        }
        if !described.is_empty() {
            record.result.configuration["certify"] = described.into();
        }
        Ok(false)
    }

    /// `None`: another process is at it.
    fn certified(
        &self,
        record: &mut Record,
        row: &'a Row,
        seed: u64,
        (training_key, trained): (&str, &TrainingEntry),
        entry: &'a CertifyEntry,
        prover: &OnceCell<Prover>,
    ) -> Result<Option<(Value, Vec<Certified>)>> {
        let (store, sha256) = (&self.context.store, &trained.checkpoint_sha256);
        let part = Part { row: &row.id, seed, attack: Some(&entry.label) };
        let Some(described) = self.certifiable(entry, seed)? else {
            return Err(Error::message("needs the attacks of the suite, and one of them has no surrogate"));
        };
        let (key, description) = self.evaluations.evaluation(row, sha256, &described);
        let cells = |lists: Vec<Vec<Proof>>| self.proofs(entry, &described, lists);
        if let Some((known, lists)) = store.get_proofs(&key, entry.eps.len())? {
            self.teller.once(&Event::Skipped { part, weights_of: None });
            super::judging::add(&mut record.provenance, &known.provenance);
            record.result.flags.extend(known.flags);
            return Ok(Some((described.clone(), cells(lists))));
        }
        self.enter(&[(row, seed)], false)?;
        let Some(_claim) = store.claim_evaluation(&key)? else {
            self.teller.once(&Event::Waiting { part, key: &key });
            return Ok(None);
        };
        let broken = self.broken(row, sha256, seed, entry)?;
        let begun = Clock::start();
        let all = self.inputs.examples(self.suite)?;
        let places = self.places(entry)?;
        let own = places.as_ref().map(|places| all.at(places)).transpose()?;
        let examples = own.as_ref().unwrap_or(all);
        let clean: HashMap<u64, bool> = record.result.clean.iter().map(|v| (v.id, v.label == v.predicted)).collect();
        let right = examples.ids().iter().map(|id| clean.get(id).copied().unwrap_or(false)).collect();
        let work = Work { entry, plan: entry.plan()?, examples, right };
        let proved = || -> Result<Vec<Vec<Proof>>> {
            let prover = match prover.get() {
                Some(prover) => prover,
                None => {
                    let subject = self.models.open(row, training_key, trained)?;
                    let opened = Prover::open(&subject, &self.context.compute)?;
                    prover.get_or_init(|| opened)
                }
            };
            self.prove(&work, part, &broken, prover, &store.proofs(&key))
        };
        let (lists, flags) = match proved() {
            Ok(lists) => (lists, Vec::new()),
            Err(error) if of_all(&error) => return Err(error),
            // The network has no bound: its attacks stand, and the cell stays empty.
            Err(error) => {
                let detail = format!("{} proves nothing: {error}", entry.label);
                (vec![Vec::new(); entry.eps.len()], vec![flags::flag(NO_BOUND, detail)])
            }
        };
        let spent = super::judging::spent(self.context, begun, Cost::default());
        super::judging::add(&mut record.provenance, &spent);
        store.put_proofs(&key, description, spent, &flags, &lists)?;
        record.result.flags.extend(flags);
        Ok(Some((described.clone(), cells(lists))))
    }

    /// Places of a certification's own examples among all; `None`: it is about all of them.
    fn places(&self, entry: &CertifyEntry) -> Result<Option<Vec<usize>>> {
        let Some(own) = self.suite.own_of(entry.examples) else { return Ok(None) };
        let all = self.inputs.examples(self.suite)?;
        let rows = own.indices(self.inputs.images.test.labels(), self.suite.attack_seed);
        Ok(Some(rows.iter().filter_map(|row| all.ids().binary_search(&(*row as u64)).ok()).collect()))
    }

    /// Per budget, the examples that an attack of the suite broke inside of it.
    fn broken(&self, row: &'a Row, sha256: &str, seed: u64, entry: &CertifyEntry) -> Result<Vec<HashSet<u64>>> {
        let mut broken = vec![HashSet::new(); entry.eps.len()];
        for attack in self.looked_at(entry) {
            let lacks = || Error::message(format!("needs the verdicts of {}, which are not there", attack.label));
            let described = self.evaluations.describable(attack, seed)?.ok_or_else(lacks)?;
            let (key, _) = self.evaluations.evaluation(row, sha256, &described);
            let (_, lists) = self.context.store.get_attack(&key, attack.eps.len())?.ok_or_else(lacks)?;
            for (eps, verdicts) in attack.eps.iter().zip(&lists) {
                for (larger, fallen) in entry.eps.iter().zip(&mut broken) {
                    let here = verdicts.iter().filter(|v| inside((attack.norm, eps), v, (entry.norm, larger)));
                    fallen.extend(here.map(|v| v.id));
                }
            }
        }
        Ok(broken)
    }

    /// A list of proofs for every budget. The largest comes first: what is proved there is proved at the smaller ones.
    fn prove(
        &self,
        work: &Work<'_>,
        part: Part<'_>,
        broken: &[HashSet<u64>],
        prover: &Prover,
        journal: &std::path::Path,
    ) -> Result<Vec<Vec<Proof>>> {
        let Work { entry, plan, examples, right } = work;
        let (mut journal, known) = ProofJournal::open(journal)?;
        let interrupt = self.context.interrupt;
        let mut order: Vec<usize> = (0..entry.eps.len()).collect();
        order.sort_by(|a, b| entry.eps[*b].cmp(&entry.eps[*a]));
        let mut lists: Vec<Vec<Proof>> = vec![Vec::new(); entry.eps.len()];
        let mut larger: Option<usize> = None;
        for k in order {
            let begun = Instant::now();
            let mut found: BTreeMap<usize, Proof> = BTreeMap::new();
            for i in 0..examples.len() {
                let proved = larger.map(|l| &lists[l][i]).filter(|p| p.fate == ProofFate::Certified);
                if !right[i] {
                    found.insert(i, wrong(examples.ids()[i]));
                } else if let Some(proof) = proved.or(known.get(&(k, i))) {
                    found.insert(i, proof.clone());
                }
            }
            let pending: Vec<usize> = (0..examples.len()).filter(|i| !found.contains_key(i)).collect();
            let of = right.iter().filter(|r| **r).count();
            let (norm, eps) = (entry.norm, &entry.eps[k]);
            let started = Event::EvaluationStarted { part, norm, eps, examples: of, pending: pending.len() };
            self.teller.event(&started);
            let threat = ThreatModel::new(norm, eps.value());
            for chunk in pending.chunks(CHUNK) {
                let one = |i: &usize| -> Result<Option<(usize, Proof)>> {
                    if interrupt.load(Ordering::Relaxed) {
                        return Ok(None);
                    }
                    let fallen = broken[k].contains(&examples.ids()[*i]);
                    Ok(Some((*i, proof(plan, (*examples, *i), &threat, fallen, prover)?)))
                };
                let done: Vec<Option<(usize, Proof)>> = chunk.par_iter().map(one).collect::<Result<_>>()?;
                let all = done.len();
                let done: Vec<(usize, Proof)> = done.into_iter().flatten().collect();
                journal.append(k, &done)?;
                if done.len() < all {
                    return Err(Error::Interrupted);
                }
                found.extend(done);
                let robust = found.values().filter(|p| p.fate == ProofFate::Certified).count();
                let done = found.len() - (examples.len() - of);
                let accuracy = robust as f64 / examples.len().max(1) as f64;
                self.teller.event(&Event::Judged { part, done, of, robust, accuracy });
            }
            lists[k] = found.into_values().collect();
            let certified = lists[k].iter().filter(|p| p.fate == ProofFate::Certified).count();
            self.teller.event(&Event::EvaluationDone {
                part,
                norm,
                eps,
                robust_accuracy: certified as f64 / examples.len().max(1) as f64,
                seconds: begun.elapsed().as_secs_f64(),
            });
            larger = Some(k);
        }
        Ok(lists)
    }

    fn proofs(&self, entry: &CertifyEntry, described: &Value, lists: Vec<Vec<Proof>>) -> Vec<Certified> {
        let own = self.suite.own_of(entry.examples);
        let cell = |(eps, proofs): (&Eps, Vec<Proof>)| Certified {
            certify: entry.label.clone(),
            parameters: described["certify"].clone(),
            norm: entry.norm,
            eps: eps.clone(),
            examples: own.map(|_| proofs.len()).filter(|n| *n > 0),
            proofs,
        };
        entry.eps.iter().zip(lists).map(cell).collect()
    }

    /// Looks for examples that are proved and broken at once. The attack is run once more on each, which gives the example: if the
    /// network of f64 is wrong there, too, it is saved, and one of the two has a bug.
    pub(crate) fn contradictions(
        &self,
        record: &Record,
        row: &'a Row,
        seed: u64,
        (training_key, trained): (&str, &TrainingEntry),
    ) -> Result<Vec<Flag>> {
        let mut raised = Vec::new();
        for cell in record.result.proved() {
            let proved: HashMap<u64, &Proof> =
                cell.proofs.iter().filter(|p| p.fate == ProofFate::Certified).map(|p| (p.id, p)).collect();
            for attacked in record.result.complete() {
                let both = |v: &&Verdict| {
                    inside((attacked.norm, &attacked.eps), v, (cell.norm, &cell.eps)) && proved.contains_key(&v.id)
                };
                let ids: Vec<u64> = attacked.verdicts.iter().filter(both).map(|v| v.id).collect();
                let Some(entry) = self.attacks().into_iter().find(|a| a.label == attacked.attack) else { continue };
                if ids.is_empty() {
                    continue;
                }
                let subject = self.models.open(row, training_key, trained)?;
                let prover = Prover::open(&subject, &self.context.compute)?;
                let target = subject.target(&self.context.compute)?;
                let Some(prepared) = self.prepare(entry, row, seed, (training_key, trained))? else { continue };
                let surrogate = self.crafted_on(prepared.crafted_on.as_ref())?;
                let all = self.inputs.examples(self.suite)?;
                let places: Vec<usize> = ids.iter().filter_map(|id| all.ids().binary_search(id).ok()).collect();
                let examples = all.at(&places)?;
                let again = Evaluator {
                    surrogate: surrogate.as_ref().map(|s| s as &dyn Target),
                    ..self.evaluator(&target, &examples)
                };
                let clean = again.clean(&mut Cost::default())?;
                let again = Evaluator { clean: Some(&clean), ..again };
                let one = AttackEntry { eps: vec![attacked.eps.clone()], ..entry.clone() };
                let mut kept = super::gallery::Kept::default();
                evaluate(&again, std::slice::from_ref(&one), self.context.registry, &mut kept)?;
                let (mut wrong, mut rounded, mut file) = (0, 0, String::new());
                for (i, x) in &kept.0 {
                    let (id, label) = (examples.ids()[*i], examples.labels()[*i]);
                    let x = if x.dims().len() == 3 { x.unsqueeze(0)? } else { x.clone() };
                    let about_f32 = cell.parameters["executed"] == "f32";
                    if about_f32 || prover.wrong_in_f64(&x, label)? {
                        wrong += 1;
                        let path = self.saved(record, cell, (id, label), (&examples.image(*i)?, &x))?;
                        if file.is_empty() {
                            file = path;
                        }
                    } else {
                        rounded += 1;
                    }
                }
                let at = format!("{} proves at {} {}", cell.certify, cell.norm, cell.eps);
                let by = format!("{} breaks at {} {}", attacked.attack, attacked.norm, attacked.eps);
                if wrong > 0 {
                    raised.push(flags::flag(
                        CONTRADICTED,
                        format!(
                            "{wrong} examples that {at}, {by}: a bug of the bounds or of the referee; one is in {file}"
                        ),
                    ));
                }
                if rounded > 0 {
                    raised.push(flags::flag(
                        ROUNDING,
                        format!(
                            "{rounded} examples that {at}, {by} in f32 and not in f64: there the answer depends on the \
                             arithmetic; they count as broken"
                        ),
                    ));
                }
            }
        }
        Ok(raised)
    }

    fn saved(
        &self,
        record: &Record,
        cell: &Certified,
        (id, label): (u64, u32),
        (x, x_adv): (&Tensor, &Tensor),
    ) -> Result<String> {
        let proof = cell.proofs.iter().find(|p| p.id == id);
        let metadata = HashMap::from([
            ("norm".to_string(), cell.norm.to_string()),
            ("eps".to_string(), cell.eps.to_string()),
            ("id".to_string(), id.to_string()),
            ("label".to_string(), label.to_string()),
            ("bound".to_string(), proof.and_then(|p| p.bound).map_or_else(String::new, |b| b.to_string())),
            ("method".to_string(), proof.map_or_else(String::new, |p| p.method.clone())),
            ("checkpoint_sha256".to_string(), record.result.checkpoint_sha256.clone()),
        ]);
        let (x, x_adv) = (x.to_dtype(DType::F32)?, x_adv.to_dtype(DType::F32)?);
        let bytes = checkpoint::to_bytes([("x", &x), ("x_adv", &x_adv)].into_iter(), metadata)?;
        let name = format!("{}-{}-{}-{id}.safetensors", record.row, record.seed, cell.certify);
        let path = self.context.store.root().join("contradictions").join(name);
        Error::stored(write_atomically(&path, &bytes))?;
        Ok(path.display().to_string())
    }
}

/// Nothing is proved of what is wrong already.
pub(crate) fn wrong(id: u64) -> Proof {
    Proof { id, fate: ProofFate::Wrong, method: String::new(), bound: None, nodes: 0, undecided: 0 }
}

/// What is proved of the `i`-th example; what an attack broke is bounded, and not searched.
pub(crate) fn proof(
    plan: &Plan,
    (examples, i): (&Examples, usize),
    threat: &ThreatModel,
    fallen: bool,
    prover: &Prover,
) -> Result<Proof> {
    let methods = plan.methods.iter().copied().filter(|m| !fallen || *m != Method::Bab).collect::<Vec<_>>();
    let mut proof = wrong(examples.ids()[i]);
    proof.fate = ProofFate::Open;
    if methods.is_empty() {
        return Ok(proof);
    }
    let plan = Plan { methods, ..plan.clone() };
    let (certificate, _) = prover.prove(&examples.image(i)?, examples.labels()[i], threat, &plan)?;
    proof.fate = match certificate.fate {
        Ended::Certified => ProofFate::Certified,
        Ended::Open(_) => ProofFate::Open,
        Ended::Broken(_) => ProofFate::Broken,
    };
    proof.method = certificate.method.to_string();
    proof.bound = Proof::bound(certificate.bound);
    (proof.nodes, proof.undecided) = (certificate.nodes as u32, certificate.undecided as u32);
    Ok(proof)
}
