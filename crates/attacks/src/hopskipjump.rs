//! HopSkipJump: the boundary's normal from decisions alone, a jump along it, a bisection back.

use crate::query::{self, Decisions, Oracle, Queried, QueryAttack};
use crate::start;
use gauntlet_core::registry::BuildAttack;
use gauntlet_core::{ParamDoc, ParamKind, Spec};
use gauntlet_records::Norm;
use std::sync::Arc;

/// At a point x of the boundary, with φ = ±1 for right and wrong decisions: v = Σ_b (φ(x + δ u_b) − mean φ) u_b / B, a jump by
/// ξ v/‖v‖ (L∞: ξ sign v), ξ = ‖x − x₀‖/√t halved until it is misclassified, and a bisection towards x₀.
///
/// Chen, Jordan & Wainwright 2020.
#[derive(Debug, Clone)]
pub struct HopSkipJump {
    /// Jumps.
    pub steps: u32,
    /// Questions for the first normal; √t times as many for the t-th.
    pub evaluations: u32,
    /// Questions for one normal at most.
    pub most_evaluations: u32,
    /// γ: a bisection ends at γ/d^{3/2} (L2) or γ/d² (L∞).
    pub gamma: f64,
    /// Questions per run at most.
    pub queries: u32,
}

/// Registration.
pub const SPEC: Spec<BuildAttack> = Spec {
    name: "hopskipjump",
    summary: "from decisions alone: normals of the boundary estimated by random steps, jumps, bisections; one run for every ε",
    formula: "v = Σ_b (φ(x + δ u_b) − mean φ) u_b,  x ← bisect(x₀, x + ξ · v/‖v‖),  ξ = ‖x − x₀‖/√t · 2⁻ⁱ; L∞: sign(v)",
    paper: "Chen, Jordan & Wainwright 2020",
    params: &[
        ParamDoc { name: "steps", kind: ParamKind::COUNT, default: "40", unit: "", doc: "jumps" },
        ParamDoc {
            name: "evaluations",
            kind: ParamKind::COUNT,
            default: "100",
            unit: "",
            doc: "questions for the first normal, √t times as many for the t-th",
        },
        ParamDoc {
            name: "most_evaluations",
            kind: ParamKind::COUNT,
            default: "10000",
            unit: "",
            doc: "questions for one normal at most",
        },
        ParamDoc {
            name: "gamma",
            kind: ParamKind::POSITIVE,
            default: "1.0",
            unit: "",
            doc: "a bisection ends at gamma/d^1.5 of the way (L2), gamma/d² (L∞), d pixels",
        },
        query::QUERIES,
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        Ok(Arc::new(Queried(HopSkipJump {
            steps: args.u32("steps")?,
            evaluations: args.u32("evaluations")?,
            most_evaluations: args.u32("most_evaluations")?,
            gamma: args.f64("gamma")?,
            queries: query::most(args)?,
        })))
    },
};

impl QueryAttack for HopSkipJump {
    type Sees = Decisions;
    fn name(&self) -> &str {
        "hopskipjump"
    }
    fn norms(&self) -> &[Norm] {
        &[Norm::Linf, Norm::L2]
    }
    fn queries(&self) -> u32 {
        self.queries
    }
    async fn search(self, mut oracle: Oracle<Decisions>) {
        let oracle = &mut oracle;
        let Some(start) = start::blended_noise(oracle).await else { return };
        let (d, cube) = (start.len() as f64, oracle.threat().norm == Norm::Linf);
        let theta = self.gamma / if cube { d * d } else { d.sqrt() * d };
        let (low, high) = oracle.threat().bounds;
        let (mut x, mut before) = boundary(oracle, start, theta).await;
        for t in 1..=self.steps {
            let delta = match (t, cube) {
                (1, _) => 0.1 * (high - low),
                (_, true) => d * theta * before,
                (_, false) => d.sqrt() * theta * before,
            };
            let root = f64::from(t).sqrt();
            let evaluations = ((f64::from(self.evaluations) * root) as u32).min(self.most_evaluations);
            let Some(mut normal) = normal(oracle, &x, delta, evaluations).await else { return };
            if cube {
                normal.iter_mut().for_each(|v| *v = if *v == 0.0 { 0.0 } else { v.signum() });
            }
            let mut length = oracle.distance(&x) / root;
            let jumped = loop {
                let mut jumped: Vec<f64> = x.iter().zip(&normal).map(|(x, v)| x + length * v).collect();
                oracle.clip(&mut jumped);
                // The point itself is misclassified: where no jump is left, it stays.
                if jumped == x || oracle.fools(&jumped).await {
                    break jumped;
                }
                length *= 0.5;
            };
            (x, before) = boundary(oracle, jumped, theta).await;
        }
    }
}

/// Bisection of a misclassified point towards the clean image, along the line (L2) or by shrinking the cube (L∞); and how far away
/// it was before.
async fn boundary(oracle: &mut Oracle<Decisions>, x: Vec<f64>, theta: f64) -> (Vec<f64>, f64) {
    let before = oracle.distance(&x);
    if oracle.threat().norm != Norm::Linf {
        return (start::bisect(oracle, &x, theta).await, before);
    }
    let shrunk = |oracle: &Oracle<Decisions>, r: f64| -> Vec<f64> {
        x.iter().zip(oracle.x0()).map(|(x, c)| x.clamp(c - r, c + r)).collect()
    };
    let (mut inside, mut outside) = (0.0, before);
    while outside - inside > theta * before.min(1.0) {
        let middle = 0.5 * (inside + outside);
        let point = shrunk(oracle, middle);
        *if oracle.fools(&point).await { &mut outside } else { &mut inside } = middle;
    }
    (shrunk(oracle, outside), before)
}

/// The estimated unit normal at `x`, towards the misclassified side; `None` where all steps cancel.
async fn normal(oracle: &mut Oracle<Decisions>, x: &[f64], delta: f64, evaluations: u32) -> Option<Vec<f64>> {
    let cube = oracle.threat().norm == Norm::Linf;
    let (mut all, mut signed, mut wrong) = (vec![0.0; x.len()], vec![0.0; x.len()], 0u32);
    for _ in 0..evaluations {
        let stream = &mut oracle.stream;
        let draw: Vec<f64> =
            x.iter().map(|_| if cube { 2.0 * stream.uniform() - 1.0 } else { stream.normal() }).collect();
        let size = Norm::L2.of(draw.iter().copied());
        let mut probe: Vec<f64> = x.iter().zip(&draw).map(|(x, u)| x + delta * (u / size)).collect();
        oracle.clip(&mut probe);
        let fooled = oracle.fools(&probe).await;
        wrong += u32::from(fooled);
        let phi = if fooled { 1.0 } else { -1.0 };
        // The step that was taken inside the box.
        for ((all, signed), (p, x)) in all.iter_mut().zip(&mut signed).zip(probe.iter().zip(x)) {
            let u = (p - x) / delta;
            *all += u;
            *signed += phi * u;
        }
    }
    // Σ (φ − mean φ) u; where all decisions are one, ± Σ u.
    let mean = 2.0 * f64::from(wrong) / f64::from(evaluations) - 1.0;
    let baseline = if mean.abs() == 1.0 { 0.0 } else { mean };
    let mut normal: Vec<f64> = signed.iter().zip(&all).map(|(s, a)| s - baseline * a).collect();
    let size = Norm::L2.of(normal.iter().copied());
    normal.iter_mut().for_each(|v| *v /= size);
    (size > 0.0 && size.is_finite()).then_some(normal)
}
