//! Events of a run as progress bars on a terminal, or as lines where there is none.

use crate::exit::to_stderr;
use gauntlet_engine::{Event, Events, Part};
use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::fmt::Write;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How often a long attack is told of where there are no bars.
const PATIENCE: Duration = Duration::from_secs(60);

/// What listens to a run and writes to stderr.
pub(crate) struct Progress {
    quiet: bool,
    bars: bool,
    bar: Mutex<Option<ProgressBar>>,
    attack: Mutex<Option<Attack>>,
}

/// An attack that runs.
struct Attack {
    name: String,
    begun: Instant,
    told: Instant,
    /// Verdicts from before.
    known: usize,
}

impl Attack {
    /// Where it stands, if that is worth a line again.
    fn line(&mut self, done: usize, of: usize, accuracy: f64) -> Option<String> {
        if self.told.elapsed() < PATIENCE || done == of {
            return None;
        }
        self.told = Instant::now();
        let rate = (done - self.known) as f64 / self.begun.elapsed().as_secs_f64();
        let left = HumanDuration(Duration::try_from_secs_f64((of - done) as f64 / rate).unwrap_or(Duration::MAX));
        Some(format!("{}: {done}/{of}, robust {:.1} %, {rate:.1}/s, {left:#} left", self.name, 100.0 * accuracy))
    }
}

impl Progress {
    /// Nothing, bars, or lines.
    pub(crate) fn new(quiet: bool, bars: bool) -> Self {
        Progress { quiet, bars, bar: Mutex::new(None), attack: Mutex::new(None) }
    }

    fn line(&self, text: String) {
        if self.quiet {
            return;
        }
        match self.bar.lock() {
            Ok(bar) => match bar.as_ref() {
                Some(bar) => bar.suspend(|| to_stderr(format_args!("{text}"))),
                None => to_stderr(format_args!("{text}")),
            },
            Err(_) => to_stderr(format_args!("{text}")),
        }
    }

    fn start(&self, name: String, length: u64, at: u64) {
        if self.quiet || !self.bars {
            return;
        }
        let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr_with_hz(8));
        // What matters most stands first: the bar has what is left of the line.
        let template = "{prefix}: {pos}/{len}, {msg}{rate}/s, {left} left {wide_bar}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            let rate = |state: &ProgressState, out: &mut dyn Write| {
                let _ = write!(out, "{:.1}", state.per_sec());
            };
            let left = |state: &ProgressState, out: &mut dyn Write| {
                let _ = if state.per_sec() > 0.0 {
                    write!(out, "{:#}", HumanDuration(state.eta()))
                } else {
                    write!(out, "?")
                };
            };
            bar.set_style(style.with_key("rate", rate).with_key("left", left));
        }
        bar.set_prefix(name);
        bar.set_position(at);
        // The rate is that of this process, not of what was done before it.
        bar.reset_eta();
        bar.enable_steady_tick(Duration::from_millis(500));
        if let Ok(mut slot) = self.bar.lock() {
            *slot = Some(bar);
        }
    }

    fn with_bar(&self, f: impl FnOnce(&ProgressBar)) {
        if let Ok(slot) = self.bar.lock()
            && let Some(bar) = slot.as_ref()
        {
            f(bar);
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        if let Ok(mut slot) = self.bar.lock()
            && let Some(bar) = slot.take()
        {
            bar.finish_and_clear();
        }
    }
}

fn name(part: &Part<'_>) -> String {
    let training = format!("{}, seed {}", part.row, part.seed);
    match part.attack {
        Some(attack) => format!("{attack} on {training}"),
        None => training,
    }
}

impl Events for Progress {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::DataReady { data, train, test } => {
                self.line(format!("data {data}: {train} training and {test} test images"));
            }
            Event::TrainingStarted { part, epochs, steps, from } => {
                let done = u64::from(from.0) * u64::from(*steps) + u64::from(from.1);
                if done > 0 {
                    self.line(format!("training {}: goes on at epoch {}, step {}", name(part), from.0 + 1, from.1));
                }
                self.start(format!("training {}", name(part)), u64::from(*epochs) * u64::from(*steps), done);
            }
            Event::Step { loss, rate, .. } => self.with_bar(|bar| {
                bar.inc(1);
                bar.set_message(format!("loss {loss:.3}, {rate:.0} examples/s, "));
            }),
            Event::EpochDone { part, epoch } => {
                let terms: Vec<String> = epoch.terms.iter().map(|(k, v)| format!("{k} {v:.3}")).collect();
                let percent = |name: &str, v: Option<f64>| v.map(|v| format!(", {name} {:.1} %", 100.0 * v));
                let more = [
                    percent("own FGSM", epoch.own_fgsm_accuracy),
                    percent("own PGD", epoch.own_pgd_accuracy),
                    epoch.alignment.map(|v| format!(", alignment {v:.2}")),
                ];
                self.line(format!(
                    "training {}: epoch {}, {}, clean {:.1} %, attacked {:.1} %{} ({})",
                    name(part),
                    epoch.epoch,
                    terms.join(", "),
                    100.0 * epoch.clean_accuracy,
                    100.0 * epoch.robust_accuracy,
                    more.into_iter().flatten().collect::<String>(),
                    epoch.monitored_on
                ));
            }
            Event::TrainingDone { part, seconds } => {
                self.finish();
                self.line(format!("training {}: done in {seconds:.1} s", name(part)));
            }
            Event::EvaluationStarted { part, eps, examples, pending, .. } => {
                let (all, known) = (*examples as u64, (examples - pending) as u64);
                let (name, now) = (format!("{} ε = {eps}", name(part)), Instant::now());
                if let (false, Ok(mut attack)) = (self.bars, self.attack.lock()) {
                    *attack = Some(Attack { name: name.clone(), begun: now, told: now, known: examples - pending });
                }
                self.start(name, all, known);
            }
            Event::Judged { done, of, accuracy, .. } => {
                self.with_bar(|bar| {
                    bar.set_position(*done as u64);
                    bar.set_message(format!("robust {:.1} %, ", 100.0 * accuracy));
                });
                let line = self.attack.lock().ok().and_then(|mut a| a.as_mut()?.line(*done, *of, *accuracy));
                line.into_iter().for_each(|line| self.line(line));
            }
            Event::EvaluationDone { part, eps, robust_accuracy, seconds, .. } => {
                self.finish();
                let percent = 100.0 * robust_accuracy;
                self.line(format!("{} ε = {eps}: robust {percent:.1} % in {seconds:.1} s", name(part)));
            }
            Event::Skipped { part } => self.line(format!("{}: in the store", name(part))),
            Event::Waiting { part, .. } => self.line(format!("{}: another process works on it", name(part))),
            Event::Failed { part, reason } => {
                self.finish();
                self.line(format!("failed: {}: {reason}", name(part)));
            }
            Event::Note { part, text } if part.row.is_empty() => self.line(format!("note: {text}")),
            Event::Note { part, text } => self.line(format!("note: {}: {text}", name(part))),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_attack_is_told_of_every_minute() {
        let Some(begun) = Instant::now().checked_sub(Duration::from_secs(100)) else { return };
        let mut attack = Attack { name: "pgd on ce, seed 0 ε = 0.1".into(), begun, told: begun, known: 100 };
        let line = attack.line(300, 500, 0.456).unwrap_or_default();
        assert_eq!(line, "pgd on ce, seed 0 ε = 0.1: 300/500, robust 45.6 %, 2.0/s, 2m left");
        assert_eq!(attack.line(301, 500, 0.5), None);
        attack.told = begun;
        assert_eq!(attack.line(500, 500, 0.5), None);
    }
}
