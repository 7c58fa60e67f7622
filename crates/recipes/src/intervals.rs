//! Intervals of every number that a network computes on boxes of images, as functions of its weights.

use candle_core::Tensor;
use gauntlet_autograd::Var;
use gauntlet_autograd::kernels::{constant_like, zeros_like};
use gauntlet_core::{Activation, Error, ModelInfo, Network, Params, Result, Step};
use gauntlet_graph::{Graph, Layer, Node, graph_of};

/// Middles and half widths, of one shape.
#[derive(Debug, Clone)]
pub(crate) struct Interval {
    pub(crate) middle: Var,
    pub(crate) half: Var,
}

impl Interval {
    fn between(low: &Var, high: &Var) -> Result<Self> {
        let middle = low.add(high)?.affine(0.5, 0.0)?;
        Ok(Interval { middle, half: high.sub(low)?.affine(0.5, 0.0)? })
    }
    pub(crate) fn low(&self) -> Result<Var> {
        Ok(self.middle.sub(&self.half)?)
    }
    pub(crate) fn high(&self) -> Result<Var> {
        Ok(self.middle.add(&self.half)?)
    }
    fn each(&self, f: impl Fn(&Var) -> Result<Var>) -> Result<Self> {
        Ok(Interval { middle: f(&self.middle)?, half: f(&self.half)? })
    }
    /// Of a function that never falls.
    fn ends(&self, f: impl Fn(&Var) -> Result<Var>) -> Result<Self> {
        Interval::between(&f(&self.low()?)?, &f(&self.high()?)?)
    }
}

/// The boxes of half width ε around images, cut to `[0, 1]`.
pub(crate) fn boxes(centre: &Tensor, eps: f64) -> Result<Interval> {
    let x = Var::constant(centre.clone());
    Interval::between(&x.affine(1.0, -eps)?.clamp(0.0, 1.0)?, &x.affine(1.0, eps)?.clamp(0.0, 1.0)?)
}

/// Mean and biased variance of a batch norm's clean batch.
type Moments = (Tensor, Tensor);

/// A network with its weights, as bounds see it.
pub(crate) struct Bounded<'a> {
    pub(crate) graph: &'a Graph,
    pub(crate) params: &'a Params,
    /// By layer: of the clean images of this step.
    moments: Vec<(String, Moments)>,
}

impl<'a> Bounded<'a> {
    /// The step's network; batch norms take the statistics of the step's clean images, as constants.
    pub(crate) fn of(network: &'a dyn Network, params: &'a Params, step: &mut Step<'_>) -> Result<Self> {
        let name = &network.info().name;
        let Some(graph) = graph_of(network) else {
            let why = "only networks whose layers are known have bounds: built-in ones, and those of ONNX files";
            return Err(Error::value(name.clone(), why));
        };
        let mut moments = Vec::new();
        if graph.nodes().iter().any(|n| matches!(n.op, Layer::BatchNorm { .. })) {
            let before = step.stats.len();
            let x = step.input();
            step.forward(&x)?;
            // Computed now, or for another term of this step before.
            let from = if step.stats.len() > before { before } else { 0 };
            for node in graph.nodes().iter().filter(|n| matches!(n.op, Layer::BatchNorm { .. })) {
                let Some(seen) = step.stats[from..].iter().find(|s| s.layer == node.name) else { continue };
                let places = node.shape.iter().skip(1).product::<usize>() * step.ids().len();
                let biased = (places as f64 - 1.0) / places as f64;
                moments.push((node.name.clone(), (seen.mean.clone(), seen.var.affine(biased, 0.0)?)));
            }
        }
        Ok(Bounded { graph, params, moments })
    }

