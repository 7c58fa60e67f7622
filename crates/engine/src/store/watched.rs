//! Trainings of a store that said something of themselves, with where they stand.

use crate::store::claim::Claim;
use crate::store::status::{Standing, status};
use crate::{Error, Result, Store};
use gauntlet_records::Course;
use std::path::Path;

/// A training that goes on, or did.
#[derive(Debug, Clone)]
pub struct WatchedTraining {
    /// Its key in the store.
    pub key: String,
    /// Where it stands.
    pub standing: Standing,
    /// What it said.
    pub course: Course,
}

/// The trainings of these suites (none: of the whole store), running ones first, then by their last word, and whether any of them
/// is still to come.
///
/// # Errors
/// A name that no run left behind; a store that cannot be read; a damaged `metrics.jsonl`.
pub fn watched(store: &Store, suites: &[String]) -> Result<(Vec<WatchedTraining>, bool)> {
    let mut trainings: Vec<(Option<String>, Standing)> = Vec::new();
    if suites.is_empty() {
        for key in store.keys("trainings")? {
            let standing = match Claim::holder(&store.training(&key)) {
                Some(holder) => Standing::Claimed { holder, saved: None },
                None if store.has_training(&key) => Standing::Stored,
                None => Standing::Begun { saved: "what was trained so far".into() },
            };
            trainings.push((Some(key), standing));
        }
    } else {
        let items = status(store, suites)?.suites.into_iter().flat_map(|suite| suite.items);
        trainings.extend(items.filter(|item| item.attack.is_none()).map(|item| (item.key, item.standing)));
    }
    let to_come = trainings.iter().any(|(_, s)| !matches!(s, Standing::Stored | Standing::Failed { .. }));
    let mut all = Vec::new();
    for (key, standing) in trainings {
        if let Some(key) = key
            && let Some(course) = course(&store.metrics(&key))?
        {
            all.push(WatchedTraining { key, standing, course });
        }
    }
    let running = |t: &WatchedTraining| matches!(t.standing, Standing::Claimed { .. });
    all.sort_by(|a, b| running(b).cmp(&running(a)).then(b.course.last.0.total_cmp(&a.course.last.0)));
    Ok((all, to_come))
}

fn course(path: &Path) -> Result<Option<Course>> {
    match Course::read(path) {
        Err(gauntlet_records::Error::Value { what, why }) => {
            let line = what.split(" of ").next().unwrap_or_default();
            Err(Error::Damaged { path: path.display().to_string(), why: format!("{line}: {why}") })
        }
        read => Error::stored(read),
    }
}
