//! `metrics.jsonl` of a training: what it said of itself while it ran, a JSON object per line.

use crate::record::Epoch;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Line {
    /// The training began, or went on from a saved state: what was written of later steps does not count.
    Start {
        /// Seconds since 1970 in UTC.
        time: f64,
        /// Row of the suite.
        row: String,
        /// Training seed.
        seed: u64,
        /// Epochs in all.
        epochs: u32,
        /// Steps per epoch.
        steps: u32,
        /// Finished epochs.
        epoch: u32,
        /// Finished steps of the next one.
        step: u32,
    },
    /// A step; of many in a short time only one.
    Step {
        /// Seconds since 1970 in UTC.
        time: f64,
        /// Epoch, from 0.
        epoch: u32,
        /// Step in it, from 0.
        step: u32,
        /// The loss.
        loss: f64,
        /// Batch means of the recipe's named terms.
        terms: BTreeMap<String, f64>,
        /// Examples per second of this process.
        rate: f64,
    },
    /// An epoch with what the monitor measured.
    Epoch {
        /// Seconds since 1970 in UTC.
        time: f64,
        /// CPU seconds of the process since it took the training up, user and system; absent where the system does not tell.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cpu_seconds: Option<f64>,
        /// As in the record.
        #[serde(flatten)]
        measured: Epoch,
    },
}

/// A step of a training's course.
#[derive(Debug, Clone, PartialEq)]
pub struct Moment {
    /// Seconds since 1970 in UTC.
    pub time: f64,
    /// Steps done, from the beginning of the training.
    pub done: u64,
    /// The loss.
    pub loss: f64,
    /// Batch means of the recipe's named terms.
    pub terms: BTreeMap<String, f64>,
}

/// The course of a training so far: its lines without those that a later start made void.
#[derive(Debug, Clone, PartialEq)]
pub struct Course {
    /// Row of the suite.
    pub row: String,
    /// Training seed.
    pub seed: u64,
    /// Epochs in all.
    pub epochs: u32,
    /// Steps per epoch.
    pub steps: u32,
    /// When this process took it up, in seconds since 1970, and the steps that were done then.
    pub since: (f64, u64),
    /// When it said something last, in seconds since 1970, and the steps that were done then.
    pub last: (f64, u64),
    /// Seconds of earlier processes, from each one's start to its last word.
    pub earlier: f64,
    /// CPU seconds until the last epoch's end; `None`: not told.
    pub cpu_seconds: Option<f64>,
    /// Some of its steps.
    pub moments: Vec<Moment>,
    /// Epochs with the time of their end.
    pub curve: Vec<(f64, Epoch)>,
}

