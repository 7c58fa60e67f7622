//! The text of a property file, gzip or plain.

use crate::error::{Error, Result};
use flate2::bufread::MultiGzDecoder;
use gauntlet_records::regular_file;
use std::io::Read;
use std::path::Path;

/// Bytes of a property, as the file has them and unpacked.
const MOST: u64 = 64 << 20;

/// Reads a file; what begins as gzip does is unpacked, whatever its name.
pub(crate) fn read(path: &Path) -> Result<String> {
    let wrong = |why: String| Error::File { path: path.display().to_string(), why };
    let bytes = regular_file::read(path, MOST, "a property").map_err(|e| wrong(e.to_string()))?;
    let bytes = if bytes.starts_with(&[0x1f, 0x8b]) { unpacked(&bytes).map_err(wrong)? } else { bytes };
    String::from_utf8(bytes).map_err(|e| wrong(format!("it is no text in UTF-8 ({})", e.utf8_error())))
}

fn unpacked(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    let read = MultiGzDecoder::new(bytes).take(MOST + 1).read_to_end(&mut text);
    read.map_err(|e| format!("it begins like gzip and cannot be unpacked: {e}"))?;
    if text.len() as u64 > MOST {
        return Err(format!("unpacked it has more than {MOST} bytes, and a property has at most that many"));
    }
    Ok(text)
}
