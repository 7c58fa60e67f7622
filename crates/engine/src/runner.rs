//! The suite runner: trainings, evaluations, records.

use crate::description::{self, Conditions};
use crate::evaluator::{CleanPass, Cost, Evaluator};
use crate::event::{Event, Events, Part};
use crate::journal::Journal;
use crate::progress::Progress;
use crate::store::TrainingEntry;
use crate::surrogate::Prepared;
use crate::{
    AttackEntry, Context, Error, Examples, Images, Result, Row, Suite, Trained, TrainingJob, fingerprint, flags,
    import, overfitting, provenance,
};
use gauntlet_core::checkpoint;
use gauntlet_core::record::{Outcome, RECORD_FORMAT};
use gauntlet_core::{Attacked, Frozen, Network, Provenance, Record, Target, Verdict, Weights};
use serde_json::{Value, json};
use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long to wait before looking again whether another process has finished.
const PATIENCE: Duration = Duration::from_millis(500);

/// Trains and attacks every row of a suite with every seed; one record each, in the order of the suite.
///
/// What the store (or a committed record) holds is not repeated. A part that fails becomes a record with its reason,
/// and the rest goes on. Running the same suite again after an interruption or a kill goes on where it stopped, and
/// the records' `result` is the same, byte for byte.
///
/// # Errors
/// [`Error::Interrupted`]; a data set that cannot be loaded; a store that cannot be written.
pub fn run(suite: &Suite, context: &Context<'_>, events: &dyn Events) -> Result<Vec<Record>> {
    run_on(suite, load(suite, context)?, context, events)
}

/// Like [`run`], on images that live in the caller's own program; the suite's `data` is then only a name.
///
/// # Errors
/// See [`run`].
pub fn run_on(suite: &Suite, data: Images, context: &Context<'_>, events: &dyn Events) -> Result<Vec<Record>> {
    let desk = Desk::open(suite, data, context, events)?;
    context.store.put_suite(&suite.name, &desk.manifest())?;
    desk.import()?;
    let mut waiting: Vec<(usize, &Row, u64)> =
        desk.parts().into_iter().enumerate().map(|(i, (row, seed))| (i, row, seed)).collect();
    let mut records: Vec<(usize, Record)> = Vec::new();
    while !waiting.is_empty() {
        let before = waiting.len();
        let mut busy = Vec::new();
        for (i, row, seed) in waiting {
            match desk.record(row, seed)? {
                Some(record) => records.push((i, record)),
                None => busy.push((i, row, seed)),
            }
        }
        waiting = busy;
        if waiting.len() == before {
            if context.interrupted() {
                return Err(Error::Interrupted);
            }
            std::thread::sleep(PATIENCE);
        }
    }
    records.sort_by_key(|(i, _)| *i);
    Ok(records.into_iter().map(|(_, record)| record).collect())
}

pub(crate) fn load(suite: &Suite, context: &Context<'_>) -> Result<Images> {
    let data = gauntlet_data::load(&context.catalogue.get(&suite.data)?, &context.data)?;
    Ok(Images { train: data.train, test: data.test, classes: data.classes })
}

/// One attempt at a part: done, or claimed by another process.
enum Attempt<T> {
    Done(T),
    Busy,
}

/// Everything that the parts of a suite share.
pub(crate) struct Desk<'a> {
    pub(crate) suite: &'a Suite,
    pub(crate) context: &'a Context<'a>,
    pub(crate) events: &'a dyn Events,
    pub(crate) data: Images,
    pub(crate) network: Arc<dyn Network>,
    train_sha256: String,
    conditions: Value,
    /// Read from the test split when the first checkpoint is to be judged, not before.
    examples: OnceCell<Examples>,
}

impl<'a> Desk<'a> {
    pub(crate) fn open(
        suite: &'a Suite,
        data: Images,
        context: &'a Context<'a>,
        events: &'a dyn Events,
    ) -> Result<Self> {
        let (train, test) = (data.train.len(), data.test.len());
        events.event(&Event::DataReady { data: &suite.data, train, test });
        let (network, _) = context.registry.model(&suite.model.given(), data.train.shape(), data.classes.len())?;
        let conditions = Conditions {
            data_sha256: &data.test.sha256(),
            examples: suite.examples,
            attack_seed: suite.attack_seed,
            carry: suite.carry,
            dtype: context.dtype,
        }
        .describe();
        let train_sha256 = data.train.sha256();
        Ok(Desk { suite, context, events, data, network, train_sha256, conditions, examples: OnceCell::new() })
    }

