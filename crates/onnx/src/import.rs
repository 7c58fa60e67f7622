//! From the bytes of a file to a graph with its weights.

use crate::attributes::Attributes;
use crate::error::{Error, Problem, Result};
use crate::external::Folder;
use crate::input::{Input, Layout};
use crate::lowering::{Lowering, Op};
use crate::order::{name, order};
use crate::proto::{GraphProto, ModelProto, NodeProto, TensorProto};
use crate::tensor::{self, Values};
use crate::value::{Batch, Computed, Count, Role, Value, Weight, Whole};
use crate::{operators, scan};
use candle_core::{Device, Tensor};
use gauntlet_core::{Activation, ModelInfo, Weights};
use gauntlet_graph::{Builder, Graph, Layer};
use gauntlet_records::regular_file;
use prost::Message;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The opsets of the default domain that are read.
const OPSETS: std::ops::RangeInclusive<i64> = 8..=22;
/// Bytes of a file: what protobuf itself allows.
const MOST: u64 = 2 << 30;

/// How PyTorch exports a network so that all of it can be trained: nothing is folded, and parameters keep their names.
pub const TRAINABLE_EXPORT: &str = "torch.onnx.export(copy.deepcopy(model).train(), x, \"net.onnx\", dynamo=True, optimize=False, \
                                    dynamic_shapes=({0: torch.export.Dim(\"n\")},))";

/// What a file does not say.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The shape (C, H, W) of the images, where it is known.
    pub image: Option<(usize, usize, usize)>,
    /// Where channels stand.
    pub layout: Layout,
    /// Which output gives the logits, where there are several.
    pub output: Option<String>,
    /// Names of initialisers that are not to be trained.
    pub frozen: Vec<String>,
    /// Per-channel mean that is subtracted in front of the network; empty: none.
    pub mean: Vec<f64>,
    /// Per-channel standard deviation that is divided by in front of the network; empty: none.
    pub std: Vec<f64>,
}

/// A network of a file.
#[derive(Debug, Clone)]
pub struct Imported {
    /// The network.
    pub graph: Graph,
    /// Its parameters and buffers as the file has them, in float32 on the CPU.
    pub weights: Weights,
    /// What wrote the file, e.g. `pytorch 2.15.0`.
    pub producer: String,
    /// The opset of the default domain.
    pub opset: i64,
    /// Nodes of the file that the logits depend on.
    pub nodes: usize,
    /// What was done to the network, in words.
    pub notes: Vec<String>,
    /// Files beside it that hold its data.
    pub external: Vec<PathBuf>,
    /// `sha256:` of the file; of the file followed by the data that is read from beside it, where there is some.
    pub sha256: String,
}

/// Reads the network of a file.
///
/// # Errors
/// A file that is not there, too large, damaged or no ONNX; a network with a node that has no counterpart here: all of them are
/// named.
pub fn open(path: &Path, options: &Options) -> Result<Imported> {
    let wrong = |why: String| Error::File { path: path.display().to_string(), why };
    let bytes = bytes(path)?;
    let stem = path.file_stem().map_or_else(|| "onnx".to_string(), |s| s.to_string_lossy().into_owned());
    read(bytes, folder(path), &stem, options).map_err(|failure| match failure {
        Failure::File(why) => wrong(why),
        Failure::Nodes(problems) => Error::Unsupported { path: path.display().to_string(), problems },
    })
}

/// [`Imported::sha256`] of a file, of which nothing but the data is looked at.
///
/// # Errors
/// A file that is not there, too large, damaged or no ONNX.
pub fn sha256(path: &Path) -> Result<String> {
    let bytes = bytes(path)?;
    let mut folder = Folder::new(folder(path), &bytes);
    let all = || -> Result<(), String> {
        let model = decoded(bytes)?;
        let graph = model.graph.as_ref().ok_or("it holds no network")?;
        initialisers(graph, &mut folder).map(drop)
    };
    all().map_err(|why| Error::File { path: path.display().to_string(), why })?;
    Ok(folder.sha256())
}

fn bytes(path: &Path) -> Result<Vec<u8>> {
    let wrong = |why: String| Error::File { path: path.display().to_string(), why };
    regular_file::read(path, MOST, "an ONNX file").map_err(|e| wrong(e.to_string()))
}

fn folder(path: &Path) -> Option<&Path> {
    path.parent().map(|p| if p.as_os_str().is_empty() { Path::new(".") } else { p })
}

/// The messages of a file, once they were counted.
fn decoded(bytes: Vec<u8>) -> Result<ModelProto, String> {
    scan::check(&bytes)?;
    ModelProto::decode(prost::bytes::Bytes::from(bytes)).map_err(|e| format!("it is no ONNX file: {e}"))
}

