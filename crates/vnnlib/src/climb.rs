//! One ascent in a box: what each step does with the gradient.

use crate::property::Case;
use gauntlet_core::philox::Stream;

/// A box in float32.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    pub(crate) low: Vec<f32>,
    pub(crate) high: Vec<f32>,
}

impl Bounds {
    /// The middle.
    pub(crate) fn centre(&self) -> Vec<f32> {
        self.low.iter().zip(&self.high).map(|(l, h)| (l / 2.0 + h / 2.0).clamp(*l, *h)).collect()
    }
    /// A point of it, uniformly.
    pub(crate) fn random(&self, stream: &mut Stream) -> Vec<f32> {
        let within = |(l, h): (&f32, &f32)| {
            let u = stream.uniform();
            ((f64::from(*l) * (1.0 - u) + f64::from(*h) * u) as f32).clamp(*l, *h)
        };
        self.low.iter().zip(&self.high).map(within).collect()
    }
    /// Half its widths.
    fn half(&self, i: usize) -> f32 {
        self.high[i] / 2.0 - self.low[i] / 2.0
    }
    /// x + η·h·sign(g), back in the box; h: half the widths.
    pub(crate) fn step(&self, x: &[f32], g: &[f32], eta: f32) -> Vec<f32> {
        let sign = |g: f32| {
            if g > 0.0 {
                1.0
            } else if g < 0.0 {
                -1.0
            } else {
                0.0
            }
        };
        let moved = |i: usize| (x[i] + eta * self.half(i) * sign(g[i])).clamp(self.low[i], self.high[i]);
        (0..x.len()).map(moved).collect()
    }
}

/// How steps are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Auto-PGD (Croce & Hein 2020).
    Apgd,
    /// The same behind steps along a random direction of the outputs (Tashiro et al. 2020).
    Odi,
    /// Signed gradients with steps that shrink linearly.
    Pgd,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Apgd => "apgd",
            Kind::Odi => "odi",
            Kind::Pgd => "pgd",
        }
    }
}

/// What of a case is climbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aim {
    /// The smallest slack.
    Least,
    /// The sum of the negative slacks.
    Sum,
}

impl Aim {
    /// Its derivative by the outputs.
    pub(crate) fn cotangent(self, case: &Case, y: &[f64]) -> Vec<f32> {
        let mut c = vec![0.0f32; y.len()];
        let mut add = |atom: &crate::halfspace::Halfspace| atom.terms.iter().for_each(|(j, v)| c[*j] += *v as f32);
        let slacks = || case.atoms.iter().map(|a| (a.slack(y), a));
        match self {
            Aim::Sum if slacks().any(|(s, _)| s < 0.0) => slacks().filter(|(s, _)| *s < 0.0).for_each(|(_, a)| add(a)),
            _ => {
                if let Some((_, atom)) = slacks().min_by(|a, b| a.0.total_cmp(&b.0)) {
                    add(atom);
                }
            }
        }
        c
    }
}

/// Steps along a random direction.
const ODI: u32 = 8;
/// APGD: weight of the new step, and share of increasing steps below which η is halved.
const MOMENTUM: f32 = 0.75;
const RHO: f64 = 0.75;

/// An ascent under way.
#[derive(Debug, Clone)]
pub(crate) struct Climb {
    /// The number of the case.
    pub(crate) case: usize,
    pub(crate) kind: Kind,
    pub(crate) aim: Aim,
    /// Where it is.
    pub(crate) x: Vec<f32>,
    /// The direction of the outputs that the first steps follow.
    direction: Vec<f32>,
    steps: u32,
    step: u32,
    before: Vec<f32>,
    slack: f64,
    /// The highest point, its slack and its gradient.
    best: (f64, Vec<f32>, Vec<f32>),
    eta: f32,
    /// APGD: steps to a checkpoint, steps since the last one, how many went up, whether η was halved there, the best slack there.
    period: u32,
    since: u32,
    ups: u32,
    halved: bool,
    best_then: f64,
}

impl Climb {
    pub(crate) fn new(case: usize, (kind, aim): (Kind, Aim), x: Vec<f32>, direction: Vec<f32>, steps: u32) -> Self {
        Climb {
            case,
            kind,
            aim,
            before: x.clone(),
            direction,
            steps,
            step: 0,
            slack: f64::NEG_INFINITY,
            best: (f64::NEG_INFINITY, x.clone(), Vec::new()),
            x,
            eta: 2.0,
            period: share(steps, 0.22),
            since: 0,
            ups: 0,
            halved: true,
            best_then: f64::NEG_INFINITY,
        }
    }

    /// Steps before APGD begins.
    fn lead(&self) -> u32 {
        if self.kind == Kind::Odi { ODI } else { 0 }
    }

    /// The derivative of what is climbed by the outputs y of x.
    pub(crate) fn cotangent(&self, case: &Case, y: &[f64]) -> Vec<f32> {
        if self.step < self.lead() { self.direction.clone() } else { self.aim.cotangent(case, y) }
    }

