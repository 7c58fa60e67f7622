//! The result store: finished trainings and evaluations by key. Whatever is there is complete.

use crate::store::claim::Claim;
use crate::store::ledger::Ledger;
use crate::{Error, Result, Shard, fingerprint};
use gauntlet_core::{ModelInfo, Weights, checkpoint};
use gauntlet_records::file::{sha256, write_atomically};
use gauntlet_records::record::Epoch;
use gauntlet_records::{CleanVerdict, Flag, Pictures, Proof, Provenance, Verdict, VerdictLine};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The folder `runs/`: `trainings/<key>/`, `evaluations/<key>/`, `suites/<name>.json`.
///
/// Any number of processes may share it. A key is the sha256 of a canonical description of everything that the numbers
/// depend on; files are renamed into place when they are whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    root: PathBuf,
}

/// `training.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct TrainingEntry {
    pub(crate) description: Value,
    pub(crate) checkpoint_sha256: String,
    pub(crate) curve: Vec<Epoch>,
    pub(crate) provenance: Provenance,
}

/// `evaluation.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct EvaluationEntry {
    pub(crate) description: Value,
    /// Of a clean pass: what the referee's probes found out about the model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) flags: Vec<Flag>,
    pub(crate) verdicts_sha256: String,
    pub(crate) provenance: Provenance,
}

