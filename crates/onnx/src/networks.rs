//! Where networks of files are found, and what a suite can say of them: `onnx:net.onnx` as a model.

use crate::import::{self, Imported, Options, open};
use crate::input::Layout;
use crate::network::FileNetwork;
use gauntlet_core::{
    About, Args, Entry, Error, Network, Param, ParamDoc, ParamKind, Range, Registry, Result, Source, Task,
};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// What the names of networks in files begin with.
pub const PREFIX: &str = "onnx:";

/// Raised when the numbers of imported networks change.
const NUMERICS: u32 = 1;

/// Channels, height, width of an image.
type Image = (usize, usize, usize);
type Found = Arc<Entry<dyn Network, Task>>;

/// The registry's source of networks in files.
#[derive(Debug, Default)]
pub struct Networks {
    folders: Mutex<Vec<PathBuf>>,
    /// What was read so far: a name means one file for the whole process.
    found: Mutex<BTreeMap<String, Found>>,
}

/// Where a file lies, by its sha256 and by the name that it was last found under: a component's builder is a plain function, and
/// its arguments hold the hash.
fn paths() -> MutexGuard<'static, BTreeMap<String, PathBuf>> {
    static PATHS: OnceLock<Mutex<BTreeMap<String, PathBuf>>> = OnceLock::new();
    locked(PATHS.get_or_init(Mutex::default))
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Source<dyn Network, Task> for Networks {
    fn prefix(&self) -> &'static str {
        PREFIX
    }
    fn find(&self, name: &str) -> Result<Found> {
        if let Some(found) = locked(&self.found).get(name) {
            return Ok(found.clone());
        }
        let file = name.strip_prefix(PREFIX).unwrap_or(name);
        if file.is_empty() {
            return Err(Error::value("model", format!("{PREFIX} is followed by a file: {PREFIX}net.onnx")));
        }
        let folders = locked(&self.folders).clone();
        let places: Vec<PathBuf> = folders.iter().map(|f| f.join(file)).chain([PathBuf::from(file)]).collect();
        let path = places.iter().find(|p| p.exists()).ok_or_else(|| {
            Error::Message(format!(
                "there is no ONNX file {file:?}: not beside the suite, and not in the working directory"
            ))
        })?;
        let sha256 = import::sha256(path)?;
        let found = Arc::new(entry(name, &sha256));
        paths().extend([(sha256, path.clone()), (name.to_string(), path.clone())]);
        locked(&self.found).insert(name.to_string(), found.clone());
        Ok(found)
    }
    fn list(&self) -> Vec<Found> {
        Vec::new()
    }
    fn look_in(&self, folder: &Path) {
        let mut folders = locked(&self.folders);
        if !folders.iter().any(|f| f == folder) {
            folders.insert(0, folder.to_path_buf());
        }
    }
}

/// What can be said of a network beside its file; `sha256` stands in front.
const PARAMS: [ParamDoc; 6] = [
    ParamDoc {
        name: "init",
        kind: ParamKind::Choice(&["file", "torch"]),
        default: "\"file\"",
        unit: "",
        doc: "what trainings start from: the file's weights, or new ones, PyTorch's default",
    },
    ParamDoc {
        name: "mean",
        kind: ParamKind::Floats(Range::ANY),
        default: "[]",
        unit: "pixels",
        doc: "per-channel mean subtracted before the file's network; none where the file does that itself",
    },
    ParamDoc {
        name: "std",
        kind: ParamKind::Floats(Range::above(0.0)),
        default: "[]",
        unit: "pixels",
        doc: "per-channel standard deviation divided by before the file's network",
    },
    ParamDoc {
        name: "channels",
        kind: ParamKind::Choice(&["auto", "first", "last"]),
        default: "\"auto\"",
        unit: "",
        doc: "where its images have their channels; auto: last where that axis is 1 or 3 and the first is not",
    },
    ParamDoc {
        name: "output",
        kind: ParamKind::Text,
        default: "null",
        unit: "",
        doc: "the output that gives the logits, where there are several",
    },
    ParamDoc {
        name: "frozen",
        kind: ParamKind::Texts,
        default: "[]",
        unit: "",
        doc: "initialisers that are not trained",
    },
];

/// The model of a file.
fn entry(name: &str, sha256: &str) -> Entry<dyn Network, Task> {
    let pinned = Param {
        name: "sha256".into(),
        kind: ParamKind::Text,
        default: Value::from(sha256).to_string(),
        unit: String::new(),
        doc: "of the file, and of its data where that lies beside it; written into a suite, it pins the network".into(),
    };
    let about = About {
        name: name.into(),
        summary: "a network of an ONNX file".into(),
        params: std::iter::once(pinned).chain(PARAMS.iter().map(Param::from)).collect(),
        numerics: NUMERICS,
        origin: "file".into(),
        ..About::default()
    };
    Entry::new(about, build)
}

fn build(args: &Args, task: &Task) -> Result<Arc<dyn Network>> {
    let Task { input, classes } = *task;
    let (name, net) = (args.owner(), read(args, Some(input))?);
    let outputs = net.graph.interface().classes;
    if outputs != classes {
        return Err(Error::value(name, format!("has {outputs} outputs, and the data has {classes} classes")));
    }
    let anew = args.str("init")? == "torch";
    Ok(Arc::new(FileNetwork::new(name, net, anew)?))
}

/// The network that a model's name and arguments mean; `image`: the shape of the images, where it is known.
///
/// # Errors
/// A name without [`PREFIX`], a file that cannot be imported, an argument outside its domain.
pub fn imported(registry: &Registry, given: &Map<String, Value>, image: Option<Image>) -> Result<Imported> {
    let name = given.get("name").and_then(Value::as_str).unwrap_or_default();
    if !name.starts_with(PREFIX) {
        return Err(Error::value("model", format!("{name:?} is no network of a file: {PREFIX}net.onnx")));
    }
    read(&Args::new(&*registry.models.get(name)?, given)?, image)
}

fn read(args: &Args, image: Option<Image>) -> Result<Imported> {
    let (name, given) = (args.owner(), args.str("sha256")?);
    let changed =
        |own: &str| Error::value(format!("{name}.sha256"), format!("the file has {own}, not {given}: it was changed"));
    // One lock at a time.
    let pinned = paths().get(given).cloned();
    let named = paths().get(name).cloned();
    let path = pinned.or(named).ok_or_else(|| Error::Message(format!("{name} was not read")))?;
    let options = Options {
        image,
        layout: match args.str("channels")? {
            "first" => Layout::ChannelsFirst,
            "last" => Layout::ChannelsLast,
            _ => Layout::Auto,
        },
        output: if args.has("output") { Some(args.str("output")?.to_string()) } else { None },
        frozen: args.strs("frozen")?.into_iter().map(str::to_string).collect(),
        mean: args.f64s("mean")?,
        std: args.f64s("std")?,
    };
    let net = open(&path, &options)?;
    if net.sha256 != given {
        return Err(changed(&net.sha256));
    }
    let channels = net.graph.interface().input.0;
    for (key, entries) in [("mean", options.mean.len()), ("std", options.std.len())] {
        if entries > 0 && entries != channels {
            return Err(Error::value(
                format!("{name}.{key}"),
                format!("has {entries} entries for {channels} channels"),
            ));
        }
    }
    if let Some(unknown) = options.frozen.iter().find(|f| !net.weights.iter().any(|w| w.0 == **f)) {
        let known = net.weights.iter().map(|w| w.0);
        return Err(Error::unknown(&format!("parameter of {name}"), unknown, known));
    }
    Ok(net)
}
