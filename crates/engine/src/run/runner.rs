//! The parts of a suite while it runs: which there are, in what order, and what is taken down of them.

use crate::event::{Event, Events};
use crate::run::attempt::of_all;
use crate::run::book::Book;
use crate::run::evaluation_keys::EvaluationKeys;
use crate::run::inputs::Inputs;
use crate::run::keys::Keys;
use crate::run::models::Models;
use crate::run::teller::Teller;
use crate::store::import;
use crate::store::ledger::{Evaluation, Keyed, Work};
use crate::suite::lineage;
use crate::{Context, Images, Result, Row, Suite, Teacher};
use gauntlet_core::Target;
use gauntlet_evaluate::{AttackEntry, Evaluator, Examples};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// A suite and all that its parts share.
pub(crate) struct Runner<'a> {
    pub(crate) suite: &'a Suite,
    pub(crate) context: &'a Context<'a>,
    pub(crate) teller: Rc<Teller<'a>>,
    pub(crate) inputs: Rc<Inputs<'a>>,
    pub(crate) keys: Rc<Keys<'a>>,
    pub(crate) evaluations: EvaluationKeys<'a>,
    pub(crate) models: Models<'a>,
    pub(crate) book: Rc<Book<'a>>,
    /// Whose weights these are, by sha256: the first row and seed of this run.
    pub(crate) seen: RefCell<BTreeMap<String, (String, u64)>>,
}

impl<'a> Runner<'a> {
    pub(crate) fn open(
        suite: &'a Suite,
        images: Images,
        context: &'a Context<'a>,
        events: &'a dyn Events,
    ) -> Result<Self> {
        let (train, test) = (images.train.len(), images.test.len());
        let trained = suite.rows.iter().any(|r| r.checkpoint.is_none());
        let held_out = trained.then(|| suite.train.held_out(train));
        events.event(&Event::DataReady { data: &suite.data, train, test, held_out });
        lineage::check(&suite.rows)?;
        let (inputs, teller) = (Rc::new(Inputs::new(images, context)), Rc::new(Teller::new(events)));
        let keys = Rc::new(Keys::new((&inputs, &teller), &suite.rows, &suite.model, &suite.train));
        let evaluations = EvaluationKeys::new(suite, &inputs.images, &keys);
        let book = Rc::new(Book::new(suite, context));
        let models = Models::new((&inputs, &teller), &keys, Some(&book));
        let trains = suite.rows.iter().any(|r| r.checkpoint.is_none() && r.model.is_none());
        inputs.network(&suite.model, if trains { suite.train.batch } else { 0 })?;
        Ok(Runner { suite, context, teller, inputs, keys, evaluations, models, book, seen: RefCell::default() })
    }

    /// Rows × seeds that the filters leave; a checkpoint has no seed and stands under the first.
    pub(crate) fn parts(&self) -> Vec<(&'a Row, u64)> {
        let only = &self.context.only;
        let named = |row: &Row| {
            (only.rows.is_empty() || only.rows.contains(&row.id))
                && (only.recipes.is_empty() || row.names().any(|n| only.recipes.iter().any(|r| r == n)))
        };
        let rows = self.suite.rows.iter().filter(|r| named(r));
        let seeds = |row: &Row| &self.suite.seeds[..if row.checkpoint.is_some() { 1 } else { self.suite.seeds.len() }];
        rows.flat_map(|row| seeds(row).iter().map(move |seed| (row, *seed)))
            .filter(|(_, seed)| only.seeds.is_empty() || only.seeds.contains(seed))
            .collect()
    }