impl Store {
    /// A store below this folder; it is created when something is written.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Store { root: root.into() }
    }
    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }
    /// The checkpoint of a training that is finished; it may be absent where only the record was imported.
    pub fn checkpoint(&self, key: &str) -> PathBuf {
        self.training(key).join("checkpoint.safetensors")
    }
    /// The file of a resolved suite.
    pub fn suite(&self, name: &str) -> PathBuf {
        self.root.join("suites").join(format!("{name}.json"))
    }
    pub(crate) fn training(&self, key: &str) -> PathBuf {
        self.root.join("trainings").join(key)
    }
    pub(crate) fn evaluation(&self, key: &str) -> PathBuf {
        self.root.join("evaluations").join(key)
    }
    /// Keys that the store has a folder for.
    pub(crate) fn keys(&self, kind: &str) -> Result<Vec<String>> {
        let folders = listing(&self.root.join(kind))?.into_iter().filter(|p| p.is_dir());
        Ok(folders.filter_map(|p| Some(p.file_name()?.to_str()?.to_string())).collect())
    }
    /// Whether a training is finished. Cheaper than reading it, and wrong only for entries of another version.
    pub(crate) fn has_training(&self, key: &str) -> bool {
        self.training(key).join("training.json").exists()
    }
    /// Whether an evaluation is finished, likewise.
    pub(crate) fn has_evaluation(&self, key: &str) -> bool {
        let folder = self.evaluation(key);
        folder.join("evaluation.json").exists() && folder.join("verdicts.csv").exists()
    }
    pub(crate) fn state(&self, key: &str) -> PathBuf {
        self.training(key).join("state.safetensors")
    }
    /// What a training said of itself while it ran: [`gauntlet_records::Course`] reads it.
    pub fn metrics(&self, key: &str) -> PathBuf {
        self.training(key).join("metrics.jsonl")
    }
    pub(crate) fn journal(&self, key: &str) -> PathBuf {
        self.evaluation(key).join("partial.jsonl")
    }
    /// The journal of a shard's verdicts.
    pub(crate) fn shard(&self, key: &str, shard: Shard) -> PathBuf {
        self.evaluation(key).join(format!("shard-{}.jsonl", shard.to_string().replace('/', "-of-")))
    }
    /// The shards of an evaluation that are begun.
    pub(crate) fn shards(&self, key: &str) -> Result<Vec<(Shard, PathBuf)>> {
        let shard = |path: PathBuf| {
            let name = path.file_name()?.to_str()?.strip_prefix("shard-")?.strip_suffix(".jsonl")?.replace("-of-", "/");
            Some((name.parse().ok()?, path))
        };
        Ok(listing(&self.evaluation(key))?.into_iter().filter_map(shard).collect())
    }
    pub(crate) fn claim_shard(&self, key: &str, shard: Shard) -> Result<Option<Claim>> {
        Claim::take(&self.shard(key, shard).with_extension("claim"))
    }
    pub(crate) fn claim_training(&self, key: &str) -> Result<Option<Claim>> {
        Claim::take(&self.training(key))
    }
    pub(crate) fn claim_evaluation(&self, key: &str) -> Result<Option<Claim>> {
        Claim::take(&self.evaluation(key))
    }

    /// What runs took down of a suite; `None` also for a file of another version.
    pub(crate) fn ledger(&self, name: &str) -> Result<Option<Ledger>> {
        get(&self.suite(name))
    }

    /// Rewrites it. Everybody who runs the suite does, and only one may at a time.
    pub(crate) fn change_ledger(&self, name: &str, change: impl FnOnce(&mut Ledger)) -> Result<Ledger> {
        let _claim = self.claim_suites()?;
        let mut ledger = self.ledger(name)?.unwrap_or_default();
        change(&mut ledger);
        put_json(&self.suite(name), &ledger)?;
        Ok(ledger)
    }

    /// All of them, by name; `None`: not readable by this version.
    pub(crate) fn ledgers(&self) -> Result<Vec<(String, Option<Ledger>)>> {
        let mut all = Vec::new();
        for path in listing(&self.root.join("suites"))? {
            if path.extension().is_some_and(|e| e == "json") {
                let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                let ledger = self.ledger(&name)?;
                all.push((name, ledger));
            }
        }
        Ok(all)
    }

    /// Held while files of a suite that several processes write are read, merged and written: those of the store, and a
    /// report.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn claim_suites(&self) -> Result<Claim> {
        Claim::wait(&self.root.join("suites"))
    }

    pub(crate) fn get_training(&self, key: &str) -> Result<Option<TrainingEntry>> {
        let entry: Option<TrainingEntry> = get(&self.training(key).join("training.json"))?;
        Ok(entry.filter(|e| fingerprint(&e.description) == key))
    }

    /// A finished training: the checkpoint first, `training.json`, which says that it is finished, last.
    pub(crate) fn put_training(
        &self,
        key: &str,
        entry: &TrainingEntry,
        checkpoint: Option<(&Weights, &ModelInfo)>,
    ) -> Result<()> {
        if let Some((weights, info)) = checkpoint {
            Error::stored(checkpoint::save(&self.checkpoint(key), weights, info))?;
        }
        put(&self.training(key).join("curve.csv"), &curve(&entry.curve)?)?;
        put_json(&self.training(key).join("training.json"), entry)?;
        let _ = std::fs::remove_file(self.state(key));
        Ok(())
    }

    /// Verdicts on clean images.
    pub(crate) fn get_clean(&self, key: &str) -> Result<Option<(EvaluationEntry, Vec<CleanVerdict>)>> {
        let Some((entry, table)) = self.get_table(key)? else { return Ok(None) };
        let rows: Result<Vec<CleanVerdict>, csv::Error> =
            csv::Reader::from_reader(table.as_slice()).deserialize().collect();
        // A store of before kept all digits.
        let kept = |v: CleanVerdict| CleanVerdict { margin: CleanVerdict::margin(v.margin), ..v };
        Ok(rows.ok().map(|rows| (entry, rows.into_iter().map(kept).collect())))
    }
    pub(crate) fn put_clean(
        &self,
        key: &str,
        description: Value,
        provenance: Provenance,
        flags: &[Flag],
        verdicts: &[CleanVerdict],
    ) -> Result<EvaluationEntry> {
        let _claim = Claim::wait(&self.evaluation(key))?;
        let line = |v: &CleanVerdict| {
            vec![v.id.to_string(), v.label.to_string(), v.predicted.to_string(), format!("{:?}", v.margin)]
        };
        let header = ["id", "label", "predicted", "margin"].map(String::from).to_vec();
        let table = table(std::iter::once(header).chain(verdicts.iter().map(line)))?;
        self.put_table(key, description, provenance, flags, &table)
    }

    /// Pictures of the first examples, beside the clean pass the quick attack's, beside an attack its own; `None` also for a
    /// file that cannot be read: they are then made again.
    pub(crate) fn get_pictures(&self, key: &str) -> Option<Pictures> {
        Pictures::read(&self.pictures(key)).ok().flatten()
    }
    pub(crate) fn put_pictures(&self, key: &str, pictures: &Pictures) -> Result<()> {
        Error::stored(pictures.write(&self.pictures(key)))
    }
    fn pictures(&self, key: &str) -> PathBuf {
        self.evaluation(key).join("pictures.safetensors.gz")
    }

    /// Verdicts under an attack, one list per ε in the order of the description.
    pub(crate) fn get_attack(&self, key: &str, budgets: usize) -> Result<Option<(EvaluationEntry, Vec<Vec<Verdict>>)>> {
        let Some((entry, table)) = self.get_table(key)? else { return Ok(None) };
        Ok(lists(&table, budgets).map(|lists| (entry, lists)))
    }
    pub(crate) fn put_attack(
        &self,
        key: &str,
        description: Value,
        provenance: Provenance,
        lists: &[&[Verdict]],
    ) -> Result<EvaluationEntry> {
        let header = std::iter::once("eps".to_string()).chain(VerdictLine::COLUMNS.map(String::from));
        let line =
            |(eps, v): (usize, &Verdict)| std::iter::once(eps.to_string()).chain(VerdictLine::fields(v)).collect();
        let lines = lists.iter().enumerate().flat_map(|(eps, list)| list.iter().map(move |v| (eps, v))).map(line);
        let table = table(std::iter::once(header.collect()).chain(lines))?;
        let entry = self.put_table(key, description, provenance, &[], &table)?;
        let _ = std::fs::remove_file(self.journal(key));
        for (_, journal) in self.shards(key)? {
            let _ = std::fs::remove_file(&journal);
            let _ = std::fs::remove_dir_all(journal.with_extension("claim"));
        }
        Ok(entry)
    }

    /// Proofs of a certification, one list per ε in the order of the description.
    pub(crate) fn get_proofs(&self, key: &str, budgets: usize) -> Result<Option<(EvaluationEntry, Vec<Vec<Proof>>)>> {
        let Some((entry, table)) = self.get_table(key)? else { return Ok(None) };
        Ok(proofs(&table, budgets).map(|lists| (entry, lists)))
    }
    pub(crate) fn put_proofs(
        &self,
        key: &str,
        description: Value,
        provenance: Provenance,
        flags: &[Flag],
        lists: &[impl AsRef<[Proof]>],
    ) -> Result<EvaluationEntry> {
        let header = std::iter::once("eps".to_string()).chain(Proof::COLUMNS.map(String::from)).collect();
        let mut lines: Vec<Vec<String>> = vec![header];
        for (eps, list) in lists.iter().enumerate() {
            lines.extend(list.as_ref().iter().map(|p| std::iter::once(eps.to_string()).chain(p.fields()).collect()));
        }
        let entry = self.put_table(key, description, provenance, flags, &table(lines.into_iter())?)?;
        let _ = std::fs::remove_file(self.proofs(key));
        Ok(entry)
    }
    /// The journal of a certification's proofs.
    pub(crate) fn proofs(&self, key: &str) -> PathBuf {
        self.evaluation(key).join("proofs.csv")
    }

    /// `evaluation.json` names the sha256 of its table: half of one is no result.
    fn get_table(&self, key: &str) -> Result<Option<(EvaluationEntry, Vec<u8>)>> {
        let folder = self.evaluation(key);
        let Some(entry) = get::<EvaluationEntry>(&folder.join("evaluation.json"))? else { return Ok(None) };
        let table = match std::fs::read(folder.join("verdicts.csv")) {
            Ok(table) => table,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::store("read", &folder.join("verdicts.csv"), e)),
        };
        if fingerprint(&entry.description) != key || sha256(&table) != entry.verdicts_sha256 {
            return Ok(None);
        }
        Ok(Some((entry, table)))
    }

    fn put_table(
        &self,
        key: &str,
        description: Value,
        provenance: Provenance,
        flags: &[Flag],
        table: &[u8],
    ) -> Result<EvaluationEntry> {
        let entry = EvaluationEntry { description, flags: flags.to_vec(), verdicts_sha256: sha256(table), provenance };
        put(&self.evaluation(key).join("verdicts.csv"), table)?;
        put_json(&self.evaluation(key).join("evaluation.json"), &entry)?;
        Ok(entry)
    }
}

