//! Everything that the parts of a suite share while it runs.

use crate::event::{Event, Events, Part};
use crate::examples_of;
use crate::run::context::TRAINED;
use crate::run::given::Given;
use crate::store::description::{self, Conditions};
use crate::store::import;
use crate::store::ledger::Ledger;
use crate::suite::lineage;
use crate::{Context, Error, Images, Result, Row, Suite, fingerprint};
use gauntlet_core::{Frozen, Network};
use gauntlet_evaluate::{AttackEntry, CleanPass, Component, Evaluator, Examples, Selection};
use serde_json::{Value, json};
use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One attempt at a part: done, or claimed by another process.
pub(crate) enum Attempt<T> {
    Done(T),
    Busy,
}

/// A suite, its data and its store.
pub(crate) struct Desk<'a> {
    pub(crate) suite: &'a Suite,
    pub(crate) context: &'a Context<'a>,
    pub(crate) events: &'a dyn Events,
    pub(crate) data: Images,
    pub(crate) train_sha256: String,
    pub(crate) conditions: Value,
    /// Read from the test split when the first checkpoint is to be judged, not before.
    examples: OnceCell<Examples>,
    /// Checkpoints from elsewhere that were read, by source and model.
    pub(crate) given: RefCell<BTreeMap<String, Given>>,
    /// Trainings that failed in this run, by key, with the reason: those who need them do not try again.
    pub(crate) failed: RefCell<BTreeMap<String, String>>,
    /// What earlier runs took down of the suite, and this one.
    pub(crate) ledger: RefCell<Ledger>,
    /// Whose weights these are, by sha256: the first row and seed of this run.
    pub(crate) seen: RefCell<BTreeMap<String, (String, u64)>>,
    /// What was said already and is not worth saying at every look.
    said: RefCell<BTreeSet<String>>,
}

impl<'a> Desk<'a> {
    pub(crate) fn open(
        suite: &'a Suite,
        data: Images,
        context: &'a Context<'a>,
        events: &'a dyn Events,
    ) -> Result<Self> {
        let (train, test) = (data.train.len(), data.test.len());
        let trained = suite.rows.iter().any(|r| r.checkpoint.is_none());
        let held_out = trained.then(|| suite.train.held_out(train));
        events.event(&Event::DataReady { data: &suite.data, train, test, held_out });
        lineage::check(&suite.rows)?;
        let conditions = Conditions {
            data_sha256: &data.test.sha256(),
            examples: &suite.covered(),
            attack_seed: suite.attack_seed,
            carry: suite.carry,
            draws: suite.draws,
            compute: &context.compute,
            dtype: context.dtype,
        }
        .describe();
        let desk = Desk {
            suite,
            context,
            events,
            train_sha256: data.train.sha256(),
            data,
            conditions,
            examples: OnceCell::new(),
            given: RefCell::default(),
            failed: RefCell::default(),
            ledger: RefCell::default(),
            seen: RefCell::default(),
            said: RefCell::default(),
        };
        let trains = suite.rows.iter().any(|r| r.checkpoint.is_none() && r.model.is_none());
        desk.built(&suite.model, if trains { suite.train.batch } else { 0 })?;
        Ok(desk)
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

    /// The row of that id.
    pub(crate) fn row(&self, id: &str) -> Result<&'a Row> {
        self.suite.row(id).ok_or_else(|| {
            let known = self.suite.rows.iter().map(|r| r.id.as_str());
            gauntlet_core::registry::unknown("row", id, known).into()
        })
    }

