//! Turning the input gradient towards a target direction.

use crate::Direction;
use crate::alignment::Alignment;
use crate::reading::{GRAPH, graph};
use candle_core::{DType, Device, Tensor};
use gauntlet_autograd::{Graph, Var};
use gauntlet_core::registry::BuildRecipe;
use gauntlet_core::{Memory, ParamDoc, ParamKind, Range, Recipe, Result, Setup, Spec, Step, Term};
use std::sync::Arc;

/// L = … + weight · mean_n (1 − cos(∇ₓ log p_t(x_n), τ(x_n, t))): moving along the gradient of class t's
/// log-probability should move along τ.
///
/// For t = y, ∇ₓ log p_y = −∇ₓℓ: the gradient of the base's own forward serves. Ganz, Kawar & Elad 2023 (PAG: all
/// classes, weight 15) with other targets; with a teacher's gradient and the squared distance, the matching term of
/// Chan, Tay & Ong 2020 on log-probabilities' directions (their own is `igam`). A row whose gradient or target is
/// negligible (below 10⁻¹⁸) counts 0, has no gradient, stays in the denominator, and is counted in `dropped`.
#[derive(Debug, Clone)]
pub struct DirectionMatching {
    /// τ.
    pub direction: Direction,
    /// t.
    pub towards: Towards,
    /// Angle or distance.
    pub measure: Measure,
    /// Weight in the total.
    pub weight: f64,
    /// `Keep` trains the penalty; `Free` is the popular cut reading, which trains nothing.
    pub graph: Graph,
}

/// The class t whose log-probability is differentiated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Towards {
    /// The label: no backward of its own.
    Label,
    /// One class other than the label, drawn for every example and step.
    Other,
    /// Every class: the mean over K backwards.
    All,
}

/// How far a gradient is from its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// 1 − cos.
    Cosine,
    /// ‖∇ − τ‖₂².
    Squared,
}

/// Registration.
pub const SPEC: Spec<BuildRecipe> = Spec {
    name: "direction-matching",
    summary: "penalty on the angle between the input gradient and a target direction",
    formula: "weight · mean_n (1 − cos(∇ₓ log p_t(x_n), τ_n)),  τ ~ N(0, I), μ_t − x, nearest_t(x) − x or a teacher's",
    paper: "Ganz, Kawar & Elad 2023 (PAG)",
    params: &[
        ParamDoc {
            name: "direction",
            kind: ParamKind::Choice(&[
                "fixed",
                "random-per-class",
                "random",
                "class-mean",
                "nearest-neighbour",
                "teacher",
            ]),
            default: "\"class-mean\"",
            unit: "",
            doc: "fixed, random-per-class, random: N(0, I) from the training seed, one, one per class, one per example; \
                  class-mean, nearest-neighbour: towards the mean or the nearest image of the class; teacher: ∇ₓ p_y \
                  of the row's `teacher`",
        },
        ParamDoc {
            name: "classes",
            kind: ParamKind::Choice(&["label", "random", "all"]),
            default: "\"label\"",
            unit: "",
            doc: "the class t: the label, another one drawn for every example and step, or the mean over all",
        },
        ParamDoc {
            name: "measure",
            kind: ParamKind::Choice(&["cosine", "squared"]),
            default: "\"cosine\"",
            unit: "",
            doc: "1 − cos, or the squared distance ‖∇ − τ‖₂²",
        },
        ParamDoc {
            name: "references",
            kind: ParamKind::Int(Range::at_least(2.0)),
            default: "1000",
            unit: "images",
            doc: "training images among which nearest neighbours are looked for",
        },
        ParamDoc { name: "weight", kind: ParamKind::WEIGHT, default: "1.0", unit: "", doc: "weight of the penalty" },
        GRAPH,
    ],
    numerics: 2,
    origin: "built-in",
    build: |args, _| {
        let references = args.usize("references")?;
        let direction = match args.str("direction")? {
            "fixed" => Direction::Fixed,
            "random-per-class" => Direction::RandomPerClass,
            "random" => Direction::Random,
            "nearest-neighbour" => Direction::NearestNeighbour(references),
            "teacher" => Direction::Teacher,
            _ => Direction::ClassMean,
        };
        let towards = match args.str("classes")? {
            "random" => Towards::Other,
            "all" => Towards::All,
            _ => Towards::Label,
        };
        let measure = match args.str("measure")? {
            "squared" => Measure::Squared,
            _ => Measure::Cosine,
        };
        let weight = args.f64("weight")?;
        Ok(Arc::new(DirectionMatching { direction, towards, measure, weight, graph: graph(args)? }))
    },
};

