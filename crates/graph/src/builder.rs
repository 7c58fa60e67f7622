//! How a network is written down: every layer named once.

use crate::{Fans, Graph, Layer, Node, NodeId, ParamId, Start, shape};
use gauntlet_core::{Error, Init, ModelInfo, ParamSpec, Result};
use std::collections::HashMap;

/// PyTorch's defaults.
const BATCH_NORM: Layer = Layer::BatchNorm { eps: 1e-5, momentum: 0.1 };

/// A graph in the making. Layers are computed in the order in which they are told.
pub struct Builder {
    interface: ModelInfo,
    nodes: Vec<Node>,
    /// Of every node.
    specs: Vec<Vec<ParamSpec>>,
    /// Nodes with parameters, in the order in which those are listed.
    listed: Vec<usize>,
    /// How every layer starts, whatever its own initialisers.
    scheme: Option<Start>,
}

impl Builder {
    /// A network of nothing but its input.
    pub fn new(interface: ModelInfo) -> Self {
        let (c, h, w) = interface.input;
        let op = Layer::Input;
        let (name, shape) = (String::new(), vec![c, h, w]);
        let input = Node { op, inputs: Vec::new(), params: Vec::new(), name, shape, batched: true };
        Builder { interface, nodes: vec![input], specs: vec![Vec::new()], listed: Vec::new(), scheme: None }
    }

    /// Starts every layer with weights like this, whatever initialisers it names itself.
    #[must_use]
    pub fn starting(mut self, scheme: Start) -> Self {
        self.scheme = Some(scheme);
        self
    }

    /// With another number of classes, where it is known from the last layer only.
    #[must_use]
    pub fn with_classes(mut self, classes: usize) -> Self {
        self.interface.classes = classes;
        self
    }

    /// The images.
    pub fn input(&self) -> NodeId {
        NodeId(0)
    }

    /// `x[c] · scale[c] + shift[c]` with constants.
    ///
    /// # Errors
    /// Another number of channels.
    pub fn affine(&mut self, x: NodeId, scale: Vec<f64>, shift: Vec<f64>) -> Result<NodeId> {
        self.push(Layer::Affine { scale, shift }, &[x])
    }

    /// Batch norm with PyTorch's `eps` (1e-5) and `momentum` (0.1), starting as the identity.
    ///
    /// # Errors
    /// No channels; a name that is taken.
    pub fn batch_norm(&mut self, name: impl Into<String>, x: NodeId) -> Result<NodeId> {
        let name = name.into();
        let channels = self.shape(x)?[0];
        let spec = |leaf: &str, value, trainable| ParamSpec {
            name: format!("{name}.{leaf}"),
            shape: vec![channels],
            init: Init::Constant(value),
            trainable,
        };
        let specs = vec![
            spec("weight", 1.0, true),
            spec("bias", 0.0, true),
            spec("running_mean", 0.0, false),
            spec("running_var", 1.0, false),
        ];
        self.push_with(BATCH_NORM, &[x], name, specs)
    }

    /// The network's nonlinearity.
    ///
    /// # Errors
    /// A node of another network.
    pub fn act(&mut self, x: NodeId) -> Result<NodeId> {
        self.push(Layer::Act(self.interface.activation), &[x])
    }

    /// Maxima of `size`×`size` windows side by side.
    ///
    /// # Errors
    /// A window that does not fit.
    pub fn max_pool(&mut self, x: NodeId, size: usize) -> Result<NodeId> {
        self.push(Layer::MaxPool { size, stride: size }, &[x])
    }

    /// Means over all places.
    ///
    /// # Errors
    /// No image.
    pub fn global_avg_pool(&mut self, x: NodeId) -> Result<NodeId> {
        self.push(Layer::GlobalAvgPool, &[x])
    }

    /// a + b.
    ///
    /// # Errors
    /// Two shapes.
    pub fn add(&mut self, a: NodeId, b: NodeId) -> Result<NodeId> {
        self.push(Layer::Add, &[a, b])
    }

    /// All axes as one.
    ///
    /// # Errors
    /// A node of another network.
    pub fn flatten(&mut self, x: NodeId) -> Result<NodeId> {
        self.push(Layer::Flatten, &[x])
    }

