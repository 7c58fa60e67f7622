//! SurFree: turns on circles through the clean image, without an estimate of any normal.

use crate::frequencies::cosines;
use crate::query::{self, Decisions, Oracle, Queried, QueryAttack};
use crate::start;
use gauntlet_core::registry::BuildAttack;
use gauntlet_core::{ParamDoc, ParamKind, Range, Spec};
use gauntlet_records::Norm;
use std::sync::Arc;

/// From x at distance d along the unit v: for a random unit w orthogonal to v and to the last directions, the points
/// x₀ + d cos θ (cos θ v + sin θ w) of a circle through x and x₀ are the nearer the larger |θ| is. Of ± θ_max, ± θ_max (T − 1)/T, …
/// the first misclassified one is widened by bisection; where there is none θ_max shrinks by ρ, else it grows by 1/ρ.
///
/// Maho, Furon & Le Merrer 2021. Directions are drawn from the coefficients of the image's own cosines (8 × 8 blocks), as its
/// published code draws them: signs −1, 0, 1 of tanh. Its question at −θ within the bisection is left out.
#[derive(Debug, Clone)]
pub struct SurFree {
    /// Directions tried.
    pub steps: u32,
    /// Questions at most.
    pub queries: u32,
    /// First θ_max, in degrees.
    pub theta: f64,
    /// ρ.
    pub rho: f64,
    /// T.
    pub angles: u32,
    /// Directions that a new one is orthogonal to.
    pub memory: usize,
}

/// Registration.
pub const SPEC: Spec<BuildAttack> = Spec {
    name: "surfree",
    summary: "from decisions alone: turns on circles through the clean image in random directions; one run for every ε",
    formula: "x ← x₀ + d cos θ (cos θ · v + sin θ · w), v = (x − x₀)/d, w ⟂ v random, the largest misclassified |θ| ≤ θ_max",
    paper: "Maho, Furon & Le Merrer 2021",
    params: &[
        ParamDoc { name: "steps", kind: ParamKind::COUNT, default: "500", unit: "", doc: "turns" },
        query::QUERIES,
        ParamDoc {
            name: "theta",
            kind: ParamKind::POSITIVE,
            default: "30",
            unit: "degrees",
            doc: "first largest angle",
        },
        ParamDoc {
            name: "rho",
            kind: ParamKind::Float(Range::above(0.0).at_most(1.0)),
            default: "0.95",
            unit: "",
            doc: "factor by which it shrinks and grows",
        },
        ParamDoc { name: "angles", kind: ParamKind::COUNT, default: "1", unit: "", doc: "angles tried on either side" },
        ParamDoc {
            name: "memory",
            kind: ParamKind::COUNT,
            default: "100",
            unit: "",
            doc: "last directions that a new one is orthogonal to",
        },
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        Ok(Arc::new(Queried(SurFree {
            steps: args.u32("steps")?,
            queries: query::most(args)?,
            theta: args.f64("theta")?,
            rho: args.f64("rho")?,
            angles: args.u32("angles")?,
            memory: args.usize("memory")?,
        })))
    },
};

impl QueryAttack for SurFree {
    type Sees = Decisions;
    fn name(&self) -> &str {
        "surfree"
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
        let blocks = Blocks::new(oracle.input());
        let coefficients: Vec<f64> = blocks.transform(oracle.x0(), false).iter().map(|c| libm::tanh(*c)).collect();
        // v first, then the last directions.
        let mut known: Vec<Vec<f64>> = Vec::new();
        let mut most = self.theta;
        for _ in 0..self.steps {
            let away = oracle.distance(&x);
            if away == 0.0 {
                return;
            }
            let v: Vec<f64> = x.iter().zip(oracle.x0()).map(|(x, c)| (x - c) / away).collect();
            if known.is_empty() {
                known.push(v.clone());
            }
            let w = direction(oracle, &blocks, &coefficients, &known);
            if known.len() > self.memory {
                known.remove(1);
            }
            known.push(w.clone());
            let circle = Circle { v, w, away };
            match self.turn(oracle, &circle, most).await {
                None => most *= self.rho,
                Some(angle) => {
                    most /= self.rho;
                    let nearer = circle.at(oracle, angle);
                    // Clipping may have moved it away.
                    if oracle.distance(&nearer) < away {
                        x = nearer;
                    }
                }
            }
        }
    }
}

/// x₀ + d cos θ (cos θ v + sin θ w), through x and the clean image.
struct Circle {
    v: Vec<f64>,
    w: Vec<f64>,
    away: f64,
}

impl Circle {
    /// The point at `angle` degrees, in the box.
    fn at(&self, oracle: &Oracle<Decisions>, angle: f64) -> Vec<f64> {
        let (sin, cos) = (libm::sin(angle.to_radians()), libm::cos(angle.to_radians()));
        let turned: Vec<f64> = self.v.iter().zip(&self.w).map(|(v, w)| cos * v + sin * w).collect();
        oracle.along(&turned, self.away * cos)
    }
}