/// Reads the network of a file's bytes, beside which nothing lies; `name` is what the network and errors are called by.
///
/// # Errors
/// See [`open`].
pub fn import(bytes: Vec<u8>, name: &str, options: &Options) -> Result<Imported> {
    read(bytes, None, name, options).map_err(|failure| match failure {
        Failure::File(why) => Error::File { path: name.into(), why },
        Failure::Nodes(problems) => Error::Unsupported { path: name.into(), problems },
    })
}

enum Failure {
    File(String),
    Nodes(Vec<Problem>),
}

impl From<String> for Failure {
    fn from(why: String) -> Self {
        Failure::File(why)
    }
}

fn read(bytes: Vec<u8>, folder: Option<&Path>, stem: &str, options: &Options) -> Result<Imported, Failure> {
    let mut folder = Folder::new(folder, &bytes);
    let model = decoded(bytes)?;
    let opset = opset(&model)?;
    let graph = model.graph.as_ref().ok_or("it holds no network".to_string())?;
    if !graph.sparse_initializer.is_empty() {
        return Err("sparse initialisers are not supported: export dense ones".to_string().into());
    }
    let initial = initialisers(graph, &mut folder)?;
    let asked: Vec<_> = graph.input.iter().filter(|i| !initial.contains_key(i.name.as_str())).collect();
    let [asked] = asked[..] else {
        let names: Vec<&str> = asked.iter().map(|i| i.name.as_str()).collect();
        return Err(format!("it has {} inputs {names:?}: a classifier has one, the images", names.len()).into());
    };
    let mut input = Input::of(asked, options.layout, options.image)?;
    let output = output(graph, options)?;
    let given = |name: &str| name == asked.name || initial.contains_key(name);
    let ordered = order(&graph.node, output, given)?;
    let unknown: BTreeMap<usize, Problem> =
        ordered.iter().enumerate().filter_map(|(at, i)| Some((at, foreign(&graph.node[*i])?))).collect();

    let info = ModelInfo {
        name: stem.into(),
        input: input.image,
        classes: 1,
        activation: Activation::Relu,
        mean: options.mean.clone(),
        std: options.std.clone(),
        numerics: 1,
    };
    let start = |input: &Input,
                 initial: BTreeMap<&str, Value>|
     -> Result<(Lowering, Vec<Problem>, Option<Value>), Failure> {
        let before = normalised(&info);
        let mut g = Lowering::new(Builder::new(info.clone()), opset, input.lead, input.single, options.frozen.clone());
        g.says = initial.values().any(|v| matches!(v, Value::Weight(w) if w.role == Role::Parameter));
        let mut values: HashMap<&str, Value> = initial.into_iter().collect();
        values.insert(&asked.name, shown(&mut g, input, before)?);
        let problems = lower(&mut g, graph, &ordered, &mut values, unknown.clone());
        Ok((g, problems, values.remove(output)))
    };
    let (mut g, mut problems, mut logits) = start(&input, initial.clone())?;
    if !problems.is_empty() && input.single {
        // Where the one example is moved behind other axes, its axis is one of its own values like any other.
        input = Input { shape: [&[1], &input.shape[..]].concat(), lead: 0, single: false, ..input };
        let again = start(&input, initial)?;
        if again.1.is_empty() {
            (g, problems, logits) = again;
        }
    }
    if !problems.is_empty() {
        return Err(Failure::Nodes(problems));
    }
    let logits = logits.ok_or_else(|| format!("nothing makes the output {output:?}"))?;
    let (graph, mut g) = finish(g, &logits, output)?;
    let weights = weights(&mut g, &graph)?;
    folded(&mut g);
    shared(&mut g, &model, &ordered);
    let producer = format!("{} {}", model.producer_name, model.producer_version).trim().to_string();
    let (nodes, sha256) = (ordered.len(), folder.sha256());
    Ok(Imported { graph, weights, producer, opset, nodes, notes: g.notes, external: folder.read, sha256 })
}

fn opset(model: &ModelProto) -> Result<i64, String> {
    let default = |domain: &str| domain.is_empty() || domain == "ai.onnx";
    let found = model.opset_import.iter().find(|o| default(&o.domain)).map(|o| o.version);
    let opset = found.ok_or("it does not say which opset it is of")?;
    if !OPSETS.contains(&opset) {
        let (first, last) = (OPSETS.start(), OPSETS.end());
        return Err(format!(
            "it is of opset {opset}; opsets {first} to {last} are read: export it with opset_version=17 or so"
        ));
    }
    Ok(opset)
}

