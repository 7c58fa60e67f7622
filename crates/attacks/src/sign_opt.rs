//! Sign-OPT: the distance of the boundary along a direction, descended by signs of its differences.

use crate::query::{Decisions, Oracle, Queried, QueryAttack};
use gauntlet_core::registry::BuildAttack;
use gauntlet_core::{ParamDoc, ParamKind, Spec};
use gauntlet_records::Norm;
use std::sync::Arc;

/// g(θ) = the distance of the boundary along the unit direction θ; ĝ = Σ_q sign(g(θ + β u_q) − g(θ)) u_q / Q, u_q unit normal draws,
/// each sign one decision; θ ← (θ − α ĝ)/‖·‖, α doubled while g falls, else divided by 4 until it does.
///
/// Cheng et al. 2020, L2, with the schedules of its published code.
#[derive(Debug, Clone)]
pub struct SignOpt {
    /// Questions at most.
    pub queries: u32,
    /// Directions tried at the start.
    pub starts: u32,
    /// Q.
    pub draws: u32,
    /// First α.
    pub alpha: f64,
    /// First β.
    pub beta: f64,
}

/// Registration.
pub const SPEC: Spec<BuildAttack> = Spec {
    name: "sign-opt",
    summary: "from decisions alone: the boundary's distance along a direction, descended by signs; one run for every ε",
    formula: "ĝ = Σ_q sign(g(θ + β u_q) − g(θ)) u_q / Q,  θ ← (θ − α ĝ)/‖·‖₂,  g(θ) = distance of the boundary along θ",
    paper: "Cheng et al. 2020",
    params: &[
        ParamDoc { name: "queries", kind: ParamKind::COUNT, default: "20000", unit: "", doc: "questions at most" },
        ParamDoc {
            name: "starts",
            kind: ParamKind::COUNT,
            default: "100",
            unit: "",
            doc: "random directions tried at the start",
        },
        ParamDoc { name: "draws", kind: ParamKind::COUNT, default: "200", unit: "", doc: "signs per gradient, Q" },
        ParamDoc { name: "alpha", kind: ParamKind::POSITIVE, default: "0.2", unit: "", doc: "first step size" },
        ParamDoc {
            name: "beta",
            kind: ParamKind::POSITIVE,
            default: "0.001",
            unit: "",
            doc: "first length of the differences",
        },
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        Ok(Arc::new(Queried(SignOpt {
            queries: args.u32("queries")?,
            starts: args.u32("starts")?,
            draws: args.u32("draws")?,
            alpha: args.f64("alpha")?,
            beta: args.f64("beta")?,
        })))
    },
};

/// A unit direction and the distance of the boundary along it.
type Ray = (Vec<f64>, f64);

fn unit(mut v: Vec<f64>) -> Vec<f64> {
    let size = Norm::L2.of(v.iter().copied()).max(f64::MIN_POSITIVE);
    v.iter_mut().for_each(|v| *v /= size);
    v
}

fn moved(theta: &[f64], by: f64, along: &[f64]) -> Vec<f64> {
    unit(theta.iter().zip(along).map(|(t, a)| t + by * a).collect())
}

async fn fools(oracle: &mut Oracle<Decisions>, theta: &[f64], r: f64) -> bool {
    let point = oracle.along(theta, r);
    oracle.fools(&point).await
}

/// Bisection between a distance that is right and one that is misclassified.
async fn bisect(
    oracle: &mut Oracle<Decisions>,
    theta: &[f64],
    (mut inside, mut outside): (f64, f64),
    tolerance: f64,
) -> f64 {
    while outside - inside > tolerance {
        let middle = 0.5 * (inside + outside);
        // Both ends are neighbours already.
        if middle <= inside || middle >= outside {
            break;
        }
        *if fools(oracle, theta, middle).await { &mut outside } else { &mut inside } = middle;
    }
    outside
}

