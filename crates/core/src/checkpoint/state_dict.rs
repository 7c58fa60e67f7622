//! The tensors of a state dict, as its pickle describes them; their numbers lie elsewhere.

use super::pickle::{Id, Object, Pickle};
use candle_core::{DType, Device, Tensor};
use indexmap::IndexMap;
use std::collections::HashSet;

/// The way out of most of what is wrong with a file of PyTorch's.
pub(super) const RESAVE: &str = "save it again in PyTorch with torch.save(model.state_dict(), \"weights.pt\")";
/// The way out of a file that holds objects of classes.
const RESAVE_WHOLE: &str = "in PyTorch, where its code is, write \
                            torch.save(torch.load(\"FILE\", weights_only=False).state_dict(), \"weights.pt\")";

/// Where checkpoints keep their weights beside other things, the likeliest first.
const KEYS: [&str; 9] = [
    "state_dict",
    "model_state_dict",
    "model",
    "net",
    "weights",
    "ema",
    "ema_state_dict",
    "state_dict_ema",
    "model_ema",
];
/// Tensors of one file may share their numbers, but hold no more than so many times its length in all.
const MAX_SHARED: usize = 4;
/// Tensors of a state dict.
const MAX_TENSORS: usize = 100_000;
/// Keys that an error shows.
const SHOWN: usize = 8;
/// Descriptions in descriptions: a parameter of a subclass of a tensor takes three.
const MAX_WRAPPED: usize = 8;

/// The raw numbers of one or more tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Storage<'p> {
    /// What the file calls it.
    pub(super) key: &'p str,
    /// PyTorch's name of the type, such as "FloatStorage".
    pub(super) kind: &'p str,
    /// How many numbers it has.
    pub(super) elements: usize,
    /// The numbers of it that count: the first and how many.
    window: (usize, usize),
}

impl Storage<'_> {
    /// Bytes of a number; none for a type that is not known here.
    pub(super) fn width(&self) -> Option<usize> {
        Some(match self.kind {
            "ByteStorage" | "CharStorage" | "BoolStorage" | "QInt8Storage" | "QUInt8Storage" => 1,
            "HalfStorage" | "BFloat16Storage" | "ShortStorage" => 2,
            "FloatStorage" | "IntStorage" | "QInt32Storage" => 4,
            "DoubleStorage" | "LongStorage" | "ComplexFloatStorage" => 8,
            "ComplexDoubleStorage" => 16,
            _ => return None,
        })
    }

    fn dtype(&self) -> Option<DType> {
        Some(match self.kind {
            "FloatStorage" => DType::F32,
            "DoubleStorage" => DType::F64,
            "HalfStorage" => DType::F16,
            "BFloat16Storage" => DType::BF16,
            "ByteStorage" => DType::U8,
            "ShortStorage" => DType::I16,
            "IntStorage" => DType::I32,
            "LongStorage" => DType::I64,
            _ => return None,
        })
    }
}

/// The description ("storage", class, key, place, elements, None or (key, first, elements) of a view of it).
pub(super) fn storage<'p>(pickle: &'p Pickle<'_>, id: Id) -> Option<Storage<'p>> {
    let Object::Persistent(described) = pickle.get(id) else { return None };
    let [what, class, key, _, elements, view @ ..] = pickle.tuple(*described)? else { return None };
    let (_, kind) = pickle.global(*class).filter(|_| pickle.text(*what) == Some("storage"))?;
    let (key, elements) = (pickle.text(*key)?, pickle.whole(*elements)?);
    let window = match view.first().and_then(|id| pickle.tuple(*id)) {
        Some([_, first, n]) => (pickle.whole(*first)?, pickle.whole(*n)?),
        Some(_) => return None,
        None => (0, elements),
    };
    let inside = window.0.checked_add(window.1).is_some_and(|end| end <= elements);
    inside.then_some(Storage { key, kind, elements, window })
}

/// A tensor as a view of a storage.
pub(super) struct View<'p> {
    pub(super) name: &'p str,
    pub(super) storage: Storage<'p>,
    dtype: DType,
    offset: usize,
    size: Vec<usize>,
    stride: Vec<usize>,
}

