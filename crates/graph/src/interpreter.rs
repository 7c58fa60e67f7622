//! A graph as a network that computes.

use crate::{Backward, Call, Graph, Layer, NodeId, Plan, movement, product, reduction, windows};
use gauntlet_autograd::Var;
use gauntlet_autograd::kernels::constant_like;
use gauntlet_core::{BatchStats, Error, Key, Mode, ModelInfo, Network, ParamSpec, Params, Pass, Result};
use std::any::Any;

/// A graph with the plan by which it is computed.
#[derive(Debug, Clone)]
pub struct Interpreter {
    graph: Graph,
    plan: Plan,
    /// Nodes with the derivatives of something else.
    replaced: Vec<(NodeId, Backward)>,
}

/// The graph that a network computes; `None`: it is none whose layers are known.
pub fn graph_of(network: &dyn Network) -> Option<&Graph> {
    network.layers()?.downcast_ref()
}

impl Interpreter {
    /// The network that computes `graph`.
    pub fn new(graph: Graph) -> Self {
        let plan = Plan::of(&graph);
        Interpreter { graph, plan, replaced: Vec::new() }
    }
    /// The same network, its values to the bit, but for what gradients meet at `node`: there they go through `backward` instead of the
    /// layer (BPDA, Athalye, Carlini & Wagner 2018). For layers whose own derivative is zero or none: steps, thresholds, quantisers.
    ///
    /// # Errors
    /// A node that is not elementwise.
    ///
    /// ```
    /// use gauntlet_core::{Activation, ModelInfo};
    /// use gauntlet_graph::{Backward, Builder, Function, Interpreter, Layer};
    /// # let info = ModelInfo { name: "tiny".into(), input: (1, 8, 8), classes: 10, activation: Activation::Relu, mean: vec![], std: vec![], numerics: 1 };
    /// let mut g = Builder::new(info);
    /// let x = g.input();
    /// let black_or_white = g.layer(Layer::Map(Function::Step), &[x])?;
    /// let y = g.flatten(black_or_white)?;
    /// let z = g.linear("fc", 10).of(y)?;
    /// let network = Interpreter::new(g.finish(z)?).with_backward(black_or_white, Backward::Identity)?;
    /// assert!(Interpreter::new(network.graph().clone()).with_backward(z, Backward::Identity).is_err());
    /// # Ok::<(), gauntlet_core::Error>(())
    /// ```
    pub fn with_backward(mut self, node: NodeId, backward: Backward) -> Result<Self> {
        Backward::fits(&self.graph, node)?;
        self.replaced.retain(|(other, _)| *other != node);
        self.replaced.push((node, backward));
        let apart: Vec<NodeId> = self.replaced.iter().map(|(node, _)| *node).collect();
        self.plan = Plan::apart(&self.graph, &apart);
        Ok(self)
    }
    /// What is computed.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }
    /// How it is computed.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What the masks of a dropout are drawn by: the pass's key for the first one, a key below it for every other.
    fn dropout_key(&self, node: NodeId, pass: &Pass<'_>) -> Key {
        let before = &self.graph.nodes()[..node.index()];
        match before.iter().filter(|n| matches!(n.op, Layer::Dropout { .. })).count() {
            0 => pass.key,
            others => pass.key.child(others as u64),
        }
    }

