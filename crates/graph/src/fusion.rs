//! Which kernels a graph is computed by: several layers in one call where there is a kernel for them.

use crate::{Graph, Layer, NodeId};
use gauntlet_core::Activation;

/// One call of the kernels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Whose layer and parameters.
    pub node: NodeId,
    /// The values that it reads.
    pub inputs: Vec<NodeId>,
    /// Whether a rectifier comes along in the same pass.
    pub rectified: bool,
    /// Whose value it gives, or what is on its way there: a later call may replace it.
    pub output: NodeId,
    /// The values that nothing reads afterwards.
    pub last: Vec<NodeId>,
}

/// The calls of a forward pass, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    calls: Vec<Call>,
}

impl Plan {
    /// The plan of a graph. Where a value is read by one node only:
    ///
    /// * a rectifier behind a convolution, a linear layer or batch norm comes along in the same pass;
    /// * a rectifier between a convolution and a max-pool is applied to what the pool leaves: the two commute, value and
    ///   subgradient.
    pub fn of(graph: &Graph) -> Self {
        Plan::apart(graph, &[])
    }

    /// The same, where some nodes' values are wanted by themselves: they are computed by a call of their own, behind the value that they read.
    pub fn apart(graph: &Graph, apart: &[NodeId]) -> Self {
        let mut readers: Vec<Vec<NodeId>> = vec![Vec::new(); graph.nodes().len()];
        for (i, node) in graph.nodes().iter().enumerate() {
            node.inputs.iter().for_each(|input| readers[input.0].push(NodeId(i)));
        }
        let only_reader = |id: NodeId| match readers[id.0][..] {
            [reader] if id != graph.output() => Some((reader, &graph.node(reader).op)),
            _ => None,
        };
        let call = |node, inputs: &[NodeId], rectified, output| Call {
            node,
            inputs: inputs.to_vec(),
            rectified,
            output,
            last: Vec::new(),
        };
        let mut calls = Vec::new();
        let mut planned = vec![false; graph.nodes().len()];
        // The input is given.
        for (i, node) in graph.nodes().iter().enumerate().skip(1) {
            if planned[i] {
                continue;
            }
            let id = NodeId(i);
            let rectifies = matches!(node.op, Layer::Conv2d { .. } | Layer::Linear | Layer::BatchNorm { .. });
            let rectifier = only_reader(id)
                .filter(|(reader, op)| rectifies && **op == Layer::Act(Activation::Relu) && !apart.contains(reader));
            let Some((rectifier, _)) = rectifier else {
                calls.push(call(id, &node.inputs, false, id));
                continue;
            };
            planned[rectifier.0] = true;
            match only_reader(rectifier) {
                Some((pool, Layer::MaxPool { .. })) if matches!(node.op, Layer::Conv2d { .. }) => {
                    planned[pool.0] = true;
                    calls.push(call(id, &node.inputs, false, id));
                    calls.push(call(pool, &[id], false, pool));
                    calls.push(call(rectifier, &[pool], false, pool));
                }
                _ => calls.push(call(id, &node.inputs, true, rectifier)),
            }
        }
        // From the end: the first call met that reads a value is the last one to need it.
        let mut needed = vec![false; graph.nodes().len()];
        needed[graph.output().0] = true;
        for call in calls.iter_mut().rev() {
            for input in &call.inputs {
                if !std::mem::replace(&mut needed[input.0], true) {
                    call.last.push(*input);
                }
            }
        }
        Plan { calls }
    }

    /// The calls, in order.
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }
}
