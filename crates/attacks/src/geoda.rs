//! GeoDA: the boundary as a plane, its normal estimated from decisions in a subspace of low frequencies.

use crate::frequencies::Frequencies;
use crate::query::{Decisions, Oracle, Queried, QueryAttack};
use crate::start;
use gauntlet_core::attack::Open;
use gauntlet_core::registry::BuildAttack;
use gauntlet_core::{ParamDoc, ParamKind, Range, Result, Spec};
use gauntlet_records::Norm;
use std::sync::Arc;

/// w ← w + Σ_b φ(x + σ η_b) η_b / B, η = a random combination of the `frequencies`² lowest cosines of every channel; then the point
/// of the boundary along w (L∞: sign w) from the clean image. Questions per normal grow as μ^{−2t/3}.
///
/// Rahmati et al. 2020. Differs from the published code in the search along w: distances of the point clipped to the box are doubled
/// and bisected, instead of steps of 5 ‖w‖ and a bisection towards the clipped point.
#[derive(Debug, Clone)]
pub struct GeoDa {
    /// Questions at most.
    pub queries: u32,
    /// Cosines per side.
    pub frequencies: usize,
    /// σ, the length of the steps that find the normal, per frequency.
    pub sigma: f64,
    /// μ of the schedule.
    pub mu: f64,
    /// A bisection ends at this width, in L2.
    pub tolerance: f64,
}

/// Registration.
pub const SPEC: Spec<BuildAttack> = Spec {
    name: "geoda",
    summary: "from decisions alone: the boundary as a plane, its normal estimated in low frequencies; one run for every ε",
    formula: "w ← w + Σ_b φ(x + σ η_b) η_b / B,  x ← the boundary along w (L2), sign(w) (L∞) from the clean image",
    paper: "Rahmati et al. 2020",
    params: &[
        ParamDoc { name: "queries", kind: ParamKind::COUNT, default: "4000", unit: "", doc: "questions at most" },
        ParamDoc {
            name: "frequencies",
            kind: ParamKind::COUNT,
            default: "10",
            unit: "",
            doc: "cosines per side that normals are made of; the paper has 75 for images of 224 × 224",
        },
        ParamDoc {
            name: "sigma",
            kind: ParamKind::POSITIVE,
            default: "0.0002",
            unit: "",
            doc: "scale of the steps that find a normal",
        },
        ParamDoc {
            name: "mu",
            kind: ParamKind::Float(Range::above(0.0).at_most(1.0)),
            default: "0.6",
            unit: "",
            doc: "questions per normal grow as mu^(−2t/3): the first need the fewest",
        },
        ParamDoc {
            name: "tolerance",
            kind: ParamKind::POSITIVE,
            default: "0.0001",
            unit: "",
            doc: "width at which a bisection ends, in L2",
        },
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        Ok(Arc::new(Queried(GeoDa {
            queries: args.u32("queries")?,
            frequencies: args.usize("frequencies")?,
            sigma: args.f64("sigma")?,
            mu: args.f64("mu")?,
            tolerance: args.f64("tolerance")?,
        })))
    },
};

/// Questions for each normal: T parts of N that grow as μ^{−2t/3}, T such that the first has 50 to 80.
pub fn schedule(questions: u32, mu: f64) -> Vec<u32> {
    let parts = |n: usize| -> Vec<u32> {
        let weights: Vec<f64> = (0..n).map(|t| mu.powf(-2.0 * t as f64 / 3.0)).collect();
        let sum: f64 = weights.iter().sum();
        weights.iter().map(|w| (f64::from(questions) * w / sum).round() as u32).collect()
    };
    // The first part falls with their number: the fewest whose first has at most 80.
    let n = (1..1000).find(|n| parts(*n)[0] <= 80).unwrap_or(1000);
    parts(n)
}

impl QueryAttack for GeoDa {
    type Sees = Decisions;
    fn name(&self) -> &str {
        "geoda"
    }
    fn norms(&self) -> &[Norm] {
        &[Norm::Linf, Norm::L2]
    }
    fn fits(&self, open: &Open) -> Result<()> {
        crate::frequencies::fit("geoda", self.frequencies, open)
    }
    fn queries(&self) -> u32 {
        self.queries
    }
    async fn search(self, mut oracle: Oracle<Decisions>) {
        let oracle = &mut oracle;
        let basis = Frequencies::new(oracle.input(), self.frequencies);
        let Some(start) = noisy(oracle).await else { return };
        let far = oracle.distance(&start).max(f64::MIN_POSITIVE);
        let mut x = start::bisect(oracle, &start, self.tolerance / far).await;
        let mut w = vec![0.0; x.len()];
        // 25 questions for the search of each, as the published schedule sets apart.
        let apart = 25 * schedule(self.queries, self.mu).len() as u32;
        for questions in schedule(self.queries.saturating_sub(apart).max(1), self.mu) {
            for _ in 0..questions {
                let eta = basis.draw(&mut oracle.stream);
                let probe: Vec<f64> = x.iter().zip(&eta).map(|(x, e)| x + self.sigma * e).collect();
                let phi = if oracle.fools(&probe).await { 1.0 } else { -1.0 };
                w.iter_mut().zip(&eta).for_each(|(w, e)| *w += phi * e / f64::from(questions));
            }
            if let Some(nearer) = self.along(oracle, &w).await {
                x = nearer;
            }
        }
    }
}

impl GeoDa {
    /// The boundary along w from the clean image: a radius that is misclassified, doubled from a tenth until it is, then bisected.
    async fn along(&self, oracle: &mut Oracle<Decisions>, w: &[f64]) -> Option<Vec<f64>> {
        let v: Vec<f64> = match oracle.threat().norm {
            Norm::Linf => w.iter().map(|w| if *w == 0.0 { 0.0 } else { w.signum() }).collect(),
            _ => {
                let size = Norm::L2.of(w.iter().copied());
                w.iter().map(|w| w / size).collect()
            }
        };
        let length = Norm::L2.of(v.iter().copied());
        if !(length > 0.0 && length.is_finite()) {
            return None;
        }
        let (mut inside, mut outside) = (0.0, 0.1);
        loop {
            let point = oracle.along(&v, outside);
            if oracle.fools(&point).await {
                break;
            }
            (inside, outside) = (outside, 2.0 * outside);
            // Every pixel that moves is black or white by now.
            if outside > 1e4 {
                return None;
            }
        }
        while (outside - inside) * length > self.tolerance {
            let middle = 0.5 * (inside + outside);
            let point = oracle.along(&v, middle);
            *if oracle.fools(&point).await { &mut outside } else { &mut inside } = middle;
        }
        Some(oracle.along(&v, outside))
    }
}

/// Gaussian noise of 0.02 k around the clean image, k = 1, 2, …, until it is misclassified.
async fn noisy(oracle: &mut Oracle<Decisions>) -> Option<Vec<f64>> {
    for k in 1..=500 {
        let draw: Vec<f64> = (0..oracle.x0().len()).map(|_| oracle.stream.normal()).collect();
        let point = oracle.along(&draw, 0.02 * f64::from(k));
        if oracle.fools(&point).await {
            return Some(point);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The list that the published code computes for 4000 questions.
    #[test]
    fn the_schedule_grows_from_fifty_to_eighty_questions() {
        for total in [500, 1000, 3800, 10_000] {
            let parts = schedule(total, 0.6);
            assert!((50..=80).contains(&parts[0]), "{total}: {parts:?}");
            assert!(parts.windows(2).all(|w| w[0] < w[1]));
            assert!(parts.iter().sum::<u32>().abs_diff(total) <= parts.len() as u32);
        }
    }
}
