//! Events of a run as progress bars on a terminal, or as lines where there is none.

use crate::exit::to_stderr;
use gauntlet::engine::{Event, Events, Part};
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
    training: Mutex<Option<Training>>,
    whole: Mutex<Whole>,
}

/// A training that runs.
struct Training {
    begun: Instant,
    epochs: u32,
}

/// Rows and seeds of a run: how many there are, and what those took that were not in the store.
struct Whole {
    done: usize,
    of: usize,
    /// When the one at work began.
    begun: Instant,
    worked: u32,
    took: Duration,
}

/// What is in the store takes less.
const WORK: Duration = Duration::from_millis(200);
/// A rate over less says nothing.
const ENOUGH: Duration = Duration::from_secs(1);

impl Whole {
    /// One more is done, at this moment: `3 of 8 done, 12m left`, if there was something to do and there are more.
    fn line(&mut self, done: usize, of: usize, now: Instant) -> Option<String> {
        let took = now.saturating_duration_since(self.begun);
        let worked = done > self.done && took >= WORK;
        (self.done, self.of, self.begun) = (done, of, now);
        if worked {
            self.worked += 1;
            self.took += took;
        }
        (worked && done < of).then(|| format!("{done} of {of} rows and seeds done{}", self.left()))
    }

    /// `, 12m left`, once one has shown how long it takes.
    fn left(&self) -> String {
        match self.worked {
            0 => String::new(),
            n => format!(", {:#} left", HumanDuration(self.took / n * (self.of - self.done) as u32)),
        }
    }

    /// Before the name of what is at work: `3 of 8, 12m left: `.
    fn prefix(&self) -> String {
        if self.of > 1 {
            format!("{} of {}{}: ", (self.done + 1).min(self.of), self.of, self.left())
        } else {
            String::new()
        }
    }
}

/// `1 epoch`, `5 epochs`.
pub(crate) fn counted(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
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
        let whole = Whole { done: 0, of: 0, begun: Instant::now(), worked: 0, took: Duration::ZERO };
        Progress {
            quiet,
            bars,
            bar: Mutex::new(None),
            attack: Mutex::new(None),
            training: Mutex::new(None),
            whole: Mutex::new(whole),
        }
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
            // Of this process, not of what was done before it, and over the whole of it: the first steps are not like the rest.
            let (begun, per_sec) = (Instant::now(), move |state: &ProgressState, begun: Instant| {
                let rate = state.pos().saturating_sub(at) as f64 / begun.elapsed().as_secs_f64();
                (begun.elapsed() >= ENOUGH && rate > 0.0).then_some(rate)
            });
            let rate = move |state: &ProgressState, out: &mut dyn Write| {
                let _ = match per_sec(state, begun) {
                    Some(rate) => write!(out, "{rate:.1}"),
                    None => write!(out, "?"),
                };
            };
            let left = move |state: &ProgressState, out: &mut dyn Write| {
                let open = state.len().unwrap_or_default().saturating_sub(state.pos()) as f64;
                let left = per_sec(state, begun).and_then(|rate| Duration::try_from_secs_f64(open / rate).ok());
                let _ = match left {
                    Some(left) => write!(out, "{:#}", HumanDuration(left)),
                    None => write!(out, "?"),
                };
            };
            bar.set_style(style.with_key("rate", rate).with_key("left", left));
        }
        let whole = self.whole.lock().map(|w| w.prefix()).unwrap_or_default();
        bar.set_prefix(format!("{whole}{name}"));
        bar.set_position(at);
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
            Event::DataReady { data, train, test, held_out } => {
                if *train == 0 {
                    return self.line(format!("data {data}: {test} test images"));
                }
                let held_out = held_out.map(|n| format!(" ({n} held out)")).unwrap_or_default();
                self.line(format!("data {data}: {train} training{held_out} and {test} test images"));
            }
            Event::RecordDone { done, of } => {
                let line = self.whole.lock().ok().and_then(|mut w| w.line(*done, *of, Instant::now()));
                line.into_iter().for_each(|line| self.line(line));
            }
            Event::TrainingStarted { part, epochs, steps, from } => {
                let done = u64::from(from.0) * u64::from(*steps) + u64::from(from.1);
                if done > 0 {
                    self.line(format!("training {}: goes on at epoch {}, step {}", name(part), from.0 + 1, from.1));
                }
                if let Ok(mut training) = self.training.lock() {
                    *training = Some(Training { begun: Instant::now(), epochs: *epochs });
                }
                self.start(format!("training {}", name(part)), u64::from(*epochs) * u64::from(*steps), done);
            }
            Event::Step { loss, rate, .. } => self.with_bar(|bar| {
                bar.inc(1);
                let begun = self.training.lock().ok().and_then(|t| Some(t.as_ref()?.begun));
                let told = begun.is_some_and(|b| b.elapsed() >= ENOUGH).then(|| format!("{rate:.0} examples/s, "));
                bar.set_message(format!("loss {loss:.3}, {}", told.unwrap_or_default()));
            }),
            Event::EpochDone { part, epoch } => {
                let terms: Vec<String> = epoch.terms.iter().map(|(k, v)| format!("{k} {v:.3}")).collect();
                let percent = |name: &str, v: Option<f64>| v.map(|v| format!(", {name} {:.1} %", 100.0 * v));
                let more = [
                    percent("own FGSM", epoch.own_fgsm_accuracy),
                    percent("own PGD", epoch.own_pgd_accuracy),
                    epoch.alignment.map(|v| format!(", alignment {v:.2}")),
                ];
                let of = self.training.lock().ok().and_then(|t| Some(format!("/{}", t.as_ref()?.epochs)));
                self.line(format!(
                    "training {}: epoch {}{}, {}, clean {:.1} %, attacked {:.1} %{} ({})",
                    name(part),
                    epoch.epoch,
                    of.unwrap_or_default(),
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
            Event::Skipped { part, weights_of } => {
                let told = weights_of.map(|(row, seed)| format!(", the weights are those of {row}, seed {seed}"));
                self.line(format!("{}: in the store{}", name(part), told.unwrap_or_default()));
            }
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
    fn a_run_tells_how_much_is_done_and_left() {
        let now = Instant::now();
        let after = |seconds| now + Duration::from_secs(seconds);
        let mut whole = Whole { done: 0, of: 0, begun: now, worked: 0, took: Duration::ZERO };
        assert_eq!(whole.line(0, 8, now), None);
        assert_eq!(whole.prefix(), "1 of 8: ");
        // In the store.
        assert_eq!(whole.line(1, 8, now), None);
        assert_eq!(whole.line(2, 8, after(120)).as_deref(), Some("2 of 8 rows and seeds done, 12m left"));
        assert_eq!(whole.prefix(), "3 of 8, 12m left: ");
        assert_eq!(whole.line(8, 8, after(240)), None);
        assert_eq!((counted(1, "epoch"), counted(0, "epoch")), ("1 epoch".into(), "0 epochs".into()));
    }

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
