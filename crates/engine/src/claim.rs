//! A claim on a key of the store: the kernel releases it when the process ends, however it ends.

use crate::{Error, Result, timestamp};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::Path;

/// Held while a training or an evaluation is computed.
#[derive(Debug)]
pub(crate) struct Claim {
    _file: File,
}

impl Claim {
    /// Claims a folder (created if missing) as soon as nobody else holds it: for writes that take no time.
    pub(crate) fn wait(folder: &Path) -> Result<Claim> {
        loop {
            match Claim::take(folder)? {
                Some(claim) => return Ok(claim),
                None => std::thread::sleep(std::time::Duration::from_millis(5)),
            }
        }
    }

    /// Claims the folder of a key (created if missing); `None`: another process holds it.
    ///
    /// Where the file system knows no locks the claim is granted: files are renamed into place when complete, so doing
    /// a key twice costs time and never correctness.
    pub(crate) fn take(folder: &Path) -> Result<Option<Claim>> {
        std::fs::create_dir_all(folder).map_err(|e| Error::store("create", folder, e))?;
        let path = folder.join("lock");
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|e| Error::store("create", &path, e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(e)) if e.kind() == std::io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(e)) => return Err(Error::store("lock", &path, e)),
        }
        // For people who look at the folder; nothing reads it.
        let holder = format!("pid {} since {}\n", std::process::id(), timestamp(std::time::SystemTime::now()));
        let written = file.set_len(0).and_then(|()| file.write_all(holder.as_bytes()));
        written.map_err(|e| Error::store("write", &path, e))?;
        Ok(Some(Claim { _file: file }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_claimed_once_and_free_again_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let claim = Claim::take(folder.path()).unwrap();
        assert!(claim.is_some());
        assert!(Claim::take(folder.path()).unwrap().is_none());
        drop(claim);
        assert!(Claim::take(folder.path()).unwrap().is_some());
    }
}