/// What a folder holds, sorted; nothing if it is not there.
pub(crate) fn listing(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::store("list", folder, e)),
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    paths.sort();
    Ok(paths)
}

fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    Error::stored(write_atomically(path, bytes))
}

fn put_json<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let mut text = serde_json::to_vec_pretty(value).map_err(|e| Error::message(e.to_string()))?;
    text.push(b'\n');
    put(path, &text)
}

/// `None`: absent, or written by a version with other fields; it is then computed again.
fn get<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::store("read", path, e)),
    }
}

fn table(lines: impl Iterator<Item = Vec<String>>) -> Result<Vec<u8>> {
    let mut out = csv::Writer::from_writer(Vec::new());
    for line in lines {
        out.write_record(line).map_err(|e| Error::message(format!("verdicts: {e}")))?;
    }
    out.into_inner().map_err(|e| Error::message(format!("verdicts: {e}")))
}

/// The verdicts of an attack's table, a list per ε; `None`: it is none of this attack's.
fn lists(table: &[u8], budgets: usize) -> Option<Vec<Vec<Verdict>>> {
    let mut reader = csv::Reader::from_reader(table);
    let header = reader.headers().ok()?.clone();
    let (columns, eps) = (VerdictLine::of(&header).ok()?, header.iter().position(|h| h == "eps")?);
    let mut lists = vec![Vec::new(); budgets];
    for line in reader.records() {
        let line = line.ok()?;
        let list = lists.get_mut(line.get(eps)?.parse::<usize>().ok()?)?;
        list.push(columns.read(|k| line.get(k), None).ok()?);
    }
    Some(lists)
}

