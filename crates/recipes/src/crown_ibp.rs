//! Training by linear bounds of the margins over intervals of what lies between.

use crate::growth::{Growth, RAMP, SCHEDULE, WARM_UP};
use crate::ibp::{INIT, KAPPA, mixed, narrow, narrowed};
use crate::inner::EPS;
use crate::intervals::{Bounded, Interval, boxes, refused, worst_loss};
use candle_core::Tensor;
use gauntlet_autograd::kernels::constant_like;
use gauntlet_autograd::{Graph, Var, grad};
use gauntlet_core::position::Position;
use gauntlet_core::registry::BuildRecipe;
use gauntlet_core::{Activation, Error, ParamDoc, ParamSpec, Recipe, Result, Spec, Step, Term, ThreatModel};
use gauntlet_graph::Layer;
use gauntlet_records::{Eps, Norm};
use std::sync::Arc;

/// As `ibp`, with lower bounds of the margins β · CROWN-IBP + (1 − β) · IBP, β from 1 to 0 as ε grows, Zhang et al. 2020.
///
/// CROWN-IBP: linear bounds of the margins, from the last layer back to the pixels, over the intervals of every rectifier's input;
/// below an undecided rectifier the line of slope 1 or 0, whichever is nearer. For networks of rectifiers, or of softplus, whose layers
/// follow one another.
#[derive(Debug, Clone)]
pub struct CrownIbp {
    /// ε in pixels at the end of the ramp.
    pub eps: Eps,
    /// κ at the end of the ramp.
    pub kappa: f64,
    /// How ε, κ and β move.
    pub growth: Growth,
    /// Weights start as Shi et al. 2021 have them.
    pub narrow: bool,
}

/// Registration.
pub const SPEC: Spec<BuildRecipe> = Spec {
    name: "crown-ibp",
    summary: "certified training: as ibp, its margins bounded by lines from the last layer back while ε grows",
    formula: "as ibp, lower = β·CROWN-IBP + (1 − β)·IBP,  β = 1 − ε(t)/ε",
    paper: "Zhang et al. 2020",
    params: &[EPS, ParamDoc { default: "0.0", ..KAPPA }, WARM_UP, RAMP, SCHEDULE, INIT],
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        Ok(Arc::new(CrownIbp {
            eps: args.eps("eps")?,
            kappa: args.f64("kappa")?,
            growth: Growth::read(args)?,
            narrow: narrow(args)?,
        }))
    },
};

impl Recipe for CrownIbp {
    fn name(&self) -> &str {
        "crown-ibp"
    }
    fn starting(&self, specs: Vec<ParamSpec>) -> Vec<ParamSpec> {
        if self.narrow { narrowed(specs) } else { specs }
    }
    fn threat(&self, position: &Position) -> Option<ThreatModel> {
        Some(ThreatModel::new(Norm::Linf, self.growth.at(position) * self.eps.value()))
    }
    fn held_constant(&self) -> Option<&'static str> {
        // The slopes below undecided rectifiers jump between 0 and 1, as a rectifier's own does.
        None
    }
    fn terms(&self, step: &mut Step<'_>) -> Result<Vec<Term>> {
        let grown = self.growth.at(&step.position());
        let eps = grown * self.eps.value();
        if eps == 0.0 {
            let x = step.input();
            return Ok(vec![Term::new("ce", 1.0, step.cross_entropy(&x)?)]);
        }
        let (network, params) = (step.network(), step.params());
        let bounded = Bounded::of(network.as_ref(), params, step)?;
        let found = bounded.intervals(boxes(step.input().tensor(), eps)?)?;
        let mut margins = bounded.margins(&found, step.labels())?;
        let beta = 1.0 - grown;
        if beta > 0.0 {
            let lines = backwards(&bounded, &found, step.labels())?;
            margins = lines.affine(beta, 0.0)?.add(&margins.affine(grown, 0.0)?)?;
        }
        let robust = worst_loss(step, &margins)?;
        mixed(step, 1.0 - grown * (1.0 - self.kappa), "crown_ibp_ce", robust)
    }
}

/// What keeps the width of an interval away from 0.
const WIDTH: f64 = 1e-8;

