//! The Square attack: random squares at the corners of the ball, guided by scores alone.

use gauntlet_autograd::kernels::Real;
use gauntlet_core::attack::{Backwards, Job, Open, Pulls, Site, Turn, Walk, margin, misclassified};
use gauntlet_core::philox::Stream;
use gauntlet_core::registry::BuildAttack;
use gauntlet_core::{Attack, Clean, ParamDoc, ParamKind, Spec, ThreatModel, walks};
use gauntlet_records::Norm;
use std::sync::Arc;

/// Random search over square windows; a proposal is kept if the margin z_y − max_{i≠y} z_i falls. Every image draws its
/// own windows; their offsets are uniform in {0, …, h − s − 1}, as in the published code (the paper has h − s too).
///
/// Andriushchenko et al. 2020, with the L1 version of Croce & Hein 2021.
#[derive(Debug, Clone)]
pub struct Square {
    /// Proposals after the starting point.
    pub queries: u32,
    /// Share of the pixels in the first windows.
    pub p_init: f64,
    /// Runs.
    pub restarts: u32,
}

/// Registration.
pub const SPEC: Spec<BuildAttack> = Spec {
    name: "square",
    summary: "random search over squares with scores alone: finds what masked gradients hide",
    formula: "x' = clip(x + δ), windows of δ set to ±ε (L∞) or refilled (L2, L1), kept if the margin falls",
    paper: "Andriushchenko et al. 2020",
    params: &[
        ParamDoc { name: "queries", kind: ParamKind::COUNT, default: "5000", unit: "", doc: "proposals per run" },
        ParamDoc {
            name: "p_init",
            kind: ParamKind::WEIGHT,
            default: "0.8",
            unit: "",
            doc: "share of pixels in the first windows",
        },
        ParamDoc { name: "restarts", kind: ParamKind::COUNT, default: "1", unit: "", doc: "runs" },
    ],
    numerics: 2,
    origin: "built-in",
    build: |args, _| {
        Ok(Arc::new(Square {
            queries: args.u32("queries")?,
            p_init: args.f64("p_init")?,
            restarts: args.u32("restarts")?,
        }))
    },
};

impl Attack for Square {
    fn name(&self) -> &str {
        "square"
    }
    fn norms(&self) -> &[Norm] {
        &[Norm::Linf, Norm::L2, Norm::L1]
    }
    fn jobs(&self, _: &Clean, _: &ThreatModel) -> Vec<Job> {
        Job::restarts(self.restarts)
    }
    fn backwards(&self) -> Backwards {
        Backwards::None
    }
    walks!();
}

/// Share of the pixels in a window of query `i`: halved after 10, 50, 200, 500, 1000, 2000, 4000, 6000 and 8000.
pub fn share(p_init: f64, i: u32) -> f64 {
    let halvings = [10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000].iter().filter(|after| i > **after).count();
    p_init / f64::from(1u32 << halvings)
}

impl Square {
    fn walk<T: Real>(&self, site: Site<'_, T>) -> Box<dyn Walk<T>> {
        let mut walk = SquareWalk {
            square: self.clone(),
            open: *site.open,
            id: site.clean.id,
            restart: site.job.restart,
            label: site.clean.label,
            best: Vec::new(),
            lowest: f64::INFINITY,
            query: 0,
            x0: site.x0,
        };
        walk.start(site.x);
        walk.best = site.x.to_vec();
        Box::new(walk)
    }
}

struct SquareWalk<T> {
    square: Square,
    open: Open,
    id: u64,
    restart: u32,
    label: u32,
    best: Vec<T>,
    lowest: f64,
    /// Proposals made.
    query: u32,
    x0: Arc<[T]>,
}

fn sign(stream: &mut Stream) -> f64 {
    if stream.next_u32() & 1 == 0 { 1.0 } else { -1.0 }
}

/// The pyramid R(a, b) of one half of a pattern, of unit norm.
fn pyramid(a: usize, b: usize, norm: Norm) -> Vec<Vec<f64>> {
    let power = if norm == Norm::L1 { 4 } else { 2 };
    let most = (a / 2).max(b / 2) + 1;
    let value = |i: usize, j: usize| -> f64 {
        let first = i.abs_diff(a / 2).max(j.abs_diff(b / 2));
        (first..most).map(|k| (k as f64 + 1.0).powi(-power)).sum()
    };
    let rows: Vec<Vec<f64>> = (0..a).map(|i| (0..b).map(|j| value(i, j)).collect()).collect();
    let size = norm.of(rows.iter().flatten().copied()).max(f64::MIN_POSITIVE);
    rows.into_iter().map(|row| row.into_iter().map(|v| v / size).collect()).collect()
}