/// The tensors by name, wherever in the pickle they are, in the order of the state dict and without `num_batches_tracked`; and
/// notes about where they were. `length`: the file's, in bytes.
///
/// # Errors
/// In words: an object instead of a state dict; no tensors, or several sets of them; one that is described in an unknown way, or
/// beyond its storage; more numbers than the file can hold.
pub(super) fn views<'p>(pickle: &'p Pickle<'_>, length: usize) -> Result<(Vec<View<'p>>, Vec<String>), String> {
    let (named, notes) = named(pickle)?;
    if named.len() > MAX_TENSORS {
        return Err(format!("names {} tensors, more than the {MAX_TENSORS} of any network; {RESAVE}", named.len()));
    }
    let mut views: Vec<View<'p>> = Vec::new();
    let mut total = 0usize;
    for (name, id) in named.into_iter().filter(|(n, _)| !n.ends_with("num_batches_tracked")) {
        let view = view(pickle, name, id).map_err(|why| format!("tensor {name} {why}; {RESAVE}"))?;
        total = total.saturating_add(view.size.iter().product::<usize>().saturating_mul(view.dtype.size_in_bytes()));
        views.push(view);
    }
    if total > length.saturating_mul(MAX_SHARED) {
        return Err(format!(
            "describes tensors of {total} bytes in all, more than {MAX_SHARED} times the {length} bytes of the file: they \
             share numbers as no network's do; {RESAVE}"
        ));
    }
    Ok((views, notes))
}

type Named<'p> = IndexMap<&'p str, Id>;

/// The entries of a dictionary whose keys are text; of a key that comes twice the later value, as in Python.
fn entries<'p>(pickle: &'p Pickle<'_>, id: Id) -> Option<Named<'p>> {
    let Object::Dict(pairs) = pickle.get(id) else { return None };
    Some(pairs.iter().filter_map(|(key, value)| Some((pickle.text(*key)?, *value))).collect())
}

fn is_tensor(pickle: &Pickle<'_>, id: Id) -> bool {
    pickle.call(id).is_some_and(|((module, name), _)| module.starts_with("torch") && name.starts_with("_rebuild"))
}

fn tensors_of<'p>(pickle: &'p Pickle<'_>, id: Id) -> Named<'p> {
    let mut found = entries(pickle, id).unwrap_or_default();
    found.retain(|_, value| is_tensor(pickle, *value));
    found
}

/// Of which class an instance is, if this is one.
fn instance(pickle: &Pickle<'_>, id: Id) -> Option<String> {
    let Object::Call { callable, args, built: true } = pickle.get(id) else { return None };
    // Protocol 2 has a function of `copyreg` make it, whose first argument is the class.
    let class = match pickle.global(*callable) {
        Some(("copy_reg" | "copyreg", _)) => *pickle.tuple(*args)?.first()?,
        _ => *callable,
    };
    let (module, name) = pickle.global(class)?;
    Some(format!("{module}.{name}"))
}

fn named<'p>(pickle: &'p Pickle<'_>) -> Result<(Named<'p>, Vec<String>), String> {
    let Some(top) = entries(pickle, pickle.root) else {
        return Err(match instance(pickle, pickle.root) {
            Some(class) => format!("holds a whole object of class {class}, whose code is not run here; {RESAVE_WHOLE}"),
            None => format!("holds no dictionary of tensors; {RESAVE}"),
        });
    };
    let direct = tensors_of(pickle, pickle.root);
    // A dictionary that stands under several keys is looked at once, so that this is linear in the pickle.
    let mut seen = HashSet::new();
    let once = top.iter().filter(|(_, id)| seen.insert(**id));
    let mut nested: IndexMap<&str, Named<'p>> = once.map(|(k, v)| (*k, tensors_of(pickle, *v))).collect();
    nested.retain(|_, tensors| !tensors.is_empty());
    let known = KEYS.iter().find_map(|key| nested.get_index_of(key));
    let size = known.and_then(|at| nested.get_index(at)).map(|(_, tensors)| tensors.len());
    let others: Vec<&str> = nested
        .iter()
        .enumerate()
        .filter(|(i, (_, tensors))| known.is_some_and(|at| at != *i) && Some(tensors.len()) == size)
        .map(|(_, (key, _))| *key)
        .collect();
    let under = |(key, tensors): (&str, Named<'p>)| {
        let mut notes = vec![format!("the weights were under the key {key:?}")];
        if !others.is_empty() {
            notes.push(format!(
                "as many tensors under {} were not read; torch.save(checkpoint[\"...\"], \"weights.pt\") makes a file of them",
                others.join(", ")
            ));
        }
        (tensors, notes)
    };
    let found = match (known, direct.is_empty(), nested.len()) {
        (Some(at), ..) => nested.swap_remove_index(at).map(under),
        (None, false, _) => Some((direct, Vec::new())),
        (None, true, 1) => nested.pop().map(under),
        _ => None,
    };
    found.ok_or_else(|| {
        let list = |keys: Vec<&str>| match keys.len().saturating_sub(SHOWN) {
            0 => keys.join(", "),
            more => format!("{} and {more} more", keys[..SHOWN].join(", ")),
        };
        if !nested.is_empty() {
            let (keys, save) = (
                list(nested.keys().copied().collect()),
                "save the one you mean with torch.save(checkpoint[\"...\"], \"weights.pt\")",
            );
            return format!("holds several dictionaries of tensors ({keys}); {save}");
        }
        match top.iter().find_map(|(key, id)| Some((key, instance(pickle, *id)?))) {
            Some((key, class)) => {
                let way_out = RESAVE_WHOLE.replace(").state", &format!(")[{key:?}].state"));
                format!("holds under {key:?} a whole object of class {class}, whose code is not run here; {way_out}")
            }
            None => format!("holds no tensors by name (its keys: {}); {RESAVE}", list(top.keys().copied().collect())),
        }
    })
}