    /// A parameter of a node.
    pub(crate) fn param(&self, node: &Node, i: usize) -> Result<&'a Var> {
        self.params.get(&self.graph.param(node.params[i]).name)
    }

    /// Scale and shift of a batch norm's channels.
    fn norm(&self, node: &Node, eps: f64) -> Result<(Var, Var)> {
        let (gamma, beta) = (self.param(node, 0)?, self.param(node, 1)?);
        let seen = self.moments.iter().find(|(layer, _)| *layer == node.name);
        let (mean, var) = match seen {
            Some((_, (mean, var))) => (mean.clone(), var.clone()),
            None => (self.param(node, 2)?.tensor().clone(), self.param(node, 3)?.tensor().clone()),
        };
        let scale = gamma.mul(&Var::constant(var).affine(1.0, eps)?.sqrt()?.recip()?)?;
        let shift = beta.sub(&scale.mul(&Var::constant(mean))?)?;
        Ok((scale, shift))
    }

    /// Intervals of every node on boxes of images `(N, C, H, W)`, but for the last layer, where it is linear: [`Bounded::margins`]
    /// folds it into the margins.
    pub(crate) fn intervals(&self, images: Interval) -> Result<Vec<Option<Interval>>> {
        let nodes = self.graph.nodes();
        let mut found: Vec<Option<Interval>> = vec![None; nodes.len()];
        found[0] = Some(images);
        let last = self.graph.output().index();
        for (i, node) in nodes.iter().enumerate().skip(1) {
            if i == last && node.op == Layer::Linear {
                break;
            }
            let of = |k: usize| {
                let at = node.inputs.get(k).and_then(|id| found[id.index()].as_ref());
                at.ok_or_else(|| Error::Message(format!("node {i} has no interval to start from")))
            };
            found[i] = Some(self.layer(node, &of)?);
        }
        Ok(found)
    }

    fn layer<'v>(&self, node: &Node, of: &dyn Fn(usize) -> Result<&'v Interval>) -> Result<Interval> {
        let x = of(0)?;
        let bias = |i: usize| if node.params.len() > i { Some(self.param(node, i)).transpose() } else { Ok(None) };
        Ok(match &node.op {
            Layer::Affine { scale, shift } => {
                let like = x.middle.tensor();
                let constant = |v: &[f64]| -> Result<Var> { Ok(Var::constant(constant_like(v, &[v.len()], like)?)) };
                let wide: Vec<f64> = scale.iter().map(|s| s.abs()).collect();
                Interval {
                    middle: x.middle.channel_affine(&constant(scale)?, &constant(shift)?)?,
                    half: x.half.channel_affine(&constant(&wide)?, &constant(&vec![0.0; scale.len()])?)?,
                }
            }
            Layer::Conv2d { stride, padding } => {
                let weight = self.param(node, 0)?;
                Interval {
                    middle: x.middle.conv2d(weight, bias(1)?, *stride, *padding)?,
                    half: x.half.conv2d(&weight.abs()?, None, *stride, *padding)?,
                }
            }
            Layer::Linear => {
                let weight = self.param(node, 0)?;
                Interval { middle: x.middle.linear(weight, bias(1)?)?, half: x.half.linear(&weight.abs()?, None)? }
            }
            Layer::BatchNorm { eps, .. } => {
                let (scale, shift) = self.norm(node, *eps)?;
                let none = Var::constant(zeros_like(shift.tensor())?);
                // A vector is an image of a single pixel.
                let image = |v: &Var| -> Result<Var> {
                    Ok(if let [n, c] = *v.dims() { v.reshape(&[n, c, 1, 1])? } else { v.clone() })
                };
                let dims = x.middle.dims().to_vec();
                Interval {
                    middle: image(&x.middle)?.channel_affine(&scale, &shift)?.reshape(&dims)?,
                    half: image(&x.half)?.channel_affine(&scale.abs()?, &none)?.reshape(&dims)?,
                }
            }
            Layer::Act(act) => match act {
                Activation::Gelu | Activation::Silu => return Err(refused(self.graph.interface(), node, act.name())),
                _ => x.ends(|v| act.apply(v))?,
            },
            Layer::MaxPool { size, stride } => x.ends(|v| Ok(v.max_pool2d(*size, *stride)?))?,
            Layer::GlobalAvgPool => x.each(|v| Ok(v.mean_keepdim(&[2, 3])?.reshape(&[v.dim(0)?, v.dim(1)?])?))?,
            Layer::Add => {
                let y = of(1)?;
                Interval { middle: x.middle.add(&y.middle)?, half: x.half.add(&y.half)? }
            }
            Layer::Flatten => x.each(|v| Ok(v.flatten()?))?,
            Layer::Reshape(shape) => x.each(|v| Ok(v.reshape(&[&[v.dim(0)?][..], shape.as_slice()].concat())?))?,
            other => return Err(refused(self.graph.interface(), node, other.kind())),
        })
    }

    /// Lower bounds of z_y − z_j, `(N, K)`, 0 where j is y: with W the last layer's weights, (W_y − W_j) m + b_y − b_j − |W_y − W_j| r.
    pub(crate) fn margins(&self, found: &[Option<Interval>], labels: &Tensor) -> Result<Var> {
        let node = self.graph.node(self.graph.output());
        let missing = || Error::Message("the last layer has no interval to start from".into());
        if node.op != Layer::Linear {
            let z = found[self.graph.output().index()].as_ref().ok_or_else(missing)?;
            let (low, high) = (z.low()?, z.high()?);
            let own = low.gather_labels(labels)?.unsqueeze(1)?.broadcast_to(low.dims())?;
            let other = one_hot(labels, low.dim(1)?, low.tensor())?.affine(-1.0, 1.0)?;
            return Ok(own.sub(&high)?.mul(&other)?);
        }
        let Interval { middle, half } =
            node.inputs.first().and_then(|i| found[i.index()].as_ref()).ok_or_else(missing)?;
        let (rows, constants) = self.rows(node, labels, middle.tensor())?;
        let (n, k, h) = (rows.dim(0)?, rows.dim(1)?, rows.dim(2)?);
        let against =
            |a: &Var, v: &Var| -> Result<Var> { Ok(a.mul(&v.unsqueeze(1)?.broadcast_to(&[n, k, h])?)?.sum(&[2])?) };
        let sum = against(&rows, middle)?.sub(&against(&rows.abs()?, half)?)?;
        Ok(match constants {
            Some(constants) => sum.add(&constants)?,
            None => sum,
        })
    }

    /// W_y − W_j `(N, K, h)` and b_y − b_j `(N, K)` of the last layer.
    pub(crate) fn rows(&self, node: &Node, labels: &Tensor, like: &Tensor) -> Result<(Var, Option<Var>)> {
        let weight = self.param(node, 0)?;
        let (k, h) = (weight.dim(0)?, weight.dim(1)?);
        let own = one_hot(labels, k, like)?;
        let n = own.dim(0)?;
        let chosen = own.matmul(weight)?.unsqueeze(1)?.broadcast_to(&[n, k, h])?;
        let rows = chosen.sub(&weight.unsqueeze(0)?.broadcast_to(&[n, k, h])?)?;
        if node.params.len() < 2 {
            return Ok((rows, None));
        }
        let bias = self.param(node, 1)?.reshape(&[k, 1])?;
        let chosen = own.matmul(&bias)?.broadcast_to(&[n, k])?;
        Ok((rows, Some(chosen.sub(&bias.reshape(&[1, k])?.broadcast_to(&[n, k])?)?)))
    }
}

