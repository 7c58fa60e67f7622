//! What of the store nobody needs: results that no suite refers to, and what interrupted processes left behind.

use crate::store::claim::{Claim, LOCK};
use crate::store::results::listing;
use crate::{Error, Result, Store};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Something that can go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Litter {
    /// A folder of a key, or a file.
    pub path: PathBuf,
    /// Bytes.
    pub bytes: u64,
    /// Why it can go.
    pub why: &'static str,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// What nobody needs, in the order of the store.
    pub litter: Vec<Litter>,
    /// Folders that no suite refers to and a process works on: they stay.
    pub claimed: Vec<PathBuf>,
    /// Whether the litter is gone.
    pub removed: bool,
}

/// Lists what nobody needs and, with `remove`, removes it.
///
/// Suites are known by their last run in this store, so a training outside a suite counts as nobody's. What a process works
/// on is left alone, and no run of a suite begins while this removes.
///
/// # Errors
/// A file of a suite that cannot be understood, since what it refers to is unknown; a store that cannot be read or
/// written.
pub fn clean(store: &Store, remove: bool) -> Result<Swept> {
    let _suites = if remove { Some(store.claim_suites()?) } else { None };
    let kept = referred(store)?;
    let mut swept = Swept { removed: remove, ..Swept::default() };
    for kind in ["trainings", "evaluations"] {
        for key in store.keys(kind)? {
            let folder = store.root().join(kind).join(&key);
            let nobodys = !kept.contains(&key);
            if Claim::holder(&folder).is_some() {
                if nobodys {
                    swept.claimed.push(folder);
                }
                continue;
            }
            let found = if nobodys {
                let bytes = listing(&folder)?.iter().map(|f| size(f)).sum();
                vec![Litter { path: folder.clone(), bytes, why: "no suite refers to it" }]
            } else {
                leftovers(store, kind, &key, &folder)?
            };
            if found.is_empty() {
                continue;
            }
            if remove {
                let Some(claim) = Claim::take(&folder)? else {
                    swept.claimed.push(folder);
                    continue;
                };
                found.iter().try_for_each(|l| discard(&l.path))?;
                drop(claim);
            }
            swept.litter.extend(found);
        }
    }
    for path in listing(&store.root().join("suites"))?.into_iter().filter(|p| is_partial(p)) {
        // Whoever writes there holds the claim that is held here.
        if remove {
            discard(&path)?;
        }
        swept.litter.push(Litter { bytes: size(&path), path, why: "a write that was cut off" });
    }
    Ok(swept)
}

/// All keys that a suite refers to.
fn referred(store: &Store) -> Result<BTreeSet<String>> {
    let mut keys = BTreeSet::new();
    for (name, ledger) in store.ledgers()? {
        let Some(ledger) = ledger else {
            return Err(Error::Damaged {
                path: store.suite(&name).display().to_string(),
                why: format!(
                    "it is of another version, so what {name} refers to is unknown; run the suite once more, or delete \
                     the file if its results may go"
                ),
            });
        };
        for entry in ledger.parts {
            keys.extend(entry.work.training.map(|t| t.key));
            keys.extend(entry.work.evaluations.into_iter().map(|e| e.key));
        }
    }
    Ok(keys)
}

/// Files of a key that served until it was finished.
fn leftovers(store: &Store, kind: &str, key: &str, folder: &Path) -> Result<Vec<Litter>> {
    let (finished, work) = match kind {
        "trainings" => (store.get_training(key)?.is_some(), store.state(key)),
        _ => (store.has_evaluation(key), store.journal(key)),
    };
    let mut found = Vec::new();
    for path in listing(folder)? {
        let why = match () {
            () if is_partial(&path) => "a write that was cut off",
            () if finished && path == work => "it was finished since",
            () => continue,
        };
        found.push(Litter { bytes: size(&path), path, why });
    }
    Ok(found)
}

fn is_partial(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "partial")
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |m| m.len())
}

/// Removes a file, or a folder of a key: its lock last, since who waits for it must not find half a folder.
fn discard(path: &Path) -> Result<()> {
    let removed = |path: &Path, result: std::io::Result<()>| match result {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::store("remove", path, e)),
        _ => Ok(()),
    };
    if !path.is_dir() {
        return removed(path, std::fs::remove_file(path));
    }
    let (mut files, lock) = (listing(path)?, path.join(LOCK));
    files.retain(|f| *f != lock);
    // What says that it is finished goes first: half a folder is then one that was never finished.
    files.sort_by_key(|f| f.extension().is_none_or(|e| e != "json"));
    for file in files.iter().chain([&lock]) {
        removed(file, std::fs::remove_file(file))?;
    }
    match std::fs::remove_dir(path) {
        // Somebody came at once and has claimed it anew.
        Err(e) if e.kind() == std::io::ErrorKind::DirectoryNotEmpty => Ok(()),
        result => removed(path, result),
    }
}
