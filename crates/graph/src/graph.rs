//! The network as a value.

use crate::Layer;
use gauntlet_core::{ModelInfo, ParamSpec};

/// A node of a graph, and the value that it computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(crate) usize);

impl NodeId {
    /// Its place among [`Graph::nodes`].
    pub fn index(self) -> usize {
        self.0
    }
}

/// A parameter or buffer of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParamId(pub(crate) usize);

impl ParamId {
    /// Its place among [`Graph::params`].
    pub fn index(self) -> usize {
        self.0
    }
}

/// A layer in its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What it computes.
    pub op: Layer,
    /// Of which values; they all stand before it.
    pub inputs: Vec<NodeId>,
    /// With which parameters, in the order that the layer names them.
    pub params: Vec<ParamId>,
    /// What its parameters' names begin with, e.g. `layer1.0.bn1`; empty for layers without.
    pub name: String,
    /// The shape of its value for one example.
    pub shape: Vec<usize>,
    /// Whether there is a value for every example: not of parameters, and of what is made of them alone.
    pub batched: bool,
}

/// A network from images `(C, H, W)` to logits `(K,)`: nodes in an order in which they can be computed, every value assigned
/// once. The first node is the input, and there is no other one.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    pub(crate) interface: ModelInfo,
    pub(crate) nodes: Vec<Node>,
    pub(crate) params: Vec<ParamSpec>,
    pub(crate) output: NodeId,
}

impl Graph {
    /// Name, input, classes, normalisation.
    pub fn interface(&self) -> &ModelInfo {
        &self.interface
    }
    /// All nodes; inputs come before what reads them.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }
    /// Which is which of them, in their order.
    pub fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.nodes.len()).map(NodeId)
    }
    /// One of them.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }
    /// All parameters and buffers, in `state_dict` order.
    pub fn params(&self) -> &[ParamSpec] {
        &self.params
    }
    /// One of them.
    pub fn param(&self, id: ParamId) -> &ParamSpec {
        &self.params[id.0]
    }
    /// Whose value the logits are.
    pub fn output(&self) -> NodeId {
        self.output
    }
}
