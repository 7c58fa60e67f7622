//! The nearest point of a hyperplane inside the box.

use gauntlet_autograd::kernels::{Real, Vectorised, vectorised};
use gauntlet_records::Norm;

/// Accumulators of a sum: the same value whatever the vectors.
const LANES: usize = 16;

/// The shortest step d from `t` (in `[0, 1]`) with ⟨w, t + d⟩ = ⟨w, t⟩ − `gap` and t + d in `[0, 1]`; the step to the
/// farthest corner where the plane is out of reach. Croce & Hein 2020, appendix.
///
/// Every coordinate moves against the sign of `gap · w` and has room r to the box. L∞: |dᵢ| = min(λ, rᵢ). L2:
/// |dᵢ| = min(λ|wᵢ|, rᵢ). L1: full room in order of |w|, the last coordinate in part.
pub(crate) fn toward<T: Real>(norm: Norm, t: &[T], w: &[T], gap: f64) -> Vec<T> {
    let n = t.len().next_multiple_of(LANES);
    let (mut size, mut room) = (vec![0.0f64; n], vec![0.0f64; n]);
    let flip = if gap >= 0.0 { 1.0 } else { -1.0 };
    let level = vectorised(Level { norm, t, w, flip, need: gap.abs(), size: &mut size, room: &mut room });
    if let (Norm::L1, Some(_)) = (norm, level) {
        room = greedy(&size, &room, gap.abs());
    }
    let mut step = vec![T::zero(); t.len()];
    vectorised(Lengths { norm, w, flip, level, size: &size, room: &room, step: &mut step });
    step
}

/// Fills |w| and the room of every coordinate (their lengths are padded with zeros), and finds λ; `None`: the plane is out
/// of reach.
struct Level<'a, T> {
    norm: Norm,
    t: &'a [T],
    w: &'a [T],
    flip: f64,
    need: f64,
    size: &'a mut [f64],
    room: &'a mut [f64],
}

impl<T: Real> Vectorised for Level<'_, T> {
    type Out = Option<f64>;
    #[inline(always)]
    fn run(self) -> Option<f64> {
        let still = if self.norm == Norm::Linf { 0.0 } else { 1e-8 };
        for ((size, room), (t, w)) in self.size.iter_mut().zip(self.room.iter_mut()).zip(self.t.iter().zip(self.w)) {
            let (t, w) = (t.wide(), self.flip * w.wide());
            let free = if w > 0.0 { t } else { 1.0 - t };
            *size = w.abs();
            *room = if w.abs() > still { free.max(0.0) } else { 0.0 };
        }
        if total(self.size, self.room, |size, room| (size * room, 0.0)).0 <= self.need {
            return None;
        }
        // Newton's method from the left on a concave, piecewise linear function: exact after as many rounds as it
        // crosses pieces.
        let mut level = 0.0;
        for _ in 0..=self.size.len() {
            let (value, slope) = match self.norm {
                Norm::Linf => total(self.size, self.room, |size, room| {
                    (size * if level < room { level } else { room }, if level < room { size } else { 0.0 })
                }),
                Norm::L2 => total(self.size, self.room, |size, room| {
                    let reached = level * size;
                    let moves = reached < room;
                    (size * if moves { reached } else { room }, if moves { size * size } else { 0.0 })
                }),
                Norm::L1 | Norm::L0 => return Some(0.0),
            };
            let next = level + (self.need - value) / slope;
            // Also ends where nothing is left that can move (the quotient is no number) and at rounding.
            if !(next > level && next.is_finite()) {
                break;
            }
            level = next;
        }
        Some(level)
    }
}

/// Two sums over (|w|, room).
#[inline(always)]
fn total(size: &[f64], room: &[f64], f: impl Fn(f64, f64) -> (f64, f64)) -> (f64, f64) {
    let (mut first, mut second) = ([0.0; LANES], [0.0; LANES]);
    for (size, room) in size.chunks_exact(LANES).zip(room.chunks_exact(LANES)) {
        for i in 0..LANES {
            let (a, b) = f(size[i], room[i]);
            first[i] += a;
            second[i] += b;
        }
    }
    (first.iter().sum(), second.iter().sum())
}

/// Writes d.
struct Lengths<'a, T> {
    norm: Norm,
    w: &'a [T],
    flip: f64,
    level: Option<f64>,
    size: &'a [f64],
    room: &'a [f64],
    step: &'a mut [T],
}

impl<T: Real> Vectorised for Lengths<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let (by_level, by_size) = match (self.norm, self.level) {
            (Norm::Linf, Some(level)) => (level, 0.0),
            (Norm::L2, Some(level)) => (0.0, level),
            // All the room there is, or what was handed out.
            _ => (f64::INFINITY, 0.0),
        };
        for ((step, w), (size, room)) in self.step.iter_mut().zip(self.w).zip(self.size.iter().zip(self.room)) {
            let wanted = by_level + by_size * size;
            let length = if wanted < *room { wanted } else { *room };
            *step = T::of(if self.flip * w.wide() > 0.0 { -length } else { length });
        }
    }
}

fn greedy(size: &[f64], room: &[f64], mut need: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..size.len()).filter(|i| room[*i] > 0.0).collect();
    order.sort_by(|a, b| size[*b].total_cmp(&size[*a]));
    let mut lengths = vec![0.0; size.len()];
    for i in order {
        lengths[i] = room[i].min(need / size[i]);
        need -= lengths[i] * size[i];
        if need <= 0.0 {
            break;
        }
    }
    lengths
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// On the plane, in the box, and no other such point is nearer (a cloud of them, by weighted corrections).
        #[test]
        fn the_step_is_feasible_reaches_the_plane_and_is_the_shortest(
            norm in prop_oneof![Just(Norm::Linf), Just(Norm::L2), Just(Norm::L1)],
            t in prop::collection::vec(prop_oneof![Just(0.0f64), Just(1.0), 0.0f64..1.0], 6),
            w in prop::collection::vec(prop_oneof![Just(0.0f64), -2.0f64..2.0], 6),
            gap in -1.5f64..1.5,
            others in prop::collection::vec(prop::collection::vec(0.0f64..1.0, 6), 40),
        ) {
            let d = toward(norm, &t, &w, gap);
            let moved: f64 = d.iter().zip(&w).map(|(d, w)| d * w).sum();
            let flip = if gap >= 0.0 { 1.0 } else { -1.0 };
            let reach: f64 = t.iter().zip(&w).map(|(t, w)| (flip * w).abs() * if flip * w > 0.0 { *t } else { 1.0 - t }).sum();
            for (t, d) in t.iter().zip(&d) {
                prop_assert!((-1e-12..=1.0 + 1e-12).contains(&(t + d)));
            }
            if reach <= gap.abs() {
                prop_assert!((moved.abs() - reach).abs() < 1e-9);
                return Ok(());
            }
            prop_assert!((moved + gap).abs() < 1e-9, "moved {moved}, gap {gap}");
            let size = norm.of(d.iter().copied());
            for v in &others {
                // A random direction inside the box, scaled onto the plane if it can be.
                let along: f64 = v.iter().zip(&t).zip(&w).map(|((v, t), w)| (v - t) * w).sum();
                let scale = -gap / along;
                if along == 0.0 || !(0.0..=1.0).contains(&scale) {
                    continue;
                }
                let other = norm.of(v.iter().zip(&t).map(|(v, t)| scale * (v - t)));
                prop_assert!(size <= other + 1e-9, "{norm}: {size} > {other}");
            }
        }
    }
}
