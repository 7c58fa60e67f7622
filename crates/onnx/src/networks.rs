//! Where networks of files are found, and what a suite can say of them: `onnx:net.onnx` as a model.

use crate::import::{self, Imported, Options, open};
use crate::input::Layout;
use crate::network::FileNetwork;
use gauntlet_core::registry::BuildModel;
use gauntlet_core::{Args, Error, Network, ParamDoc, Registry, Result, Source, Spec};
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
type Found = &'static Spec<BuildModel>;

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

/// Networks that were built, by all that they are made of: a suite asks for its models many times.
fn built() -> MutexGuard<'static, BTreeMap<String, Arc<FileNetwork>>> {
    static BUILT: OnceLock<Mutex<BTreeMap<String, Arc<FileNetwork>>>> = OnceLock::new();
    locked(BUILT.get_or_init(Mutex::default))
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Source<BuildModel> for Networks {
    fn prefix(&self) -> &'static str {
        PREFIX
    }
    fn find(&self, name: &str) -> Result<Found> {
        if let Some(found) = locked(&self.found).get(name) {
            return Ok(found);
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
        let found = spec(name, &sha256);
        paths().extend([(sha256, path.clone()), (name.to_string(), path.clone())]);
        locked(&self.found).insert(name.to_string(), found);
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
        kind: "one of file, torch",
        default: "\"file\"",
        unit: "",
        doc: "what trainings start from: the file's weights, or new ones, PyTorch's default",
    },
    ParamDoc {
        name: "mean",
        kind: "list of floats",
        default: "[]",
        unit: "pixels",
        doc: "per-channel mean subtracted before the file's network; none where the file does that itself",
    },
    ParamDoc {
        name: "std",
        kind: "list of floats",
        default: "[]",
        unit: "pixels",
        doc: "per-channel standard deviation divided by before the file's network",
    },
    ParamDoc {
        name: "channels",
        kind: "one of auto, first, last",
        default: "\"auto\"",
        unit: "",
        doc: "where its images have their channels; auto: last where that axis is 1 or 3 and the first is not",
    },
    ParamDoc {
        name: "output",
        kind: "string",
        default: "null",
        unit: "",
        doc: "the output that gives the logits, where there are several",
    },
    ParamDoc {
        name: "frozen",
        kind: "list of strings",
        default: "[]",
        unit: "",
        doc: "initialisers that are not trained",
    },
];

/// Names and hashes are few and live as long as the program, as the texts of built-in components do.
fn kept(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

fn spec(name: &str, sha256: &str) -> Found {
    let pinned = ParamDoc {
        name: "sha256",
        kind: "string",
        default: kept(Value::from(sha256).to_string()),
        unit: "",
        doc: "of the file, and of its data where that lies beside it; written into a suite, it pins the network",
    };
    let build: BuildModel = build;
    let params: Vec<ParamDoc> = std::iter::once(pinned).chain(PARAMS).collect();
    Box::leak(Box::new(Spec {
        name: kept(name.to_string()),
        summary: "a network of an ONNX file",
        formula: "",
        paper: "",
        params: Vec::leak(params),
        numerics: NUMERICS,
        origin: "file",
        build,
    }))
}

fn build(args: &Args, input: Image, classes: usize) -> Result<Arc<dyn Network>> {
    let key = format!("{} {} {input:?} {classes}", args.owner(), Value::Object(args.canonical().clone()));
    if let Some(known) = built().get(&key) {
        return Ok(known.clone());
    }
    let (name, net) = (args.owner(), read(args, Some(input))?);
    let outputs = net.graph.interface().classes;
    if outputs != classes {
        return Err(Error::value(name, format!("has {outputs} outputs, and the data has {classes} classes")));
    }
    let anew = args.choice("init", &["file", "torch"])? == "torch";
    let network = Arc::new(FileNetwork::new(name, net, anew)?);
    built().insert(key, network.clone());
    Ok(network)
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
    read(&Args::new(registry.models.get(name)?, given)?, image)
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
        layout: match args.choice("channels", &["auto", "first", "last"])? {
            "first" => Layout::ChannelsFirst,
            "last" => Layout::ChannelsLast,
            _ => Layout::Auto,
        },
        output: if args.has("output") { Some(args.str("output")?.to_string()) } else { None },
        frozen: list(args, "frozen", |v| v.as_str().map(str::to_string))?,
        mean: list(args, "mean", Value::as_f64)?,
        std: list(args, "std", Value::as_f64)?,
    };
    if let Some(bad) = options.std.iter().find(|s| **s <= 0.0) {
        return Err(Error::value(format!("{name}.std"), format!("must be positive, got {bad}")));
    }
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
        return Err(gauntlet_core::registry::unknown(&format!("parameter of {name}"), unknown, known));
    }
    Ok(net)
}

fn list<T>(args: &Args, key: &str, entry: impl Fn(&Value) -> Option<T>) -> Result<Vec<T>> {
    let value = args.value(key)?;
    let found: Option<Vec<T>> = value.as_array().and_then(|a| a.iter().map(entry).collect());
    found.ok_or_else(|| {
        let kind = PARAMS.iter().find(|p| p.name == key).map_or("list", |p| p.kind);
        Error::value(format!("{}.{key}", args.owner()), format!("must be a {kind}, got {value}"))
    })
}