impl Course {
    /// Reads a file that may still be written: an unfinished last line does not count. `None`: it says nothing yet, or is not
    /// there.
    ///
    /// # Errors
    /// A file that cannot be read, a line that is none, steps before any start: with file and line.
    pub fn read(path: &Path) -> Result<Option<Course>> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::Io { action: "read", path: path.display().to_string(), source }),
        };
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let wrong = |number: usize, why: String| Error::Value {
            what: format!("line {} of {}", number + 1, path.display()),
            why: format!(
                "{why}; the file is written by a training, and nothing else reads weights or verdicts from it"
            ),
        };
        let mut course: Option<Course> = None;
        for (number, line) in whole.lines().enumerate() {
            let line: Line = serde_json::from_str(line).map_err(|e| wrong(number, e.to_string()))?;
            match (line, &mut course) {
                (Line::Start { time, row, seed, epochs, steps, epoch, step }, course) => {
                    let done = u64::from(epoch) * u64::from(steps) + u64::from(step);
                    let old = course.take();
                    let earlier = old.as_ref().map_or(0.0, |c| c.earlier + (c.last.0 - c.since.0).max(0.0));
                    let (moments, curve) = old.map_or_else(Default::default, |c| (c.moments, c.curve));
                    *course = Some(Course {
                        row,
                        seed,
                        epochs,
                        steps,
                        since: (time, done),
                        last: (time, done),
                        earlier,
                        // A killed process did not say what it took since its last epoch.
                        cpu_seconds: (done == 0).then_some(0.0),
                        moments: moments.into_iter().filter(|m: &Moment| m.done <= done).collect(),
                        curve: curve.into_iter().filter(|(_, e): &(f64, Epoch)| e.epoch <= epoch).collect(),
                    });
                }
                (_, None) => return Err(wrong(number, "it comes before the training's start".into())),
                (Line::Step { time, epoch, step, loss, terms, .. }, Some(course)) => {
                    let done = u64::from(epoch) * u64::from(course.steps) + u64::from(step) + 1;
                    course.last = (time, done);
                    course.moments.push(Moment { time, done, loss, terms });
                }
                (Line::Epoch { time, cpu_seconds, measured }, Some(course)) => {
                    course.last = (time, u64::from(measured.epoch) * u64::from(course.steps));
                    course.cpu_seconds = cpu_seconds.filter(|_| course.since.1 == 0);
                    course.curve.push((time, measured));
                }
            }
        }
        Ok(course)
    }

    /// Steps in all.
    pub fn steps_in_all(&self) -> u64 {
        u64::from(self.epochs) * u64::from(self.steps)
    }

    /// Seconds that are left at this process's pace so far; `None` before its first word, and when nothing is left.
    pub fn seconds_left(&self) -> Option<f64> {
        let (done, left) =
            (self.last.1 - self.since.1.min(self.last.1), self.steps_in_all().saturating_sub(self.last.1));
        let seconds = self.last.0 - self.since.0;
        (done > 0 && left > 0 && seconds > 0.0).then(|| seconds / done as f64 * left as f64)
    }

    /// Wall seconds of all processes so far.
    pub fn seconds(&self) -> f64 {
        self.earlier + (self.last.0 - self.since.0).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(epoch: u32, robust: f64) -> Epoch {
        Epoch {
            epoch,
            terms: vec![("ce".into(), 0.5)],
            clean_accuracy: 0.9,
            robust_accuracy: robust,
            gradient_l1: 1.0,
            gradient_l2: 0.1,
            alignment: None,
            own_fgsm_accuracy: None,
            own_pgd_accuracy: None,
            monitored_on: "validation".into(),
            evaluated: false,
        }
    }

    fn write(lines: &[Line], tail: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut text: String = lines.iter().map(|l| serde_json::to_string(l).unwrap() + "\n").collect();
        text += tail;
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    fn start(time: f64, epoch: u32, step: u32) -> Line {
        Line::Start { time, row: "ce".into(), seed: 3, epochs: 4, steps: 10, epoch, step }
    }

    fn step(time: f64, epoch: u32, step: u32) -> Line {
        Line::Step { time, epoch, step, loss: time, terms: BTreeMap::from([("ce".into(), time)]), rate: 1.0 }
    }

    #[test]
    fn what_a_later_start_made_void_does_not_count() {
        let measured = |time, n, robust| Line::Epoch { time, cpu_seconds: Some(time), measured: epoch(n, robust) };
        // Killed in the second epoch after its fifth step was written; the saved state knew of its second.
        let lines = [
            start(100.0, 0, 0),
            step(101.0, 0, 4),
            measured(104.0, 1, 0.5),
            step(106.0, 1, 4),
            start(200.0, 1, 2),
            step(201.0, 1, 2),
            measured(210.0, 2, 0.6),
        ];
        let (_folder, path) = write(&lines, "{\"kind\":\"ste");
        let course = Course::read(&path).unwrap().unwrap();
        assert_eq!(course.moments.iter().map(|m| m.done).collect::<Vec<_>>(), [5, 13]);
        assert_eq!(course.curve.iter().map(|(_, e)| e.robust_accuracy).collect::<Vec<_>>(), [0.5, 0.6]);
        assert_eq!((course.since, course.last, course.steps_in_all()), ((200.0, 12), (210.0, 20), 40));
        // 8 steps in 10 s, 20 are left; 6 s before and 10 s now.
        assert_eq!((course.seconds_left(), course.seconds(), course.cpu_seconds), (Some(25.0), 16.0, None));
    }

    #[test]
    fn nothing_yet_is_nothing_and_a_damaged_line_is_named() {
        assert_eq!(Course::read(Path::new("/nowhere/metrics.jsonl")).unwrap(), None);
        let (_folder, path) = write(&[], "{\"kind\":\"start\"");
        assert_eq!(Course::read(&path).unwrap(), None);
        let (_folder, path) = write(&[start(1.0, 0, 0)], "{\"kind\":\"step\",\"time\":2}\n");
        let said = Course::read(&path).unwrap_err().to_string();
        assert!(said.contains("line 2 of") && said.contains("missing field"), "{said}");
        let (_folder, path) = write(&[step(1.0, 0, 0)], "");
        assert!(Course::read(&path).unwrap_err().to_string().contains("before the training's start"));
    }
}
