//! `gauntlet watch`: trainings as they go, on a page that reads itself again.

use crate::arguments::Watch;
use crate::exit::{Code, Failure};
use crate::interrupt;
use crate::progress::counted;
use crate::session::Session;
use crate::suites;
use gauntlet::core::Error;
use gauntlet::engine::{Standing, Store, WatchedTraining, timestamp, watched};
use gauntlet::records::file::write_atomically;
use gauntlet::report::{Watched, events, watch as page};
use serde_json::{Value, json};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

/// How soon Ctrl-C is seen.
const BLINK: Duration = Duration::from_millis(100);

pub(crate) fn watch(session: &Session, arguments: &Watch) -> Result<Code, Failure> {
    let store = Store::new(&arguments.runs);
    let mut names = Vec::new();
    for given in &arguments.suites {
        // A name that the store knows needs no file.
        let known = store.suite(given).exists();
        names.push(if known { given.clone() } else { suites::load(session, given)?.0.name });
    }
    let interrupt = interrupt::quiet_flag();
    let every = Duration::from_secs(u64::from(arguments.every.get()));
    let mut told = false;
    loop {
        let (trainings, to_come) = watched(&store, &names)?;
        let last = arguments.once || interrupt.load(Ordering::Relaxed) || !(names.is_empty() || to_come);
        write(&trainings, arguments, last)?;
        if !told {
            told = true;
            session.say(format!("{}: open it in a browser", arguments.out.display()));
        }
        if last {
            session.result(|| result(&trainings, arguments), || text(&trainings))?;
            return Ok(Code::Done);
        }
        let since = Instant::now();
        while since.elapsed() < every && !interrupt.load(Ordering::Relaxed) {
            std::thread::sleep(BLINK);
        }
    }
}

fn write(trainings: &[WatchedTraining], arguments: &Watch, last: bool) -> Result<(), Failure> {
    let watched = trainings.iter().map(|training| Watched {
        course: training.course.clone(),
        state: state(&training.standing),
        running: running(training),
    });
    let refresh = (!last).then_some(arguments.every.get());
    let html = page(&watched.collect::<Vec<_>>(), refresh, &timestamp(SystemTime::now()))?;
    write_atomically(&arguments.out, html.as_bytes())?;
    if let Some(folder) = &arguments.tensorboard {
        for training in trainings {
            let path = folder.join(name(training)).join("events.out.tfevents.0.gauntlet");
            grow(&path, &events(&training.course))?;
        }
    }
    Ok(())
}

/// Writes what a file lacks at its end: TensorBoard reads on from where it was, in the file that it opened. What does not begin as the
/// file does (a training that went on from an earlier step) takes its place.
fn grow(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let more = fs::read(path).ok().and_then(|old| bytes.strip_prefix(old.as_slice()));
    match more {
        None => write_atomically(path, bytes)?,
        Some([]) => {}
        Some(more) => {
            let appended = OpenOptions::new().append(true).open(path).and_then(|mut file| file.write_all(more));
            appended.map_err(|source| Error::Io { action: "write", path: path.display().to_string(), source })?;
        }
    }
    Ok(())
}

fn running(training: &WatchedTraining) -> bool {
    matches!(training.standing, Standing::Claimed { .. })
}

/// `pgd-at-0.3-seed-1-1a2b3c4d`: a folder's name of its own.
fn name(training: &WatchedTraining) -> String {
    let row = training.course.row.chars();
    let row: String = row.map(|c| if c.is_alphanumeric() || "-._".contains(c) { c } else { '-' }).collect();
    let key = training.key.get(..8).unwrap_or(&training.key);
    format!("{}-seed-{}-{key}", row.trim_start_matches('.'), training.course.seed)
}

fn state(standing: &Standing) -> String {
    match standing {
        Standing::Stored => "done".into(),
        Standing::Claimed { holder, .. } => {
            format!("running on {} (pid {}) since {}", holder.host, holder.pid, holder.since)
        }
        Standing::Begun { .. } => "interrupted: whoever runs it goes on from there".into(),
        Standing::Failed { reason, at } => format!("failed at {at}: {reason}"),
        Standing::Missing => "still to come".into(),
    }
}

fn result(trainings: &[WatchedTraining], arguments: &Watch) -> Value {
    let each = trainings.iter().map(|training| {
        let course = &training.course;
        json!({
            "key": training.key,
            "row": course.row,
            "seed": course.seed,
            "state": state(&training.standing),
            "steps": course.last.1,
            "of": course.steps_in_all(),
            "seconds": course.seconds(),
            "seconds_left": course.seconds_left().filter(|_| running(training)),
        })
    });
    json!({ "page": arguments.out.display().to_string(), "trainings": each.collect::<Vec<_>>() })
}

fn text(trainings: &[WatchedTraining]) -> String {
    let mut out = format!("{}\n", counted(trainings.len(), "training"));
    for training in trainings {
        let course = &training.course;
        let (done, all) = (course.last.1, course.steps_in_all());
        out +=
            &format!("  {}, seed {}: {done} of {all} steps, {}\n", course.row, course.seed, state(&training.standing));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn a_file_that_goes_on_stays_the_file_that_was_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("row").join("events");
        let inode = |bytes: &[u8]| {
            grow(&path, bytes).unwrap();
            assert_eq!(fs::read(&path).unwrap(), bytes);
            fs::metadata(&path).unwrap().ino()
        };
        let first = inode(b"one");
        assert_eq!(inode(b"one two"), first);
        assert_eq!(inode(b"one two"), first);
        // What was said of void steps is not kept.
        assert_ne!(inode(b"one three"), first);
    }
}
