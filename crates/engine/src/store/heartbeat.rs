//! A claim where the file system has no locks: a file that its holder rewrites again and again. When it stands still, the
//! holder is dead.

use crate::store::holder::Holder;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The file in the folder of a key.
const FILE: &str = "heartbeat";
/// How often it is rewritten.
const EVERY: Duration = Duration::from_secs(10);
/// How old it is when its holder counts as dead.
const DEAD: Duration = Duration::from_secs(60);

/// Held like a lock. Two hosts that take over from a dead one in the same instant may both believe to hold it: that costs
/// time and never correctness.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    path: PathBuf,
    text: String,
    stop: Sender<()>,
    thread: Option<JoinHandle<()>>,
}

/// The file's text.
#[derive(Serialize, Deserialize)]
struct Beat {
    /// Tells this claim from every other.
    claim: String,
    holder: Holder,
}

impl Heartbeat {
    /// Takes the folder, which is there already; `None`: somebody else's heart beats in it.
    pub(crate) fn take(folder: &Path, holder: Holder) -> Result<Option<Heartbeat>> {
        Self::beating(folder, holder, EVERY, DEAD)
    }

    fn beating(folder: &Path, holder: Holder, every: Duration, dead: Duration) -> Result<Option<Heartbeat>> {
        static CLAIMS: AtomicU64 = AtomicU64::new(0);
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos());
        let count = CLAIMS.fetch_add(1, Ordering::Relaxed);
        let claim = format!("{}-{}-{count}-{nanos}", holder.host, holder.pid);
        let own = folder.join(format!("{FILE}.{claim}.partial"));
        let text = serde_json::to_string(&Beat { claim, holder }).map_err(|e| Error::message(e.to_string()))? + "\n";
        std::fs::write(&own, &text).map_err(|e| Error::store("write", &own, e))?;
        let path = folder.join(FILE);
        let taken = replace(&own, &path, dead);
        let _ = std::fs::remove_file(&own);
        if !taken.map_err(|e| Error::store("lock", &path, e))? {
            return Ok(None);
        }
        let (stop, stopped) = channel();
        let beat = (path.clone(), text.clone());
        let thread = std::thread::spawn(move || {
            while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                // Whoever took over keeps it.
                if std::fs::read_to_string(&beat.0).is_ok_and(|t| t == beat.1) {
                    let _ = std::fs::write(&beat.0, &beat.1);
                }
            }
        });
        Ok(Some(Heartbeat { path, text, stop, thread: Some(thread) }))
    }

    /// Whose heart beats in a folder.
    pub(crate) fn holder(folder: &Path) -> Option<Holder> {
        let path = folder.join(FILE);
        let age = std::fs::metadata(&path).ok()?.modified().ok()?.elapsed().unwrap_or_default();
        let beat: Beat = serde_json::from_str(&std::fs::read_to_string(&path).ok()?).ok()?;
        (age < DEAD).then_some(beat.holder)
    }
}

/// Puts `own` in the place of `path`, unless that is there and younger than `dead`. Ages are differences of times that the
/// file system gave, so the clocks of the hosts do not matter.
fn replace(own: &Path, path: &Path, dead: Duration) -> std::io::Result<bool> {
    let now = std::fs::metadata(own)?.modified()?;
    let aged = |path: &Path| -> std::io::Result<bool> {
        let beaten = std::fs::metadata(path)?.modified()?;
        Ok(now.duration_since(beaten).is_ok_and(|age| age >= dead))
    };
    match std::fs::hard_link(own, path) {
        Ok(()) => return Ok(true),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
        Err(e) => return Err(e),
    }
    let grave = own.with_extension("dead.partial");
    match aged(path) {
        Ok(true) => {}
        Ok(false) => return Ok(false),
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(e),
    }
    match std::fs::rename(path, &grave) {
        Ok(()) => {}
        // Somebody else was quicker.
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(e),
    }
    if !aged(&grave)? {
        // That was the heart of somebody quicker: it is put back.
        let _ = std::fs::hard_link(&grave, path);
        let _ = std::fs::remove_file(&grave);
        return Ok(false);
    }
    let _ = std::fs::remove_file(&grave);
    match std::fs::hard_link(own, path) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(e),
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        let _ = self.stop.send(());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        if std::fs::read_to_string(&self.path).is_ok_and(|t| t == self.text) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(pid: u32) -> Holder {
        Holder { host: "here".into(), pid, since: "2026-01-01T00:00:00Z".into() }
    }
    fn age(folder: &Path, seconds: u64) {
        let file = std::fs::File::options().append(true).open(folder.join(FILE)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
    }

    #[test]
    fn a_beating_heart_keeps_others_away_and_a_dead_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let first = Heartbeat::take(folder, holder(1)).unwrap().unwrap();
        assert!(Heartbeat::take(folder, holder(2)).unwrap().is_none());
        assert_eq!(Heartbeat::holder(folder), Some(holder(1)));
        age(folder, 50);
        assert!(Heartbeat::take(folder, holder(2)).unwrap().is_none());
        age(folder, 61);
        assert_eq!(Heartbeat::holder(folder), None);
        let second = Heartbeat::take(folder, holder(2)).unwrap().unwrap();
        // The first one was only asleep: its end leaves the second one's claim alone.
        drop(first);
        assert_eq!(Heartbeat::holder(folder), Some(holder(2)));
        drop(second);
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0);
        assert!(Heartbeat::take(folder, holder(3)).unwrap().is_some());
    }

    #[test]
    fn the_file_is_rewritten_while_the_claim_is_held() {
        let folder = tempfile::tempdir().unwrap();
        let every = Duration::from_millis(5);
        let _held = Heartbeat::beating(folder.path(), holder(1), every, DEAD).unwrap().unwrap();
        age(folder.path(), 1000);
        let beaten = || std::fs::metadata(folder.path().join(FILE)).unwrap().modified().unwrap().elapsed();
        while beaten().is_ok_and(|age| age > DEAD) {
            std::thread::sleep(every);
        }
        assert!(Heartbeat::take(folder.path(), holder(2)).unwrap().is_none());
    }
}
