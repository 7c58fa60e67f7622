//! PyTorch's checkpoints from before 1.6: five pickles in a row, then the raw numbers, storage by storage.
//!
//! A magic number, the format's version, what machine wrote it, the object, the keys of the storages; and for each of those its number of
//! elements in eight bytes and the elements themselves.

use super::contents::Contents;
use super::pickle::{Object, Pickle};
use super::state_dict::{RESAVE, Storage, storage, views};
use std::collections::HashMap;
use std::ops::Range;

/// 0x1950a86a20f9469cfc6c.
const MAGIC: Object<'static> = Object::Long(&[0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19]);
/// The only version there ever was.
const VERSION: Object<'static> = Object::Int(1001);

/// The first bytes of a file, which tell what it is: as many as a tar archive needs.
pub(super) const HEAD: u64 = 262;

/// Whether this is a pickle without a zip around it (a safetensors file of the same first bytes has `{` at byte 8).
pub(super) fn is_pickle(bytes: &[u8]) -> bool {
    matches!(bytes, [0x80, 2..=5, ..]) && bytes.get(8) != Some(&b'{')
}

/// Whether this is a tar archive, PyTorch's format before 0.1.10.
pub(super) fn is_tar(bytes: &[u8]) -> bool {
    bytes.get(257..262) == Some(b"ustar")
}

/// What to do with one.
pub(super) fn tar() -> String {
    format!("is a tar archive, PyTorch's format before 0.1.10, which is not read here; {RESAVE}")
}

/// Tensors by name, in the order of the state dict, and notes about where they were.
///
/// # Errors
/// In words: what is damaged, unknown or ambiguous, where, and the way out.
pub(super) fn read(bytes: &[u8]) -> Result<Contents<'static>, String> {
    let damaged = |why: String| {
        format!("is not a whole PyTorch file of the format before 1.6 ({why}); copy it again, or {RESAVE}")
    };
    let pickle = |what: &str, start: usize| {
        Pickle::read(bytes, start).map_err(|why| damaged(format!("{what}, a pickle at byte {start}, {why}")))
    };
    let magic = pickle("its magic number", 0)?;
    if *magic.get(magic.root) != MAGIC {
        return Err(format!(
            "is a pickle, but none that torch.save wrote: it does not begin with PyTorch's magic number; {RESAVE}"
        ));
    }
    let version = pickle("its version", magic.end)?;
    if *version.get(version.root) != VERSION {
        let found = version.get(version.root);
        return Err(format!("is of PyTorch's format before 1.6 in a version ({found:?}) that is not 1001; {RESAVE}"));
    }
    let machine = pickle("what it says of its machine", version.end)?;
    let Object::Dict(said) = machine.get(machine.root) else {
        return Err(damaged(format!("at byte {} it should describe its machine", version.end)));
    };
    let little = said.iter().find(|(key, _)| machine.text(*key) == Some("little_endian"));
    if little.is_some_and(|(_, value)| *machine.get(*value) == Object::Bool(false)) {
        return Err(format!("was written on a big-endian machine; on a little-endian one, {RESAVE}"));
    }
    let object = pickle("its object", machine.end)?;
    let (views, notes) = views(&object, bytes.len())?;
    let keys = pickle("its list of storages", object.end)?;
    let places = places(bytes, &object, &keys).map_err(damaged)?;
    let mut tensors = Vec::new();
    for view in &views {
        let name = view.name;
        let place = places.get(view.storage.key).ok_or_else(|| {
            damaged(format!("tensor {name} lies in storage {:?}, which is not in its list", view.storage.key))
        })?;
        let tensor = view.tensor(&bytes[place.clone()]).map_err(|why| format!("tensor {name} {why}; {RESAVE}"))?;
        tensors.push((name.to_string(), tensor));
    }
    Ok(Contents::of(tensors, notes))
}

/// The bytes of every storage, in the order of the list.
fn places<'p>(
    bytes: &[u8],
    object: &'p Pickle<'_>,
    keys: &'p Pickle<'_>,
) -> Result<HashMap<&'p str, Range<usize>>, String> {
    let mut described: HashMap<&str, Storage<'p>> = HashMap::new();
    for id in object.ids() {
        if let Some(found) = storage(object, id) {
            let known = described.entry(found.key).or_insert(found);
            if (known.kind, known.elements) != (found.kind, found.elements) {
                return Err(format!("it describes storage {:?} in two ways", found.key));
            }
        }
    }
    let Object::List(list) = keys.get(keys.root) else {
        return Err(format!("at byte {} there should be its list of storages", object.end));
    };
    let mut places = HashMap::new();
    let mut at = keys.end;
    for id in list {
        let key = keys.text(*id).ok_or("its list of storages has a key that is no text")?;
        let storage = described.get(key).ok_or_else(|| format!("no tensor lies in storage {key:?} of its list"))?;
        let width =
            storage.width().ok_or_else(|| format!("storage {key:?} is a {}, which is not known", storage.kind))?;
        let short = || format!("it ends within storage {key:?}, which begins at byte {at}");
        let count: [u8; 8] = bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).ok_or_else(short)?;
        let count = u64::from_le_bytes(count);
        if count != storage.elements as u64 {
            let announced = storage.elements;
            return Err(format!(
                "storage {key:?} at byte {at} says that it has {count} elements, and its tensors say {announced}"
            ));
        }
        let end = storage.elements.checked_mul(width).and_then(|n| n.checked_add(at + 8));
        let end = end.filter(|end| *end <= bytes.len()).ok_or_else(short)?;
        if places.insert(key, at + 8..end).is_some() {
            return Err(format!("storage {key:?} is twice in its list"));
        }
        at = end;
    }
    if at < bytes.len() {
        return Err(format!("{} bytes follow its last storage, from byte {at} on", bytes.len() - at));
    }
    Ok(places)
}
