//! MMR: the linear region of an image and its decision boundaries are pushed away from it.

use crate::grad_norm::GradientNorm;
use gauntlet_autograd::Var;
use gauntlet_autograd::kernels::{constant_like, numbers_like, one_hot, zeros_like};
use gauntlet_core::attack::rows;
use gauntlet_core::position::Position;
use gauntlet_core::registry::BuildRecipe;
use gauntlet_core::{Activation, Error, ParamDoc, ParamKind, Params, Recipe, Result, Spec, Step, Term};
use gauntlet_graph::{Graph, Layer, Node, graph_of};
use std::sync::Arc;

/// L = … + λ · mean (1/k) Σ_{the k nearest u} max(0, 1 − d_u/γ_rb) + λ · mean (1/K) Σ_{j≠y} max(0, 1 − d_j/γ_db), Croce,
/// Andriushchenko & Hein 2019: d_u = |z_u| / ‖∇ₓz_u‖_q of every hidden unit before its activation, d_j = (z_y − z_j) / ‖∇ₓ(z_y − z_j)‖_q,
/// q the dual norm.
///
/// Both are distances to hyperplanes: exact for rectifiers as long as the image stays in its linear region, to first order for
/// softplus. k falls linearly over the training, and counts units with a gradient. The gradients of all units are one linear map,
/// which is carried forward beside the image: d times the work and memory of a forward for images of d pixels. The published code
/// gives the first convolution's units the norm of the whole kernel where it reaches over the edge, and adds 10⁻⁵ to entries
/// of the map below 10⁻⁵ in convolutional networks; here both are what the definition says, but for the margins' gradients, whose
/// entries below 10⁻⁵ are raised by 10⁻⁵ as published.
#[derive(Debug, Clone)]
pub struct Mmr {
    /// The dual norm of the budget's.
    pub dual: GradientNorm,
    /// λ.
    pub weight: f64,
    /// γ of the regions' boundaries, in pixels.
    pub gamma_rb: f64,
    /// γ of the decisions' boundaries, in pixels.
    pub gamma_db: f64,
    /// Share of the hidden units whose boundaries are pushed away at the beginning.
    pub first: f64,
    /// The same in the last epoch.
    pub last: f64,
}

/// Registration.
pub const SPEC: Spec<BuildRecipe> = Spec {
    name: "mmr",
    summary: "penalty on the nearness of the linear region's and of the decision's boundaries (maximum margin regularisation), for \
              small networks of rectifiers",
    formula: "weight · mean (1/k) Σ_{k nearest u} max(0, 1 − d_u/γ_rb) + weight · mean (1/K) Σ_{j≠y} max(0, 1 − d_j/γ_db),  \
              d_u = |z_u|/‖∇ₓz_u‖_q, d_j = (z_y − z_j)/‖∇ₓ(z_y − z_j)‖_q",
    paper: "Croce, Andriushchenko & Hein 2019",
    params: &[
        ParamDoc {
            name: "norm",
            kind: ParamKind::Choice(&["linf", "l2"]),
            default: "\"linf\"",
            unit: "",
            doc: "norm of the distances; q is its dual",
        },
        ParamDoc {
            name: "weight",
            kind: ParamKind::WEIGHT,
            default: "0.5",
            unit: "",
            doc: "λ (the authors let it grow: ramp = 10)",
        },
        ParamDoc {
            name: "gamma_rb",
            kind: ParamKind::POSITIVE,
            default: "0.2",
            unit: "pixels",
            doc: "distance from which on a region's boundary is far enough",
        },
        ParamDoc {
            name: "gamma_db",
            kind: ParamKind::POSITIVE,
            default: "0.2",
            unit: "pixels",
            doc: "distance from which on a decision's boundary is far enough",
        },
        ParamDoc {
            name: "first",
            kind: ParamKind::SHARE,
            default: "0.1",
            unit: "",
            doc: "share of the hidden units that count, the nearest, before the first epoch",
        },
        ParamDoc {
            name: "last",
            kind: ParamKind::SHARE,
            default: "0.02",
            unit: "",
            doc: "the same in the last epoch; in between it moves linearly, epoch by epoch",
        },
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        Ok(Arc::new(Mmr {
            dual: if args.str("norm")? == "l2" { GradientNorm::L2 } else { GradientNorm::L1 },
            weight: args.f64("weight")?,
            gamma_rb: args.f64("gamma_rb")?,
            gamma_db: args.f64("gamma_db")?,
            first: args.f64("first")?,
            last: args.f64("last")?,
        }))
    },
};

/// What keeps the norm of a margin's gradient away from 0.
const SMALL: f64 = 1e-5;