/// Cross-entropy `(N,)` of the worst logits that margins leave: those of the label are 0, of the others −margin.
pub(crate) fn worst_loss(step: &Step<'_>, margins: &Var) -> Result<Var> {
    if step.targets().mixed.is_some() {
        let why = "bounds the margins of one label, and mixed images have two: leave out mixup and cutmix";
        return Err(Error::value("training by bounds", why));
    }
    step.targets().cross_entropy(&margins.neg()?, step.labels())
}

/// 1 at the label, 0 elsewhere: `(N, K)`.
fn one_hot(labels: &Tensor, k: usize, like: &Tensor) -> Result<Var> {
    let labels: Vec<u32> = labels.to_vec1()?;
    let mut ones = vec![0.0; labels.len() * k];
    for (row, label) in ones.chunks_mut(k.max(1)).zip(&labels) {
        if let Some(one) = row.get_mut(*label as usize) {
            *one = 1.0;
        }
    }
    Ok(Var::constant(constant_like(&ones, &[labels.len(), k], like)?))
}

pub(crate) fn refused(info: &ModelInfo, node: &Node, what: &str) -> Error {
    let place = if node.name.is_empty() { String::new() } else { format!(", {}", node.name) };
    Error::value(info.name.clone(), format!("training by bounds knows no interval of its layer {what}{place}"))
}