/// η(s): two opposite pyramids, s × s, unit norm, transposed or not.
fn pattern(s: usize, norm: Norm, transposed: bool) -> Vec<f64> {
    let (top, bottom) = (pyramid(s / 2, s, norm), pyramid(s - s / 2, s, norm));
    let rows: Vec<Vec<f64>> =
        top.into_iter().chain(bottom.into_iter().map(|r| r.into_iter().map(|v| -v).collect())).collect();
    let mut flat: Vec<f64> =
        (0..s * s).map(|k| if transposed { rows[k % s][k / s] } else { rows[k / s][k % s] }).collect();
    let size = norm.of(flat.iter().copied()).max(f64::MIN_POSITIVE);
    flat.iter_mut().for_each(|v| *v /= size);
    flat
}

/// The rows and columns of a window: top, left, side.
#[derive(Clone, Copy)]
struct Window(usize, usize, usize);

impl Window {
    fn holds(&self, i: usize, j: usize) -> bool {
        (self.0..self.0 + self.2).contains(&i) && (self.1..self.1 + self.2).contains(&j)
    }
}

impl<T: Real> SquareWalk<T> {
    /// The stream of one proposal.
    fn stream(&self) -> Stream {
        self.open.key.stream(self.id, self.restart, self.query)
    }

    fn delta(&self) -> Vec<f64> {
        self.best.iter().zip(self.x0.iter()).map(|(x, c)| x.wide() - c.wide()).collect()
    }

    /// Writes x₀ + δ, brought into the ball the way of the norm.
    fn place(&self, delta: &[f64], x: &mut [T]) {
        let threat = self.open.threat;
        let scale = match threat.norm {
            Norm::L2 => threat.eps / threat.norm.of(delta.iter().copied()).max(1e-12),
            _ => 1.0,
        };
        for ((x, c), d) in x.iter_mut().zip(self.x0.iter()).zip(delta) {
            *x = T::of(c.wide() + scale * d);
        }
        match threat.norm {
            Norm::L1 => ThreatModel { eps: threat.eps * (1.0 - 1e-6), ..threat }.project_both_row(&self.x0, x),
            _ => threat.project_row(&self.x0, x),
        }
    }

    /// Stripes (L∞) or tiles of patterns (L2, L1).
    fn start(&self, x: &mut [T]) {
        let (c, h, w) = self.open.input;
        let (threat, mut stream) = (self.open.threat, self.stream());
        let mut delta = vec![0.0; c * h * w];
        if threat.norm == Norm::Linf {
            for channel in 0..c {
                let signs: Vec<f64> = (0..w).map(|_| sign(&mut stream)).collect();
                for i in 0..h {
                    for j in 0..w {
                        delta[(channel * h + i) * w + j] = threat.eps * signs[j];
                    }
                }
            }
            return self.place(&delta, x);
        }
        let side = (h.min(w) / 5).max(1);
        let (up, left) = ((h - h / side * side) / 2, (w - w / side * side) / 2);
        for top in (up..h + 1 - side).step_by(side) {
            for start in (left..w + 1 - side).step_by(side) {
                let tile = pattern(side, threat.norm, stream.next_u32() & 1 == 0);
                for channel in 0..c {
                    let sign = sign(&mut stream);
                    for (k, v) in tile.iter().enumerate() {
                        delta[(channel * h + top + k / side) * w + start + k % side] += sign * v;
                    }
                }
            }
        }
        self.place(&delta, x);
    }

