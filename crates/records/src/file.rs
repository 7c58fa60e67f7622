//! Files that are whole or absent, and their sums.

use crate::{Error, Result};
use sha2::{Digest, Sha256};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Writes bytes to a temporary name beside `path`, syncs and renames: readers see the old file or the new one, whole.
///
/// # Errors
/// [`Error::Io`] with the path; whatever was at `path` before is untouched.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let io = |action: &'static str| move |source| Error::Io { action, path: path.display().to_string(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|source| Error::Io {
            action: "create",
            path: folder.display().to_string(),
            source,
        })?;
    }
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    // Unique among threads, processes and hosts that share the folder.
    static WRITES: AtomicU64 = AtomicU64::new(0);
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos());
    name.push(format!(".{}-{}-{nanos}.partial", std::process::id(), WRITES.fetch_add(1, Ordering::Relaxed)));
    let partial = path.with_file_name(name);
    let written = std::fs::File::create(&partial).and_then(|mut f| {
        f.write_all(bytes)?;
        f.sync_all()
    });
    if let Err(source) = written.and_then(|()| std::fs::rename(&partial, path)) {
        // The disk may be full: leave no half file behind.
        let _ = std::fs::remove_file(&partial);
        return Err(io("write")(source));
    }
    Ok(())
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// sha256 of bytes, as `sha256:<hex>`.
pub fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes)))
}