    /// A row's architecture: its own, or the suite's.
    pub(crate) fn model(&self, row: &'a Row) -> &'a Component {
        row.model.as_ref().unwrap_or(&self.suite.model)
    }

    /// A row's network on this data.
    pub(crate) fn network(&self, row: &'a Row) -> Result<Arc<dyn Network>> {
        let batch = if row.checkpoint.is_none() { self.suite.train.batch } else { 0 };
        self.built(self.model(row), batch)
    }

    /// A network for the data, which fits into the memory with a step of `batch` images.
    pub(crate) fn built(&self, model: &Component, batch: usize) -> Result<Arc<dyn Network>> {
        let (shape, classes) = (self.data.train.shape(), self.data.classes.len());
        let network = self.context.registry.model(&model.given(), shape, classes)?.0;
        self.context.affordable(network.as_ref(), TRAINED, batch)?;
        Ok(network)
    }

    /// Key and description of an evaluation of a row's checkpoint.
    pub(crate) fn evaluation(&self, row: &'a Row, checkpoint_sha256: &str, attack: &Value) -> (String, Value) {
        let model = self.model(row).describe();
        let description = description::evaluation(&self.conditions, &model, checkpoint_sha256, attack);
        (fingerprint(&description), description)
    }

    /// Imports what committed records hold of the suite's parts and of the rows that they need.
    pub(crate) fn import(&self) -> Result<()> {
        let rows = self.needed()?;
        let mut tried = BTreeSet::new();
        loop {
            // Whoever has a teacher has a key when the teacher's weights are known.
            let mut wanted = BTreeSet::new();
            for (row, seed) in &rows {
                if let Some(key) = self.known(row, *seed)?
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
                    self.note("", 0, &text);
                }
            }
            tried.append(&mut wanted);
        }
    }

    pub(crate) fn note(&self, row: &str, seed: u64, text: &str) {
        self.events.event(&Event::Note { part: Part { row, seed, attack: None }, text });
    }

    /// An event that is true at every look, said once.
    pub(crate) fn once(&self, event: &Event<'_>) {
        if self.said.borrow_mut().insert(format!("{event:?}")) {
            self.events.event(event);
        }
    }

    /// The test rows of an attack, where they are not those of all attacks together.
    pub(crate) fn own(&self, attack: &AttackEntry) -> Option<Selection> {
        let own = attack.examples.unwrap_or(self.suite.examples);
        (self.suite.covered() != [own]).then_some(own)
    }

    /// An attack's part of a record's configuration and, without its examples, of its key.
    pub(crate) fn attack_description(&self, attack: &AttackEntry) -> Value {
        let mut described = description::attack(attack);
        if let Some(own) = self.own(attack) {
            described["examples"] = json!(own);
        }
        described
    }

    /// An attack's own examples and their part of the clean pass over all; `None`: it has none of its own.
    pub(crate) fn own_examples(&self, attack: &AttackEntry, pass: &CleanPass) -> Result<Option<(Examples, CleanPass)>> {
        let Some(own) = self.own(attack) else { return Ok(None) };
        let all = self.examples()?;
        let rows = own.indices(self.data.test.labels(), self.suite.attack_seed);
        let place = |row: &usize| all.ids().binary_search(&(*row as u64)).ok();
        let places: Vec<usize> = rows.iter().filter_map(place).collect();
        Ok(Some((all.at(&places)?, pass.at(&places))))
    }

    /// The test rows of all attacks together, read at the first call.
    pub(crate) fn examples(&self) -> Result<&Examples> {
        if let Some(examples) = self.examples.get() {
            return Ok(examples);
        }
        let rows = Selection::all_indices(&self.suite.covered(), self.data.test.labels(), self.suite.attack_seed);
        let examples = examples_of(&self.data.test, &rows, self.context.dtype)?;
        Ok(self.examples.get_or_init(|| examples))
    }

    pub(crate) fn evaluator<'s>(&'s self, target: &'s Frozen, examples: &'s Examples) -> Evaluator<'s> {
        Evaluator {
            target,
            examples,
            width: self.context.width,
            attack_seed: self.suite.attack_seed,
            carry: self.suite.carry,
            draws: self.suite.draws,
            surrogate: None,
            interrupt: self.context.interrupt,
        }
    }
}

/// A failure that ails the environment, and so every part: the run ends with it.
pub(crate) fn of_all(error: &Error) -> bool {
    matches!(error, Error::Interrupted | Error::Store { .. })
}
