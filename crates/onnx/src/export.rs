//! A graph as an ONNX file.

use crate::proto::{
    AttributeProto, DimensionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto, attribute, element,
};
use candle_core::DType;
use gauntlet_core::{Activation, Error, Result, Weights};
use gauntlet_graph::{Binary, Function, Graph, Layer, Node, NodeId, Reduction, Windows};
use prost::Message;

/// The opset of the default domain that files are written in.
pub const OPSET: i64 = 20;
/// The version of the format that goes with it.
const IR: i64 = 9;
/// What files say that they are written by; these hide nothing.
pub(crate) const PRODUCER: &str = "gauntlet";
/// What PyTorch's exporter calls a parameter or buffer of the module.
const KIND: &str = "pkg.torch.export.graph_signature.InputSpec.kind";

/// The bytes of an ONNX file with a network and its weights: initialisers have the parameters' names and say which of them are
/// trained, the number of images is left open. Batch norm and dropout are written as they are in evaluation.
///
/// # Errors
/// Weights that are not the graph's; a file that would be larger than protobuf allows.
pub fn export(graph: &Graph, weights: &Weights) -> Result<Vec<u8>> {
    let mut writer = Writer { graph, nodes: Vec::new(), count: 0 };
    for (id, node) in graph.ids().zip(graph.nodes()) {
        writer.node(id, node);
    }
    let mut initializer = Vec::new();
    let mut value_info = Vec::new();
    let mut size = 0usize;
    for spec in graph.params() {
        let tensor = weights.get(&spec.name)?;
        if tensor.dims() != spec.shape.as_slice() {
            let why =
                format!("{} is {:?} in the network and {:?} in the weights", spec.name, spec.shape, tensor.dims());
            return Err(Error::value("weights", why));
        }
        let values: Vec<f32> = tensor.flatten_all()?.to_dtype(DType::F32)?.to_vec1()?;
        size += 4 * values.len();
        initializer.push(floats(&spec.name, &spec.shape, &values));
        let kind = if spec.trainable { "PARAMETER" } else { "BUFFER" };
        let said = StringStringEntryProto { key: KIND.into(), value: kind.into() };
        let dims = spec.shape.iter().map(|d| known(*d)).collect();
        value_info.push(ValueInfoProto { metadata_props: vec![said], ..shaped(&spec.name, dims) });
    }
    if size >= 1 << 31 {
        return Err(Error::value("weights", format!("are {size} bytes: an ONNX file holds less than 2 GiB")));
    }
    let info = graph.interface();
    let (c, h, w) = info.input;
    let batch = || DimensionProto { dim_value: None, dim_param: Some("N".into()) };
    let network = GraphProto {
        node: writer.nodes,
        name: info.name.clone(),
        initializer,
        input: vec![shaped(INPUT, vec![batch(), known(c), known(h), known(w)])],
        output: vec![shaped(&name_of(graph, graph.output()), vec![batch(), known(info.classes)])],
        value_info,
        sparse_initializer: Vec::new(),
    };
    let model = ModelProto {
        ir_version: IR,
        producer_name: PRODUCER.into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: Some(network),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
        functions: Vec::new(),
    };
    Ok(model.encode_to_vec())
}

/// What the images are called. Values have a colon in their names, which no parameter has.
const INPUT: &str = "images";
const OUTPUT: &str = "logits";

fn name_of(graph: &Graph, id: NodeId) -> String {
    let node = graph.node(id);
    match (&node.op, node.params.first()) {
        (Layer::Parameter, Some(param)) => graph.param(*param).name.clone(),
        (Layer::Input, _) => INPUT.into(),
        _ if id == graph.output() => OUTPUT.into(),
        _ => format!("{}:{}", if node.name.is_empty() { node.op.kind() } else { &node.name }, id.index())
            .replace(' ', "_"),
    }
}

fn known(size: usize) -> DimensionProto {
    DimensionProto { dim_value: Some(size as i64), dim_param: None }
}