    fn call(&self, call: &Call, values: &[Option<Var>], params: &Params, pass: &mut Pass<'_>) -> Result<Var> {
        let node = self.graph.node(call.node);
        let param = |i: usize| params.get(&self.graph.param(node.params[i]).name);
        if node.op == Layer::Parameter {
            return Ok(param(0)?.clone());
        }
        let x = value(values, call.inputs[0])?;
        // The kernels norm images: a vector is one of a single pixel.
        let (vector, image) = match (&node.op, x.dims()) {
            (Layer::BatchNorm { .. }, &[n, c]) => (Some([n, c]), Some(x.reshape(&[n, c, 1, 1])?)),
            _ => (None, None),
        };
        let x = image.as_ref().unwrap_or(x);
        let second = || value(values, call.inputs[1]);
        // What stands in front of an example's axes.
        let lead = usize::from(node.batched);
        let full = |shape: &[usize]| [&x.dims()[..lead], shape].concat();
        let rectified = call.rectified;
        let y = match &node.op {
            Layer::Input | Layer::Parameter => x.clone(),
            Layer::Affine { scale, shift } => {
                let constant =
                    |v: &[f64]| -> Result<Var> { Ok(Var::constant(constant_like(v, &[v.len()], x.tensor())?)) };
                x.channel_affine(&constant(scale)?, &constant(shift)?)?
            }
            Layer::Conv2d { stride, padding } => {
                let weight = param(0)?;
                let bias = if node.params.len() > 1 { Some(param(1)?) } else { None };
                if rectified {
                    x.conv2d_relu(weight, bias, *stride, *padding)?
                } else {
                    x.conv2d(weight, bias, *stride, *padding)?
                }
            }
            Layer::Linear => match (node.params.len() > 1, rectified) {
                (true, true) => x.linear_relu(param(0)?, param(1)?)?,
                (true, false) => x.linear(param(0)?, Some(param(1)?))?,
                (false, true) => x.linear(param(0)?, None)?.relu()?,
                (false, false) => x.linear(param(0)?, None)?,
            },
            Layer::BatchNorm { eps, .. } if pass.mode == Mode::Eval => {
                let (gamma, beta, mean, var) = (param(0)?, param(1)?, param(2)?.tensor(), param(3)?.tensor());
                if rectified {
                    x.batch_norm_relu_eval(gamma, beta, mean, var, *eps)?
                } else {
                    x.batch_norm_eval(gamma, beta, mean, var, *eps)?
                }
            }
            Layer::BatchNorm { eps, momentum } => {
                let (gamma, beta) = (param(0)?, param(1)?);
                let (y, mean, var) = if rectified {
                    x.batch_norm_relu_train(gamma, beta, *eps)?
                } else {
                    x.batch_norm_train(gamma, beta, *eps)?
                };
                pass.stats.push(BatchStats { layer: node.name.clone(), mean, var, momentum: *momentum });
                y
            }
            Layer::Act(act) => act.apply(x)?,
            Layer::MaxPool { size, stride } => x.max_pool2d(*size, *stride)?,
            Layer::GlobalAvgPool => x.mean_keepdim(&[2, 3])?.reshape(&[x.dim(0)?, x.dim(1)?])?,
            Layer::Add => x.add(second()?)?,
            Layer::Flatten => x.flatten()?,
            Layer::Maxout { pieces } => maxout(x, *pieces)?,
            Layer::Dropout { p } if pass.mode == Mode::Train => {
                dropout(x, *p, self.dropout_key(call.node, pass), pass)?
            }
            Layer::Dropout { .. } => x.clone(),
            Layer::Conv { windows, groups } => {
                let bias = if node.params.len() > 1 { Some(param(1)?) } else { None };
                windows::conv(x, param(0)?, bias, windows, *groups)?
            }
            Layer::Conv1d { windows, groups } => {
                let bias = if node.params.len() > 1 { Some(param(1)?) } else { None };
                // An image of one row.
                let y = windows::conv(&x.unsqueeze(2)?, &param(0)?.unsqueeze(2)?, bias, windows, *groups)?;
                y.reshape(&full(&node.shape))?
            }
            Layer::ConvTranspose { windows, groups, extra } => {
                let bias = if node.params.len() > 1 { Some(param(1)?) } else { None };
                windows::conv_transpose(x, (param(0)?, bias), windows, *groups, *extra)?
            }
            Layer::WindowMax(windows) => windows::max(x, windows)?,
            Layer::WindowMean { windows, overhang, padding_counts } => {
                windows::mean(x, windows, *overhang, *padding_counts)?
            }
            Layer::Map(function) => function.apply(x)?,
            Layer::Binary(binary) => binary.apply(x, second()?)?,
            Layer::MatMul => {
                let batched = |i: usize| self.graph.node(call.inputs[i]).batched;
                product::matmul((x, batched(0)), (second()?, batched(1)))?
            }
            Layer::Reduce { kind, axes, keep } => reduction::reduce(x, *kind, axes, lead, *keep)?,
            Layer::Standardise { axes, eps } => reduction::standardise(x, axes, lead, *eps)?,
            Layer::Softmax { axis, log } => reduction::softmax(x, axis + lead, *log)?,
            Layer::Reshape(shape) => x.reshape(&full(shape))?,
            Layer::Transpose(order) => movement::transpose(x, order, lead)?,
            Layer::Slice { axis, start, count, step } => movement::slice(x, axis + lead, *start, *count, *step)?,
            Layer::Select { axis, places } => movement::select(x, axis + lead, places)?,
            Layer::Pad { axis, before, after, value } => movement::pad(x, axis + lead, (*before, *after), *value)?,
            Layer::Concat { axis } => {
                let parts = call.inputs.iter().map(|id| value(values, *id)).collect::<Result<Vec<_>>>()?;
                let alone = |id: &NodeId| node.batched && !self.graph.node(*id).batched;
                let beside = call.inputs.iter().zip(&parts).find(|(id, _)| !alone(id));
                let (Some((_, beside)), true) = (beside, call.inputs.iter().any(alone)) else {
                    return Ok(Var::cat(&parts, axis + lead)?);
                };
                let examples = beside.dim(0)?;
                let whole = call.inputs.iter().zip(&parts).map(|(id, part)| {
                    let one = (*part).clone();
                    Ok(if alone(id) { one.broadcast_to(&[&[examples], part.dims()].concat())? } else { one })
                });
                Var::cat(&whole.collect::<Result<Vec<Var>>>()?.iter().collect::<Vec<_>>(), axis + lead)?
            }
            Layer::Expand(shape) => x.broadcast_to(&full(shape))?,
        };
        Ok(match vector {
            Some(dims) => y.reshape(&dims)?,
            None => y,
        })
    }
}