/// g(θ) from a guess, by steps of 1 % outwards or inwards and a bisection; infinite where it lies beyond the farthest corner.
async fn near(oracle: &mut Oracle<Decisions>, theta: &[f64], guess: f64, tolerance: f64) -> f64 {
    let most = 20f64.max(2.0 * (theta.len() as f64).sqrt());
    if fools(oracle, theta, guess).await {
        let mut inside = 0.99 * guess;
        while fools(oracle, theta, inside).await {
            inside *= 0.99;
        }
        return bisect(oracle, theta, (inside, inside / 0.99), tolerance).await;
    }
    let mut outside = 1.01 * guess;
    while !fools(oracle, theta, outside).await {
        outside *= 1.01;
        if outside > most {
            return f64::INFINITY;
        }
    }
    bisect(oracle, theta, (outside / 1.01, outside), tolerance).await
}

impl QueryAttack for SignOpt {
    type Sees = Decisions;
    fn name(&self) -> &str {
        "sign-opt"
    }
    fn norms(&self) -> &[Norm] {
        &[Norm::L2]
    }
    fn queries(&self) -> u32 {
        self.queries
    }
    async fn search(self, mut oracle: Oracle<Decisions>) {
        let oracle = &mut oracle;
        let Some(mut ray) = self.start(oracle).await else { return };
        let (mut alpha, mut beta) = (self.alpha, self.beta);
        // The questions end it.
        loop {
            let slope = self.slope(oracle, &ray, beta).await;
            let next = descend(oracle, &ray, &slope, &mut alpha, beta / 500.0).await;
            if alpha < 1e-4 {
                (alpha, beta) = (1.0, 0.1 * beta);
                if beta < 1e-8 {
                    return;
                }
            }
            ray = next;
        }
    }
}

impl SignOpt {
    /// Of random directions the one along which the boundary is nearest.
    async fn start(&self, oracle: &mut Oracle<Decisions>) -> Option<Ray> {
        let mut best: Option<Ray> = None;
        for _ in 0..self.starts {
            let draw: Vec<f64> = (0..oracle.x0().len()).map(|_| oracle.stream.normal()).collect();
            let far = Norm::L2.of(draw.iter().copied());
            let theta = unit(draw);
            if !fools(oracle, &theta, far).await {
                continue;
            }
            let nearest = best.as_ref().map_or(f64::INFINITY, |b| b.1);
            // Only one that is misclassified nearer than the best so far.
            if far > nearest && !fools(oracle, &theta, nearest).await {
                continue;
            }
            let g = bisect(oracle, &theta, (0.0, far.min(nearest)), 1e-3).await;
            if g < nearest {
                best = Some((theta, g));
            }
        }
        best
    }

    /// The estimated gradient of g.
    async fn slope(&self, oracle: &mut Oracle<Decisions>, (theta, g): &Ray, beta: f64) -> Vec<f64> {
        let mut slope = vec![0.0; theta.len()];
        for _ in 0..self.draws {
            let u = unit((0..theta.len()).map(|_| oracle.stream.normal()).collect());
            // Misclassified at the same distance: the boundary is nearer.
            let sign = if fools(oracle, &moved(theta, beta, &u), *g).await { -1.0 } else { 1.0 };
            slope.iter_mut().zip(&u).for_each(|(s, u)| *s += sign * u / f64::from(self.draws));
        }
        slope
    }
}

/// The line search: α doubled while g falls, or divided by 4 until it does; the old ray where it never falls.
async fn descend(oracle: &mut Oracle<Decisions>, ray: &Ray, slope: &[f64], alpha: &mut f64, tolerance: f64) -> Ray {
    let mut best = ray.clone();
    for _ in 0..15 {
        let theta = moved(&ray.0, -*alpha, slope);
        let g = near(oracle, &theta, best.1, tolerance).await;
        *alpha *= 2.0;
        if g >= best.1 {
            break;
        }
        best = (theta, g);
    }
    if best.1 < ray.1 {
        return best;
    }
    for _ in 0..15 {
        *alpha *= 0.25;
        let theta = moved(&ray.0, -*alpha, slope);
        let g = near(oracle, &theta, best.1, tolerance).await;
        if g < ray.1 {
            return (theta, g);
        }
    }
    best
}