/// The initialisers of a file by their names.
fn initialisers<'a>(graph: &'a GraphProto, folder: &mut Folder<'_>) -> Result<BTreeMap<&'a str, Value>, String> {
    let roles: HashMap<&str, Role> =
        graph.value_info.iter().filter_map(|v| Some((v.name.as_str(), role(v.metadata_props.iter())?))).collect();
    let mut found = BTreeMap::new();
    for tensor in &graph.initializer {
        let value =
            initialiser(tensor, &roles, folder).map_err(|why| format!("initialiser {:?}: {why}", tensor.name))?;
        if found.insert(tensor.name.as_str(), value).is_some() {
            return Err(format!("there are two initialisers {:?}", tensor.name));
        }
    }
    Ok(found)
}

fn initialiser(tensor: &TensorProto, roles: &HashMap<&str, Role>, folder: &mut Folder<'_>) -> Result<Value, String> {
    let stored = tensor::read(tensor, folder)?;
    let (name, dims) = (tensor.name.clone(), stored.dims);
    Ok(match stored.values {
        Values::Floats(values) => {
            let said = role(tensor.metadata_props.iter()).or_else(|| roles.get(name.as_str()).copied());
            Value::Weight(Weight { name, dims, values: Rc::new(values), role: said.unwrap_or(Role::Unsaid) })
        }
        Values::Whole(values) => Value::Whole(Whole { dims, values: values.into_iter().map(Count::Known).collect() }),
    })
}

/// What PyTorch's newer exporter says of an initialiser.
fn role<'a>(entries: impl Iterator<Item = &'a crate::proto::StringStringEntryProto>) -> Option<Role> {
    let key = "pkg.torch.export.graph_signature.InputSpec.kind";
    let kind = entries.into_iter().find(|e| e.key == key)?.value.as_str();
    match kind {
        "PARAMETER" => Some(Role::Parameter),
        "BUFFER" | "CONSTANT_TENSOR" => Some(Role::Buffer),
        _ => None,
    }
}

fn output<'a>(graph: &'a GraphProto, options: &Options) -> Result<&'a str, String> {
    let names: Vec<&str> = graph.output.iter().map(|o| o.name.as_str()).collect();
    match (&options.output, &names[..]) {
        (Some(wanted), _) => names
            .iter()
            .find(|name| *name == wanted)
            .copied()
            .ok_or_else(|| format!("it has no output {wanted:?}; its outputs are {names:?}")),
        (None, [one]) => Ok(one),
        (None, _) => Err(format!("it has {} outputs {names:?}: say which one gives the logits", names.len())),
    }
}

/// A node whose operator is not known, whatever it reads.
fn foreign(node: &NodeProto) -> Option<Problem> {
    let problem = |why: String| Problem { node: name(node).into(), operator: node.op_type.clone(), why };
    if !node.domain.is_empty() && node.domain != "ai.onnx" {
        return Some(problem(format!(
            "an operator of the domain {:?}: export the network with ONNX's own operators",
            node.domain
        )));
    }
    if operators::find(&node.op_type).is_none() {
        let random = node.op_type.starts_with("Random") || node.op_type == "Bernoulli";
        let way =
            if random { ": it draws (stochastic depth, dropout): export the network with model.eval()" } else { "" };
        return Some(problem(format!("the operator is not supported{way}")));
    }
    None
}

/// The input of the file, made of the images.
fn shown(g: &mut Lowering, input: &Input, before: Option<Layer>) -> Result<Value, String> {
    let mut x = g.given(g.builder.input(), true)?;
    if let Some(layer) = before {
        x = Computed { image: true, ..g.layer(layer, &x)? };
        g.note("mean and std that were given are applied in front of what the file holds".into());
    }
    if input.last {
        x = g.layer(Layer::Transpose(vec![1, 2, 0]), &x)?;
        g.note("channels come last in the file: images are transposed inside the network".into());
    }
    Ok(Value::Computed(Computed { shape: input.shape.clone(), image: true, ..x }))
}

/// (x − mean) / std per channel, where there is something to do.
fn normalised(info: &ModelInfo) -> Option<Layer> {
    let ModelInfo { input: (c, _, _), mean, std, .. } = info;
    if mean.is_empty() && std.is_empty() {
        return None;
    }
    let std = |i: usize| std.get(i).copied().unwrap_or(1.0);
    let mean = |i: usize| mean.get(i).copied().unwrap_or(0.0);
    let (scale, shift) = (0..*c).map(|i| (1.0 / std(i), -mean(i) / std(i))).unzip();
    Some(Layer::Affine { scale, shift })
}