/// Lower bounds of z_y − z_j, `(N, K)`: rows A of the margins through every layer back to the pixels.
pub(crate) fn backwards(bounded: &Bounded<'_>, found: &[Option<Interval>], labels: &Tensor) -> Result<Var> {
    let graph = bounded.graph;
    let last = graph.node(graph.output());
    let info = graph.interface();
    let interval =
        |i: usize| found[i].as_ref().ok_or_else(|| Error::Message(format!("node {i} has no interval to start from")));
    if last.op != Layer::Linear {
        return Err(refused(info, last, "that is the last one and not linear"));
    }
    let mut at = last.inputs[0];
    let (mut a, constants) = bounded.rows(last, labels, interval(at.index())?.middle.tensor())?;
    let (n, k) = (a.dim(0)?, a.dim(1)?);
    // A `(N·K, ..)` of the value's shape, and the constant `(N·K, 1)`.
    a = a.reshape(&[n * k, a.dim(2)?])?;
    let mut c = match constants {
        Some(constants) => constants.reshape(&[n * k, 1])?,
        None => a.narrow(1, 0, 1)?.affine(0.0, 0.0)?,
    };
    let rows = |v: &Var| -> Result<Var> {
        // Of every example once for each of its rows.
        let flat: usize = v.dims()[1..].iter().product();
        let all = v.reshape(&[n, 1, flat])?.broadcast_to(&[n, k, flat])?;
        Ok(all.reshape(&[&[n * k][..], &v.dims()[1..]].concat())?)
    };
    let summed = |v: &Var| -> Result<Var> {
        let flat: usize = v.dims()[1..].iter().product();
        Ok(v.reshape(&[n * k, flat])?.sum(&[1])?.reshape(&[n * k, 1])?)
    };
    while at.index() > 0 {
        let node = graph.node(at);
        let [input] = node.inputs[..] else { return Err(refused(info, node, "with several inputs")) };
        let inner = &graph.node(input).shape;
        match &node.op {
            Layer::Linear => {
                if node.params.len() > 1 {
                    let bias = bounded.param(node, 1)?;
                    c = c.add(&a.matmul(&bias.reshape(&[bias.dim(0)?, 1])?)?)?;
                }
                a = a.matmul(bounded.param(node, 0)?)?;
            }
            Layer::Conv2d { stride, padding } => {
                if node.params.len() > 1 {
                    let bias = bounded.param(node, 1)?;
                    let channels = a.sum(&[2, 3])?;
                    c = c.add(&channels.matmul(&bias.reshape(&[bias.dim(0)?, 1])?)?)?;
                }
                // The transpose of a convolution is the gradient of ⟨A, conv(x)⟩.
                let dims = [&[n * k][..], inner.as_slice()].concat();
                let x = Var::leaf(Tensor::zeros(dims, a.tensor().dtype(), a.tensor().device())?);
                let y = x.conv2d(bounded.param(node, 0)?, None, *stride, *padding)?;
                a = grad(&y.mul(&a)?, &[&x], Graph::Keep)?.swap_remove(0);
            }
            Layer::Flatten | Layer::Reshape(_) => a = a.reshape(&[&[n * k][..], inner.as_slice()].concat())?,
            Layer::Act(Activation::Relu) => {
                let z = interval(input.index())?;
                let low = z.low()?.neg()?.relu()?.neg()?;
                let width = z.high()?.relu()?.sub(&low)?.affine(1.0, -WIDTH)?.relu()?.affine(1.0, WIDTH)?;
                let high = low.add(&width)?;
                let above = high.mul(&width.recip()?)?;
                // 1 where the upper line is steeper than ½, else 0.
                let below = Var::constant(above.detach().affine(1.0, -0.5)?.sign()?.relu()?.tensor().clone());
                let (positive, negative) = (a.relu()?, a.neg()?.relu()?.neg()?);
                c = c.add(&summed(&negative.mul(&rows(&low.neg()?.mul(&above)?)?)?)?)?;
                a = positive.mul(&rows(&below)?)?.add(&negative.mul(&rows(&above)?)?)?;
            }
            Layer::Act(Activation::Softplus) => {
                // Convex: below the chord, above the tangent in the middle.
                let z = interval(input.index())?;
                let low = z.low()?;
                let width = z.half.affine(2.0, -WIDTH)?.relu()?.affine(1.0, WIDTH)?;
                let chord = z.high()?.softplus()?.sub(&low.softplus()?)?.mul(&width.recip()?)?;
                let tangent = z.middle.sigmoid()?;
                let above = low.softplus()?.sub(&chord.mul(&low)?)?;
                let below = z.middle.softplus()?.sub(&tangent.mul(&z.middle)?)?;
                let (positive, negative) = (a.relu()?, a.neg()?.relu()?.neg()?);
                let constant = positive.mul(&rows(&below)?)?.add(&negative.mul(&rows(&above)?)?)?;
                c = c.add(&summed(&constant)?)?;
                a = positive.mul(&rows(&tangent)?)?.add(&negative.mul(&rows(&chord)?)?)?;
            }
            Layer::Affine { scale, shift } => {
                let like = a.tensor();
                let channels = |v: &[f64]| -> Result<Var> { Ok(Var::constant(constant_like(v, &[v.len()], like)?)) };
                let none = channels(&vec![0.0; shift.len()])?;
                c = c.add(&summed(&a.channel_affine(&channels(shift)?, &none)?)?)?;
                a = a.channel_affine(&channels(scale)?, &none)?;
            }
            other => {
                return Err(refused(info, node, &format!("{} that crown-ibp could go back through", other.kind())));
            }
        }
        at = input;
    }
    let pixels = interval(0)?;
    let least = a.mul(&rows(&pixels.middle)?)?.sub(&a.abs()?.mul(&rows(&pixels.half)?)?)?;
    Ok(c.add(&summed(&least)?)?.reshape(&[n, k])?)
}