/// The proofs of a certification's table, likewise.
fn proofs(table: &[u8], budgets: usize) -> Option<Vec<Vec<Proof>>> {
    let mut reader = csv::Reader::from_reader(table);
    let expected = std::iter::once("eps").chain(Proof::COLUMNS);
    if !reader.headers().ok()?.iter().eq(expected) {
        return None;
    }
    let mut lists = vec![Vec::new(); budgets];
    for line in reader.records() {
        let line = line.ok()?;
        let fields: Vec<&str> = line.iter().skip(1).collect();
        let list = lists.get_mut(line.get(0)?.parse::<usize>().ok()?)?;
        list.push(Proof::read(fields.try_into().ok()?, None).ok()?);
    }
    Some(lists)
}

/// The curve for people and plots: one line per epoch, one column per term.
fn curve(epochs: &[Epoch]) -> Result<Vec<u8>> {
    let wrong = |e: csv::Error| Error::message(format!("curve: {e}"));
    let mut out = csv::Writer::from_writer(Vec::new());
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in epochs.iter().flat_map(|e| &e.terms) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let fixed = ["clean_accuracy", "robust_accuracy", "gradient_l1", "gradient_l2"];
    let sometimes = ["alignment", "own_fgsm_accuracy", "own_pgd_accuracy"];
    let header = std::iter::once("epoch").chain(names.iter().copied()).chain(fixed).chain(sometimes);
    out.write_record(header.chain(["monitored_on"])).map_err(wrong)?;
    for e in epochs {
        let term =
            |name: &&str| e.terms.iter().find(|(n, _)| n == name).map(|(_, v)| v.to_string()).unwrap_or_default();
        let mut row = vec![e.epoch.to_string()];
        row.extend(names.iter().map(term));
        row.extend([e.clean_accuracy, e.robust_accuracy, e.gradient_l1, e.gradient_l2].map(|v| v.to_string()));
        let measured = [e.alignment, e.own_fgsm_accuracy, e.own_pgd_accuracy];
        row.extend(measured.map(|v| v.map(|v| v.to_string()).unwrap_or_default()));
        row.push(e.monitored_on.clone());
        out.write_record(&row).map_err(wrong)?;
    }
    out.into_inner().map_err(|e| Error::message(format!("curve: {e}")))
}
