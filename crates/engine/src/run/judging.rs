//! What one checkpoint is put through: clean pass, probes and attacks, as far as the store does not hold them.

use crate::event::{Event, Part};
use crate::run::attempt::{Attempt, of_all};
use crate::run::gallery;
use crate::run::progress::Progress;
use crate::run::runner::Runner;
use crate::store::description;
use crate::store::journal::Journal;
use crate::store::results::TrainingEntry;
use crate::train::clock::{Clock, sum};
use crate::train::overfitting;
use crate::{Context, Result, Row};
use gauntlet_core::{Frozen, Target};
use gauntlet_evaluate::{AttackEntry, CleanPass, Cost, Evaluated, Evaluator, evaluate, flags, probes::RANDOMISED};
use gauntlet_records::record::Outcome;
use gauntlet_records::{Attacked, Pictures, Provenance, Record, Verdict};
use serde_json::Value;
use std::cell::OnceCell;

/// What has to be known before an attack.
pub(crate) struct Prepared<'a> {
    /// Its part of the evaluation's key.
    described: Value,
    /// Row, key and entry of the training whose model examples are crafted on.
    pub(crate) crafted_on: Option<CraftedOn<'a>>,
}

/// Row, key and entry of a surrogate's training.
pub(crate) type CraftedOn<'a> = (&'a Row, String, TrainingEntry);

