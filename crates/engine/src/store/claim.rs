//! A claim on a key of the store: the kernel releases it when the process ends, however it ends.

use crate::store::heartbeat::Heartbeat;
use crate::store::holder::Holder;
use crate::{Error, Result, timestamp};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// The file of a folder that is locked.
pub(crate) const LOCK: &str = "lock";

/// How often a lock that somebody only looks at is tried again, a millisecond apart.
const PATIENCE: u32 = 1000;

/// Held while a training or an evaluation is computed, or a file that many write is rewritten.
#[derive(Debug)]
pub struct Claim {
    _file: File,
    _heartbeat: Option<Heartbeat>,
}

impl Claim {
    /// Claims a folder (created if missing) as soon as nobody else holds it: for writes that take no time.
    pub(crate) fn wait(folder: &Path) -> Result<Claim> {
        loop {
            match Claim::take(folder)? {
                Some(claim) => return Ok(claim),
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// Claims the folder of a key (created if missing); `None`: another process holds it.
    ///
    /// Where the file system knows no locks a [`Heartbeat`] takes their place. Files are renamed into place when complete,
    /// so doing a key twice would cost time and never correctness.
    pub(crate) fn take(folder: &Path) -> Result<Option<Claim>> {
        let path = folder.join(LOCK);
        for _ in 0..PATIENCE {
            std::fs::create_dir_all(folder).map_err(|e| Error::store("create", folder, e))?;
            let mut file = match OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path) {
                Ok(file) => file,
                // Cleaned away in this very moment.
                Err(e) if e.kind() == ErrorKind::NotFound => continue,
                Err(e) => return Err(Error::store("create", &path, e)),
            };
            let mut locked = true;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => match file.try_lock_shared() {
                    // Nobody has it for himself: somebody looks whether it is held, for an instant.
                    Ok(()) => {
                        drop(file);
                        std::thread::sleep(Duration::from_millis(1));
                        continue;
                    }
                    Err(_) => return Ok(None),
                },
                Err(TryLockError::Error(e)) if lockless(&e) => locked = false,
                Err(TryLockError::Error(e)) => return Err(Error::store("lock", &path, e)),
            }
            if !lies_at(&file, &path) {
                continue;
            }
            let holder = Holder { host: host(), pid: std::process::id(), since: timestamp(SystemTime::now()) };
            let text = serde_json::to_string(&holder).map_err(|e| Error::message(e.to_string()))? + "\n";
            let mut heartbeat = None;
            if !locked {
                heartbeat = Heartbeat::take(folder, holder)?;
                if heartbeat.is_none() {
                    return Ok(None);
                }
            }
            let written = file.set_len(0).and_then(|()| file.write_all(text.as_bytes()));
            written.map_err(|e| Error::store("write", &path, e))?;
            return Ok(Some(Claim { _file: file, _heartbeat: heartbeat }));
        }
        Ok(None)
    }

    /// Who holds the folder now, if anybody does. Takes nothing that a claim would wait for longer than an instant.
    pub(crate) fn holder(folder: &Path) -> Option<Holder> {
        let path = folder.join(LOCK);
        let file = File::open(&path).ok()?;
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => {
                // Between the lock and the new name a taker is known by the name of who was there before.
                for _ in 0..PATIENCE / 20 {
                    let text = std::fs::read_to_string(&path).unwrap_or_default();
                    match serde_json::from_str::<Holder>(&text) {
                        Ok(holder) if !ended(&holder) => return Some(holder),
                        _ => std::thread::sleep(Duration::from_millis(1)),
                    }
                }
                Some(Holder { host: "unknown".into(), pid: 0, since: String::new() })
            }
            Err(TryLockError::Error(e)) if lockless(&e) => Heartbeat::holder(folder),
            _ => None,
        }
    }
}

/// Whether an error of a lock says that the file system has none: it does not know them, or (ENOLCK, of NFS) nobody serves
/// them.
fn lockless(error: &std::io::Error) -> bool {
    const ENOLCK: i32 = 37;
    error.kind() == ErrorKind::Unsupported || (cfg!(target_os = "linux") && error.raw_os_error() == Some(ENOLCK))
}

/// Whether the locked file is still the one that others find under this path.
#[cfg(unix)]
fn lies_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let same = |a: &std::fs::Metadata, b: &std::fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
    matches!((&file.metadata(), &std::fs::metadata(path)), (Ok(a), Ok(b)) if same(a, b))
}
#[cfg(not(unix))]
fn lies_at(_: &File, path: &Path) -> bool {
    path.exists()
}

/// Whether a holder is known to be no longer there: a process of this machine that ended (Linux; elsewhere nobody knows).
fn ended(holder: &Holder) -> bool {
    if !cfg!(target_os = "linux") || holder.host != host() || !Path::new("/proc/self/stat").exists() {
        return false;
    }
    match std::fs::read_to_string(format!("/proc/{}/stat", holder.pid)) {
        // The state follows the name, which may hold anything. Z: nobody has waited for it yet.
        Ok(stat) => stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with(['Z', 'X'])),
        Err(e) => e.kind() == ErrorKind::NotFound,
    }
}

fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().or_else(|| std::env::var("HOSTNAME").ok());
    name.map(|n| n.trim().to_string()).filter(|n| !n.is_empty()).unwrap_or_else(|| "unknown".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_claimed_once_and_free_again_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Claim::holder(folder.path()), None);
        let claim = Claim::take(folder.path()).unwrap();
        assert!(claim.is_some());
        assert!(Claim::take(folder.path()).unwrap().is_none());
        let holder = Claim::holder(folder.path()).unwrap();
        assert_eq!((holder.pid, holder.host), (std::process::id(), host()));
        drop(claim);
        assert_eq!(Claim::holder(folder.path()), None);
        assert!(Claim::take(folder.path()).unwrap().is_some());
    }

    #[test]
    fn who_only_looks_keeps_nobody_away() {
        let folder = tempfile::tempdir().unwrap();
        drop(Claim::take(folder.path()).unwrap());
        let looking = File::open(folder.path().join(LOCK)).unwrap();
        looking.lock_shared().unwrap();
        let taken = std::thread::scope(|scope| {
            let taker = scope.spawn(|| Claim::take(folder.path()).unwrap().is_some());
            std::thread::sleep(Duration::from_millis(20));
            drop(looking);
            taker.join().unwrap()
        });
        assert!(taken);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn who_was_killed_does_not_hold_what_another_has_locked() {
        let mut dead = std::process::Command::new("true").spawn().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(LOCK);
        let text = |pid| format!("{{\"host\":\"{}\",\"pid\":{pid},\"since\":\"\"}}", host());
        std::fs::write(&path, text(dead.id())).unwrap();
        let file = File::open(&path).unwrap();
        file.lock().unwrap();
        dead.wait().unwrap();
        std::thread::scope(|scope| {
            let looker = scope.spawn(|| Claim::holder(folder.path()).unwrap().pid);
            std::thread::sleep(Duration::from_millis(20));
            std::fs::write(&path, text(std::process::id())).unwrap();
            assert_eq!(looker.join().unwrap(), std::process::id());
        });
    }

    #[test]
    fn a_lock_that_was_cleaned_away_is_no_claim() {
        let folder = tempfile::tempdir().unwrap();
        let first = Claim::take(folder.path()).unwrap().unwrap();
        std::fs::remove_file(folder.path().join(LOCK)).unwrap();
        assert!(!lies_at(&first._file, &folder.path().join(LOCK)));
        assert!(Claim::take(folder.path()).unwrap().is_some(), "the path is free again");
    }
}