    fn propose(&mut self, x: &mut [T]) {
        let (c, h, w) = self.open.input;
        let (threat, mut stream) = (self.open.threat, self.stream());
        let ideal = (share(self.square.p_init, self.query - 1) * (h * w) as f64).sqrt().round() as usize;
        x.copy_from_slice(&self.best);
        let window = |side: usize, stream: &mut Stream| {
            // As both published codes draw it: never the last offset, though a window would fit there.
            let mut offset = |free: usize| stream.below(free.max(1) as u32) as usize;
            Window(offset(h - side), offset(w - side), side)
        };
        if threat.norm == Norm::Linf {
            let Window(top, left, side) = window(ideal.clamp(1, h.min(w)), &mut stream);
            let (low, high) = threat.bounds;
            for channel in 0..c {
                let sign = sign(&mut stream) * threat.eps;
                for i in top..top + side {
                    let window = (channel * h + i) * w + left..(channel * h + i) * w + left + side;
                    for (x, c) in x[window.clone()].iter_mut().zip(&self.x0[window]) {
                        *x = T::of((c.wide() + sign).clamp(low, high));
                    }
                }
            }
            // ε is rounded with the pixel, as projections round it.
            return threat.project_row(&self.x0, x);
        }
        let odd = ideal.max(3) | 1;
        let side = odd.min(h).min(w);
        let (one, two) = (window(side, &mut stream), window(side, &mut stream));
        let mut delta = self.delta();
        let whole = threat.norm.of(delta.iter().copied());
        let spare = match threat.norm {
            Norm::L1 => (threat.eps - whole).max(0.0) / c as f64,
            _ => (threat.eps * threat.eps - whole * whole).max(0.0) / c as f64,
        };
        let tile = pattern(side, threat.norm, stream.next_u32() & 1 == 0);
        for channel in 0..c {
            let at = |i: usize, j: usize| (channel * h + i) * w + j;
            let union = threat.norm.of((0..h * w).filter_map(|k| {
                let (i, j) = (k / w, k % w);
                (one.holds(i, j) || two.holds(i, j)).then(|| delta[at(i, j)])
            }));
            let old: Vec<f64> = (0..side * side).map(|k| delta[at(one.0 + k / side, one.1 + k % side)]).collect();
            let old_size = threat.norm.of(old.iter().copied()) + 1e-12;
            let sign = sign(&mut stream);
            let mut new: Vec<f64> = tile.iter().zip(&old).map(|(t, o)| sign * t + o / old_size).collect();
            let size = threat.norm.of(new.iter().copied()).max(1e-12);
            let wanted = match threat.norm {
                Norm::L1 => (spare + union) * c as f64,
                _ => (spare + union * union).sqrt(),
            };
            new.iter_mut().for_each(|v| *v *= wanted / size);
            for k in 0..side * side {
                delta[at(two.0 + k / side, two.1 + k % side)] = 0.0;
            }
            for (k, v) in new.iter().enumerate() {
                delta[at(one.0 + k / side, one.1 + k % side)] = *v;
            }
        }
        self.place(&delta, x);
    }
}

impl<T: Real> Walk<T> for SquareWalk<T> {
    fn look(&mut self, x: &mut [T], logits: &[f64], _: &mut Pulls<'_>) -> Turn {
        let value = margin(logits, self.label);
        if !self.open.lockstep && misclassified(logits, self.label) {
            return Turn::broken(self.query);
        }
        // A NaN is no progress.
        if value < self.lowest || self.query == 0 {
            self.best.copy_from_slice(x);
            self.lowest = if value.is_nan() { f64::INFINITY } else { value };
        }
        if self.query == self.square.queries {
            x.copy_from_slice(&self.best);
            return Turn::withstood(self.query);
        }
        self.query += 1;
        self.propose(x);
        Turn::Go
    }

    fn step(&mut self, _: &mut [T], _: &[&[T]]) -> Turn {
        Turn::Go
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_is_that_of_the_published_code() {
        let at = |i| share(0.8, i);
        assert_eq!([0, 10, 11, 51, 201, 501, 1001].map(at), [0.8, 0.8, 0.4, 0.2, 0.1, 0.05, 0.025]);
        assert_eq!([2001, 4001, 6001, 8001].map(at), [0.0125, 0.00625, 0.003125, 0.0015625]);
    }

    #[test]
    fn patterns_have_unit_norm_and_opposite_halves() {
        for (norm, s) in [(Norm::L2, 5), (Norm::L2, 3), (Norm::L1, 7)] {
            let p = pattern(s, norm, false);
            assert!((norm.of(p.iter().copied()) - 1.0).abs() < 1e-12);
            assert!(p[..s / 2 * s].iter().all(|v| *v > 0.0) && p[s / 2 * s..].iter().all(|v| *v < 0.0));
            let t = pattern(s, norm, true);
            assert!((0..s * s).all(|k| (t[k] - p[k % s * s + k / s]).abs() < 1e-15));
        }
    }
}
