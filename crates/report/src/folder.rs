//! A folder of records: what can be read, and what cannot, by name.

use crate::parallel::mapped;
use crate::{Error, Result};
use gauntlet_records::Error as RecordError;
use gauntlet_records::{
    Expectation, Pictures, Record,
    file::write_atomically,
    pictures::{ENDING, OF_ALL_NORMS, STRONGEST, plain},
    record_file, regular_file,
};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Name of the file that says which records a folder should hold, and in which order.
pub const MANIFEST: &str = "manifest.json";

/// One expected record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Row of the suite.
    pub row: String,
    /// Training seed.
    pub seed: u64,
}

/// What a folder of records should hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Name of the suite.
    pub suite: String,
    /// Its records, in the order of the suite.
    pub records: Vec<Entry>,
    /// The command that repeats them.
    pub command: String,
    /// What readers of the report should know.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Published numbers that the suite reproduces, in its order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<Expectation>,
    /// How this run is a smaller one than the suite's (`--quick`, `--take`): expectations are shown and not judged then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shortened: Option<String>,
}

impl Manifest {
    /// The manifest of a folder of records; `None`: there is none, or none that can be read.
    pub fn of(folder: &Path) -> Option<Manifest> {
        manifest(folder, &mut Vec::new())
    }
}

/// The records of one suite, in order, and everything that was wrong with the rest.
#[derive(Debug, Clone, PartialEq)]
pub struct Folder {
    /// What was expected.
    pub manifest: Manifest,
    /// What was read, in the manifest's order.
    pub records: Vec<Record>,
    /// What the quick attack does to the first examples of those records that have pictures of it.
    pub pictures: Vec<(Entry, Pictures)>,
    /// What the strongest attack of each norm of the record does, likewise.
    pub strongest: Vec<(Entry, Pictures)>,
    /// What is missing, damaged, foreign or double: one sentence each, naming the file.
    pub problems: Vec<String>,
}

impl Folder {
    /// Records that are already in memory, in their order.
    pub fn of(suite: &str, command: &str, records: Vec<Record>) -> Folder {
        let entries = records.iter().map(|r| Entry { row: r.row.clone(), seed: r.seed }).collect();
        let manifest =
            Manifest { suite: suite.into(), records: entries, command: command.into(), ..Manifest::default() };
        Folder { manifest, records, pictures: Vec::new(), strongest: Vec::new(), problems: Vec::new() }
    }

    /// Reads `path/*.json` (or `path/records/*.json`, where that exists) with their verdicts.
    ///
    /// # Errors
    /// The folder cannot be listed, or holds no readable record at all. Any lesser damage is a problem of the folder.
    pub fn read(path: &Path) -> Result<Folder> {
        let inner = path.join("records");
        let path = if inner.is_dir() { &inner } else { path };
        let mut files = list(path)?;
        files.sort();
        let mut problems = Vec::new();
        let mut read: Vec<(String, Record)> = Vec::new();
        for (file, record) in files.iter().zip(mapped(&files, |file| record_file::read(file))) {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            match record {
                Err(error) => problems.push(error.to_string()),
                Ok(record) => match read.iter().find(|(_, r)| (&r.row, r.seed) == (&record.row, record.seed)) {
                    Some((first, _)) => problems.push(format!(
                        "record {name}: row {:?}, seed {} is already in {first}; it is left out, remove one of them",
                        record.row, record.seed
                    )),
                    None => read.push((name, record)),
                },
            }
        }
        let manifest = match manifest(path, &mut problems) {
            Some(manifest) => manifest,
            None => {
                let Some((_, first)) = read.first() else {
                    return Err(Error::Empty { path: path.display().to_string(), found: problems.into_iter().next() });
                };
                let entries = read.iter().map(|(_, r)| Entry { row: r.row.clone(), seed: r.seed }).collect();
                Manifest {
                    suite: first.suite.clone(),
                    records: entries,
                    command: format!("gauntlet run {}", first.suite),
                    ..Manifest::default()
                }
            }
        };
        let mut records = Vec::new();
        for entry in &manifest.records {
            let at = read.iter().position(|(_, r)| (&r.row, r.seed) == (&entry.row, entry.seed));
            match at.map(|i| read.remove(i)) {
                Some((_, record)) if record.suite == manifest.suite => records.push(record),
                Some((name, record)) => problems.push(foreign(&name, &record, &manifest)),
                None => {
                    let name = record_file::stem(&entry.row, entry.seed)? + ".json";
                    // A damaged file has already been named.
                    if !problems.iter().any(|p| p.contains(name.trim_end_matches("json"))) {
                        problems.push(format!("record {name}: missing; repeat the run: {}", manifest.command));
                    }
                }
            }
        }
        problems.extend(read.iter().map(|(name, record)| foreign(name, record, &manifest)));
        if records.is_empty() {
            return Err(Error::Empty { path: path.display().to_string(), found: problems.into_iter().next() });
        }
        let (mut pictures, mut strongest) = (Vec::new(), Vec::new());
        for Record { row, seed, result, .. } in &records {
            let stem = record_file::stem(row, *seed)?;
            let mut read = |path: PathBuf| {
                Pictures::read(&path).unwrap_or_else(|error| {
                    problems.push(error.to_string());
                    None
                })
            };
            let entry = Entry { row: row.clone(), seed: *seed };
            pictures.extend(read(Pictures::path(path, &stem)).map(|found| (entry.clone(), found)));
            // Pictures of a record that was replaced since are none of this one.
            let mut norms = Vec::new();
            for found in Pictures::paths_of_strongest(path, &stem).into_iter().filter_map(&mut read) {
                if !norms.contains(&found.norm) && result.complete().any(|cell| found.shows(cell)) {
                    norms.push(found.norm);
                    strongest.push((entry.clone(), found));
                }
            }
        }
        Ok(Folder { manifest, records, pictures, strongest, problems })
    }