    /// The next point, after the slack and the gradient of x; `climbed` is what the aim makes of the outputs.
    pub(crate) fn advance(&mut self, bounds: &Bounds, climbed: f64, gradient: &[f32]) {
        let step = self.step;
        self.step += 1;
        if step < self.lead() {
            let next = bounds.step(&self.x, gradient, 0.5);
            self.before = std::mem::replace(&mut self.x, next);
            return;
        }
        if self.kind == Kind::Pgd {
            let left = 1.0 - f64::from(step) / f64::from(self.steps.max(1));
            self.x = bounds.step(&self.x, gradient, (0.3 * left + 0.01) as f32);
            return;
        }
        let first = step == self.lead();
        self.ups += u32::from(!first && climbed > self.slack);
        self.slack = climbed;
        if first || climbed > self.best.0 {
            self.best = (climbed, self.x.clone(), gradient.to_vec());
        }
        self.since += u32::from(!first);
        let mut from = gradient;
        if self.since == self.period {
            let stuck = !self.halved && self.best.0 <= self.best_then;
            self.halved = f64::from(self.ups) <= RHO * f64::from(self.period) || stuck;
            if self.halved {
                self.eta /= 2.0;
                self.x.clone_from(&self.best.1);
                self.before.clone_from(&self.best.1);
                self.slack = self.best.0;
                from = &self.best.2;
            }
            self.best_then = self.best.0;
            self.period = self.period.saturating_sub(share(self.steps, 0.03)).max(share(self.steps, 0.06));
            (self.since, self.ups) = (0, 0);
        }
        let z = bounds.step(&self.x, from, self.eta);
        let a = if first { 1.0 } else { MOMENTUM };
        let next = (0..z.len()).map(|i| {
            let moved = self.x[i] + a * (z[i] - self.x[i]) + (1.0 - a) * (self.x[i] - self.before[i]);
            moved.clamp(bounds.low[i], bounds.high[i])
        });
        let next = next.collect();
        self.before = std::mem::replace(&mut self.x, next);
    }
}

fn share(steps: u32, of: f64) -> u32 {
    ((f64::from(steps) * of) as u32).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::halfspace::Halfspace;
    use std::sync::Arc;

    fn square() -> Bounds {
        Bounds { low: vec![-1.0, 0.0, 2.0], high: vec![1.0, 0.5, 2.0] }
    }

    #[test]
    fn steps_are_relative_to_the_widths_and_stay_in_the_box() {
        let bounds = square();
        let x = bounds.centre();
        assert_eq!(x, [0.0, 0.25, 2.0]);
        assert_eq!(bounds.step(&x, &[2.0, -0.1, 5.0], 0.5), [0.5, 0.125, 2.0]);
        assert_eq!(bounds.step(&x, &[2.0, 0.0, 5.0], 3.0), [1.0, 0.25, 2.0]);
    }

    #[test]
    fn the_aim_is_the_worst_atom_or_all_that_fail() {
        let atom = |j, c, constant| Arc::new(Halfspace { terms: vec![(j, c)], constant });
        let case = Case { region: 0, atoms: vec![atom(0, 1.0, -1.0), atom(1, 2.0, -3.0), atom(2, 1.0, 0.0)] };
        let y = [0.0, 0.0, 1.0];
        assert_eq!(case.slack(&y), -3.0);
        assert_eq!(Aim::Least.cotangent(&case, &y), [0.0, 2.0, 0.0]);
        assert_eq!(Aim::Sum.cotangent(&case, &y), [1.0, 2.0, 0.0]);
        // Where nothing fails, the least is widened.
        assert_eq!(Aim::Sum.cotangent(&case, &[2.0, 4.0, 0.5]), [0.0, 0.0, 1.0]);
        assert_eq!(case.slack(&[f64::NAN, 9.0, 9.0]), f64::NEG_INFINITY);
    }

    #[test]
    fn every_kind_climbs_a_concave_hill_inside_its_box() {
        // −(x₀ − 0.3)² − 4·(x₁ − 0.4)².
        let height = |x: &[f32]| -f64::from((x[0] - 0.3).powi(2) + 4.0 * (x[1] - 0.4).powi(2));
        for kind in [Kind::Apgd, Kind::Odi, Kind::Pgd] {
            let bounds = square();
            let mut climb = Climb::new(0, (kind, Aim::Least), vec![-1.0, 0.0, 2.0], vec![1.0], 100);
            let mut best = f64::NEG_INFINITY;
            for _ in 0..100 {
                let x = climb.x.clone();
                assert!((0..3).all(|i| bounds.low[i] <= x[i] && x[i] <= bounds.high[i]), "{x:?}");
                best = best.max(height(&x));
                climb.advance(&bounds, height(&x), &[-2.0 * (x[0] - 0.3), -8.0 * (x[1] - 0.4), 1.0]);
            }
            assert!(best > -1e-4, "{kind:?}: {best}");
        }
    }
}