    /// Attacks that the filters leave.
    pub(crate) fn attacks(&self) -> Vec<&'a AttackEntry> {
        let only = &self.context.only.attacks;
        self.suite.attacks.iter().filter(|a| only.is_empty() || only.contains(&a.label)).collect()
    }

    /// Parts that the filters leave, and those that must be trained for them: teachers and surrogates.
    pub(crate) fn needed(&self) -> Result<Vec<(&'a Row, u64)>> {
        let mut parts = self.parts();
        let mut next = 0;
        while let Some((row, seed)) = parts.get(next).copied() {
            let mut others = Vec::new();
            if let Some(Teacher::Row(id)) = &row.teacher {
                others.push(self.keys.row(id)?);
            }
            // Only what is attacked needs surrogates, not what is trained for it.
            for attack in self.attacks() {
                match self.evaluations.surrogate(attack) {
                    Ok(surrogate) => others.extend(surrogate),
                    Err(error) if of_all(&error) => return Err(error),
                    // The attack itself says what is wrong.
                    Err(_) => {}
                }
            }
            for other in others {
                // A checkpoint has no seed and stands under the first.
                let seed = if other.checkpoint.is_some() { self.suite.seeds[0] } else { seed };
                if !parts.contains(&(other, seed)) {
                    parts.push((other, seed));
                }
            }
            next += 1;
        }
        Ok(parts)
    }

    /// Imports what committed records hold of the suite's parts and of the rows that they need.
    pub(crate) fn import(&self) -> Result<()> {
        let rows = self.needed()?;
        let mut tried = BTreeSet::new();
        loop {
            // Whoever has a teacher has a key when the teacher's weights are known.
            let mut wanted = BTreeSet::new();
            for (row, seed) in &rows {
                if let Some(key) = self.keys.known(row, *seed)?
                    && !tried.contains(&key)
                    && self.context.store.get_training(&key)?.is_none()
                {
                    wanted.insert(key);
                }
            }
            if wanted.is_empty() {
                return Ok(());
            }
            for text in import::import(&self.context.store, &self.context.records, &wanted)? {
                let text = format!("a committed record was not imported: {text}");
                if tried.is_empty() {
                    self.teller.note("", 0, &text);
                }
            }
            tried.append(&mut wanted);
        }
    }

    /// What is known of a part's keys.
    fn work(&self, row: &'a Row, seed: u64) -> Result<Work> {
        let training = match self.keys.training(row, seed) {
            Ok(training) => training,
            Err(error) if of_all(&error) => return Err(error),
            Err(_) => None,
        };
        let mut work = Work::default();
        let Some((key, description)) = training else { return Ok(work) };
        work.training = Some(Keyed { key, description });
        let Some(sha256) = self.keys.sha256(row, seed)? else { return Ok(work) };
        let mut evaluation = |label: Option<&str>, attack: &Value| {
            let (key, description) = self.evaluations.evaluation(row, &sha256, attack);
            work.evaluations.push(Evaluation { label: label.map(String::from), key, description });
        };
        evaluation(None, &Value::Null);
        for attack in &self.suite.attacks {
            if let Some(described) = self.evaluations.describable(attack, seed)? {
                evaluation(Some(&attack.label), &described);
            }
        }
        for entry in &self.suite.certify {
            if let Some(described) = self.certifiable(entry, seed)? {
                evaluation(Some(&entry.label), &described);
            }
        }
        Ok(work)
    }

    /// Takes down what these parts are, if that is not what the ledger says already. `anyway` writes it all the same, so
    /// that a store that cannot be written is noticed before hours of work.
    pub(crate) fn enter(&self, parts: &[(&'a Row, u64)], anyway: bool) -> Result<()> {
        let mut news = Vec::new();
        for (row, seed) in parts {
            let work = self.work(row, *seed)?;
            if anyway || !self.book.says(&row.id, *seed, &work) {
                news.push((row.id.as_str(), *seed, work));
            }
        }
        if news.is_empty() {
            return Ok(());
        }
        self.book.enter(news)
    }

    /// The suite's way to judge.
    pub(crate) fn evaluator<'s>(&'s self, target: &'s dyn Target, examples: &'s Examples) -> Evaluator<'s> {
        Evaluator {
            width: self.context.width,
            attack_seed: self.suite.attack_seed,
            carry: self.suite.carry,
            draws: self.suite.draws,
            ..Evaluator::new(target, examples, self.context.interrupt)
        }
    }
}
