//! PyTorch's checkpoints (`.pt`, `.pth`): a zip of one pickle and one file of raw numbers per storage.
//!
//! No code of a pickle is ever run: candle's reader makes plain objects of it, and those that describe a tensor are
//! looked up by the names of PyTorch's own functions. Everything else is passed over or refused, never called.

use super::Contents;
use candle_core::pickle::{Object, Stack};
use candle_core::{DType, Device, Tensor};
use std::collections::HashMap;
use std::io::{Cursor, Read};
use zip::ZipArchive;

const RESAVE: &str = "save it again in PyTorch with torch.save(model.state_dict(), \"weights.pt\")";

/// Where checkpoints keep their weights beside other things, the likeliest first.
const KEYS: [&str; 5] = ["state_dict", "model_state_dict", "model", "net", "weights"];

/// Pairs that Python's pickler hands over at a time; candle's reader turns each such batch round.
const BATCH: usize = 1000;

/// Whether this is a zip.
pub(super) fn is_zip(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04")
}

/// Whether this is a pickle without a zip around it (a safetensors file of the same first bytes has `{` at byte 8).
pub(super) fn is_bare_pickle(bytes: &[u8]) -> bool {
    matches!(bytes, [0x80, 2..=5, ..]) && bytes.get(8) != Some(&b'{')
}

/// What to do with a bare pickle.
pub(super) fn bare_pickle() -> String {
    format!("is a pickle without a zip around it (PyTorch's format before 1.6, or no checkpoint at all); {RESAVE}")
}

/// Tensors by name, in the order of the state dict, and notes about where they were.
///
/// # Errors
/// In words: what is damaged, unknown or ambiguous, and the way out.
pub(super) fn read(bytes: &[u8]) -> Result<Contents, String> {
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
    let mut entry = |name: &str| -> Result<Vec<u8>, String> {
        let mut file = zip.by_name(name).map_err(|e| whole(&format!("{name}: {e}")))?;
        let mut content = Vec::new();
        file.read_to_end(&mut content).map_err(|e| whole(&format!("{name}: {e}")))?;
        Ok(content)
    };
    if has("byteorder") && entry(&format!("{root}byteorder"))? != b"little" {
        return Err(format!("was written on a big-endian machine; on a little-endian one, {RESAVE}"));
    }
    let (state, notes) = state_dict(parse(&entry(pickle)?)?)?;
    let mut storages: HashMap<String, Vec<u8>> = HashMap::new();
    let mut tensors = Vec::new();
    for (name, object) in state.into_iter().filter(|(n, _)| !n.ends_with("num_batches_tracked")) {
        let stored = stored(object).map_err(|why| format!("tensor {name} {why}; {RESAVE}"))?;
        if !storages.contains_key(&stored.file) {
            storages.insert(stored.file.clone(), entry(&format!("{root}data/{}", stored.file))?);
        }
        let tensor = stored.tensor(&storages[&stored.file]).map_err(|why| format!("tensor {name} {why}; {RESAVE}"))?;
        tensors.push((name, tensor));
    }
    Ok(Contents { tensors, ordered: true, metadata: HashMap::new(), notes })
}

fn parse(pickle: &[u8]) -> Result<Object, String> {
    let mut stack = Stack::empty();
    let read = stack.read_loop(&mut &*pickle);
    read.and_then(|()| stack.finalize()).map_err(|e| format!("holds a pickle that cannot be read ({e}); {RESAVE}"))
}

type Entries = Vec<(String, Object)>;

/// The entries of a dictionary whose keys are text, in the order in which they were written.
fn in_order(pairs: Vec<(Object, Object)>) -> Entries {
    let text = |(key, value): &(Object, Object)| match key {
        Object::Unicode(name) => Some((name.clone(), value.clone())),
        _ => None,
    };
    pairs.chunks(BATCH).flat_map(|batch| batch.iter().rev().filter_map(text)).collect()
}

fn is_tensor(object: &Object) -> bool {
    let Object::Reduce { callable, .. } = object else { return false };
    matches!(&**callable, Object::Class { module_name, class_name }
        if module_name.starts_with("torch") && class_name.starts_with("_rebuild"))
}

fn tensors_of(object: Object) -> Entries {
    let Object::Dict(pairs) = object else { return Vec::new() };
    in_order(pairs).into_iter().filter(|(_, v)| is_tensor(v)).collect()
}