    /// Writes the records, their verdicts and the manifest into `path`, and removes records that no longer belong.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut keep = vec![path.join(MANIFEST)];
        for record in &self.records {
            keep.push(record_file::write(path, record)?);
        }
        for (of, pictures) in &self.pictures {
            pictures.write(&Pictures::path(path, &record_file::stem(&of.row, of.seed)?))?;
        }
        for (of, pictures) in &self.strongest {
            let stem = record_file::stem(&of.row, of.seed)?;
            pictures.write(&Pictures::path_of_strongest(path, &stem, pictures.norm))?;
            // The file that stood for all norms before.
            let old = path.join(stem + OF_ALL_NORMS);
            for file in [plain(&old), old] {
                let _ = std::fs::remove_file(file);
            }
        }
        let mut json =
            serde_json::to_vec_pretty(&self.manifest).map_err(|e| RecordError::Message(format!("{MANIFEST}: {e}")))?;
        json.push(b'\n');
        write_atomically(&path.join(MANIFEST), &json)?;
        for stale in list(path)?.into_iter().filter(|f| !keep.contains(f)) {
            // Only what reads as a record of this suite is ours to remove.
            if record_file::read(&stale).is_ok_and(|r| r.suite == self.manifest.suite) {
                let stem = stale.with_extension("").display().to_string();
                let endings = [record_file::VERDICTS, ENDING].into_iter().chain(STRONGEST);
                let beside = endings.map(|ending| PathBuf::from(stem.clone() + ending));
                let beside = beside.flat_map(|file| [plain(&file), file]);
                for file in std::iter::once(stale).chain(beside) {
                    match std::fs::remove_file(&file) {
                        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                        done => done.map_err(|source| RecordError::Io {
                            action: "remove",
                            path: file.display().to_string(),
                            source,
                        })?,
                    }
                }
            }
        }
        Ok(())
    }
}

fn foreign(name: &str, record: &Record, manifest: &Manifest) -> String {
    if record.suite == manifest.suite {
        format!("record {name}: row {:?}, seed {} is not in {MANIFEST}; it is left out", record.row, record.seed)
    } else {
        format!(
            "record {name}: it is of suite {:?}, this folder is of suite {:?}; it is left out, move it away",
            record.suite, manifest.suite
        )
    }
}

fn list(path: &Path) -> Result<Vec<PathBuf>> {
    let io = |source| RecordError::Io { action: "list", path: path.display().to_string(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(io)? {
        let file = entry.map_err(io)?.path();
        if file.extension().is_some_and(|e| e == "json") && file.file_name().is_some_and(|n| n != MANIFEST) {
            files.push(file);
        }
    }
    Ok(files)
}

fn manifest(path: &Path, problems: &mut Vec<String>) -> Option<Manifest> {
    let file = path.join(MANIFEST);
    let text = match regular_file::read_text(&file, 16 << 20, "a manifest of records") {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return None,
        Err(e) => {
            problems.push(format!("cannot read {}: {e}; rows are in alphabetical order", file.display()));
            return None;
        }
    };
    serde_json::from_str(&text)
        .map_err(|e| problems.push(format!("{}: {e}; rows are in alphabetical order", file.display())))
        .ok()
}
