//! Turning the input gradient towards a target direction.

use crate::reading::{GRAPH, graph};
use candle_core::{DType, Device, Tensor};
use gauntlet_autograd::{Graph, Var};
use gauntlet_core::registry::BuildPenalty;
use gauntlet_core::{Error, Key, Memory, ParamDoc, Penalty, Purpose, Result, Setup, Spec, Step, Term};
use std::sync::Arc;

/// L = … + weight · mean_n (1 − cos(∇ₓ log p_y(x_n), τ_n)): moving along the gradient of the true class's
/// log-probability should move along τ.
///
/// ∇ₓ log p_y = −∇ₓℓ, so the gradient of the base's own forward serves. Ganz et al. 2023 (PAG) with other targets. A
/// row whose gradient or target is negligible (below 10⁻¹⁸) counts 0, has no gradient, stays in the denominator, and is counted in the
/// logged term `dropped`.
#[derive(Debug, Clone)]
pub struct DirectionMatching {
    /// τ.
    pub direction: Direction,
    /// Weight in the total.
    pub weight: f64,
    /// `Keep` trains the penalty; `Free` is the popular cut reading, which trains nothing.
    pub graph: Graph,
}

/// The target direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// One τ ~ N(0, I) for the whole training, drawn from its seed: a control.
    Fixed,
    /// τ = μ_y − x, μ_y the mean training image of class y.
    ClassMean,
}

/// Registration.
pub const SPEC: Spec<BuildPenalty> = Spec {
    name: "direction-matching",
    summary: "penalty on the angle between the input gradient and a target direction",
    formula: "weight · mean_n (1 − cos(∇ₓ log p_y(x_n), τ_n)),  τ fixed ~ N(0, I) or μ_y − x",
    paper: "Ganz, Kawar & Elad 2023 (PAG)",
    params: &[
        ParamDoc {
            name: "direction",
            kind: "one of fixed, class-mean",
            default: "\"class-mean\"",
            unit: "",
            doc: "fixed: one random direction drawn from the training seed; class-mean: towards the mean image of the class",
        },
        ParamDoc { name: "weight", kind: "float", default: "1.0", unit: "", doc: "weight of the penalty" },
        GRAPH,
    ],
    numerics: 2,
    origin: "built-in",
    build: |args, _| {
        let direction = match args.choice("direction", &["class-mean", "fixed"])? {
            "fixed" => Direction::Fixed,
            _ => Direction::ClassMean,
        };
        Ok(Arc::new(DirectionMatching { direction, weight: args.f64_from("weight", 0.0)?, graph: graph(args)? }))
    },
};

const FIXED: &str = "direction-matching.fixed";
const MEANS: &str = "direction-matching.class-means";

/// Mean image of every class, `(K, C, H, W)`, in pixel units.
fn class_means(setup: &mut Setup<'_>) -> Result<Tensor> {
    let ((c, h, w), k) = (setup.model.input, setup.model.classes);
    let area = c * h * w;
    let (mut sums, mut counts) = (vec![0.0f64; k * area], vec![0u64; k]);
    (setup.train)(&mut |batch| {
        let images: Vec<Vec<f64>> = batch.x.flatten_from(1)?.to_dtype(DType::F64)?.to_vec2()?;
        for (image, label) in images.iter().zip(batch.y.to_vec1::<u32>()?) {
            let label = label as usize;
            counts[label] += 1;
            sums[label * area..(label + 1) * area].iter_mut().zip(image).for_each(|(s, p)| *s += p);
        }
        Ok(())
    })?;
    if let Some(empty) = counts.iter().position(|n| *n == 0) {
        return Err(Error::value(
            "direction-matching.direction",
            format!("class {empty} has no training image, so no class mean"),
        ));
    }
    for (sum, n) in sums.chunks_exact_mut(area).zip(&counts) {
        sum.iter_mut().for_each(|s| *s /= *n as f64);
    }
    Ok(Tensor::from_vec(sums, (k, c, h, w), &Device::Cpu)?.to_dtype(setup.dtype)?)
}

impl DirectionMatching {
    /// τ for every example, like the input.
    fn targets(&self, step: &Step<'_>, x: &Var) -> Result<Var> {
        let tau = match self.direction {
            Direction::Fixed => step.remembered(FIXED)?.broadcast_as(x.dims())?.contiguous()?,
            Direction::ClassMean => (step.remembered(MEANS)?.index_select(step.labels(), 0)? - x.tensor())?,
        };
        Ok(Var::constant(tau))
    }
}

impl Penalty for DirectionMatching {
    fn name(&self) -> &str {
        "direction-matching"
    }
    fn prepare(&self, setup: &mut Setup<'_>) -> Result<Memory> {
        let (c, h, w) = setup.model.input;
        Ok(match self.direction {
            Direction::Fixed => {
                let mut stream = Key::new(setup.seed, Purpose::Recipe).named(FIXED).stream(0, 0, 0);
                let values: Vec<f64> = (0..c * h * w).map(|_| stream.normal()).collect();
                let tau = Tensor::from_vec(values, (1, c, h, w), &Device::Cpu)?.to_dtype(setup.dtype)?;
                Memory::from([(FIXED.to_string(), tau)])
            }
            Direction::ClassMean => Memory::from([(MEANS.to_string(), class_means(setup)?)]),
        })
    }
    fn terms(&self, step: &mut Step<'_>) -> Result<Vec<Term>> {
        let x = step.input();
        let ce = step.cross_entropy(&x)?;
        let climb = step.input_gradient(&ce, &x, self.graph)?.neg()?; // ∇ₓ log p_y
        let tau = self.targets(step, &x)?;
        let cos = climb.cosine_per_example(&tau)?;
        let (gone, aimless) = (climb.negligible_per_example()?, tau.negligible_per_example()?);
        let dropped: Vec<f64> = gone.iter().zip(&aimless).map(|(a, b)| f64::from(u8::from(*a || *b))).collect();
        let n = dropped.len();
        let dropped = Var::constant(Tensor::from_vec(dropped, n, &Device::Cpu)?.to_dtype(x.dtype())?);
        let kept = dropped.affine(-1.0, 1.0)?;
        let align = kept.sub(&cos)?; // 1 − cos, and 0 where a row was dropped: its cosine is 0
        Ok(vec![Term::new("align", self.weight, align), Term::logged("cos", &cos), Term::logged("dropped", &dropped)])
    }
}