/// The tensors by name, wherever in the pickle they are.
fn state_dict(object: Object) -> Result<(Entries, Vec<String>), String> {
    let top = match object {
        Object::Dict(pairs) => in_order(pairs),
        Object::Build { callable, .. } => {
            let class = match callable.reduce().map(|(class, _)| class.class()) {
                Ok(Ok((module, class))) => format!("a whole object of class {module}.{class}"),
                _ => "a whole object".to_string(),
            };
            return Err(format!("holds {class}, whose code is not run here; {RESAVE}"));
        }
        _ => return Err(format!("holds no dictionary of tensors; {RESAVE}")),
    };
    let keys: Vec<String> = top.iter().map(|(k, _)| k.clone()).collect();
    let direct: Entries = top.iter().filter(|(_, v)| is_tensor(v)).cloned().collect();
    let mut nested: Vec<(String, Entries)> =
        top.into_iter().map(|(k, v)| (k, tensors_of(v))).filter(|(_, t)| !t.is_empty()).collect();
    let known = KEYS.iter().find_map(|key| nested.iter().position(|(k, _)| k == key));
    match (known, direct.is_empty(), nested.len()) {
        (Some(at), ..) => Ok(under(nested.swap_remove(at))),
        (None, false, _) => Ok((direct, Vec::new())),
        (None, true, 1) => Ok(under(nested.swap_remove(0))),
        (None, true, 0) => Err(format!("holds no tensors by name (its keys: {}); {RESAVE}", keys.join(", "))),
        _ => {
            let names: Vec<String> = nested.into_iter().map(|(k, _)| k).collect();
            let save = "save the one you mean with torch.save(checkpoint[\"...\"], \"weights.pt\")";
            Err(format!("holds several dictionaries of tensors ({}); {save}", names.join(", ")))
        }
    }
}

fn under((key, entries): (String, Entries)) -> (Entries, Vec<String>) {
    (entries, vec![format!("the weights were under the key {key:?}")])
}

/// A tensor as a view of a storage.
struct Stored {
    dtype: DType,
    file: String,
    offset: usize,
    size: Vec<usize>,
    stride: Vec<usize>,
}

fn stored(object: Object) -> Result<Stored, String> {
    let odd = || "is described in an unknown way".to_string();
    let (callable, args) = object.reduce().map_err(|_| odd())?;
    let (module, class) = callable.class().map_err(|_| odd())?;
    let mut args = args.tuple().map_err(|_| odd())?.into_iter();
    match (module.as_str(), class.as_str()) {
        ("torch._utils", "_rebuild_tensor_v2") => {}
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
            return stored(args.next().ok_or_else(odd)?);
        }
        ("torch._tensor", "_rebuild_from_type_v2") => {
            let (callable, args) = (args.next().ok_or_else(odd)?, args.nth(1).ok_or_else(odd)?);
            return stored(Object::Reduce { callable: Box::new(callable), args: Box::new(args) });
        }
        _ => return Err(format!("is made by {module}.{class}, which is not known here")),
    }
    let whole = |o: Object| o.int_or_long().ok().and_then(|v| usize::try_from(v).ok()).ok_or_else(odd);
    let list = |o: Object| o.tuple().map_err(|_| odd())?.into_iter().map(whole).collect::<Result<Vec<usize>, String>>();
    let storage = args.next().and_then(|s| s.persistent_load().ok()).and_then(|s| s.tuple().ok()).ok_or_else(odd)?;
    let offset = whole(args.next().ok_or_else(odd)?)?;
    let (size, stride) = (list(args.next().ok_or_else(odd)?)?, list(args.next().ok_or_else(odd)?)?);
    // ("storage", class, key, location, elements)
    let mut storage = storage.into_iter().skip(1);
    let (_, kind) = storage.next().and_then(|c| c.class().ok()).ok_or_else(odd)?;
    let file = storage.next().and_then(|k| k.unicode().ok()).ok_or_else(odd)?;
    let dtype = match kind.as_str() {
        "FloatStorage" => DType::F32,
        "DoubleStorage" => DType::F64,
        "HalfStorage" => DType::F16,
        "BFloat16Storage" => DType::BF16,
        "ByteStorage" => DType::U8,
        "ShortStorage" => DType::I16,
        "IntStorage" => DType::I32,
        "LongStorage" => DType::I64,
        other => return Err(format!("is a {other}, which is not read here")),
    };
    if size.len() != stride.len() {
        return Err(odd());
    }
    Ok(Stored { dtype, file, offset, size, stride })
}

impl Stored {
    /// The numbers of the view, in row-major order.
    fn tensor(&self, storage: &[u8]) -> Result<Tensor, String> {
        let width = self.dtype.size_in_bytes();
        let held = storage.len() / width;
        let short = || format!("needs more numbers than its storage of {held} holds");
        let product = |acc: usize, n: &usize| acc.checked_mul(*n);
        let count = self.size.iter().try_fold(1, product).filter(|n| *n <= held).ok_or_else(short)?;
        // The last number of the view: if it is inside, all are.
        let last = self.size.iter().zip(&self.stride).try_fold(self.offset, |at, (n, s)| {
            n.saturating_sub(1).checked_mul(*s).and_then(|step| at.checked_add(step))
        });
        if count > 0 && last.is_none_or(|l| l >= held) {
            return Err(short());
        }
        let mut index = vec![0; self.size.len()];
        let mut numbers = Vec::with_capacity(count * width);
        for _ in 0..count {
            let at = self.offset + index.iter().zip(&self.stride).map(|(i, s)| i * s).sum::<usize>();
            numbers.extend_from_slice(&storage[at * width..(at + 1) * width]);
            for (i, n) in index.iter_mut().zip(&self.size).rev() {
                *i += 1;
                if *i < *n {
                    break;
                }
                *i = 0;
            }
        }
        Tensor::from_raw_buffer(&numbers, self.dtype, &self.size, &Device::Cpu).map_err(|e| format!("is odd: {e}"))
    }
}
