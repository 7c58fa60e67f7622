//! The nearest point of a hyperplane inside the box.

use gauntlet_autograd::kernels::{Real, sum, vectorised};
use gauntlet_core::Norm;

/// The shortest step d from `t` (in `[0, 1]`) with ⟨w, t + d⟩ = ⟨w, t⟩ − `gap` and t + d in `[0, 1]`; the step to the
/// farthest corner where the plane is out of reach. Croce & Hein 2020, appendix.
///
/// Every coordinate moves against the sign of `gap · w` and has room r to the box. L∞: |dᵢ| = min(λ, rᵢ). L2:
/// |dᵢ| = min(λ|wᵢ|, rᵢ). L1: full room in order of |w|, the last coordinate in part.
pub(crate) fn toward<T: Real>(norm: Norm, t: &[T], w: &[T], gap: f64) -> Vec<T> {
    let flip = if gap >= 0.0 { 1.0 } else { -1.0 };
    let still = if norm == Norm::Linf { 0.0 } else { 1e-8 };
    let n = t.len();
    let (mut size, mut room) = (vec![0.0f64; n], vec![0.0f64; n]);
    vectorised(|| {
        for i in 0..n {
            let (t, w) = (t[i].wide(), flip * w[i].wide());
            let free = if w > 0.0 { t } else { 1.0 - t };
            size[i] = w.abs();
            room[i] = if w.abs() > still { free.max(0.0) } else { 0.0 };
        }
    });
    let length = lengths(norm, &size, &room, gap.abs());
    let mut step = vec![T::zero(); n];
    vectorised(|| {
        for i in 0..n {
            let down = flip * w[i].wide() > 0.0;
            step[i] = T::of(if down { -length[i] } else { length[i] });
        }
    });
    step
}

/// |dᵢ| with Σ |wᵢ| |dᵢ| = need, or all the room there is.
fn lengths(norm: Norm, size: &[f64], room: &[f64], need: f64) -> Vec<f64> {
    let n = size.len();
    let reach = vectorised(|| sum(n, |i| size[i] * room[i]));
    if reach <= need {
        return room.to_vec();
    }
    match norm {
        Norm::Linf => {
            let level = level(size, room, need, |_| 1.0);
            room.iter().map(|r| level.min(*r)).collect()
        }
        Norm::L2 => {
            let level = level(size, room, need, |i| size[i]);
            size.iter().zip(room).map(|(s, r)| (level * s).min(*r)).collect()
        }
        Norm::L1 => greedy(size, room, need),
    }
}

/// λ with Σ |wᵢ| · min(λ sᵢ, rᵢ) = need: Newton's method from the left on a concave, piecewise linear function, which
/// is exact after as many rounds as it crosses pieces.
fn level(size: &[f64], room: &[f64], need: f64, speed: impl Fn(usize) -> f64 + Copy) -> f64 {
    let n = size.len();
    let mut level = 0.0;
    for _ in 0..=n {
        let (value, slope) = vectorised(|| {
            let value = sum(n, |i| size[i] * (level * speed(i)).min(room[i]));
            let slope = sum(n, |i| if level * speed(i) < room[i] { size[i] * speed(i) } else { 0.0 });
            (value, slope)
        });
        let next = level + (need - value) / slope;
        // Also ends where nothing is left that can move (the quotient is no number) and at rounding.
        if !(next > level && next.is_finite()) {
            break;
        }
        level = next;
    }
    level
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
