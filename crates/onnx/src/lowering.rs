//! A graph in the making: values by their names, parameters as they are used.

use crate::attributes::Attributes;
use crate::order::name;
use crate::proto::NodeProto;
use crate::value::{Batch, Computed, Count, Numbers, Role, Value, Weight};
use gauntlet_core::{Init, ParamSpec};
use gauntlet_graph::{Builder, Fans, Layer, NodeId, torch_default};
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

/// Values of one example that a layer may hand on.
const LARGEST: usize = 1 << 28;

/// A parameter or buffer that is used.
pub(crate) struct Used {
    pub(crate) values: Rc<Vec<f32>>,
    pub(crate) dims: Vec<usize>,
    pub(crate) trainable: bool,
}

pub(crate) struct Lowering {
    pub(crate) builder: Builder,
    /// Of the default domain.
    pub(crate) opset: i64,
    /// Axes of the file's values that are the batch: 1, or 0 where the network takes one example without a batch.
    pub(crate) lead: usize,
    /// Whether the file says that there is exactly one example.
    pub(crate) single: bool,
    /// Names of initialisers that are not to be trained.
    pub(crate) frozen: Vec<String>,
    /// Whether the file says which initialisers are parameters.
    pub(crate) says: bool,
    pub(crate) used: BTreeMap<String, Used>,
    pub(crate) notes: Vec<String>,
    views: HashMap<(NodeId, Vec<usize>), NodeId>,
    parameters: HashMap<String, NodeId>,
    names: HashSet<String>,
}

/// A node on its way into the graph.
pub(crate) struct Op<'a> {
    pub(crate) node: &'a NodeProto,
    pub(crate) attributes: Attributes<'a>,
    pub(crate) inputs: Vec<Option<Value>>,
}

impl Op<'_> {
    pub(crate) fn name(&self) -> &str {
        name(self.node)
    }
    /// The name of its value.
    pub(crate) fn output(&self) -> String {
        self.node.output.first().cloned().unwrap_or_default()
    }
    pub(crate) fn optional(&self, i: usize) -> Option<&Value> {
        self.inputs.get(i).and_then(Option::as_ref)
    }
    pub(crate) fn input(&self, i: usize) -> Result<&Value, String> {
        self.optional(i).ok_or_else(|| format!("input {i} is missing"))
    }
    /// Integers that are known when the file is read.
    pub(crate) fn integers(&self, i: usize) -> Result<Option<Vec<i64>>, String> {
        match self.optional(i) {
            None => Ok(None),
            Some(Value::Whole(whole)) => whole.known().map(Some),
            Some(_) => Err(format!("input {i} has to be integers that the file says")),
        }
    }
    /// A float that is known when the file is read.
    pub(crate) fn number(&self, i: usize) -> Result<Option<f64>, String> {
        match self.optional(i) {
            None => Ok(None),
            Some(Value::Numbers(numbers)) if numbers.one().is_some() => Ok(numbers.one()),
            Some(Value::Weight(w)) if w.values.len() == 1 => Ok(w.values.first().map(|v| f64::from(*v))),
            Some(Value::Whole(whole)) if whole.values.len() == 1 => Ok(whole.known()?.first().map(|v| *v as f64)),
            Some(_) => Err(format!("input {i} has to be one number that the file says")),
        }
    }
}

impl Lowering {
    pub(crate) fn new(builder: Builder, opset: i64, lead: usize, single: bool, frozen: Vec<String>) -> Self {
        Lowering {
            builder,
            opset,
            lead,
            single,
            frozen,
            says: false,
            used: BTreeMap::new(),
            notes: Vec::new(),
            views: HashMap::new(),
            parameters: HashMap::new(),
            names: HashSet::new(),
        }
    }

    pub(crate) fn note(&mut self, text: String) {
        if !self.notes.contains(&text) {
            self.notes.push(text);
        }
    }

    /// Axes of the file's value in front of those of one example.
    pub(crate) fn lead(&self, x: &Computed) -> usize {
        if x.batched { self.lead } else { 0 }
    }

    /// Axes of the file's value.
    pub(crate) fn rank(&self, x: &Computed) -> usize {
        x.shape.len() + self.lead(x)
    }

