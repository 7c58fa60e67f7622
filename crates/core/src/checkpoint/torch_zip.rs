//! PyTorch's checkpoints since 1.6 (`.pt`, `.pth`): a zip of one pickle and one file of raw numbers per storage.

use super::contents::Contents;
use super::pickle::Pickle;
use super::state_dict::{RESAVE, views};
use std::collections::HashMap;
use std::io::{Cursor, Read};
use zip::ZipArchive;

/// Whether this is a zip.
pub(super) fn is_zip(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04")
}

/// Tensors by name, in the order of the state dict, and notes about where they were.
///
/// # Errors
/// In words: what is damaged, unknown or ambiguous, and the way out.
pub(super) fn read(bytes: &[u8]) -> Result<Contents<'static>, String> {
    let whole = |e: &dyn std::fmt::Display| format!("is not a whole PyTorch file ({e}); copy or save it again");
    let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(|e| whole(&e))?;
    let names = zip.file_names().map(|n| n.map(String::from)).collect::<Result<Vec<_>, _>>().map_err(|e| whole(&e))?;
    let Some(pickle) = names.iter().find(|n| *n == "data.pkl" || n.ends_with("/data.pkl")) else {
        return Err(format!("is a zip without data.pkl, so no checkpoint of PyTorch's; {RESAVE}"));
    };
    let root = pickle.trim_end_matches("data.pkl");
    let has = |file: &str| names.iter().any(|n| *n == format!("{root}{file}"));
    if has("constants.pkl") {
        return Err(format!("is a TorchScript archive, which holds code; {RESAVE}"));
    }
    // PyTorch compresses nothing, and parts that lie over one another are no checkpoint's: what is read is no more than the file.
    let mut left = bytes.len();
    let mut entry = |name: &str| -> Result<Vec<u8>, String> {
        let file = zip.by_name(name).map_err(|e| whole(&format!("{name}: {e}")))?;
        let mut content = Vec::new();
        file.take(left as u64 + 1).read_to_end(&mut content).map_err(|e| whole(&format!("{name}: {e}")))?;
        left = left.checked_sub(content.len()).ok_or_else(|| {
            format!("holds more than its {} bytes, compressed or one part over another; {RESAVE}", bytes.len())
        })?;
        Ok(content)
    };
    if has("byteorder") && entry(&format!("{root}byteorder"))? != b"little" {
        return Err(format!("was written on a big-endian machine; on a little-endian one, {RESAVE}"));
    }
    let pickled = entry(pickle)?;
    let read = Pickle::read(&pickled, 0)
        .map_err(|e| format!("holds a pickle that cannot be read (data.pkl {e}); {RESAVE}"))?;
    let (views, notes) = views(&read, bytes.len())?;
    let mut storages: HashMap<&str, Vec<u8>> = HashMap::new();
    let mut tensors = Vec::new();
    for view in &views {
        let key = view.storage.key;
        if !storages.contains_key(key) {
            storages.insert(key, entry(&format!("{root}data/{key}"))?);
        }
        let tensor = view.tensor(&storages[key]).map_err(|why| format!("tensor {} {why}; {RESAVE}", view.name))?;
        tensors.push((view.name.to_string(), tensor));
    }
    Ok(Contents::of(tensors, notes))
}