    /// The largest of `pieces` values each; value p · units + u is piece p of unit u.
    ///
    /// # Errors
    /// A number of values that is no multiple of `pieces`.
    pub fn maxout(&mut self, x: NodeId, pieces: usize) -> Result<NodeId> {
        self.push(Layer::Maxout { pieces }, &[x])
    }

    /// Drops units with probability `p` in train mode; every such layer has draws of its own.
    ///
    /// # Errors
    /// Another `p` than from 0 to below 1.
    pub fn dropout(&mut self, x: NodeId, p: f64) -> Result<NodeId> {
        if !(0.0..1.0).contains(&p) {
            return Err(self.wrong("dropout", &format!("drops with a probability from 0 to below 1, got {p}")));
        }
        self.push(Layer::Dropout { p }, &[x])
    }

    /// Lists the parameters of `layer` behind those of `other`: modules may be registered in another order than they are
    /// computed in.
    ///
    /// # Errors
    /// A layer without parameters.
    pub fn list_after(&mut self, layer: NodeId, other: NodeId) -> Result<()> {
        let place = |listed: &[usize], id: NodeId| listed.iter().position(|i| *i == id.0);
        let (Some(from), Some(_)) = (place(&self.listed, layer), place(&self.listed, other)) else {
            return Err(self.wrong("list_after", "one of the two layers has no parameters"));
        };
        self.listed.remove(from);
        let behind = place(&self.listed, other).map_or(self.listed.len(), |i| i + 1);
        self.listed.insert(behind, layer.0);
        Ok(())
    }

    /// The network whose logits are the value of `output`.
    ///
    /// # Errors
    /// Another shape than one logit per class; a layer that nothing reads.
    pub fn finish(mut self, output: NodeId) -> Result<Graph> {
        let (shape, classes) = (self.shape(output)?, self.interface.classes);
        if !self.nodes[output.0].batched {
            return Err(self.wrong("output", "does not depend on the image"));
        }
        if shape != [classes] {
            let why = format!("is {}, logits are {classes} values, one per class", shape::written(shape));
            return Err(self.wrong("output", &why));
        }
        let mut read = vec![false; self.nodes.len()];
        read[output.0] = true;
        self.nodes.iter().flat_map(|n| &n.inputs).for_each(|i| read[i.0] = true);
        if let Some(idle) = read.iter().position(|read| !read) {
            return Err(self.wrong(&self.label(idle), "nothing reads its value"));
        }
        let mut params: Vec<ParamSpec> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for i in std::mem::take(&mut self.listed) {
            for spec in std::mem::take(&mut self.specs[i]) {
                let known = places.get(&spec.name).copied();
                if let Some(other) = known.filter(|k| params[*k].shape != spec.shape) {
                    let shapes = (shape::written(&params[other].shape), shape::written(&spec.shape));
                    return Err(self.wrong(&spec.name, &format!("is a parameter of {} and of {}", shapes.0, shapes.1)));
                }
                self.nodes[i].params.push(ParamId(known.unwrap_or(params.len())));
                if known.is_none() {
                    places.insert(spec.name.clone(), params.len());
                    params.push(spec);
                }
            }
        }
        Ok(Graph { interface: self.interface, nodes: self.nodes, params, output })
    }

    /// Any layer without parameters.
    ///
    /// # Errors
    /// What does not fit.
    pub fn layer(&mut self, op: Layer, inputs: &[NodeId]) -> Result<NodeId> {
        self.push(op, inputs)
    }

    /// Any layer with parameters, in the order that the layer names them. Two layers may have one in common.
    ///
    /// # Errors
    /// What does not fit; a name that is taken.
    pub fn layer_with(
        &mut self,
        op: Layer,
        inputs: &[NodeId],
        name: impl Into<String>,
        params: Vec<ParamSpec>,
    ) -> Result<NodeId> {
        self.push_with(op, inputs, name.into(), params)
    }