    /// Which axis of the shape an axis of the file is.
    pub(crate) fn axis(&self, x: &Computed, axis: i64) -> Result<usize, String> {
        let found = absolute(axis, self.rank(x))?;
        match found.cmp(&x.batch.axis) {
            _ if self.lead(x) == 0 => Ok(found),
            Ordering::Less => Ok(found),
            Ordering::Equal => Err("it works across the examples of a batch, which have to stay apart".into()),
            Ordering::Greater => Ok(found - 1),
        }
    }

    /// The sizes of a value in the file.
    pub(crate) fn sizes(&self, x: &Computed) -> Vec<Count> {
        let mut sizes: Vec<Count> = x.shape.iter().map(|n| Count::Known(*n as i64)).collect();
        if self.lead(x) == 1 {
            sizes.insert(x.batch.axis, Count::Batches((x.batch.before * x.batch.after) as i64));
        }
        sizes
    }

    /// A layer without parameters.
    pub(crate) fn push(&mut self, layer: Layer, inputs: &[NodeId]) -> Result<NodeId, String> {
        let id = self.builder.layer(layer, inputs).map_err(|e| e.to_string())?;
        self.bounded(id)
    }

    fn bounded(&self, id: NodeId) -> Result<NodeId, String> {
        let (shape, _) = self.builder.value(id).map_err(|e| e.to_string())?;
        match shape.iter().try_fold(1usize, |a, b| a.checked_mul(*b)) {
            Some(count) if count <= LARGEST => Ok(id),
            _ => Err(format!("would give {shape:?} for every example: too large")),
        }
    }

    /// What a node of the graph gives.
    pub(crate) fn given(&self, id: NodeId, image: bool) -> Result<Computed, String> {
        let (shape, batched) = self.builder.value(id).map_err(|e| e.to_string())?;
        Ok(Computed { id, shape: shape.to_vec(), batched, batch: Batch::FRONT, image })
    }

    /// What a node of the graph gives that kept the axes of `x`: its batch stands where it stood.
    pub(crate) fn kept(&self, id: NodeId, x: &Computed, image: bool) -> Result<Computed, String> {
        let y = self.given(id, image)?;
        if !x.batched || x.batch == Batch::FRONT {
            return Ok(y);
        }
        let (axis, with) = (x.batch.axis, x.batch.with());
        if y.shape.get(axis..axis + with.len()) != Some(&with) {
            return Err("it works across the examples of a batch, which have to stay apart".into());
        }
        let shape = [&y.shape[..axis], &y.shape[axis + with.len()..]].concat();
        Ok(Computed { shape, batch: x.batch, ..y })
    }

    /// A layer of one value.
    pub(crate) fn layer(&mut self, layer: Layer, x: &Computed) -> Result<Computed, String> {
        let node = self.node(x)?;
        let id = self.push(layer, &[node])?;
        self.kept(id, x, false)
    }

    /// A value in the shape that it is seen in.
    pub(crate) fn node(&mut self, x: &Computed) -> Result<NodeId, String> {
        let (shape, _) = self.builder.value(x.id).map_err(|e| e.to_string())?;
        let seen = x.apart();
        if shape == seen {
            return Ok(x.id);
        }
        let key = (x.id, seen.clone());
        if let Some(id) = self.views.get(&key) {
            return Ok(*id);
        }
        let layer = if seen.len() == 1 && x.batched { Layer::Flatten } else { Layer::Reshape(seen) };
        let id = self.push(layer, &[x.id])?;
        self.views.insert(key, id);
        Ok(id)
    }

    /// A value as a node of the graph, the batch being its first axis.
    pub(crate) fn computed(&mut self, value: &Value) -> Result<Computed, String> {
        let x = self.anywhere(value)?;
        if x.batched && x.batch != Batch::FRONT {
            return Err("the batch stands behind or within another axis, which is not supported here".into());
        }
        Ok(x)
    }