impl SurFree {
    /// The largest misclassified angle that is found, widened by bisection until the shares 1 − cos θ differ by 0.01.
    async fn turn(&self, oracle: &mut Oracle<Decisions>, circle: &Circle, most: f64) -> Option<f64> {
        let part = most / f64::from(self.angles);
        let mut found = None;
        'angles: for k in (1..=self.angles).rev() {
            for sign in [1.0, -1.0] {
                let angle = sign * f64::from(k) * part;
                let point = circle.at(oracle, angle);
                if oracle.fools(&point).await {
                    found = Some((angle, sign, k));
                    break 'angles;
                }
            }
        }
        let (mut inside, sign, k) = found?;
        let mut outside = inside + sign * part;
        // Beyond the largest that was tried: on, until the turn is a right angle.
        while k == self.angles && outside.abs() < 90.0 {
            let point = circle.at(oracle, outside);
            if !oracle.fools(&point).await {
                break;
            }
            (inside, outside) = (outside, outside + sign * part);
        }
        let share = |angle: f64| 1.0 - libm::cos(angle.to_radians());
        for _ in 0..10 {
            if (share(outside) - share(inside)).abs() <= 0.01 {
                break;
            }
            let middle = 0.5 * (inside + outside);
            let point = circle.at(oracle, middle);
            *if oracle.fools(&point).await { &mut inside } else { &mut outside } = middle;
        }
        Some(inside)
    }
}

/// A random unit direction, orthogonal to the known ones: the image's coefficients with signs −1, 0, 1.
fn direction(oracle: &mut Oracle<Decisions>, blocks: &Blocks, coefficients: &[f64], known: &[Vec<f64>]) -> Vec<f64> {
    let signed: Vec<f64> = coefficients.iter().map(|c| c * (f64::from(oracle.stream.below(3)) - 1.0)).collect();
    let mut w = blocks.transform(&signed, true);
    // An image without structure, or one whose few directions are used up.
    if orthogonal(&mut w, known).is_none() {
        w = (0..coefficients.len()).map(|_| oracle.stream.normal()).collect();
        orthogonal(&mut w, known);
    }
    w
}

/// Makes `w` a unit vector orthogonal to these (themselves nearly so); `None` where next to nothing is left.
fn orthogonal(w: &mut [f64], known: &[Vec<f64>]) -> Option<()> {
    let before = Norm::L2.of(w.iter().copied());
    for k in known {
        let along: f64 = w.iter().zip(k).map(|(w, k)| w * k).sum();
        w.iter_mut().zip(k).for_each(|(w, k)| *w -= along * k);
    }
    let size = Norm::L2.of(w.iter().copied());
    w.iter_mut().for_each(|w| *w /= size.max(f64::MIN_POSITIVE));
    (size > 1e-6 * before && size.is_finite()).then_some(())
}

/// Orthonormal cosines of 8 × 8 blocks; those at the right and lower edge are smaller where the side is no multiple.
struct Blocks {
    input: (usize, usize, usize),
    /// Cosines of 1, 2, …, 8 pixels.
    cosines: Vec<Vec<Vec<f64>>>,
}

const SIDE: usize = 8;

impl Blocks {
    fn new(input: (usize, usize, usize)) -> Self {
        Blocks { input, cosines: (1..=SIDE).map(|n| cosines(n, n)).collect() }
    }

    /// Pixels to coefficients, or back.
    fn transform(&self, image: &[f64], back: bool) -> Vec<f64> {
        let (_, h, w) = self.input;
        let mut out = vec![0.0; image.len()];
        for (to, from) in out.chunks_exact_mut(h * w).zip(image.chunks_exact(h * w)) {
            for top in (0..h).step_by(SIDE) {
                for left in (0..w).step_by(SIDE) {
                    let (rows, columns) = (SIDE.min(h - top), SIDE.min(w - left));
                    let weight = |n: usize, u: usize, i: usize| {
                        if back { self.cosines[n - 1][i][u] } else { self.cosines[n - 1][u][i] }
                    };
                    for (u, v) in (0..rows).flat_map(|u| (0..columns).map(move |v| (u, v))) {
                        let row = |i: usize| -> f64 {
                            let pixels = &from[(top + i) * w + left..][..columns];
                            pixels.iter().enumerate().map(|(j, p)| weight(columns, v, j) * p).sum()
                        };
                        to[(top + u) * w + left + v] = (0..rows).map(|i| weight(rows, u, i) * row(i)).sum();
                    }
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_orthonormal_and_invert() {
        let blocks = Blocks::new((2, 11, 20));
        let image: Vec<f64> = (0..440).map(|i| f64::from(i * 7919 % 101) / 101.0).collect();
        let coefficients = blocks.transform(&image, false);
        let size = |v: &[f64]| Norm::L2.of(v.iter().copied());
        assert!((size(&coefficients) - size(&image)).abs() < 1e-12);
        // The first coefficient of a block is its mean × 8.
        let sum: f64 = (0..8).flat_map(|i| (0..8).map(move |j| i * 20 + j)).map(|p| image[p]).sum();
        assert!((coefficients[0] - sum / 8.0).abs() < 1e-12);
        let back = blocks.transform(&coefficients, true);
        assert!(back.iter().zip(&image).all(|(a, b)| (a - b).abs() < 1e-12));
    }
}