impl DirectionMatching {
    /// How far ∇ₓφ is from τ(x, t).
    fn apart(&self, step: &Step<'_>, x: &Var, climb: &Var, classes: &Tensor) -> Result<Alignment> {
        let tau = self.direction.targets(step, x, classes)?;
        let mut found = Alignment::of(climb, &tau)?;
        if self.measure == Measure::Squared {
            found.apart = climb.sub(&tau)?.sqr()?.sum_per_example()?;
        }
        Ok(found)
    }

    fn label(&self, step: &mut Step<'_>, x: &Var) -> Result<Alignment> {
        let ce = step.cross_entropy(x)?;
        let climb = step.input_gradient(&ce, x, self.graph)?.neg()?; // ∇ₓ log p_y
        self.apart(step, x, &climb, step.labels())
    }

    fn other(&self, step: &mut Step<'_>, x: &Var) -> Result<Alignment> {
        let log_p = step.forward(x)?.log_softmax()?;
        let k = log_p.dim(1)? as u32;
        let draws = step.uniform("direction-matching.class", &[1], (0.0, f64::from(k - 1)))?;
        let draws = draws.tensor().to_device(&Device::Cpu)?.flatten_all()?.to_dtype(DType::F64)?;
        let draws: Vec<f64> = draws.to_vec1()?;
        // One of the K − 1 others, each as likely.
        let pick = |(u, y): (&f64, &u32)| (y + 1 + (*u as u32).min(k - 2)) % k;
        let chosen: Vec<u32> = draws.iter().zip(&step.labels().to_vec1::<u32>()?).map(pick).collect();
        let classes = Tensor::from_vec(chosen, draws.len(), x.device())?;
        let climb = step.input_gradient(&log_p.gather_labels(&classes)?, x, self.graph)?;
        self.apart(step, x, &climb, &classes)
    }

    fn all(&self, step: &mut Step<'_>, x: &Var) -> Result<Alignment> {
        let log_p = step.forward(x)?.log_softmax()?;
        let (n, k) = (log_p.dim(0)?, log_p.dim(1)?);
        let mut sum: Option<Alignment> = None;
        for t in 0..k {
            let classes = Tensor::from_vec(vec![t as u32; n], n, x.device())?;
            let climb = step.input_gradient(&log_p.gather_labels(&classes)?, x, self.graph)?;
            let one = self.apart(step, x, &climb, &classes)?;
            let share = |v: &Var| v.affine(1.0 / k as f64, 0.0);
            let (apart, cos, dropped) = (share(&one.apart)?, share(&one.cos)?, share(&one.dropped)?);
            sum = Some(match sum {
                None => Alignment { apart, cos, dropped },
                Some(s) => {
                    Alignment { apart: s.apart.add(&apart)?, cos: s.cos.add(&cos)?, dropped: s.dropped.add(&dropped)? }
                }
            });
        }
        sum.ok_or_else(|| gauntlet_core::Error::Message("a model without classes".into()))
    }
}

impl Recipe for DirectionMatching {
    fn name(&self) -> &str {
        "direction-matching"
    }
    fn prepare(&self, setup: &mut Setup<'_>) -> Result<Memory> {
        self.direction.prepare(setup)
    }
    fn held_constant(&self) -> Option<&'static str> {
        (self.graph == Graph::Free).then_some("the input gradient (graph = \"cut\")")
    }
    fn terms(&self, step: &mut Step<'_>) -> Result<Vec<Term>> {
        let x = step.input();
        let found = match self.towards {
            Towards::Label => self.label(step, &x)?,
            Towards::Other => self.other(step, &x)?,
            Towards::All => self.all(step, &x)?,
        };
        Ok(found.terms(self.weight))
    }
}
