//! Attacks with their budgets, as Python hands them over.

use crate::failure::Failure;
use crate::registry;
use gauntlet::AttackEntry;
use gauntlet::core::{Answers, Plan, Registry, budget};
use gauntlet::evaluate::suffices;
use gauntlet::records::Norm;
use pyo3::prelude::*;
use serde_json::Value;

/// What an attack is run on.
pub(crate) struct Subject<'a> {
    pub(crate) name: &'a str,
    pub(crate) input: (usize, usize, usize),
    /// What it tells of an image.
    pub(crate) answers: Answers,
}

/// The entries of a JSON list of `{"label", "attack", "norm", "eps"}`, each checked against the subject.
///
/// # Errors
/// What the command line says of the same mistake.
pub(crate) fn entries(text: &str, subject: &Subject<'_>) -> Result<Vec<AttackEntry>, Failure> {
    let registry = registry().map_err(|e| Failure::input(e.to_string()))?;
    let list: Vec<Value> = serde_json::from_str(text)?;
    let mut entries: Vec<AttackEntry> = Vec::new();
    for item in &list {
        let norm: Norm = item["norm"].as_str().unwrap_or_default().parse()?;
        let eps: Vec<&str> = item["eps"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mut entry = AttackEntry::new(registry, item["attack"].clone(), norm, &eps)?;
        if let Some(label) = item["label"].as_str() {
            entry.label = label.to_string();
        }
        let (plan, _) = registry.plan(&entry.attack.given())?;
        fits(registry, &plan, &entry, subject)?;
        if let Some(same) = entries.iter().find(|e| e.label == entry.label && e.norm == norm) {
            let why =
                format!("two attacks are called {:?} in {norm}; give one of them a \"label\" of its own", same.label);
            return Err(Failure::input(why));
        }
        entries.push(entry);
    }
    if entries.is_empty() {
        return Err(Failure::input("attacks: at least one is needed"));
    }
    Ok(entries)
}

fn fits(registry: &Registry, plan: &Plan, entry: &AttackEntry, subject: &Subject<'_>) -> Result<(), Failure> {
    let norm = entry.norm;
    if !plan.norms().contains(&norm) {
        let known: Vec<String> = plan.norms().iter().map(Norm::to_string).collect();
        let why = format!("{} is not defined for {norm}; it knows {}", plan.name(), known.join(", "));
        return Err(gauntlet::core::Error::value("norm", why).into());
    }
    let (c, h, w) = subject.input;
    budget::all_sensible(&entry.eps, norm, Some(c * h * w))?;
    entry.eps.iter().try_for_each(|eps| budget::reachable(plan, norm, eps))?;
    if let Some(surrogate) = plan.surrogate() {
        let why =
            format!("transfer needs its surrogate {surrogate:?} as a network of gauntlet's own; use a suite for it");
        return Err(Failure::input(why));
    }
    suffices(subject.answers, plan, norm, subject.name, Some(registry)).map_err(|error| {
        let hint = if subject.answers == Answers::Logits { " (with a `vjp` it has gradients)" } else { "" };
        Failure::input(format!("{error}{hint}"))
    })
}

/// What the package calls an adapter's answers.
pub(crate) fn answers_of(name: &str) -> PyResult<Answers> {
    match name {
        "labels" => Ok(Answers::Labels),
        "logits" => Ok(Answers::Logits),
        "gradients" => Ok(Answers::Gradients),
        other => Err(Failure::input(format!("a model answers labels, logits or gradients, not {other}")).into()),
    }
}

/// Checks attacks for a model before anything is computed; their labels, in order.
#[pyfunction]
pub(crate) fn check_attacks(
    attacks: &str,
    name: &str,
    input: (usize, usize, usize),
    answers: &str,
) -> PyResult<Vec<String>> {
    let answers = answers_of(answers)?;
    let found = entries(attacks, &Subject { name, input, answers })?;
    Ok(found.into_iter().map(|e| e.label).collect())
}