/// A value `(N, ..)` beside its derivative by every pixel, `(R·d, ..)`: R is N, or 1 where it is the same for all images.
#[derive(Clone)]
struct Carried {
    value: Var,
    map: Var,
}

/// Distances to hyperplanes, `(N, U)`, and whether there is one, `(N, U)` or `(1, U)`.
struct Boundaries {
    distances: Var,
    exists: Vec<Vec<bool>>,
}

impl Mmr {
    /// How many of `units` count in an epoch: ⌊a + (b − a) · epoch / epochs⌋ with a = ⌊first · units⌋, b = ⌊last · units⌋, epochs
    /// from 1.
    pub(crate) fn counted(&self, units: usize, position: &Position) -> usize {
        let (a, b) = ((self.first * units as f64).floor(), (self.last * units as f64).floor());
        let done = (f64::from(position.epoch) + 1.0) / f64::from(position.epochs.max(1));
        (a + (b - a) * done).floor().clamp(0.0, units as f64) as usize
    }

    /// ‖·‖_q over the pixels of a map `(R·d, ..)`: `(R, U)`.
    fn norms(&self, map: &Var, pixels: usize) -> Result<Var> {
        let by_pixel = by_pixel(map, pixels)?;
        Ok(match self.dual {
            GradientNorm::L2 => by_pixel.sqr()?.sum(&[1])?.guarded_sqrt()?,
            _ => by_pixel.abs()?.sum(&[1])?,
        })
    }

    /// |z| / ‖∇z‖_q of all units of a layer.
    fn boundaries(&self, of: &Carried, pixels: usize) -> Result<Boundaries> {
        let norms = self.norms(&of.map, pixels)?;
        let exists = rows(norms.tensor())?.iter().map(|row| row.iter().map(|n| *n > 0.0).collect()).collect();
        let distances = of.value.flatten()?.abs()?.broadcast_mul(&norms.guarded_recip()?)?;
        Ok(Boundaries { distances, exists })
    }

    /// Hinges of the nearest boundaries, `(N,)`; `None`: none counts.
    fn regions(&self, found: &[Boundaries], position: &Position) -> Result<Option<Var>> {
        let Some(first) = found.first() else { return Ok(None) };
        let n = first.distances.dim(0)?;
        let all = Var::cat(&found.iter().map(|b| &b.distances).collect::<Vec<_>>(), 1)?;
        let units = all.dim(1)?;
        let counted = self.counted(units, position);
        if counted == 0 {
            return Ok(None);
        }
        let mut chosen = vec![0.0; n * units];
        for (i, (row, chosen)) in rows(all.tensor())?.iter().zip(chosen.chunks_mut(units)).enumerate() {
            let exists = found.iter().flat_map(|b| b.exists.get(i).or(b.exists.first()).into_iter().flatten());
            let mut near: Vec<usize> = exists.enumerate().filter(|(_, exists)| **exists).map(|(u, _)| u).collect();
            // Of equals the first.
            near.sort_by(|a, b| row[*a].total_cmp(&row[*b]));
            near.iter().take(counted).for_each(|u| chosen[*u] = 1.0);
        }
        let chosen = Var::constant(numbers_like(&chosen, &[n, units], all.tensor())?);
        let hinges = all.affine(-1.0 / self.gamma_rb, 1.0)?.relu()?;
        Ok(Some(hinges.mul(&chosen)?.sum_per_example()?.affine(1.0 / counted as f64, 0.0)?))
    }

    /// Hinges of the margins to all other classes, `(N,)`.
    fn decisions(&self, logits: &Carried, pixels: usize, step: &Step<'_>) -> Result<Var> {
        let (n, k) = (logits.value.dim(0)?, logits.value.dim(1)?);
        let own = Var::constant(one_hot(step.labels(), k, logits.value.tensor())?);
        let map = by_pixel(&logits.map, pixels)?.broadcast_to(&[n, pixels, k])?;
        let of_label = map.broadcast_mul(&own.unsqueeze(1)?)?.sum_keepdim(&[2])?;
        let apart = map.broadcast_sub(&of_label)?.abs()?;
        let tiny = apart.detach().affine(-1.0, SMALL)?.sign()?.relu()?.affine(SMALL, 0.0)?;
        let raised = apart.add(&tiny)?;
        let norms = match self.dual {
            GradientNorm::L2 => raised.sqr()?.sum(&[1])?.sqrt()?,
            _ => raised.sum(&[1])?,
        };
        let margins = logits.value.mul(&own)?.sum_keepdim(&[1])?.broadcast_sub(&logits.value)?;
        let hinges = margins.div(&norms)?.affine(-1.0 / self.gamma_db, 1.0)?.relu()?;
        Ok(hinges.mul(&own.affine(-1.0, 1.0)?)?.sum_per_example()?.affine(1.0 / k as f64, 0.0)?)
    }
}