impl Network for Interpreter {
    fn info(&self) -> &ModelInfo {
        self.graph.interface()
    }
    fn specs(&self) -> Vec<ParamSpec> {
        self.graph.params().to_vec()
    }
    fn activations(&self) -> u64 {
        let count = |shape: &[usize]| shape.iter().fold(1u64, |n, side| n.saturating_mul(*side as u64));
        self.graph.nodes().iter().fold(0, |n, node| n.saturating_add(count(&node.shape)))
    }
    fn layers(&self) -> Option<&dyn Any> {
        Some(&self.graph)
    }
    fn forward(&self, params: &Params, x: &Var, pass: &mut Pass<'_>) -> Result<Var> {
        let ModelInfo { name, input: (c, h, w), .. } = self.graph.interface();
        if x.dims().len() != 4 || x.dims()[1..] != [*c, *h, *w] {
            return Err(Error::value(name.clone(), format!("expects images (N, {c}, {h}, {w}), got {:?}", x.dims())));
        }
        let mut values = vec![None; self.graph.nodes().len()];
        values[0] = Some(x.clone());
        for call in self.plan.calls() {
            let mut found = self.call(call, &values, params, pass)?;
            if let Some((_, backward)) = self.replaced.iter().find(|(node, _)| *node == call.node) {
                found = backward.through(value(&values, call.inputs[0])?, &found)?;
            }
            call.last.iter().for_each(|id| values[id.index()] = None);
            values[call.output.index()] = Some(found);
        }
        value(&values, self.graph.output()).cloned()
    }
}

fn value(values: &[Option<Var>], id: NodeId) -> Result<&Var> {
    let missing =
        || Error::Message(format!("node {} is read before it is computed or after it was let go", id.index()));
    values[id.index()].as_ref().ok_or_else(missing)
}

/// The largest of every unit's pieces.
fn maxout(x: &Var, pieces: usize) -> Result<Var> {
    let units = x.dim(1)? / pieces;
    let mut best = x.narrow(1, 0, units)?;
    for p in 1..pieces {
        // max(a, b) = b + relu(a − b)
        let piece = x.narrow(1, p * units, units)?;
        best = piece.add(&best.sub(&piece)?.relu()?)?;
    }
    Ok(best)
}

/// Keeps a unit with probability 1 − p and scales it up; the mask is drawn per example id.
fn dropout(x: &Var, p: f64, key: Key, pass: &Pass<'_>) -> Result<Var> {
    // U(0, 1) − p: below 0 a unit is dropped.
    let draws = key.uniform(pass.ids, x.dims(), (-p, 1.0 - p), x.tensor())?;
    let kept = Var::constant(draws).sign()?.relu()?;
    Ok(x.mul(&kept.affine(1.0 / (1.0 - p), 0.0)?)?)
}