    /// [`Builder::finish`] without the layers that the logits do not depend on.
    ///
    /// # Errors
    /// Another shape than one logit per class.
    pub fn finish_reachable(mut self, output: NodeId) -> Result<Graph> {
        self.shape(output)?;
        let mut read = vec![false; self.nodes.len()];
        (read[0], read[output.0]) = (true, true);
        for i in (0..self.nodes.len()).rev() {
            if read[i] {
                self.nodes[i].inputs.iter().for_each(|input| read[input.0] = true);
            }
        }
        let places: Vec<usize> =
            read.iter().scan(0, |n, read| Some(std::mem::replace(n, *n + usize::from(*read)))).collect();
        let kept = |i: &usize| read[*i];
        let place = |id: &NodeId| NodeId(places[id.0]);
        let nodes = std::mem::take(&mut self.nodes).into_iter().enumerate().filter(|(i, _)| kept(i));
        self.nodes = nodes.map(|(_, n)| Node { inputs: n.inputs.iter().map(place).collect(), ..n }).collect();
        let specs = std::mem::take(&mut self.specs).into_iter().enumerate().filter(|(i, _)| kept(i));
        self.specs = specs.map(|(_, specs)| specs).collect();
        self.listed = self.listed.iter().filter(|i| kept(i)).map(|i| places[*i]).collect();
        self.finish(NodeId(places[output.0]))
    }

    /// The shape of a value for one example, and whether it has a batch in front.
    ///
    /// # Errors
    /// A node of another network.
    pub fn value(&self, id: NodeId) -> Result<(&[usize], bool)> {
        Ok((self.shape(id)?, self.nodes[id.0].batched))
    }

    fn push(&mut self, op: Layer, inputs: &[NodeId]) -> Result<NodeId> {
        self.push_with(op, inputs, String::new(), Vec::new())
    }

    pub(crate) fn push_with(
        &mut self,
        op: Layer,
        inputs: &[NodeId],
        name: String,
        specs: Vec<ParamSpec>,
    ) -> Result<NodeId> {
        let label = if name.is_empty() { op.kind() } else { &name };
        if !name.is_empty() && self.nodes.iter().any(|n| n.name == name) {
            return Err(self.wrong(label, "two layers have this name"));
        }
        let shapes = inputs.iter().map(|i| self.shape(*i)).collect::<Result<Vec<_>>>()?;
        let weight = specs.first().map(|s| s.shape.as_slice());
        let batched: Vec<bool> = inputs.iter().map(|i| self.nodes[i.0].batched).collect();
        let shape = shape::output(&op, &shapes, &batched, weight).map_err(|why| self.wrong(label, &why))?;
        if shape.contains(&0) {
            return Err(self.wrong(label, &format!("would give {}, which is no value at all", shape::written(&shape))));
        }
        let id = self.nodes.len();
        if !specs.is_empty() {
            self.listed.push(id);
        }
        self.specs.push(specs);
        let batched = batched.contains(&true);
        self.nodes.push(Node { op, inputs: inputs.to_vec(), params: Vec::new(), name, shape, batched });
        Ok(NodeId(id))
    }

    /// Weight and, where wanted, bias of a layer.
    pub(crate) fn weights(&self, name: &str, weight: Vec<usize>, bias: bool, own: Start) -> Vec<ParamSpec> {
        let (start, bias_start) = self.scheme.unwrap_or(own)(Fans::of(&weight));
        let spec = |leaf: &str, shape, init| ParamSpec { name: format!("{name}.{leaf}"), shape, init, trainable: true };
        let outputs = vec![weight[0]];
        let bias = bias.then(|| spec("bias", outputs, bias_start));
        std::iter::once(spec("weight", weight, start)).chain(bias).collect()
    }

    pub(crate) fn shape(&self, id: NodeId) -> Result<&[usize]> {
        let node = self.nodes.get(id.0).ok_or_else(|| self.wrong("input", "is a node of another network"))?;
        Ok(&node.shape)
    }

    /// A node as errors call it.
    fn label(&self, i: usize) -> String {
        let Node { op, name, .. } = &self.nodes[i];
        if name.is_empty() { format!("{} (node {i})", op.kind()) } else { name.clone() }
    }

    fn wrong(&self, layer: &str, why: &str) -> Error {
        Error::value(format!("{}, layer {layer}", self.interface.name), why)
    }
}
