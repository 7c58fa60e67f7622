//! Weights of rows: found in the store, trained now, or taken from elsewhere; and opened.

use crate::event::{Event, Part};
use crate::run::attempt::{Attempt, of_all};
use crate::run::book::Book;
use crate::run::given::Given;
use crate::run::inputs::Inputs;
use crate::run::keys::{Keys, taught_by};
use crate::run::teller::Teller;
use crate::store::results::TrainingEntry;
use crate::train::metered::Metered;
use crate::{CheckpointSource, Context, Error, Result, Row, Teacher, Trained, TrainingJob};
use gauntlet_core::{Target, checkpoint};
use gauntlet_evaluate::{Origin, Subject};
use gauntlet_records::Provenance;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// The trainings of a run; the store keeps what they give.
pub(crate) struct Models<'a> {
    context: &'a Context<'a>,
    inputs: Rc<Inputs<'a>>,
    keys: Rc<Keys<'a>>,
    teller: Rc<Teller<'a>>,
    /// What was taken down of them, where they belong to a suite.
    book: Option<Rc<Book<'a>>>,
    /// Trainings that failed in this run, by key, with the reason: those who need them do not try again.
    failed: RefCell<BTreeMap<String, String>>,
}

impl<'a> Models<'a> {
    pub(crate) fn new(
        (inputs, teller): (&Rc<Inputs<'a>>, &Rc<Teller<'a>>),
        keys: &Rc<Keys<'a>>,
        book: Option<&Rc<Book<'a>>>,
    ) -> Self {
        Models {
            context: keys.context,
            inputs: inputs.clone(),
            keys: keys.clone(),
            teller: teller.clone(),
            book: book.cloned(),
            failed: RefCell::default(),
        }
    }

    /// The key and entry of a training whose checkpoint is in the store afterwards, or `None` while another process
    /// works on it.
    pub(crate) fn checkpoint(&self, row: &'a Row, seed: u64) -> Result<Option<(String, TrainingEntry)>> {
        match self.trained(row, seed, true)? {
            Attempt::Done(trained) => Ok(Some(trained)),
            Attempt::Busy => Ok(None),
        }
    }

    /// The training of a row and seed: from the store, or made now. `again`: its checkpoint is needed, be it that the
    /// entry is there without it.
    pub(crate) fn trained(&self, row: &'a Row, seed: u64, again: bool) -> Result<Attempt<(String, TrainingEntry)>> {
        if let Some(source) = &row.checkpoint {
            return self.taken(source, row);
        }
        let store = &self.context.store;
        let part = Part { row: &row.id, seed, attack: None };
        let stored = |key: &str| -> Result<Option<TrainingEntry>> {
            let entry = store.get_training(key)?;
            Ok(entry.filter(|_| !again || store.checkpoint(key).exists()))
        };
        if let Some((key, _)) = self.keys.training(row, seed)?
            && let Some(entry) = stored(&key)?
        {
            self.teller.once(&Event::Skipped { part, weights_of: None });
            return Ok(Attempt::Done((key, entry)));
        }
        if !self.taught(row, seed)? {
            return Ok(Attempt::Busy);
        }
        let Some((key, description)) = self.keys.training(row, seed)? else { return Ok(Attempt::Busy) };
        if let Some(reason) = self.failure(row, seed, &key)? {
            return Err(Error::message(reason));
        }
        let Some(_claim) = store.claim_training(&key)? else {
            self.teller.once(&Event::Waiting { part, key: &key });
            return Ok(Attempt::Busy);
        };
        if let Some(entry) = stored(&key)? {
            return Ok(Attempt::Done((key, entry)));
        }
        if store.get_training(&key)?.is_none()
            && let Some(book) = &self.book
            && let Some(why) = book.ledger().why_trained(&row.id, seed, &key, &description)
        {
            self.teller.note(&row.id, seed, &format!("trained again, since {why}"));
        }
        let entry_provenance = self.context.provenance();
        let job = self.job(row, seed)?;
        job.network.notes().iter().for_each(|note| self.teller.note(&row.id, seed, note));
        let events = Metered::new(&store.metrics(&key), self.teller.events)?;
        let trained = job.run(Some((&store.state(&key), &key)), &events).inspect_err(|error| {
            if !of_all(error) {
                self.failed.borrow_mut().insert(key.clone(), error.to_string());
            }
        })?;
        let Trained { weights, curve, seconds, cpu_seconds, resumed, cost_relative_to_ce } = trained;
        let entry = TrainingEntry {
            description,
            checkpoint_sha256: checkpoint::sha256(&weights)?,
            curve,
            provenance: Provenance {
                train_seconds: seconds,
                train_cpu_seconds: cpu_seconds,
                resumed,
                cost_relative_to_ce,
                ..entry_provenance
            },
        };
        store.put_training(&key, &entry, Some((&weights, job.network.info())))?;
        self.teller.event(&Event::TrainingDone { part, seconds });
        Ok(Attempt::Done((key, entry)))
    }

