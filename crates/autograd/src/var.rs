//! Variables: candle tensors that know how they were made, and the operations that made them.
//!
//! A variable has a node, a node its operation, and an operation's derivative is made of variables: one type, told in one place.

use crate::{Error, Result, Saves, allowance};
use candle_core::{DType, Device, Tensor};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A tensor and its origin. Cloning shares both.
#[derive(Clone)]
pub struct Var {
    tensor: Tensor,
    node: Option<Arc<Node>>,
}

/// A recorded operation, or a leaf (no operation).
pub(crate) struct Node {
    /// Grows with every node: inputs have smaller numbers than what is made from them.
    pub(crate) id: u64,
    pub(crate) op: Option<Box<dyn Op>>,
    pub(crate) inputs: Vec<Edge>,
    pub(crate) output: Option<Tensor>,
    pub(crate) aux: Vec<Tensor>,
}

pub(crate) struct Edge {
    pub(crate) node: Option<Arc<Node>>,
    pub(crate) value: Option<Tensor>,
    pub(crate) dims: Vec<usize>,
}

/// A differentiable operation. Public: plug-ins may bring their own.
///
/// The vjp is written with [`Var`]s, so that it can be differentiated in turn: a family of operations is closed when
/// every vjp uses operations that have one themselves.
pub trait Op: Send + Sync {
    /// Name in error messages and profiles.
    fn name(&self) -> &'static str;
    /// The value, and what the vjp needs beside inputs and output (pool indices, batch mean and 1/σ).
    fn forward(&self, inputs: &[&Tensor]) -> Result<(Tensor, Vec<Tensor>)>;
    /// The values that the vjp reads.
    fn saves(&self) -> Saves {
        Saves::everything()
    }
    /// Gradients by the inputs: `None` where not needed or where the derivative is zero everywhere.
    fn vjp(&self, saved: &Saved<'_>, grad: &Var, needed: &[bool]) -> Result<Vec<Option<Var>>>;
    /// For piecewise operations: a hash of which piece every element is on, so that gradient checks can discard
    /// directions that cross a kink.
    fn pieces(&self, _output: Option<&Tensor>, _aux: &[Tensor]) -> Result<Option<u64>> {
        Ok(None)
    }
}

/// What was saved of one recorded operation.
pub struct Saved<'a> {
    pub(crate) node: &'a Arc<Node>,
    pub(crate) op: &'static str,
    pub(crate) keep: bool,
}

impl Saved<'_> {
    /// Input `i`: with its origin when the result is to carry a graph, a constant otherwise.
    pub fn input(&self, i: usize) -> Result<Var> {
        let edge = &self.node.inputs[i];
        let value = edge
            .value
            .clone()
            .ok_or_else(|| Error::NotSaved { op: self.op, what: format!("the value of input {i}") })?;
        Ok(Var::with_origin(value, if self.keep { edge.node.clone() } else { None }))
    }
    /// The output, likewise.
    pub fn output(&self) -> Result<Var> {
        let value = self
            .node
            .output
            .clone()
            .ok_or_else(|| Error::NotSaved { op: self.op, what: "the value of the output".into() })?;
        Ok(Var::with_origin(value, if self.keep { Some(self.node.clone()) } else { None }))
    }
    /// Dimensions of input `i`.
    pub fn dims(&self, i: usize) -> &[usize] {
        &self.node.inputs[i].dims
    }
    /// Extra value `k` of the forward.
    pub fn aux(&self, k: usize) -> &Tensor {
        &self.node.aux[k]
    }
    /// Whether the gradients are to be differentiable again.
    pub fn keeps_graph(&self) -> bool {
        self.keep
    }
}

/// All nodes that `root` depends on, itself included, by growing id.
pub(crate) fn ancestors(root: &Arc<Node>) -> Vec<Arc<Node>> {
    let mut seen = HashSet::from([root.id]);
    let mut found = vec![root.clone()];
    let mut next = 0;
    while next < found.len() {
        let node = found[next].clone();
        for input in node.inputs.iter().filter_map(|e| e.node.as_ref()) {
            if seen.insert(input.id) {
                found.push(input.clone());
            }
        }
        next += 1;
    }
    found.sort_unstable_by_key(|n| n.id);
    found
}

static NEXT: AtomicU64 = AtomicU64::new(1);