fn shaped(name: &str, dim: Vec<DimensionProto>) -> ValueInfoProto {
    let tensor_type = Some(TensorTypeProto { elem_type: element::FLOAT, shape: Some(TensorShapeProto { dim }) });
    ValueInfoProto { name: name.into(), r#type: Some(TypeProto { tensor_type }), metadata_props: Vec::new() }
}

fn floats(name: &str, dims: &[usize], values: &[f32]) -> TensorProto {
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    TensorProto {
        name: name.into(),
        dims: dims.iter().map(|d| *d as i64).collect(),
        data_type: element::FLOAT,
        raw_data: raw.into(),
        ..TensorProto::default()
    }
}

fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: name.into(), i, kind: attribute::INT, ..AttributeProto::default() }
}
fn float(name: &str, f: f64) -> AttributeProto {
    AttributeProto { name: name.into(), f: f as f32, kind: attribute::FLOAT, ..AttributeProto::default() }
}
fn text(name: &str, s: &str) -> AttributeProto {
    let s = s.as_bytes().to_vec().into();
    AttributeProto { name: name.into(), s, kind: attribute::STRING, ..AttributeProto::default() }
}
fn ints(name: &str, all: &[usize]) -> AttributeProto {
    let ints = all.iter().map(|v| *v as i64).collect();
    AttributeProto { name: name.into(), ints, kind: attribute::INTS, ..AttributeProto::default() }
}

/// Size, strides, padding and dilations of windows.
fn windows(w: &Windows) -> Vec<AttributeProto> {
    let pair = |name: &str, (a, b): (usize, usize)| ints(name, &[a, b]);
    vec![
        pair("kernel_shape", w.size),
        pair("strides", w.strides),
        ints("pads", &w.pads),
        pair("dilations", w.dilations),
    ]
}

struct Writer<'a> {
    graph: &'a Graph,
    nodes: Vec<NodeProto>,
    /// Constants and values within layers so far.
    count: usize,
}