/// A map `(R·d, ..)` as `(R, d, U)`.
fn by_pixel(map: &Var, pixels: usize) -> Result<Var> {
    let count = map.dim(0)? / pixels.max(1);
    let units: usize = map.dims()[1..].iter().product();
    Ok(map.reshape(&[count, pixels, units])?)
}

/// One layer further.
fn layer(node: &Node, of: &[&Carried], graph: &Graph, params: &Params, pixels: usize) -> Result<Carried> {
    let name = &graph.interface().name;
    let refused = |what: &str| {
        let place = if node.name.is_empty() { String::new() } else { format!(", {}", node.name) };
        let why =
            format!("mmr knows linear regions of linear layers, convolutions and rectifiers, not of {what}{place}");
        Error::value(name.clone(), why)
    };
    let param = |i: usize| params.get(&graph.param(node.params[i]).name);
    let bias = if node.params.len() > 1 { Some(param(1)?) } else { None };
    let [x, ..] = of else { return Err(refused(node.op.kind())) };
    let reshaped = |v: &Var| -> Result<Var> { Ok(v.reshape(&[&[v.dim(0)?][..], node.shape.as_slice()].concat())?) };
    Ok(match &node.op {
        Layer::Affine { scale, shift } => {
            let constant =
                |v: &[f64]| -> Result<Var> { Ok(Var::constant(constant_like(v, &[v.len()], x.value.tensor())?)) };
            let scale = constant(scale)?;
            let none = Var::constant(zeros_like(scale.tensor())?);
            let value = x.value.channel_affine(&scale, &constant(shift)?)?;
            Carried { value, map: x.map.channel_affine(&scale, &none)? }
        }
        Layer::Conv2d { stride, padding } => Carried {
            value: x.value.conv2d(param(0)?, bias, *stride, *padding)?,
            map: x.map.conv2d(param(0)?, None, *stride, *padding)?,
        },
        Layer::Linear => Carried { value: x.value.linear(param(0)?, bias)?, map: x.map.linear(param(0)?, None)? },
        Layer::Flatten | Layer::Reshape(_) => Carried { value: reshaped(&x.value)?, map: reshaped(&x.map)? },
        Layer::Act(act) => {
            let slope = match act {
                Activation::Relu => x.value.detach().sign()?.relu()?,
                Activation::Softplus => x.value.sigmoid()?,
                _ => return Err(refused(act.name())),
            };
            let n = slope.dim(0)?;
            let slope = slope.flatten()?.unsqueeze(1)?;
            let map = by_pixel(&x.map, pixels)?.broadcast_mul(&slope)?;
            let map = map.reshape(&[&[n * pixels][..], node.shape.as_slice()].concat())?;
            Carried { value: act.apply(&x.value)?, map }
        }
        other => return Err(refused(other.kind())),
    })
}

impl Recipe for Mmr {
    fn name(&self) -> &str {
        "mmr"
    }
    fn terms(&self, step: &mut Step<'_>) -> Result<Vec<Term>> {
        let (network, params) = (step.network(), step.params());
        let Some(graph) = graph_of(network.as_ref()) else {
            let why = "mmr needs a network whose layers are known: a built-in one, or that of an ONNX file";
            return Err(Error::value(network.info().name.clone(), why));
        };
        let x = step.input();
        let pixels: usize = x.dims()[1..].iter().product();
        let mut identity = vec![0.0; pixels * pixels];
        identity.iter_mut().step_by(pixels + 1).for_each(|one| *one = 1.0);
        let dims = [&[pixels][..], &x.dims()[1..]].concat();
        let map = Var::constant(numbers_like(&identity, &dims, x.tensor())?);
        let mut carried: Vec<Carried> = vec![Carried { value: x.detach(), map }];
        let mut found = Vec::new();
        for node in graph.nodes().iter().skip(1) {
            let of: Vec<&Carried> = node.inputs.iter().filter_map(|id| carried.get(id.index())).collect();
            if let (Layer::Act(_), [of]) = (&node.op, of.as_slice()) {
                found.push(self.boundaries(of, pixels)?);
            }
            carried.push(layer(node, &of, graph, params, pixels)?);
        }
        let logits =
            carried.get(graph.output().index()).ok_or_else(|| Error::Message("a network without logits".into()))?;
        let decisions = self.decisions(logits, pixels, step)?;
        let regions = self.regions(&found, &step.position())?;
        let regions = regions.map(|values| Term::new("mmr_regions", self.weight, values));
        Ok(regions.into_iter().chain([Term::new("mmr_decisions", self.weight, decisions)]).collect())
    }
}
