//! Whoever follows an evaluation or a run from Python.

use crate::failure::Failure;
use crate::storage::{Kept, Open, Storage};
use gauntlet::AttackEntry;
use gauntlet::candle::Tensor;
use gauntlet::core::Error as CoreError;
use gauntlet::engine::{Event, Events};
use gauntlet::evaluate::{Done, Watch};
use gauntlet::records::{Fate, Verdict};
use pyo3::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often Python is asked whether Ctrl-C was pressed where it is not called anyway.
const POLL: Duration = Duration::from_millis(100);

/// Keeps proposals, tells Python about verdicts.
pub(crate) struct Follower<'a> {
    /// `progress(attack, norm, eps, done, of, robust)`.
    pub(crate) callback: Option<&'a Py<PyAny>>,
    pub(crate) kept: Kept,
    pub(crate) raised: Option<PyErr>,
    /// Where verdicts are kept on the way.
    storage: Option<&'a Storage>,
    open: Option<Open>,
    entries: &'a [AttackEntry],
    /// The attack that runs, from 0; one more than there were.
    at: usize,
    done: usize,
    of: usize,
    robust: usize,
}

impl<'a> Follower<'a> {
    pub(crate) fn new(
        entries: &'a [AttackEntry],
        callback: Option<&'a Py<PyAny>>,
        storage: Option<&'a Storage>,
    ) -> Self {
        Follower {
            callback,
            kept: Kept::new(),
            raised: None,
            storage,
            open: None,
            entries,
            at: 0,
            done: 0,
            of: 0,
            robust: 0,
        }
    }
    fn tell(&mut self, eps: usize) -> gauntlet::evaluate::Result<()> {
        let entry = &self.entries[self.at.saturating_sub(1)];
        let told = Python::attach(|py| {
            py.check_signals()?;
            if let Some(callback) = self.callback {
                let about = (&entry.label, entry.norm.to_string(), entry.eps[eps].to_string());
                callback.call1(py, (about.0, about.1, about.2, self.done, self.of, self.robust))?;
            }
            Ok::<_, PyErr>(())
        });
        told.map_err(|error| self.failed(error))
    }
    fn failed(&mut self, error: PyErr) -> gauntlet::evaluate::Error {
        let words = error.to_string();
        self.raised.get_or_insert(error);
        CoreError::Message(words).into()
    }
}

impl Watch for Follower<'_> {
    fn known(&mut self, entry: &AttackEntry) -> gauntlet::evaluate::Result<Done> {
        self.at += 1;
        let Some(storage) = self.storage else { return Ok(Done::new()) };
        let opened = storage.open(entry, self.at - 1, &mut self.kept);
        let (open, done) = opened.map_err(|e| self.failed(e.into()))?;
        self.open = Some(open);
        Ok(done)
    }
    fn started(&mut self, _: usize, pending: usize, of: usize, _: &[Verdict]) {
        (self.done, self.of, self.robust) = (of - pending, of, 0);
    }
    fn judged(&mut self, eps: usize, verdicts: &[(usize, Verdict, Option<Tensor>)]) -> gauntlet::evaluate::Result<()> {
        let at = self.at.saturating_sub(1);
        for (index, verdict, proposal) in verdicts {
            self.done += 1;
            self.robust += usize::from(verdict.fate == Fate::Robust);
            if let Some(proposal) = proposal {
                self.kept.insert((at, eps, *index), proposal.clone());
            }
        }
        let stored = self.open.as_mut().map_or(Ok::<(), Failure>(()), |open| open.append(eps, verdicts));
        stored.map_err(|e| self.failed(e.into()))?;
        self.tell(eps)
    }
}

/// Events of a run: Ctrl-C sets the flag that ends it at the next step.
pub(crate) struct Listener<'a> {
    /// `progress(text)`.
    pub(crate) callback: Option<&'a Py<PyAny>>,
    pub(crate) interrupt: &'a AtomicBool,
    pub(crate) raised: Mutex<Option<PyErr>>,
    asked: Mutex<Instant>,
}

impl<'a> Listener<'a> {
    pub(crate) fn new(callback: Option<&'a Py<PyAny>>, interrupt: &'a AtomicBool) -> Self {
        Listener { callback, interrupt, raised: Mutex::default(), asked: Mutex::new(Instant::now()) }
    }
    /// Looks for Ctrl-C, and says a line if there is one.
    pub(crate) fn say(&self, line: Option<String>) {
        {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            if line.is_none() && asked.elapsed() < POLL {
                return;
            }
            *asked = Instant::now();
        }
        let told = Python::attach(|py| {
            py.check_signals()?;
            if let (Some(callback), Some(line)) = (self.callback, line) {
                callback.call1(py, (line,))?;
            }
            Ok::<_, PyErr>(())
        });
        if let Err(error) = told {
            self.raised.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            self.interrupt.store(true, Ordering::Relaxed);
        }
    }
}

impl Events for Listener<'_> {
    fn event(&self, event: &Event<'_>) {
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        self.say(match event {
            Event::EpochDone { part, epoch } => Some(format!(
                "{} seed {}: epoch {}, clean {}, robust {}",
                part.row,
                part.seed,
                epoch.epoch,
                percent(epoch.clean_accuracy),
                percent(epoch.robust_accuracy)
            )),
            Event::TrainingDone { part, seconds } => {
                Some(format!("{} seed {}: trained in {seconds:.1} s", part.row, part.seed))
            }
            Event::EvaluationDone { part, norm, eps, robust_accuracy, seconds } => Some(format!(
                "{} seed {}: {} {} ε = {eps}: {} in {seconds:.1} s",
                part.row,
                part.seed,
                part.attack.unwrap_or_default(),
                norm.symbol(),
                percent(*robust_accuracy)
            )),
            Event::Failed { part, reason } => Some(format!("{} seed {}: failed: {reason}", part.row, part.seed)),
            Event::Note { part, text } => Some(format!("{} seed {}: {text}", part.row, part.seed)),
            Event::Waiting { part, .. } => {
                Some(format!("{} seed {}: another process works on it", part.row, part.seed))
            }
            _ => None,
        });
    }
}