impl<'a> Runner<'a> {
    /// Whether the store has every evaluation of a row's checkpoint.
    pub(crate) fn complete(&self, row: &'a Row, checkpoint_sha256: &str, seed: u64) -> Result<bool> {
        let store = &self.context.store;
        if store.get_clean(&self.evaluations.evaluation(row, checkpoint_sha256, &Value::Null).0)?.is_none() {
            return Ok(false);
        }
        for entry in self.attacks() {
            let Some(described) = self.evaluations.describable(entry, seed)? else { return Ok(false) };
            let (key, _) = self.evaluations.evaluation(row, checkpoint_sha256, &described);
            if store.get_attack(&key, entry.eps.len())?.is_none() {
                return Ok(false);
            }
        }
        for entry in self.certifications() {
            let Some(described) = self.certifiable(entry, seed)? else { return Ok(false) };
            let (key, _) = self.evaluations.evaluation(row, checkpoint_sha256, &described);
            if store.get_proofs(&key, entry.eps.len())?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Clean pass and attacks of one checkpoint, as far as the store does not hold them.
    pub(crate) fn judge(
        &self,
        record: &mut Record,
        row: &'a Row,
        seed: u64,
        (training_key, entry): (&str, &TrainingEntry),
    ) -> Result<Attempt<()>> {
        let store = &self.context.store;
        let sha256 = &entry.checkpoint_sha256;
        // Loaded once, when the first missing evaluation asks for it.
        let subject: OnceCell<(Frozen, CleanPass)> = OnceCell::new();
        let open = || self.subject(&subject, row, training_key, entry);
        let (key, description) = self.evaluations.evaluation(row, sha256, &Value::Null);
        let begun = Clock::start();
        (record.result.clean, record.result.flags) = match store.get_clean(&key)? {
            Some((stored, verdicts)) => {
                add(&mut record.provenance, &stored.provenance);
                (verdicts, stored.flags)
            }
            None => {
                let (target, pass) = open()?;
                let verdicts = pass.verdicts.clone();
                let flags =
                    self.evaluator(target, self.inputs.examples(self.suite)?).probe(pass, self.context.registry)?;
                let cost = Cost { forwards: verdicts.len() as u64, backwards: 0 };
                let spent = spent(self.context, begun, cost);
                add(&mut record.provenance, &spent);
                store.put_clean(&key, description, spent, &flags, &verdicts)?;
                (verdicts, flags)
            }
        };
        if store.checkpoint(training_key).exists() && !self.shown(&key) {
            self.show(&key, part(row, seed), open()?)?;
        }
        let first = self.seen.borrow_mut().entry(sha256.clone()).or_insert_with(|| (row.id.clone(), seed)).clone();
        let weights_of = Some((first.0.as_str(), first.1)).filter(|other| *other != (row.id.as_str(), seed));
        let mut failures: Vec<String> = Vec::new();
        let mut busy = false;
        let mut attacks = Vec::new();
        for attack in self.attacks() {
            let part = Part { row: &row.id, seed, attack: Some(&attack.label) };
            let stored = |described: &Value| -> Result<Option<_>> {
                let (key, _) = self.evaluations.evaluation(row, sha256, described);
                store.get_attack(&key, attack.eps.len())
            };
            if let Some(described) = self.evaluations.describable(attack, seed)?
                && let Some((known, lists)) = stored(&described)?
            {
                self.teller.once(&Event::Skipped { part, weights_of });
                attacks.push(described);
                add(&mut record.provenance, &known.provenance);
                record.result.attacked.extend(self.cells(attack, lists));
                continue;
            }
            let Prepared { described, crafted_on } = match self.prepare(attack, row, seed, (training_key, entry)) {
                Ok(Some(prepared)) => prepared,
                Ok(None) => {
                    busy = true;
                    continue;
                }
                Err(error) if of_all(&error) => return Err(error),
                Err(error) => {
                    failures.push(format!("{}: its surrogate: {error}", attack.label));
                    continue;
                }
            };
            attacks.push(described.clone());
            self.enter(&[(row, seed)], false)?;
            let (key, description) = self.evaluations.evaluation(row, sha256, &described);
            if let Some(shard) = self.context.shard {
                let surrogate = self.crafted_on(crafted_on.as_ref())?;
                let surrogate = surrogate.as_ref().map(|s| s as &dyn Target);
                if !self.judge_shard(shard, &key, (part, attack), open()?, surrogate)? {
                    self.teller.once(&Event::Waiting { part, key: &key });
                    busy = true;
                }
                continue;
            }
            let Some(_claim) = store.claim_evaluation(&key)? else {
                self.teller.once(&Event::Waiting { part, key: &key });
                busy = true;
                continue;
            };
            if let Some((known, lists)) = stored(&described)? {
                add(&mut record.provenance, &known.provenance);
                record.result.attacked.extend(self.cells(attack, lists));
                continue;
            }
            let Some(from_shards) = self.of_shards(&key)? else {
                self.teller.once(&Event::Waiting { part, key: &key });
                busy = true;
                continue;
            };
            let named = (row.id.as_str(), seed);
            let why = self.book.ledger().why_attacked(named, training_key, &attack.label, (&key, &description));
            if let Some(why) = why {
                self.teller.event(&Event::Note { part, text: &format!("attacked, since {why}") });
            }
            let begun = Clock::start();
            let judged = open().and_then(|(target, pass)| {
                let surrogate = self.crafted_on(crafted_on.as_ref())?;
                let surrogate = surrogate.as_ref().map(|s| s as &dyn Target);
                let own = self.inputs.own_examples(self.suite, attack, pass)?;
                let (examples, pass) = match &own {
                    Some((examples, pass)) => (examples, pass),
                    None => (self.inputs.examples(self.suite)?, pass),
                };
                let evaluator = Evaluator { surrogate, clean: Some(pass), ..self.evaluator(target, examples) };
                let (journal, mut done) = Journal::open(&store.journal(&key))?;
                done.extend(from_shards);
                let mut progress = Progress::new(self.teller.events, part, attack, Some((journal, done)));
                let registry = self.context.registry;
                let mut evaluated = evaluate(&evaluator, std::slice::from_ref(attack), registry, &mut progress)?;
                evaluated.attacked.iter_mut().for_each(|a| a.examples = own.as_ref().map(|_| examples.len()));
                Ok(evaluated)
            });
            match judged {
                Ok(Evaluated { attacked, cost, .. }) => {
                    let lists: Vec<&[Verdict]> = attacked.iter().map(|a| a.verdicts.as_slice()).collect();
                    let spent = spent(self.context, begun, cost);
                    add(&mut record.provenance, &spent);
                    store.put_attack(&key, description, spent, &lists)?;
                    record.result.attacked.extend(attacked);
                }
                Err(error) if of_all(&error) => return Err(error),
                Err(error) => {
                    let reason = error.to_string();
                    self.teller.event(&Event::Failed { part, reason: &reason });
                    failures.push(format!("{}: {reason}", attack.label));
                }
            }
        }
        if busy {
            return Ok(Attempt::Busy);
        }
        record.result.configuration["attacks"] = attacks.into();
        if self.context.shard.is_some() {
            // Of no use by itself.
            return Ok(Attempt::Done(()));
        }
        if store.checkpoint(training_key).exists() {
            match self.show_strongest(record, row, seed, (training_key, entry), &open) {
                Err(error) if !of_all(&error) => {
                    let text = format!("no pictures of the strongest attack: {error}");
                    self.teller.event(&Event::Note { part: part(row, seed), text: &text });
                }
                shown => shown?,
            }
        }
        if self.certify(record, row, seed, (training_key, entry), &mut failures)? {
            return Ok(Attempt::Busy);
        }
        let contradictions = self.contradictions(record, row, seed, (training_key, entry))?;
        record.result.flags.extend(contradictions);
        record.result.flags.extend(overfitting::catastrophic(&record.result.curve));
        let randomised = record.result.flags.iter().any(|f| f.name == RANDOMISED);
        let (how, registry) = ((randomised, self.suite.draws), self.context.registry);
        let Outcome { clean, attacked, certified, .. } = &record.result;
        let remarks = flags::remarks(clean, attacked, certified, how, registry);
        record.result.flags.extend(remarks);
        if !failures.is_empty() {
            record.failed = Some(failures.join("; "));
        }
        Ok(Attempt::Done(()))
    }

    /// The surrogate with its weights.
    pub(crate) fn crafted_on(&self, training: Option<&CraftedOn<'a>>) -> Result<Option<Frozen>> {
        let Some((row, key, entry)) = training else { return Ok(None) };
        Ok(Some(self.models.open(row, key, entry)?.target(&self.context.compute)?))
    }

    /// An attack's description and, with a surrogate, its training's key and entry; the surrogate is trained where it
    /// has to be. `None` while another process does that.
    pub(crate) fn prepare(
        &self,
        attack: &AttackEntry,
        row: &'a Row,
        seed: u64,
        (key, entry): (&str, &TrainingEntry),
    ) -> Result<Option<Prepared<'a>>> {
        let crafted_on = match self.evaluations.surrogate(attack)? {
            Some(other) if other.id == row.id => Some((other, key.to_string(), entry.clone())),
            Some(other) => match self.models.checkpoint(other, seed)? {
                Some((key, entry)) => Some((other, key, entry)),
                None => return Ok(None),
            },
            None => None,
        };
        Ok(self.evaluations.described(attack, seed)?.map(|described| Prepared { described, crafted_on }))
    }

    /// Whether the store has the pictures that this suite's monitor would make.
    fn shown(&self, clean_key: &str) -> bool {
        let monitor = &self.suite.train.monitor;
        let same = |p: &Pictures| (p.norm, &p.eps, &p.attack) == (monitor.norm, &monitor.eps, &gallery::said(monitor));
        self.context.store.get_pictures(clean_key).is_some_and(|p| same(&p))
    }

    /// Pictures of the first examples, for people: without them a record lacks nothing.
    fn show(&self, clean_key: &str, part: Part<'_>, (target, _): &(Frozen, CleanPass)) -> Result<()> {
        let monitor = &self.suite.train.monitor;
        match gallery::pictures(
            target,
            self.inputs.examples(self.suite)?,
            monitor,
            self.context.registry,
            self.suite.attack_seed,
        ) {
            Ok(pictures) => self.context.store.put_pictures(clean_key, &pictures),
            Err(error) => {
                self.teller.event(&Event::Note { part, text: &format!("no pictures: {error}") });
                Ok(())
            }
        }
    }

    /// Pictures of what the strongest attack of each norm found, likewise.
    fn show_strongest<'s>(
        &self,
        record: &Record,
        row: &'a Row,
        seed: u64,
        trained: (&str, &TrainingEntry),
        open: &dyn Fn() -> Result<&'s (Frozen, CleanPass)>,
    ) -> Result<()> {
        for (key, cell) in description::strongest(record) {
            if gallery::kept(&self.context.store, &key, cell).is_some() {
                continue;
            }
            let Some(entry) = self.attacks().into_iter().find(|a| a.label == cell.attack) else { continue };
            let Some(Prepared { crafted_on, .. }) = self.prepare(entry, row, seed, trained)? else { continue };
            let surrogate = self.crafted_on(crafted_on.as_ref())?;
            let surrogate = surrogate.as_ref().map(|s| s as &dyn Target);
            let (target, pass) = open()?;
            let own = self.inputs.own_examples(self.suite, entry, pass)?;
            let examples = match &own {
                Some((examples, _)) => examples,
                None => self.inputs.examples(self.suite)?,
            };
            let evaluator = Evaluator { surrogate, ..self.evaluator(target, examples) };
            let pictures = gallery::adversarial(&evaluator, entry, self.context.registry, &cell.eps)?;
            self.context.store.put_pictures(&key, &pictures)?;
        }
        Ok(())
    }

