//! What a training says, written down beside its state as it goes: `metrics.jsonl`.

use crate::event::{Event, Events, Part};
use crate::train::clock::Clock;
use crate::{Error, Result};
use gauntlet_records::course::Line;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Steps are many: a day's training writes some ten thousand lines.
const STEP_EVERY: Duration = Duration::from_secs(5);

/// Hands on every event and writes those of the training down.
pub(crate) struct Metered<'a> {
    events: &'a dyn Events,
    path: PathBuf,
    clock: Clock,
    log: Mutex<Log>,
}

struct Log {
    /// `None` once a line could not be written: no training ends for that.
    file: Option<File>,
    /// When a step was written last.
    step: Option<Instant>,
}

impl<'a> Metered<'a> {
    /// Goes on behind the last whole line of the file.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub(crate) fn new(path: &Path, events: &'a dyn Events) -> Result<Self> {
        let open = || -> std::io::Result<File> {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            // A kill may have cut the last line.
            let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1);
            file.set_len(whole as u64)?;
            file.seek(SeekFrom::End(0))?;
            Ok(file)
        };
        let file = open().map_err(|e| Error::store("write", path, e))?;
        let log = Mutex::new(Log { file: Some(file), step: None });
        Ok(Metered { events, path: path.into(), clock: Clock::start(), log })
    }

    fn write(&self, part: Part<'_>, line: &Line, step: bool) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if step && log.step.is_some_and(|last| last.elapsed() < STEP_EVERY) {
            return;
        }
        let Some(file) = &mut log.file else { return };
        let written = serde_json::to_string(line).map_err(std::io::Error::other);
        if let Err(error) = written.and_then(|text| file.write_all(format!("{text}\n").as_bytes())) {
            log.file = None;
            let text = format!("no more is written to {}: {error}; the training goes on", self.path.display());
            self.events.event(&Event::Note { part, text: &text });
        }
        if step {
            log.step = Some(Instant::now());
        }
    }
}

fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (since.as_secs_f64() * 1e3).round() / 1e3
}

impl Events for Metered<'_> {
    fn event(&self, event: &Event<'_>) {
        self.events.event(event);
        match *event {
            Event::TrainingStarted { part, epochs, steps, from } => {
                let (row, seed) = (part.row.to_string(), part.seed);
                let line = Line::Start { time: now(), row, seed, epochs, steps, epoch: from.0, step: from.1 };
                self.write(part, &line, false);
            }
            // What is not finite ends the training, and JSON has no word for it.
            Event::Step { part, epoch, step, loss, terms, rate } if loss.is_finite() => {
                let terms = terms.iter().filter(|(_, value)| value.is_finite()).cloned().collect();
                self.write(part, &Line::Step { time: now(), epoch, step, loss, terms, rate }, true);
            }
            Event::EpochDone { part, epoch } => {
                let (cpu_seconds, measured) = (self.clock.cpu_seconds(), epoch.clone());
                self.write(part, &Line::Epoch { time: now(), cpu_seconds, measured }, false);
            }
            _ => {}
        }
    }
}
