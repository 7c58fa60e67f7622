//! What two numbers must share to be compared: the same attacks with the same parameters on the same images.

use crate::images::chosen;
use gauntlet_records::{Attacked, Eps, Fate, Norm, ProofFate, Record};
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};

/// The registered name of the ensemble that boards are first of all made with.
const AUTOATTACK: &str = "autoattack";

/// What all entries of a board have in common.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Protocol {
    /// Data set.
    pub(super) data: String,
    data_sha256: String,
    pub(super) norm: Norm,
    pub(super) eps: Eps,
    /// AutoAttack alone; else everything that a suite attacked with at that norm and ε.
    pub(super) autoattack: bool,
    /// Registered names, and every parameter as canonical JSON, sorted.
    attacks: Vec<(String, String)>,
    /// Data set row and label.
    pub(super) images: Vec<(u64, u32)>,
    /// The suite, where something was crafted on a model of it.
    within: Option<String>,
    carry: bool,
}

/// One training under one protocol.
#[derive(Debug, Clone)]
pub(super) struct Trained<'a> {
    pub(super) record: &'a Record,
    /// How the images were chosen, in words.
    pub(super) examples: String,
    /// Of the protocol's images, those that are right clean.
    pub(super) clean: u64,
    /// One per image: right under the protocol's attacks.
    pub(super) right: Vec<bool>,
    /// One per image: proved by one of its suite's certifications at that norm and ε, and right under the protocol's attacks. `None`:
    /// there is none on all of these images.
    pub(super) proved: Option<Vec<bool>>,
    /// Right under everything that its suite attacked it with at that norm and ε.
    pub(super) under_all: u64,
    /// A search for the smallest perturbation among the protocol's attacks failed.
    pub(super) fails: bool,
}

/// The protocols that a training went through: at each norm and ε every AutoAttack by itself; where there is none, all attacks
/// together. Where all of these are searches for the smallest perturbation that failed, `Err` has the norm and ε.
pub(super) fn of(record: &Record) -> Vec<Result<(Protocol, Trained<'_>), (Norm, Eps)>> {
    let mut budgets: Vec<(Norm, &Eps)> = record.result.complete().map(|c| (c.norm, &c.eps)).collect();
    budgets.sort_unstable();
    budgets.dedup();
    let mut found = Vec::new();
    for (norm, eps) in budgets {
        let all: Vec<&Attacked> = record.result.complete().filter(|c| (c.norm, &c.eps) == (norm, eps)).collect();
        let ensembles: Vec<&Attacked> = all.iter().copied().filter(|c| c.name() == AUTOATTACK).collect();
        let groups: Vec<Vec<&Attacked>> =
            if ensembles.is_empty() { vec![all.clone()] } else { ensembles.into_iter().map(|c| vec![c]).collect() };
        for group in groups {
            if group.iter().all(|c| c.search_failed()) {
                found.push(Err((norm, eps.clone())));
                continue;
            }
            let fates: Vec<Fates> = group.iter().map(|c| of_images(c)).collect();
            let others: Vec<Fates> = all.iter().map(|c| of_images(c)).collect();
            let images = images(record, &fates);
            // Attacks without a common image have no common protocol.
            if images.is_empty() {
                continue;
            }
            let robust = |fates: &[Fates], id| fates.iter().all(|f| f.get(&id).is_none_or(|f| *f == Fate::Robust));
            let right: Vec<bool> = images.iter().map(|(id, _)| robust(&fates, *id)).collect();
            let under_all = images.iter().filter(|(id, _)| robust(&others, *id)).count() as u64;
            let fails = group.iter().any(|c| c.search_failed());
            let attacked: HashSet<u64> = images.iter().map(|(id, _)| *id).collect();
            let unharmed = record.result.clean.iter().filter(|v| v.label == v.predicted);
            let clean = unharmed.filter(|v| attacked.contains(&v.id)).count() as u64;
            let proved = proved(record, (norm, eps), &images).map(|mut proved| {
                proved.iter_mut().zip(&right).for_each(|(p, r)| *p &= r);
                proved
            });
            let labels: Vec<&str> = group.iter().map(|c| c.attack.as_str()).collect();
            let examples = chosen(record, &labels, images.len());
            let trained = Trained { record, examples, clean, right, proved, under_all, fails };
            found.push(Ok((protocol(record, (norm, eps), &group, images), trained)));
        }
    }
    found
}

