//! Events of a run as progress bars on a terminal, or as lines where there is none.

use gauntlet_engine::{Event, Events, Part};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::fmt::Write;
use std::sync::Mutex;
use std::time::Duration;

/// What listens to a run and writes to stderr.
pub(crate) struct Progress {
    quiet: bool,
    bars: bool,
    bar: Mutex<Option<ProgressBar>>,
}

impl Progress {
    /// Nothing, bars, or lines.
    pub(crate) fn new(quiet: bool, bars: bool) -> Self {
        Progress { quiet, bars, bar: Mutex::new(None) }
    }

    fn line(&self, text: String) {
        if self.quiet {
            return;
        }
        match self.bar.lock() {
            Ok(bar) => match bar.as_ref() {
                Some(bar) => bar.suspend(|| eprintln!("{text}")),
                None => eprintln!("{text}"),
            },
            Err(_) => eprintln!("{text}"),
        }
    }

    fn start(&self, name: String, length: u64, at: u64) {
        if self.quiet || !self.bars {
            return;
        }
        let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr_with_hz(8));
        // What matters most stands first: the bar has what is left of the line.
        let template = "{prefix}: {pos}/{len}, {msg}{rate}/s, {eta} left {wide_bar}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            let rate = |state: &ProgressState, out: &mut dyn Write| {
                let _ = write!(out, "{:.1}", state.per_sec());
            };
            bar.set_style(style.with_key("rate", rate));
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
                self.start(format!("{} ε = {eps}", name(part)), all, known);
            }
            Event::Judged { done, accuracy, .. } => self.with_bar(|bar| {
                bar.set_position(*done as u64);
                bar.set_message(format!("robust {:.1} %, ", 100.0 * accuracy));
            }),
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