impl Writer<'_> {
    fn name(&self, id: NodeId) -> String {
        name_of(self.graph, id)
    }

    fn push(&mut self, op: &str, input: &[&str], output: &str, attribute: Vec<AttributeProto>) {
        let input = input.iter().map(|i| (*i).to_string()).collect();
        let (name, output) = (format!("{op}_{}", self.nodes.len()), vec![output.to_string()]);
        self.nodes.push(NodeProto { input, output, name, op_type: op.into(), attribute, domain: String::new() });
    }

    /// A value within a layer.
    fn inner(&mut self, op: &str, input: &[&str], attribute: Vec<AttributeProto>) -> String {
        self.count += 1;
        let output = format!("inner:{}", self.count);
        self.push(op, input, &output, attribute);
        output
    }

    fn constant(&mut self, t: TensorProto) -> String {
        let value =
            AttributeProto { name: "value".into(), t: Some(t), kind: attribute::TENSOR, ..AttributeProto::default() };
        self.inner("Constant", &[], vec![value])
    }
    fn number(&mut self, value: f64) -> String {
        self.constant(floats("", &[], &[value as f32]))
    }
    fn integers(&mut self, values: &[i64]) -> String {
        self.constant(TensorProto {
            dims: vec![values.len() as i64],
            data_type: element::INT64,
            raw_data: values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>().into(),
            ..TensorProto::default()
        })
    }

    fn node(&mut self, id: NodeId, node: &Node) {
        let out = self.name(id);
        let inputs: Vec<String> = node.inputs.iter().map(|id| self.name(*id)).collect();
        let x = inputs.first().map_or("", String::as_str).to_string();
        let params: Vec<String> = node.params.iter().map(|p| self.graph.param(*p).name.clone()).collect();
        let with: Vec<&str> = std::iter::once(x.as_str()).chain(params.iter().map(String::as_str)).collect();
        let all: Vec<&str> = inputs.iter().map(String::as_str).collect();
        // Axes of the file are behind the batch.
        let lead = usize::from(node.batched);
        let graph = self.graph;
        let size = |axis: usize| graph.param(node.params[0]).shape[axis];
        match &node.op {
            Layer::Input | Layer::Parameter => {}
            Layer::Affine { scale, shift } => {
                let per_channel =
                    |v: &[f64]| floats("", &[v.len(), 1, 1], &v.iter().map(|v| *v as f32).collect::<Vec<_>>());
                let (scale, shift) = (self.constant(per_channel(scale)), self.constant(per_channel(shift)));
                let scaled = self.inner("Mul", &[&x, &scale], vec![]);
                self.push("Add", &[&scaled, &shift], &out, vec![]);
            }
            Layer::Conv2d { stride, padding } => {
                let (s, p) = ((*stride, *stride), [*padding; 4]);
                let w = Windows { size: (size(2), size(3)), strides: s, pads: p, dilations: (1, 1) };
                self.push("Conv", &with, &out, windows(&w));
            }
            Layer::Conv { windows: w, groups } => {
                let mut attributes = windows(w);
                attributes.push(int("group", *groups as i64));
                self.push("Conv", &with, &out, attributes);
            }
            Layer::Conv1d { windows: w, groups } => {
                let attributes = vec![
                    ints("kernel_shape", &[w.size.1]),
                    ints("strides", &[w.strides.1]),
                    ints("pads", &[w.pads[1], w.pads[3]]),
                    ints("dilations", &[w.dilations.1]),
                    int("group", *groups as i64),
                ];
                self.push("Conv", &with, &out, attributes);
            }
            Layer::ConvTranspose { windows: w, groups, extra } => {
                let mut attributes = windows(w);
                attributes.push(int("group", *groups as i64));
                attributes.push(ints("output_padding", &[extra.0, extra.1]));
                self.push("ConvTranspose", &with, &out, attributes);
            }
            Layer::Linear => self.push("Gemm", &with, &out, vec![int("transB", 1)]),
            Layer::BatchNorm { eps, momentum } => {
                let attributes = vec![float("epsilon", *eps), float("momentum", 1.0 - momentum)];
                self.push("BatchNormalization", &with, &out, attributes);
            }
            Layer::Act(act) => self.act(*act, &x, &out),
            Layer::MaxPool { size, stride } => {
                self.push(
                    "MaxPool",
                    &[&x],
                    &out,
                    vec![ints("kernel_shape", &[*size; 2]), ints("strides", &[*stride; 2])],
                );
            }
            Layer::WindowMax(w) => self.push("MaxPool", &[&x], &out, windows(w)),
            Layer::WindowMean { windows: w, overhang, padding_counts } => {
                let mut attributes = windows(w);
                attributes.push(int("ceil_mode", i64::from(*overhang != (0, 0))));
                attributes.push(int("count_include_pad", i64::from(*padding_counts)));
                self.push("AveragePool", &[&x], &out, attributes);
            }
            Layer::GlobalAvgPool => {
                let mean = self.inner("GlobalAveragePool", &[&x], vec![]);
                self.push("Flatten", &[&mean], &out, vec![int("axis", 1)]);
            }
            Layer::Flatten => self.push("Flatten", &[&x], &out, vec![int("axis", 1)]),
            Layer::Add => self.push("Add", &all, &out, vec![]),
            Layer::Maxout { pieces } => {
                let units = node.shape[0];
                let parts: Vec<String> = (0..*pieces).map(|p| self.cut(&x, (lead, p * units, units, 1))).collect();
                self.push("Max", &parts.iter().map(String::as_str).collect::<Vec<_>>(), &out, vec![]);
            }
            Layer::Dropout { p } => {
                let ratio = self.number(*p);
                self.push("Dropout", &[&x, &ratio], &out, vec![]);
            }
            Layer::Map(function) => self.map(*function, &x, &out),
            Layer::Binary(binary) => {
                let op = match binary {
                    Binary::Add => "Add",
                    Binary::Sub => "Sub",
                    Binary::Mul => "Mul",
                    Binary::Div => "Div",
                    Binary::Max => "Max",
                    Binary::Min => "Min",
                    Binary::Prelu => "PRelu",
                };
                self.push(op, &all, &out, vec![]);
            }
            Layer::MatMul => self.push("MatMul", &all, &out, vec![]),
            Layer::Reduce { kind, axes, keep } => {
                let op = match kind {
                    Reduction::Sum => "ReduceSum",
                    Reduction::Mean => "ReduceMean",
                    Reduction::Max => "ReduceMax",
                    Reduction::Min => "ReduceMin",
                    Reduction::Product => "ReduceProd",
                };
                let axes = self.axes(axes, lead);
                self.push(op, &[&x, &axes], &out, vec![int("keepdims", i64::from(*keep))]);
            }
            Layer::Standardise { axes, eps } => self.standardise(axes, *eps, lead, &x, &out),
            Layer::Softmax { axis, log } => {
                let op = if *log { "LogSoftmax" } else { "Softmax" };
                self.push(op, &[&x], &out, vec![int("axis", (axis + lead) as i64)]);
            }
            Layer::Reshape(shape) => {
                let shape = self.shape(shape, -1, lead);
                self.push("Reshape", &[&x, &shape], &out, vec![]);
            }
            Layer::Expand(shape) => {
                let shape = self.shape(shape, 1, lead);
                self.push("Expand", &[&x, &shape], &out, vec![]);
            }
            Layer::Transpose(order) => {
                let order: Vec<usize> = (0..lead).chain(order.iter().map(|o| o + lead)).collect();
                self.push("Transpose", &[&x], &out, vec![ints("perm", &order)]);
            }
            Layer::Slice { axis, start, count, step } => {
                let cut = self.cut(&x, (axis + lead, *start, *count, *step));
                self.push("Identity", &[&cut], &out, vec![]);
            }
            Layer::Select { axis, places } => {
                let places = self.integers(&places.iter().map(|p| *p as i64).collect::<Vec<_>>());
                self.push("Gather", &[&x, &places], &out, vec![int("axis", (axis + lead) as i64)]);
            }
            Layer::Pad { axis, before, after, value } => {
                let rank = node.shape.len() + lead;
                let mut pads = vec![0; 2 * rank];
                (pads[axis + lead], pads[rank + axis + lead]) = (*before as i64, *after as i64);
                let (pads, value) = (self.integers(&pads), self.number(*value));
                self.push("Pad", &[&x, &pads, &value], &out, vec![]);
            }
            Layer::Concat { axis } => {
                let parts = self.for_every_example(node, &all);
                let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
                self.push("Concat", &parts, &out, vec![int("axis", (axis + lead) as i64)]);
            }
        }
    }

    /// The inputs of a node, those without a batch repeated for every example where others have one.
    fn for_every_example(&mut self, node: &Node, inputs: &[&str]) -> Vec<String> {
        let graph = self.graph;
        let batched: Vec<bool> = node.inputs.iter().map(|id| graph.node(*id).batched).collect();
        let Some(beside) = batched.iter().position(|b| *b).filter(|_| batched.contains(&false)) else {
            return inputs.iter().map(|name| (*name).to_string()).collect();
        };
        let first = vec![int("start", 0), int("end", 1)];
        let examples = self.inner("Shape", &[inputs[beside]], first);
        let ones = self.integers(&vec![1; graph.node(node.inputs[beside]).shape.len()]);
        let target = self.inner("Concat", &[&examples, &ones], vec![int("axis", 0)]);
        let one = |(name, batched): (&&str, &bool)| {
            if *batched { (*name).to_string() } else { self.inner("Expand", &[name, &target], vec![]) }
        };
        inputs.iter().zip(&batched).map(one).collect()
    }

    fn axes(&mut self, axes: &[usize], lead: usize) -> String {
        self.integers(&axes.iter().map(|a| (a + lead) as i64).collect::<Vec<_>>())
    }
    /// A shape; `batch` stands for the number of images.
    fn shape(&mut self, shape: &[usize], batch: i64, lead: usize) -> String {
        let all: Vec<i64> = std::iter::repeat_n(batch, lead).chain(shape.iter().map(|n| *n as i64)).collect();
        self.integers(&all)
    }
    /// Entries of an axis: axis, first, how many, step.
    fn cut(&mut self, x: &str, (axis, start, count, step): (usize, usize, usize, usize)) -> String {
        let end = start + (count.max(1) - 1) * step + 1;
        let numbers = [start, end, axis, step].map(|n| self.integers(&[n as i64]));
        let [start, end, axis, step] = &numbers;
        self.inner("Slice", &[x, start, end, axis, step], vec![])
    }

    fn act(&mut self, act: Activation, x: &str, out: &str) {
        match act {
            Activation::Relu => self.push("Relu", &[x], out, vec![]),
            Activation::Softplus => self.push("Softplus", &[x], out, vec![]),
            Activation::Gelu => self.push("Gelu", &[x], out, vec![]),
            Activation::Silu => {
                let gate = self.inner("Sigmoid", &[x], vec![]);
                self.push("Mul", &[x, &gate], out, vec![]);
            }
            Activation::LeakyRelu => self.push("LeakyRelu", &[x], out, vec![float("alpha", 0.01)]),
            Activation::Elu => self.push("Elu", &[x], out, vec![float("alpha", 1.0)]),
            Activation::Tanh => self.push("Tanh", &[x], out, vec![]),
            Activation::Sigmoid => self.push("Sigmoid", &[x], out, vec![]),
        }
    }

    fn map(&mut self, function: Function, x: &str, out: &str) {
        let plain = |op: &'static str| (op, vec![]);
        let (op, attributes) = match function {
            Function::Affine { mul, add } => {
                let (mul, add) = (self.number(mul), self.number(add));
                let scaled = self.inner("Mul", &[x, &mul], vec![]);
                return self.push("Add", &[&scaled, &add], out, vec![]);
            }
            Function::Clamp { lo, hi } => {
                let mut bound = |v: f64| if v.is_finite() { self.number(v) } else { String::new() };
                let (lo, hi) = (bound(lo), bound(hi));
                return self.push("Clip", &[x, &lo, &hi], out, vec![]);
            }
            Function::Step => {
                let numbers = [0.0, 1.0].map(|v| self.number(v));
                let positive = self.inner("Greater", &[x, &numbers[0]], vec![]);
                return self.push("Where", &[&positive, &numbers[1], &numbers[0]], out, vec![]);
            }
            Function::Power { n } => {
                let n = self.number(f64::from(n));
                return self.push("Pow", &[x, &n], out, vec![]);
            }
            Function::LeakyRelu { slope } => ("LeakyRelu", vec![float("alpha", slope)]),
            Function::Elu { alpha } => ("Elu", vec![float("alpha", alpha)]),
            Function::HardSigmoid { alpha, beta } => ("HardSigmoid", vec![float("alpha", alpha), float("beta", beta)]),
            Function::GeluTanh => ("Gelu", vec![text("approximate", "tanh")]),
            Function::HardSwish => plain("HardSwish"),
            Function::Mish => plain("Mish"),
            Function::Softsign => plain("Softsign"),
            Function::Exp => plain("Exp"),
            Function::Log => plain("Log"),
            Function::Sqrt => plain("Sqrt"),
            Function::Abs => plain("Abs"),
            Function::Recip => plain("Reciprocal"),
            Function::Erf => plain("Erf"),
        };
        self.push(op, &[x], out, attributes);
    }

    fn standardise(&mut self, axes: &[usize], eps: f64, lead: usize, x: &str, out: &str) {
        let axes = self.axes(axes, lead);
        let mean = self.inner("ReduceMean", &[x, &axes], vec![]);
        let centred = self.inner("Sub", &[x, &mean], vec![]);
        let square = self.inner("Mul", &[&centred, &centred], vec![]);
        let variance = self.inner("ReduceMean", &[&square, &axes], vec![]);
        let eps = self.number(eps);
        let raised = self.inner("Add", &[&variance, &eps], vec![]);
        let deviation = self.inner("Sqrt", &[&raised], vec![]);
        self.push("Div", &[&centred, &deviation], out, vec![]);
    }
}
