//! The boundary attack: a random walk along the boundary, towards the clean image.

use crate::query::{self, Decisions, Oracle, Queried, QueryAttack};
use crate::start;
use gauntlet_core::registry::BuildAttack;
use gauntlet_core::{ParamDoc, ParamKind, Range, Spec};
use gauntlet_records::Norm;
use std::sync::Arc;

/// From x at distance d of the clean image: a random step of s·d on the sphere around it, then one of t·d towards it; kept if it is
/// misclassified and nearer. Both lengths grow where steps on the sphere succeed more often than one in two and shrink below one in
/// five (100 tried), t alone where whole steps succeed more often than one in four or less than one in ten (30 tried).
///
/// Brendel, Rauber & Bethge 2018; the steps and rates of Foolbox.
#[derive(Debug, Clone)]
pub struct Boundary {
    /// Steps.
    pub steps: u32,
    /// First s.
    pub spherical_step: f64,
    /// First t.
    pub source_step: f64,
    /// The walk ends where t is below.
    pub convergence: f64,
    /// Factor by which they grow and shrink.
    pub adaptation: f64,
    /// Questions per run at most.
    pub queries: u32,
}

/// Registration.
pub const SPEC: Spec<BuildAttack> = Spec {
    name: "boundary",
    summary: "from decisions alone: random steps along the boundary, towards the clean image; one run for every ε",
    formula: "x ← x₀ + (x − x₀ + s d η)/√(1 + s²), η ⟂ x − x₀, ‖η‖ = 1, then t·d towards x₀; kept if misclassified and nearer",
    paper: "Brendel, Rauber & Bethge 2018",
    params: &[
        ParamDoc { name: "steps", kind: ParamKind::COUNT, default: "25000", unit: "", doc: "steps" },
        ParamDoc {
            name: "spherical_step",
            kind: ParamKind::POSITIVE,
            default: "0.01",
            unit: "",
            doc: "first length along the sphere, per distance",
        },
        ParamDoc {
            name: "source_step",
            kind: ParamKind::POSITIVE,
            default: "0.01",
            unit: "",
            doc: "first length towards the clean image, per distance",
        },
        ParamDoc {
            name: "convergence",
            kind: ParamKind::WEIGHT,
            default: "1e-7",
            unit: "",
            doc: "ends where source_step is below",
        },
        ParamDoc {
            name: "adaptation",
            kind: ParamKind::Float(Range::at_least(1.0)),
            default: "1.5",
            unit: "",
            doc: "factor by which lengths grow and shrink",
        },
        query::QUERIES,
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        Ok(Arc::new(Queried(Boundary {
            steps: args.u32("steps")?,
            spherical_step: args.f64("spherical_step")?,
            source_step: args.f64("source_step")?,
            convergence: args.f64("convergence")?,
            adaptation: args.f64("adaptation")?,
            queries: query::most(args)?,
        })))
    },
};

/// How often the last `width` tries succeeded; none of them is known before all are.
struct Rate {
    width: usize,
    tries: Vec<bool>,
}

impl Rate {
    fn new(width: usize) -> Self {
        Rate { width, tries: Vec::new() }
    }
    fn add(&mut self, success: bool) {
        if self.tries.len() == self.width {
            self.tries.remove(0);
        }
        self.tries.push(success);
    }
    /// The factor by which a length changes: grown above `most`, shrunk below `least`; then it is counted anew.
    fn factor(&mut self, least: f64, most: f64, adaptation: f64) -> f64 {
        if self.tries.len() < self.width {
            return 1.0;
        }
        let rate = self.tries.iter().filter(|s| **s).count() as f64 / self.width as f64;
        let factor = if rate > most {
            adaptation
        } else if rate < least {
            1.0 / adaptation
        } else {
            return 1.0;
        };
        self.tries.clear();
        factor
    }
}

impl QueryAttack for Boundary {
    type Sees = Decisions;
    fn name(&self) -> &str {
        "boundary"
    }
    fn norms(&self) -> &[Norm] {
        &[Norm::L2]
    }
    fn queries(&self) -> u32 {
        self.queries
    }
    async fn search(self, mut oracle: Oracle<Decisions>) {
        let oracle = &mut oracle;
        let Some(mut x) = start::blended_noise(oracle).await else { return };
        let (mut spherical, mut source) = (self.spherical_step, self.source_step);
        let (mut on_sphere, mut whole) = (Rate::new(100), Rate::new(30));
        for step in 1..=self.steps {
            let away = oracle.distance(&x);
            if source < self.convergence || away == 0.0 {
                return;
            }
            let (moved, candidate) = steps(oracle, &x, away, spherical, source);
            let fooled = oracle.fools(&candidate).await;
            if step % 10 == 0 {
                on_sphere.add(oracle.fools(&moved).await);
                whole.add(fooled);
                let both = on_sphere.factor(0.2, 0.5, self.adaptation);
                (spherical, source) = (spherical * both, source * both);
                source *= whole.factor(0.1, 0.25, self.adaptation);
            }
            if fooled && oracle.distance(&candidate) < away {
                x = candidate;
            }
        }
    }
}

/// The step on the sphere, and the one towards the clean image from there; both in the box.
fn steps(oracle: &mut Oracle<Decisions>, x: &[f64], away: f64, spherical: f64, source: f64) -> (Vec<f64>, Vec<f64>) {
    let outwards: Vec<f64> = x.iter().zip(oracle.x0()).map(|(x, c)| (x - c) / away).collect();
    let mut eta: Vec<f64> = x.iter().map(|_| oracle.stream.normal()).collect();
    let along: f64 = eta.iter().zip(&outwards).map(|(e, o)| e * o).sum();
    eta.iter_mut().zip(&outwards).for_each(|(e, o)| *e -= along * o);
    let size = Norm::L2.of(eta.iter().copied()).max(f64::MIN_POSITIVE);
    let direction: Vec<f64> = outwards.iter().zip(&eta).map(|(o, e)| o + spherical * e / size).collect();
    let moved = oracle.along(&direction, away / (1.0 + spherical * spherical).sqrt());
    // What clipping brought nearer counts as part of the step.
    let now = oracle.distance(&moved).max(f64::MIN_POSITIVE);
    let share = (source * away + now - away).max(0.0) / now;
    let mut candidate = oracle.blend(&moved, 1.0 - share);
    oracle.clip(&mut candidate);
    (moved, candidate)
}