/// Which of these images one of the record's certifications proves at that norm and ε.
fn proved(record: &Record, budget: (Norm, &Eps), images: &[(u64, u32)]) -> Option<Vec<bool>> {
    let cells: Vec<HashMap<u64, ProofFate>> = (record.result.proved())
        .filter(|c| (c.norm, &c.eps) == budget)
        .map(|c| c.proofs.iter().map(|p| (p.id, p.fate)).collect())
        .collect();
    let each = images.iter().map(|(id, _)| {
        let mut fates = cells.iter().filter_map(|c| c.get(id)).peekable();
        fates.peek()?;
        Some(fates.any(|f| *f == ProofFate::Certified))
    });
    each.collect()
}

/// By data set row.
type Fates = HashMap<u64, Fate>;

fn of_images(cell: &Attacked) -> Fates {
    cell.verdicts.iter().map(|v| (v.id, v.fate)).collect()
}

/// Row and label of what all of them attacked.
fn images(record: &Record, fates: &[Fates]) -> Vec<(u64, u32)> {
    let attacked = |id: &u64| fates.iter().all(|f| f.contains_key(id));
    record.result.clean.iter().map(|v| (v.id, v.label)).filter(|(id, _)| attacked(id)).collect()
}

fn protocol(record: &Record, (norm, eps): (Norm, &Eps), cells: &[&Attacked], images: Vec<(u64, u32)>) -> Protocol {
    let configuration = &record.result.configuration;
    let text = |pointer: &str| configuration.pointer(pointer).and_then(Value::as_str).map(str::to_string);
    let mut attacks: Vec<(String, String)> =
        cells.iter().map(|c| (c.name().to_string(), c.parameters.to_string())).collect();
    attacks.sort_unstable();
    attacks.dedup();
    // Parameters name the model that examples were crafted on, not its weights.
    let elsewhere = attacks.iter().any(|(_, parameters)| parameters.contains("\"surrogate\""));
    Protocol {
        data: text("/data").unwrap_or_else(|| "unknown".into()),
        data_sha256: text("/evaluation/data_sha256").unwrap_or_else(|| record.result.data_sha256.clone()),
        norm,
        eps: eps.clone(),
        autoattack: cells.iter().all(|c| c.name() == AUTOATTACK),
        attacks,
        images,
        within: elsewhere.then(|| record.suite.clone()),
        carry: configuration.pointer("/evaluation/carry") == Some(&Value::Bool(true)),
    }
}

impl Protocol {
    /// Registered names, each once.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.attacks.iter().map(|a| a.0.clone()).collect();
        names.dedup();
        names
    }

    /// Every attack with its parameters: `pgd (alpha 0.01, objective ce, random_start true, restarts 2, steps 40; numerics 1)`.
    pub(super) fn attacks(&self) -> Vec<String> {
        let carried = if self.carry { ", broken at a smaller ε counts here too" } else { "" };
        self.attacks.iter().map(|(name, parameters)| described(name, parameters) + carried).collect()
    }

    /// The accuracy of one class for all images, in percent.
    pub(super) fn chance(&self) -> f64 {
        let mut labels: Vec<u32> = self.images.iter().map(|i| i.1).collect();
        labels.sort_unstable();
        let most = labels.chunk_by(|a, b| a == b).map(<[u32]>::len).max().unwrap_or(0);
        100.0 * most as f64 / labels.len().max(1) as f64
    }
}

fn described(name: &str, parameters: &str) -> String {
    let parameters: Value = serde_json::from_str(parameters).unwrap_or_default();
    let mut told = parameters.get("args").and_then(Value::as_object).map(listed).unwrap_or_default();
    if let Some(numerics) = parameters["numerics"][format!("attack {name}")].as_u64() {
        told += &format!("{}numerics {numerics}", if told.is_empty() { "" } else { "; " });
    }
    if told.is_empty() { name.to_string() } else { format!("{name} ({told})") }
}

fn listed(arguments: &Map<String, Value>) -> String {
    arguments.iter().map(|(key, value)| format!("{key} {}", plain(value))).collect::<Vec<_>>().join(", ")
}

/// A component is its name, with what else is given in parentheses.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(" + "),
        Value::Object(fields) => {
            let mut rest = fields.clone();
            let name = rest.remove("name");
            match (name.as_ref().and_then(Value::as_str), rest.is_empty()) {
                (Some(name), true) => name.to_string(),
                (Some(name), false) => format!("{name} ({})", listed(&rest)),
                (None, _) => listed(fields),
            }
        }
        other => other.to_string(),
    }
}