    /// Why a training failed, in this run or in one that goes on beside it.
    fn failure(&self, row: &Row, seed: u64, key: &str) -> Result<Option<String>> {
        let own = self.failed.borrow().get(key).cloned();
        match (own, &self.book) {
            (None, Some(book)) => book.failed_elsewhere(&row.id, seed, key),
            (own, _) => Ok(own),
        }
    }

    fn job<'s>(&'s self, row: &'a Row, seed: u64) -> Result<TrainingJob<'s>> {
        Ok(TrainingJob {
            network: self.keys.network(row)?,
            recipe: row.build(self.context.registry)?,
            teacher: self.teaching(row, seed)?,
            train: &self.inputs.images.train,
            extra: match &self.keys.config(row).tricks.extra {
                Some(extra) => Some(self.inputs.extra(&extra.data)?.0),
                None => None,
            },
            config: self.keys.config(row),
            seed,
            precision: self.context.precision,
            compute: &self.context.compute,
            registry: self.context.registry,
            width: self.context.width,
            interrupt: self.context.interrupt,
            part: Part { row: &row.id, seed, attack: None },
        })
    }

    /// A row's given checkpoint in the store, where it is like any other.
    fn taken(&self, source: &CheckpointSource, row: &'a Row) -> Result<Attempt<(String, TrainingEntry)>> {
        let store = &self.context.store;
        let Given { key, description, sha256 } = self.keys.given(source, self.keys.model(row), row)?;
        if let Some(entry) = store.get_training(&key)?.filter(|_| store.checkpoint(&key).exists()) {
            return Ok(Attempt::Done((key, entry)));
        }
        let Some(_claim) = store.claim_training(&key)? else { return Ok(Attempt::Busy) };
        let (_, subject) = self.keys.read(source, self.keys.model(row), row)?;
        let provenance = self.context.provenance();
        let entry = TrainingEntry { description, checkpoint_sha256: sha256, curve: Vec::new(), provenance };
        store.put_training(&key, &entry, Some((&subject.weights, subject.network.info())))?;
        Ok(Attempt::Done((key, entry)))
    }

    /// Has the teacher of a row trained, where it has one that must be; false while another process does that.
    fn taught(&self, row: &'a Row, seed: u64) -> Result<bool> {
        match &row.teacher {
            Some(teacher @ Teacher::Row(id)) => {
                Ok(taught_by(teacher, self.checkpoint(self.keys.row(id)?, seed))?.is_some())
            }
            _ => Ok(true),
        }
    }

    /// The teacher of a row as its recipe sees it: frozen, in eval mode.
    fn teaching(&self, row: &'a Row, seed: u64) -> Result<Option<Arc<dyn Target>>> {
        let Some(teacher) = &row.teacher else { return Ok(None) };
        let subject = match teacher {
            Teacher::Row(id) => {
                let other = self.keys.row(id)?;
                let stored = match taught_by(teacher, self.keys.training(other, seed))? {
                    Some((key, _)) => self.context.store.get_training(&key)?.map(|entry| (key, entry)),
                    None => None,
                };
                let (key, entry) = stored.ok_or_else(|| {
                    Error::message(format!("its teacher {id} is no longer in the store; run the same command again"))
                })?;
                taught_by(teacher, self.open(other, &key, &entry))?
            }
            Teacher::Checkpoint(source) => taught_by(teacher, self.keys.read(source, self.keys.model(row), row))?.1,
        };
        Ok(Some(Arc::new(subject.target(&self.context.compute)?)))
    }

    /// A row's model with the weights of a checkpoint in the store.
    ///
    /// # Errors
    /// A checkpoint that cannot be read, or whose weights are not those of its training.
    pub(crate) fn open(&self, row: &'a Row, key: &str, entry: &TrainingEntry) -> Result<Subject> {
        let path = self.context.store.checkpoint(key);
        let subject = Subject::open_published(self.keys.network(row)?, Origin::file(&path), self.context.precision)?;
        if subject.sha256 != entry.checkpoint_sha256 {
            return Err(Error::Damaged {
                path: path.display().to_string(),
                why: "its weights are not the ones that training.json names; delete the folder to train again".into(),
            });
        }
        Ok(subject)
    }
}