    /// Rows × seeds that the filters leave.
    pub(crate) fn parts(&self) -> Vec<(&'a Row, u64)> {
        let only = &self.context.only;
        let named = |row: &Row| {
            let mut names = std::iter::once(&row.id)
                .chain(std::iter::once(&row.base.name))
                .chain(row.penalties.iter().map(|p| &p.name));
            only.recipes.is_empty() || names.any(|n| only.recipes.contains(n))
        };
        let rows = self.suite.rows.iter().filter(|r| named(r));
        rows.flat_map(|row| self.suite.seeds.iter().map(move |seed| (row, *seed)))
            .filter(|(_, seed)| only.seeds.is_empty() || only.seeds.contains(seed))
            .collect()
    }

    /// Attacks that the filters leave.
    pub(crate) fn attacks(&self) -> Vec<&'a AttackEntry> {
        let only = &self.context.only.attacks;
        self.suite.attacks.iter().filter(|a| only.is_empty() || only.contains(&a.label)).collect()
    }

    pub(crate) fn training(&self, row: &Row, seed: u64) -> (String, Value) {
        let suite = self.suite;
        let description =
            description::training(&self.train_sha256, &suite.model, row, &suite.train, seed, self.context.dtype);
        (fingerprint(&description), description)
    }

    pub(crate) fn evaluation(&self, checkpoint_sha256: &str, attack: &Value) -> (String, Value) {
        let model = self.suite.model.describe();
        let description = description::evaluation(&self.conditions, &model, checkpoint_sha256, attack);
        (fingerprint(&description), description)
    }

    /// `runs/suites/<name>.json`: the resolved suite and the keys of its trainings.
    fn manifest(&self) -> Value {
        let trainings: Vec<Value> = self
            .parts()
            .into_iter()
            .map(|(row, seed)| json!({ "row": row.id, "seed": seed, "key": self.training(row, seed).0 }))
            .collect();
        json!({ "suite": self.suite, "trainings": trainings })
    }

    pub(crate) fn import(&self) -> Result<()> {
        let keys = self.parts().into_iter().map(|(row, seed)| self.training(row, seed).0);
        let mut wanted = BTreeSet::new();
        for key in keys {
            if self.context.store.get_training(&key)?.is_none() {
                wanted.insert(key);
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        for text in import::import(&self.context.store, &self.context.records, &wanted)? {
            let part = Part { row: "", seed: 0, attack: None };
            self.events.event(&Event::Note { part, text: &format!("a committed record was not imported: {text}") });
        }
        Ok(())
    }

    /// The key and entry of a training whose checkpoint is in the store afterwards, or `None` while another process
    /// works on it.
    pub(crate) fn checkpoint(&self, row: &'a Row, seed: u64) -> Result<Option<(String, TrainingEntry)>> {
        let (key, _) = self.training(row, seed);
        match self.trained(row, seed, true)? {
            Attempt::Done(entry) => Ok(Some((key, entry))),
            Attempt::Busy => Ok(None),
        }
    }

    /// One record, or `None` while another process works on a part of it.
    fn record(&self, row: &'a Row, seed: u64) -> Result<Option<Record>> {
        let part = Part { row: &row.id, seed, attack: None };
        let mut record = self.blank(row, seed);
        match self.fill(&mut record, row, seed) {
            Ok(Attempt::Done(())) => Ok(Some(record)),
            Ok(Attempt::Busy) => Ok(None),
            // What ails the environment ails every part; what ails a part is its own.
            Err(error @ (Error::Interrupted | Error::Store { .. })) => Err(error),
            Err(error) => {
                let reason = error.to_string();
                self.events.event(&Event::Failed { part, reason: &reason });
                record.failed = Some(reason);
                Ok(Some(record))
            }
        }
    }

    fn blank(&self, row: &Row, seed: u64) -> Record {
        let (_, training) = self.training(row, seed);
        let attacks: Vec<Value> = self.attacks().into_iter().map(description::attack).collect();
        let configuration = json!({
            "data": self.suite.data,
            "classes": self.data.classes,
            "note": row.note,
            "training": training,
            "evaluation": self.conditions,
            "attacks": attacks,
        });
        Record {
            format: RECORD_FORMAT,
            suite: self.suite.name.clone(),
            row: row.id.clone(),
            seed,
            failed: None,
            result: Outcome {
                configuration,
                data_sha256: self.train_sha256.clone(),
                checkpoint_sha256: String::new(),
                curve: Vec::new(),
                clean: Vec::new(),
                attacked: Vec::new(),
                flags: Vec::new(),
            },
            provenance: provenance(self.context.threads),
        }
    }

    fn fill(&self, record: &mut Record, row: &'a Row, seed: u64) -> Result<Attempt<()>> {
        let Attempt::Done(mut entry) = self.trained(row, seed, false)? else { return Ok(Attempt::Busy) };
        let store = &self.context.store;
        let (key, _) = self.training(row, seed);
        let complete = self.complete(&entry.checkpoint_sha256, seed)?;
        if !complete && !store.checkpoint(&key).exists() {
            // Imported from a record, or deleted: the checkpoint has to be made again.
            let Attempt::Done(again) = self.trained(row, seed, true)? else { return Ok(Attempt::Busy) };
            if again.checkpoint_sha256 != entry.checkpoint_sha256 {
                let text = "training again gave other weights than the record's, as another CPU may; \
                            all attacks are run on the new ones";
                self.events.event(&Event::Note { part: Part { row: &row.id, seed, attack: None }, text });
            }
            entry = again;
        }
        record.result.checkpoint_sha256 = entry.checkpoint_sha256.clone();
        record.result.curve = entry.curve.clone();
        record.provenance = Provenance { evaluate_seconds: 0.0, ..entry.provenance.clone() };
        (record.provenance.executed_forwards, record.provenance.executed_backwards) = (0, 0);
        self.judge(record, row, seed, &entry)
    }

    /// Whether the store has every evaluation of a checkpoint.
    fn complete(&self, checkpoint_sha256: &str, seed: u64) -> Result<bool> {
        let store = &self.context.store;
        if store.get_clean(&self.evaluation(checkpoint_sha256, &Value::Null).0)?.is_none() {
            return Ok(false);
        }
        for entry in self.attacks() {
            let Some(described) = self.described(entry, seed)? else { return Ok(false) };
            let (key, _) = self.evaluation(checkpoint_sha256, &described);
            if store.get_attack(&key, entry.eps.len())?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The training of a row and seed: from the store, or made now. `again`: its checkpoint is needed and absent.
    fn trained(&self, row: &'a Row, seed: u64, again: bool) -> Result<Attempt<TrainingEntry>> {
        let store = &self.context.store;
        let part = Part { row: &row.id, seed, attack: None };
        let (key, description) = self.training(row, seed);
        let stored = || -> Result<Option<TrainingEntry>> {
            let entry = store.get_training(&key)?;
            Ok(entry.filter(|_| !again || store.checkpoint(&key).exists()))
        };
        if let Some(entry) = stored()? {
            self.events.event(&Event::Skipped { part });
            return Ok(Attempt::Done(entry));
        }
        let Some(_claim) = store.claim_training(&key)? else {
            self.events.event(&Event::Waiting { part, key: &key });
            return Ok(Attempt::Busy);
        };
        if let Some(entry) = stored()? {
            return Ok(Attempt::Done(entry));
        }
        let entry_provenance = provenance(self.context.threads);
        let trained = self.job(row, seed)?.run(Some((&store.state(&key), &key)), self.events)?;
        let Trained { weights, curve, seconds, resumed, cost_relative_to_ce } = trained;
        let entry = TrainingEntry {
            description,
            checkpoint_sha256: checkpoint::sha256(&weights)?,
            curve,
            provenance: Provenance { train_seconds: seconds, resumed, cost_relative_to_ce, ..entry_provenance },
        };
        store.put_training(&key, &entry, Some((&weights, self.network.info())))?;
        self.events.event(&Event::TrainingDone { part, seconds });
        Ok(Attempt::Done(entry))
    }

    fn job<'s>(&'s self, row: &'s Row, seed: u64) -> Result<TrainingJob<'s>> {
        Ok(TrainingJob {
            network: self.network.clone(),
            recipe: row.build(self.context.registry)?,
            teacher: None,
            train: &self.data.train,
            config: &self.suite.train,
            seed,
            dtype: self.context.dtype,
            registry: self.context.registry,
            width: self.context.width,
            interrupt: self.context.interrupt,
            part: Part { row: &row.id, seed, attack: None },
        })
    }

    /// The test rows, read at the first call.
    fn examples(&self) -> Result<&Examples> {
        if let Some(examples) = self.examples.get() {
            return Ok(examples);
        }
        let rows = self.suite.examples.indices(self.data.test.len(), self.suite.attack_seed);
        let examples = Examples::of_split(&self.data.test, &rows, self.context.dtype)?;
        Ok(self.examples.get_or_init(|| examples))
    }

    fn weights(&self, key: &str, entry: &TrainingEntry) -> Result<Weights> {
        let path = self.context.store.checkpoint(key);
        let (weights, _) = checkpoint::load(&path, &self.network.specs(), self.network.info(), self.context.dtype)?;
        if checkpoint::sha256(&weights)? != entry.checkpoint_sha256 {
            return Err(Error::Damaged {
                path: path.display().to_string(),
                why: "its weights are not the ones that training.json names; delete the folder to train again".into(),
            });
        }
        Ok(weights)
    }

    /// Clean pass and attacks of one checkpoint, as far as the store does not hold them.
    fn judge(&self, record: &mut Record, row: &'a Row, seed: u64, entry: &TrainingEntry) -> Result<Attempt<()>> {
        let store = &self.context.store;
        let (training_key, _) = self.training(row, seed);
        let sha256 = &entry.checkpoint_sha256;
        // Loaded once, when the first missing evaluation asks for it.
        let subject: OnceCell<(Frozen, CleanPass)> = OnceCell::new();
        let open = || self.subject(&subject, &training_key, entry);
        let (key, description) = self.evaluation(sha256, &Value::Null);
        let begun = Instant::now();
        (record.result.clean, record.result.flags) = match store.get_clean(&key)? {
            Some((stored, verdicts)) => {
                add(&mut record.provenance, &stored.provenance);
                (verdicts, stored.flags)
            }
            None => {
                let (target, pass) = open()?;
                let verdicts = pass.verdicts.clone();
                let flags = self.evaluator(target, self.examples()?).probe(pass, self.context.registry)?;
                let cost = Cost { forwards: verdicts.len() as u64, backwards: 0 };
                let spent = spent(self.context.threads, begun, cost);
                add(&mut record.provenance, &spent);
                store.put_clean(&key, description, spent, &flags, &verdicts)?;
                (verdicts, flags)
            }
        };
        let mut failures: Vec<String> = Vec::new();
        let mut busy = false;
        let mut attacks = Vec::new();
        for attack in self.attacks() {
            let part = Part { row: &row.id, seed, attack: Some(&attack.label) };
            let Prepared { described, crafted_on } = match self.prepare(attack, row, seed, entry) {
                Ok(Some(prepared)) => prepared,
                Ok(None) => {
                    busy = true;
                    continue;
                }
                Err(error @ (Error::Interrupted | Error::Store { .. })) => return Err(error),
                Err(error) => {
                    failures.push(format!("{}: its surrogate: {error}", attack.label));
                    continue;
                }
            };
            attacks.push(described.clone());
            let (key, description) = self.evaluation(sha256, &described);
            if let Some((stored, lists)) = store.get_attack(&key, attack.eps.len())? {
                self.events.event(&Event::Skipped { part });
                add(&mut record.provenance, &stored.provenance);
                record.result.attacked.extend(cells(attack, lists));
                continue;
            }
            let Some(_claim) = store.claim_evaluation(&key)? else {
                self.events.event(&Event::Waiting { part, key: &key });
                busy = true;
                continue;
            };
            if let Some((stored, lists)) = store.get_attack(&key, attack.eps.len())? {
                add(&mut record.provenance, &stored.provenance);
                record.result.attacked.extend(cells(attack, lists));
                continue;
            }
            let begun = Instant::now();
            let mut cost = Cost::default();
            let judged = open().and_then(|(target, pass)| {
                let surrogate = match &crafted_on {
                    Some((key, trained)) => {
                        Some(Frozen::new(self.network.clone(), self.weights(key, trained)?.constants()))
                    }
                    None => None,
                };
                let surrogate = surrogate.as_ref().map(|s| s as &dyn Target);
                let evaluator = Evaluator { surrogate, ..self.evaluator(target, self.examples()?) };
                self.attack(attack, &evaluator, pass, part, &key, &mut cost)
            });
            match judged {
                Ok(attacked) => {
                    let lists: Vec<&[Verdict]> = attacked.iter().map(|a| a.verdicts.as_slice()).collect();
                    let spent = spent(self.context.threads, begun, cost);
                    add(&mut record.provenance, &spent);
                    store.put_attack(&key, description, spent, &lists)?;
                    record.result.attacked.extend(attacked);
                }
                Err(error @ (Error::Interrupted | Error::Store { .. })) => return Err(error),
                Err(error) => {
                    let reason = error.to_string();
                    self.events.event(&Event::Failed { part, reason: &reason });
                    failures.push(format!("{}: {reason}", attack.label));
                }
            }
        }
        if busy {
            return Ok(Attempt::Busy);
        }
        record.result.configuration["attacks"] = attacks.into();
        record.result.flags.extend(overfitting::catastrophic(&record.result.curve));
        record.result.flags.extend(flags::raise(&record.result.clean, &record.result.attacked));
        if !failures.is_empty() {
            record.failed = Some(failures.join("; "));
        }
        Ok(Attempt::Done(()))
    }

    fn evaluator<'s>(&'s self, target: &'s Frozen, examples: &'s Examples) -> Evaluator<'s> {
        Evaluator {
            target,
            examples,
            width: self.context.width,
            attack_seed: self.suite.attack_seed,
            carry: self.suite.carry,
            surrogate: None,
            interrupt: self.context.interrupt,
        }
    }

    /// One attack at all its budgets, with a journal beside the result.
    fn attack(
        &self,
        entry: &AttackEntry,
        evaluator: &Evaluator<'_>,
        clean: &CleanPass,
        part: Part<'_>,
        key: &str,
        cost: &mut Cost,
    ) -> Result<Vec<Attacked>> {
        let (attack, _) = self.context.registry.attack(&entry.attack.given())?;
        let (journal, done) = Journal::open(&self.context.store.journal(key))?;
        let mut progress = Progress::new(self.events, part, entry, Some(journal));
        evaluator.attack_with(entry, &attack, clean, cost, &done, &mut progress)
    }

    /// The frozen model and its clean pass, made at the first call.
    fn subject<'s>(
        &self,
        cell: &'s OnceCell<(Frozen, CleanPass)>,
        training_key: &str,
        entry: &TrainingEntry,
    ) -> Result<&'s (Frozen, CleanPass)> {
        if let Some(subject) = cell.get() {
            return Ok(subject);
        }
        let weights = self.weights(training_key, entry)?;
        let target = Frozen::new(self.network.clone(), weights.constants());
        let pass = self.evaluator(&target, self.examples()?).clean(&mut Cost::default())?;
        Ok(cell.get_or_init(|| (target, pass)))
    }
}

fn cells(entry: &AttackEntry, lists: Vec<Vec<Verdict>>) -> Vec<Attacked> {
    let parameters = entry.attack.describe();
    let cell = |(eps, verdicts): (&gauntlet_core::Eps, Vec<Verdict>)| Attacked {
        attack: entry.label.clone(),
        parameters: parameters.clone(),
        norm: entry.norm,
        eps: eps.clone(),
        verdicts,
    };
    entry.eps.iter().zip(lists).map(cell).collect()
}

fn spent(threads: usize, begun: Instant, cost: Cost) -> Provenance {
    Provenance {
        evaluate_seconds: begun.elapsed().as_secs_f64(),
        executed_forwards: cost.forwards,
        executed_backwards: cost.backwards,
        ..provenance(threads)
    }
}

/// Adds an evaluation's work to a record's.
fn add(total: &mut Provenance, part: &Provenance) {
    total.evaluate_seconds += part.evaluate_seconds;
    total.executed_forwards += part.executed_forwards;
    total.executed_backwards += part.executed_backwards;
}
