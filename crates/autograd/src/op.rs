//! What an operation must know to be differentiable: its value and its vector-Jacobian product.

use crate::var::Node;
use crate::{Error, Result, Var};
use candle_core::Tensor;
use std::sync::Arc;

/// Which values a vjp reads; everything else is dropped as soon as the operation is recorded.
#[derive(Debug, Clone)]
pub struct Saves {
    /// `None`: all.
    inputs: Option<Vec<usize>>,
    output: bool,
}

impl Saves {
    /// All inputs and the output.
    pub fn everything() -> Self {
        Saves { inputs: None, output: true }
    }
    /// Neither inputs nor output (shapes are always kept).
    pub fn nothing() -> Self {
        Saves { inputs: Some(Vec::new()), output: false }
    }
    /// These inputs, not the output.
    pub fn inputs(positions: &[usize]) -> Self {
        Saves { inputs: Some(positions.to_vec()), output: false }
    }
    /// The output, no input.
    pub fn output() -> Self {
        Saves { inputs: Some(Vec::new()), output: true }
    }
    /// These inputs and the output.
    pub fn inputs_and_output(positions: &[usize]) -> Self {
        Saves { inputs: Some(positions.to_vec()), output: true }
    }
    pub(crate) fn keeps_input(&self, i: usize) -> bool {
        self.inputs.as_ref().is_none_or(|kept| kept.contains(&i))
    }
    pub(crate) fn keeps_output(&self) -> bool {
        self.output
    }
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
