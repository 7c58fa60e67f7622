//! Committed records as results: a fresh clone repeats only what is missing.

use crate::store::description;
use crate::store::results::{EvaluationEntry, TrainingEntry};
use crate::{Result, Store, fingerprint};
use gauntlet_evaluate::probes;
use gauntlet_records::{Certified, Flag, Pictures, Proof, Record, Verdict, record_file};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Flag of a network that has no bound, and why.
pub const NO_BOUND: &str = "no-bound";

/// What a report calls the list of its records.
const MANIFEST: &str = "manifest.json";

/// Copies into the store what committed records hold of the wanted trainings and their evaluations. What is there
/// already stays. A folder that is absent is no error; a record that cannot be read becomes a note.
pub(crate) fn import(store: &Store, folders: &[PathBuf], wanted: &BTreeSet<String>) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    for folder in folders {
        let Ok(listing) = std::fs::read_dir(folder) else { continue };
        let mut paths: Vec<PathBuf> = listing.flatten().map(|e| e.path()).collect();
        // A report's list of its records is none of them.
        paths.retain(|p| p.extension().is_some_and(|e| e == "json") && p.file_name().is_some_and(|n| n != MANIFEST));
        paths.sort();
        for path in paths {
            match record_file::read(&path) {
                Ok(record) => take(store, &record, wanted, folder)?,
                Err(error) => notes.push(error.to_string()),
            }
        }
    }
    Ok(notes)
}

fn take(store: &Store, record: &Record, wanted: &BTreeSet<String>, folder: &Path) -> Result<()> {
    let result = &record.result;
    let configuration = &result.configuration;
    let (training, conditions) = (&configuration["training"], &configuration["evaluation"]);
    let key = fingerprint(training);
    if record.failed.is_some() || !wanted.contains(&key) || store.get_training(&key)?.is_some() {
        return Ok(());
    }
    let Some(_claim) = store.claim_training(&key)? else { return Ok(()) };
    let place = |attack: &Value| {
        let d = description::evaluation(conditions, &training["model"], &result.checkpoint_sha256, attack);
        (fingerprint(&d), d)
    };
    let (clean_key, clean) = place(&Value::Null);
    if store.get_clean(&clean_key)?.is_none() {
        let probed: Vec<Flag> = result.flags.iter().filter(|f| probes::FLAGS.contains(&&*f.name)).cloned().collect();
        store.put_clean(&clean_key, clean, record.provenance.clone(), &probed, &result.clean)?;
    }
    let stem = record_file::stem(&record.row, record.seed)?;
    let mut beside = vec![(clean_key, Pictures::path(folder, &stem))];
    for (key, cell) in description::strongest(record) {
        beside.push((key, Pictures::path_of_strongest(folder, &stem, cell.norm)));
    }
    for (key, path) in beside {
        if store.get_pictures(&key).is_none()
            && let Ok(Some(pictures)) = Pictures::read(&path)
        {
            store.put_pictures(&key, &pictures)?;
        }
    }
    let mut cells = result.attacked.iter();
    for attack in configuration["attacks"].as_array().into_iter().flatten() {
        let budgets = attack["eps"].as_array().map_or(0, Vec::len);
        let lists: Vec<&[Verdict]> = cells.by_ref().take(budgets).map(|c| c.verdicts.as_slice()).collect();
        let (attack_key, description) = place(attack);
        let known: Option<(EvaluationEntry, _)> = store.get_attack(&attack_key, budgets)?;
        if lists.len() == budgets
            && known.is_none()
            && let Some(_claim) = store.claim_evaluation(&attack_key)?
        {
            store.put_attack(&attack_key, description, record.provenance.clone(), &lists)?;
        }
    }
    let mut cells = result.certified.iter();
    for certification in configuration["certify"].as_array().into_iter().flatten() {
        let budgets = certification["eps"].as_array().map_or(0, Vec::len);
        let own: Vec<&Certified> = cells.by_ref().take(budgets).collect();
        let lists: Vec<&[Proof]> = own.iter().map(|c| c.proofs.as_slice()).collect();
        let whose = own.first().map_or_else(String::new, |c| format!("{} ", c.certify));
        let told = |f: &&Flag| f.name == NO_BOUND && f.detail.starts_with(&whose);
        let flags: Vec<Flag> = result.flags.iter().filter(told).cloned().collect();
        let (certify_key, description) = place(certification);
        if lists.len() == budgets
            && store.get_proofs(&certify_key, budgets)?.is_none()
            && let Some(_claim) = store.claim_evaluation(&certify_key)?
        {
            store.put_proofs(&certify_key, description, record.provenance.clone(), &flags, &lists)?;
        }
    }
    let entry = TrainingEntry {
        description: training.clone(),
        checkpoint_sha256: result.checkpoint_sha256.clone(),
        curve: result.curve.clone(),
        provenance: record.provenance.clone(),
    };
    store.put_training(&key, &entry, None)
}