/// Every node in turn. What could not be imported is collected; nodes behind it are left alone.
fn lower<'a>(
    g: &mut Lowering,
    graph: &'a GraphProto,
    ordered: &[usize],
    values: &mut HashMap<&'a str, Value>,
    mut problems: BTreeMap<usize, Problem>,
) -> Vec<Problem> {
    let mut lost: HashSet<&str> = HashSet::new();
    for (at, i) in ordered.iter().enumerate() {
        let node = &graph.node[*i];
        let broken = node.input.iter().any(|input| lost.contains(input.as_str()));
        let made = match operators::find(&node.op_type).filter(|_| !broken && !problems.contains_key(&at)) {
            None => None,
            Some(operator) => match Attributes::of(node).and_then(|attributes| {
                let inputs = node.input.iter().map(|name| values.get(name.as_str()).cloned()).collect();
                let op = Op { node, attributes, inputs };
                let made = operator(g, &op)?;
                op.attributes.all_read()?;
                Ok(made)
            }) {
                Ok(made) => Some(made),
                Err(why) => {
                    problems.insert(at, Problem { node: name(node).into(), operator: node.op_type.clone(), why });
                    None
                }
            },
        };
        match made {
            Some(made) => values.extend(node.output.iter().map(String::as_str).zip(made)),
            None => lost.extend(node.output.iter().map(String::as_str)),
        }
    }
    problems.into_values().collect()
}

/// The graph whose logits are a value.
fn finish(mut g: Lowering, logits: &Value, output: &str) -> Result<(Graph, Lowering), String> {
    let Value::Computed(z) = logits else { return Err(format!("the output {output:?} does not depend on the images")) };
    if !z.batch.with().is_empty() {
        return Err(format!("the output {output:?} has {} rows for every example", z.batch.before * z.batch.after));
    }
    let classes: usize = z.shape.iter().product();
    let id = g.node(&Computed { shape: vec![classes], batch: Batch::FRONT, ..z.clone() })?;
    let builder = std::mem::replace(&mut g.builder, Builder::new(nothing()));
    let graph = builder.with_classes(classes).finish_reachable(id).map_err(|e| e.to_string())?;
    Ok((graph, g))
}

fn nothing() -> ModelInfo {
    let (name, activation) = (String::new(), Activation::Relu);
    ModelInfo { name, input: (1, 1, 1), classes: 1, activation, mean: Vec::new(), std: Vec::new(), numerics: 1 }
}

/// The weights of a graph, in its order.
fn weights(g: &mut Lowering, graph: &Graph) -> Result<Weights, String> {
    let mut entries = Vec::new();
    for spec in graph.params() {
        let used = g.used.get(&spec.name).ok_or_else(|| format!("no values of {}", spec.name))?;
        let tensor = Tensor::from_slice(&used.values, used.dims.as_slice(), &Device::Cpu).map_err(|e| e.to_string())?;
        entries.push((spec.name.clone(), tensor, used.trainable));
    }
    Ok(Weights::from_entries(entries))
}

/// Says which parameters several nodes have in common.
fn shared(g: &mut Lowering, model: &ModelProto, ordered: &[usize]) {
    let Some(graph) = &model.graph else { return };
    let mut readers: BTreeMap<&str, usize> = BTreeMap::new();
    for node in ordered.iter().map(|i| &graph.node[*i]).filter(|n| n.op_type != "Identity") {
        for input in node.input.iter().filter(|name| g.used.get(*name).is_some_and(|used| used.trainable)) {
            *readers.entry(input).or_default() += 1;
        }
    }
    let several: Vec<&str> = readers.iter().filter(|(_, n)| **n > 1).map(|(name, _)| *name).collect();
    if !several.is_empty() {
        let (count, names) = (several.len(), several.iter().take(5).copied().collect::<Vec<_>>().join(", "));
        let more = if count > 5 { ", ..." } else { "" };
        g.note(format!(
            "{count} parameters belong to several nodes and are trained as one ({names}{more}): exporters merge tensors that are equal by \
             chance, as zeros of a fresh network are"
        ));
    }
}

/// Says where batch norm was folded into convolutions, as far as names show it.
fn folded(g: &mut Lowering) {
    let folded = g.used.keys().filter(|k| k.starts_with("onnx::Conv_") || k.ends_with(".weight_bias")).count();
    if folded > 0 {
        g.note(format!(
            "{folded} weights and biases of convolutions are not the network's own: the exporter folded batch norm into them. It can \
             be attacked and fine-tuned; to train it, export it by {TRAINABLE_EXPORT}"
        ));
    }
}
