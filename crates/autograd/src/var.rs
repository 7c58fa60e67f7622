//! Variables: candle tensors that know how they were made.

use crate::gradient::ancestors;
use crate::{Op, Result, allowance};
use candle_core::{DType, Device, Tensor};
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