    fn cells(&self, entry: &AttackEntry, lists: Vec<Vec<Verdict>>) -> Vec<Attacked> {
        let (parameters, own) = (entry.attack.describe(), self.suite.own(entry));
        let family = self.context.registry.plan(&entry.attack.given()).ok().map(|(plan, _)| plan.family());
        let cell = |(eps, verdicts): (&gauntlet_records::Eps, Vec<Verdict>)| Attacked {
            attack: entry.label.clone(),
            parameters: parameters.clone(),
            family,
            norm: entry.norm,
            eps: eps.clone(),
            examples: own.map(|_| verdicts.len()),
            verdicts,
        };
        entry.eps.iter().zip(lists).map(cell).collect()
    }

    /// The frozen model and its clean pass, made at the first call.
    fn subject<'s>(
        &self,
        cell: &'s OnceCell<(Frozen, CleanPass)>,
        row: &'a Row,
        training_key: &str,
        entry: &TrainingEntry,
    ) -> Result<&'s (Frozen, CleanPass)> {
        if let Some(subject) = cell.get() {
            return Ok(subject);
        }
        let target = self.models.open(row, training_key, entry)?.target(&self.context.compute)?;
        let pass = self.evaluator(&target, self.inputs.examples(self.suite)?).clean(&mut Cost::default())?;
        Ok(cell.get_or_init(|| (target, pass)))
    }
}

/// The clean pass of a row and seed.
fn part(row: &Row, seed: u64) -> Part<'_> {
    Part { row: &row.id, seed, attack: None }
}

pub(crate) fn spent(context: &Context<'_>, begun: Clock, cost: Cost) -> Provenance {
    Provenance {
        evaluate_seconds: begun.seconds(),
        evaluate_cpu_seconds: begun.cpu_seconds(),
        executed_forwards: cost.forwards,
        executed_backwards: cost.backwards,
        ..context.provenance()
    }
}

/// Adds an evaluation's work to a record's.
pub(crate) fn add(total: &mut Provenance, part: &Provenance) {
    total.evaluate_seconds += part.evaluate_seconds;
    total.evaluate_cpu_seconds = sum(total.evaluate_cpu_seconds, part.evaluate_cpu_seconds);
    total.executed_forwards += part.executed_forwards;
    total.executed_backwards += part.executed_backwards;
}
