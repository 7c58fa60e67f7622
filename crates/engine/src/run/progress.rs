//! An attack's progress: verdicts to the journal, events to whoever wants to know.

use crate::event::{Event, Events, Part};
use crate::store::journal::Journal;
use candle_core::Tensor;
use gauntlet_evaluate::{AttackEntry, Done, Watch};
use gauntlet_records::{Fate, Verdict, verdict::robust_accuracy};
use std::time::Instant;

pub(crate) struct Progress<'a> {
    events: &'a dyn Events,
    part: Part<'a>,
    entry: &'a AttackEntry,
    /// Verdicts are appended to it as they are given.
    journal: Option<Journal>,
    /// What it held at the beginning.
    known: Done,
    begun: Instant,
    done: usize,
    of: usize,
    robust: usize,
    /// Examples, those too that are wrong without any attack.
    examples: usize,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(
        events: &'a dyn Events,
        part: Part<'a>,
        entry: &'a AttackEntry,
        journal: Option<(Journal, Done)>,
    ) -> Self {
        let (journal, known) = journal.map_or((None, Done::new()), |(journal, known)| (Some(journal), known));
        Progress { events, part, entry, journal, known, begun: Instant::now(), done: 0, of: 0, robust: 0, examples: 0 }
    }

    /// Whether an example stands at this ε. An attack for the smallest perturbation breaks it above ε, too.
    fn withstood(&self, eps: usize, verdict: &Verdict) -> bool {
        // The referee lets a proposal be larger than ε by its rounding, which is far less.
        verdict.fate == Fate::Robust || verdict.size > 1.0001 * self.entry.eps[eps].value()
    }
}

impl Watch for Progress<'_> {
    fn known(&mut self, _: &AttackEntry) -> gauntlet_evaluate::Result<Done> {
        Ok(std::mem::take(&mut self.known))
    }
    fn started(&mut self, eps: usize, pending: usize, of: usize, known: &[Verdict]) {
        (self.begun, self.done, self.of, self.examples) = (Instant::now(), of - pending, of, known.len());
        self.robust = known.iter().filter(|v| self.withstood(eps, v)).count();
        let (norm, eps) = (self.entry.norm, &self.entry.eps[eps]);
        self.events.event(&Event::EvaluationStarted { part: self.part, norm, eps, examples: of, pending });
    }
    fn judged(&mut self, eps: usize, verdicts: &[(usize, Verdict, Option<Tensor>)]) -> gauntlet_evaluate::Result<()> {
        if let Some(journal) = &mut self.journal {
            journal.append(eps, verdicts)?;
        }
        self.done += verdicts.len();
        self.robust += verdicts.iter().filter(|(_, v, _)| self.withstood(eps, v)).count();
        let (done, of, robust) = (self.done, self.of, self.robust);
        let accuracy = robust as f64 / done.max(1) as f64 * of as f64 / self.examples.max(1) as f64;
        self.events.event(&Event::Judged { part: self.part, done, of, robust, accuracy });
        Ok(())
    }
    fn finished(&mut self, eps: usize, verdicts: &[Verdict]) {
        self.events.event(&Event::EvaluationDone {
            part: self.part,
            norm: self.entry.norm,
            eps: &self.entry.eps[eps],
            robust_accuracy: robust_accuracy(verdicts),
            seconds: self.begun.elapsed().as_secs_f64(),
        });
    }
}