fn view<'p>(pickle: &'p Pickle<'_>, name: &'p str, mut id: Id) -> Result<View<'p>, String> {
    let odd = || "is described in an unknown way".to_string();
    for _ in 0..MAX_WRAPPED {
        let ((module, function), mut args) = pickle.call(id).ok_or_else(odd)?;
        match (module, function) {
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => {}
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
                id = *args.first().ok_or_else(odd)?;
                continue;
            }
            // (function, type, arguments, state)
            ("torch._tensor", "_rebuild_from_type_v2") => {
                let [inner, _, inner_args, ..] = args else { return Err(odd()) };
                match pickle.global(*inner) {
                    Some(("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2")) => {
                        args = pickle.tuple(*inner_args).ok_or_else(odd)?;
                    }
                    Some(("torch._utils", "_rebuild_parameter")) => {
                        id = *pickle.tuple(*inner_args).and_then(<[Id]>::first).ok_or_else(odd)?;
                        continue;
                    }
                    _ => return Err(odd()),
                }
            }
            _ => return Err(format!("is made by {module}.{function}, which is not known here")),
        }
        let [stored, offset, size, stride, ..] = args else { return Err(odd()) };
        let storage = storage(pickle, *stored).ok_or_else(odd)?;
        let dtype = storage.dtype().ok_or_else(|| format!("is a {}, which is not read here", storage.kind))?;
        let list = |id: Id| -> Option<Vec<usize>> {
            let items = match pickle.call(id) {
                Some((("torch", "Size"), [items])) => pickle.tuple(*items)?,
                _ => pickle.tuple(id)?,
            };
            items.iter().map(|i| pickle.whole(*i)).collect()
        };
        let (size, stride) = (list(*size).ok_or_else(odd)?, list(*stride).ok_or_else(odd)?);
        let offset = pickle.whole(*offset).ok_or_else(odd)?;
        if size.len() != stride.len() {
            return Err(odd());
        }
        // The last number of the view: if it is inside, all are. No more numbers than the storage has: none is shown twice.
        let (first, held) = storage.window;
        let count = size.iter().try_fold(1usize, |n, side| n.checked_mul(*side));
        let last = size
            .iter()
            .zip(&stride)
            .try_fold(offset, |at, (n, s)| n.saturating_sub(1).checked_mul(*s).and_then(|step| at.checked_add(step)));
        let inside = count.is_some_and(|n| n <= held && (n == 0 || last.is_some_and(|l| l < held)));
        if !inside {
            return Err(format!("needs more numbers than its storage of {held} holds"));
        }
        return Ok(View { name, storage, dtype, offset: first + offset, size, stride });
    }
    Err(odd())
}

impl View<'_> {
    /// The numbers of the view, in row-major order, out of those of its whole storage.
    ///
    /// # Errors
    /// In words: the storage has not as many bytes as the pickle says.
    pub(super) fn tensor(&self, storage: &[u8]) -> Result<Tensor, String> {
        let width = self.dtype.size_in_bytes();
        let announced = self.storage.elements.saturating_mul(width);
        if storage.len() != announced {
            return Err(format!("lies in a storage of {} bytes that should have {announced}", storage.len()));
        }
        let mut index = vec![0; self.size.len()];
        let count: usize = self.size.iter().product();
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