fn next_id() -> u64 {
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Drop for Node {
    /// Lets go of the inputs one after the other: dropping a deep network by recursion would overflow the stack.
    fn drop(&mut self) {
        let mut pending: Vec<Arc<Node>> = self.inputs.drain(..).filter_map(|e| e.node).collect();
        while let Some(node) = pending.pop() {
            if let Some(mut node) = Arc::into_inner(node) {
                pending.extend(node.inputs.drain(..).filter_map(|e| e.node));
            }
        }
    }
}

impl Var {
    /// Never differentiated.
    pub fn constant(tensor: Tensor) -> Var {
        Var { tensor: tensor.detach(), node: None }
    }

    /// Something to differentiate by: an input, a parameter.
    pub fn leaf(tensor: Tensor) -> Var {
        let node = Node { id: next_id(), op: None, inputs: Vec::new(), output: None, aux: Vec::new() };
        Var { tensor: tensor.detach(), node: Some(Arc::new(node)) }
    }

    pub(crate) fn with_origin(tensor: Tensor, node: Option<Arc<Node>>) -> Var {
        Var { tensor, node }
    }

    pub(crate) fn node(&self) -> Option<&Arc<Node>> {
        self.node.as_ref()
    }

    /// The value.
    pub fn tensor(&self) -> &Tensor {
        &self.tensor
    }

    /// The value without its origin.
    pub fn detach(&self) -> Var {
        Var { tensor: self.tensor.clone(), node: None }
    }

    /// The value as a leaf of its own: something to differentiate by.
    pub fn to_leaf(&self) -> Var {
        Var::leaf(self.tensor.clone())
    }

    /// A number of this variable's origin, shared by its clones; `None` for constants.
    pub fn id(&self) -> Option<u64> {
        self.node.as_ref().map(|n| n.id)
    }

    /// Which of these origins ([`Var::id`]) the value was computed from, its own included.
    pub fn origins_among(&self, origins: &[u64]) -> Vec<u64> {
        let nodes = self.node.as_ref().map(ancestors).unwrap_or_default();
        nodes.iter().map(|n| n.id).filter(|id| origins.contains(id)).collect()
    }

    /// Dimensions.
    pub fn dims(&self) -> &[usize] {
        self.tensor.dims()
    }

    /// One dimension.
    pub fn dim(&self, i: usize) -> Result<usize> {
        Ok(self.tensor.dim(i)?)
    }

    /// f32 or f64.
    pub fn dtype(&self) -> DType {
        self.tensor.dtype()
    }

    /// Where the value lives.
    pub fn device(&self) -> &Device {
        self.tensor.device()
    }

    /// Applies an operation. It is recorded exactly when an input is, or depends on, a leaf.
    pub fn apply(op: impl Op + 'static, inputs: &[&Var]) -> Result<Var> {
        Ok(Self::apply_with_aux(op, inputs)?.0)
    }

    /// Like [`Var::apply`], also returning the extra values of the forward.
    pub fn apply_with_aux(op: impl Op + 'static, inputs: &[&Var]) -> Result<(Var, Vec<Tensor>)> {
        allowance::spend()?;
        let tensors: Vec<&Tensor> = inputs.iter().map(|v| &v.tensor).collect();
        let (value, aux) = op.forward(&tensors)?;
        if inputs.iter().all(|v| v.node.is_none()) {
            return Ok((Var { tensor: value, node: None }, aux));
        }
        let saves = op.saves();
        let edges = inputs.iter().enumerate().map(|(i, v)| Edge {
            node: v.node.clone(),
            value: saves.keeps_input(i).then(|| v.tensor.clone()),
            dims: v.dims().to_vec(),
        });
        let node = Node {
            id: next_id(),
            inputs: edges.collect(),
            output: saves.keeps_output().then(|| value.clone()),
            aux: aux.clone(),
            op: Some(Box::new(op)),
        };
        Ok((Var { tensor: value, node: Some(Arc::new(node)) }, aux))
    }
}

impl std::fmt::Debug for Var {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let origin = match &self.node {
            None => "constant",
            Some(n) => n.op.as_ref().map_or("leaf", |op| op.name()),
        };
        write!(f, "Var({origin}, {:?}, {:?})", self.dims(), self.dtype())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_not_recorded_and_leaves_are() -> Result<()> {
        let c = Var::constant(Tensor::new(&[1.0f64, 2.0], &Device::Cpu)?);
        assert!(c.exp()?.id().is_none());
        let x = Var::leaf(Tensor::new(&[1.0f64, 2.0], &Device::Cpu)?);
        assert!(x.mul(&c)?.id().is_some());
        assert!(x.detach().mul(&c)?.id().is_none());
        let (a, b) = (x.exp()?, x.sqr()?);
        let ids: Vec<u64> = [&x, &a, &b].iter().filter_map(|v| v.id()).collect();
        assert_eq!(a.sqr()?.origins_among(&ids), ids[..2]);
        assert!(a.detach().origins_among(&ids).is_empty());
        Ok(())
    }

    #[test]
    fn a_chain_of_a_million_operations_drops_without_recursion() -> Result<()> {
        let mut x = Var::leaf(Tensor::new(1.0f64, &Device::Cpu)?);
        for _ in 0..1_000_000 {
            x = x.affine(1.0, 0.0)?;
        }
        drop(x);
        Ok(())
    }

    #[test]
    fn variables_can_cross_threads() {
        fn check<T: Send + Sync + Clone + 'static>() {}
        check::<Var>();
    }
}