    /// A value as a node of the graph, wherever its batch stands in the file.
    pub(crate) fn anywhere(&mut self, value: &Value) -> Result<Computed, String> {
        let (weight, init) = match value {
            Value::Computed(x) => return Ok(x.clone()),
            Value::Repeated(_) => {
                return Err("it repeats a parameter for every example, which is not supported here".into());
            }
            Value::Weight(weight) => (weight.clone(), Init::Constant(0.0)),
            Value::Numbers(numbers) => (constant(numbers), Init::Constant(0.0)),
            Value::Mask(_) => return Err("truth values stand where the network computes with floats".into()),
            Value::Whole(_) => return Err("integers stand where the network computes with floats".into()),
        };
        self.parameter(&weight, init, true)
    }

    /// A parameter as a value of its own.
    pub(crate) fn parameter(&mut self, weight: &Weight, init: Init, trained: bool) -> Result<Computed, String> {
        if let Some(id) = self.parameters.get(&weight.name) {
            return self.given(*id, false);
        }
        // Where the file says what its parameters are, what it does not name is a constant of the exporter. Weights of convolutions,
        // linear layers and products, which it does not name where something was folded into them, do not come here unsaid.
        let made = self.says && weight.role == Role::Unsaid;
        if made && trained {
            let name = &weight.name;
            self.note(format!(
                "{name} is none of the parameters that the file names: a constant of the exporter, which is not trained"
            ));
        }
        let spec = self.spec(weight, init, trained && !made);
        let name = self.free(&weight.name);
        let added = self.builder.layer_with(Layer::Parameter, &[], name, vec![spec]);
        let id = added.map_err(|e| e.to_string())?;
        let id = self.bounded(id)?;
        self.parameters.insert(weight.name.clone(), id);
        self.given(id, false)
    }

    /// A parameter of a layer; it is trained if `trained`, unless the file or the user says otherwise.
    pub(crate) fn spec(&mut self, weight: &Weight, init: Init, trained: bool) -> ParamSpec {
        let trainable = trained && weight.role != Role::Buffer && !self.frozen.contains(&weight.name);
        let Weight { name, dims, values, .. } = weight;
        let used = Used { values: values.clone(), dims: dims.clone(), trainable };
        let trainable = self.used.entry(name.clone()).or_insert(used).trainable;
        ParamSpec { name: name.clone(), shape: dims.clone(), init, trainable }
    }

    /// Weight and bias of a layer, which start as PyTorch's do where they are not the file's.
    pub(crate) fn weights(&mut self, weight: &Weight, bias: Option<&Weight>) -> Vec<ParamSpec> {
        let fans = Fans { inputs: weight.dims[1..].iter().product(), outputs: 0 };
        let (start, bias_start) = torch_default(fans);
        let weight = self.spec(weight, start, true);
        std::iter::once(weight).chain(bias.map(|b| self.spec(b, bias_start, true))).collect()
    }

    /// A name that no layer has: what the parameters' names begin with, where they say one.
    pub(crate) fn free(&mut self, wanted: &str) -> String {
        let mut name = wanted.to_string();
        let mut k = 1;
        while !self.names.insert(name.clone()) {
            k += 1;
            name = format!("{wanted}#{k}");
        }
        name
    }
}

/// `fc1` of `fc1.weight`; other names as they are.
pub(crate) fn stem(parameter: &str) -> &str {
    parameter.strip_suffix(".weight").unwrap_or(parameter)
}

/// An axis counted from the front.
pub(crate) fn absolute(axis: i64, rank: usize) -> Result<usize, String> {
    let signed = i64::try_from(rank).unwrap_or(0);
    let found = if axis < 0 { axis.checked_add(signed) } else { Some(axis) };
    let found = found.and_then(|a| usize::try_from(a).ok()).filter(|a| *a < rank);
    found.ok_or_else(|| format!("there is no axis {axis} of {rank}"))
}

/// Constants as a buffer.
pub(crate) fn constant(numbers: &Numbers) -> Weight {
    let values = Rc::new(numbers.values.iter().map(|v| *v as f32).collect());
    Weight { name: numbers.name.clone(), dims: numbers.dims.clone(), values, role: Role::Buffer }
}

/// A value that a layer can have as its parameter.
pub(crate) fn weight(value: &Value) -> Result<Weight, String> {
    match value {
        Value::Weight(weight) => Ok(weight.clone()),
        Value::Numbers(numbers) => Ok(constant(numbers)),
        _ => Err("its weights are computed by other nodes: export it so that they are initialisers".into()),
    }
}
