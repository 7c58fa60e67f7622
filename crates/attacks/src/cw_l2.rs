//! The attack of Carlini and Wagner: distance and margin, weighed by binary search.

use crate::objectives::runner_up;
use crate::smallest::{self, Smallest};
use gauntlet_autograd::kernels::{Real, Vectorised, vectorised};
use gauntlet_core::attack::{Job, Open, Pulls, Site, Turn, Walk, misclassified};
use gauntlet_core::registry::BuildAttack;
use gauntlet_core::{Attack, Clean, ParamDoc, ParamKind, Result, Spec, ThreatModel, walks};
use gauntlet_records::Norm;
use std::sync::Arc;

/// min over m of ‖x' − x‖₂² + c · max(0, z_y − max_{i≠y} z_i + κ), x' = (tanh(v + m) + 1)/2, v = atanh((2x − 1)(1 − 10⁻⁶)),
/// by Adam; c by binary search. Each example stops on its own account.
///
/// Carlini & Wagner 2017.
#[derive(Debug, Clone)]
pub struct CwL2 {
    /// Adam's steps per value of c.
    pub steps: u32,
    /// Values of c tried.
    pub searches: u32,
    /// Adam's learning rate.
    pub lr: f64,
    /// First c.
    pub c: f64,
    /// Margin κ demanded.
    pub confidence: f64,
    /// Give a value of c up if a tenth of the steps did not lower the loss.
    pub abort: bool,
}

/// Registration.
pub const SPEC: Spec<BuildAttack> = Spec {
    name: "cw-l2",
    summary: "Carlini & Wagner: smallest L2 perturbation by Adam and a binary search; one run for every ε",
    formula: "min ‖x' − x‖² + c · max(0, z_y − max_{i≠y} z_i + κ),  x' = (tanh(v + m) + 1)/2",
    paper: "Carlini & Wagner 2017",
    params: &[
        ParamDoc {
            name: "steps",
            kind: ParamKind::COUNT,
            default: "10000",
            unit: "",
            doc: "optimiser steps per value of c",
        },
        ParamDoc { name: "searches", kind: ParamKind::COUNT, default: "9", unit: "", doc: "values of c tried" },
        ParamDoc { name: "lr", kind: ParamKind::WEIGHT, default: "0.01", unit: "", doc: "Adam's learning rate" },
        ParamDoc { name: "c", kind: ParamKind::WEIGHT, default: "0.001", unit: "", doc: "first weight of the margin" },
        ParamDoc { name: "confidence", kind: ParamKind::WEIGHT, default: "0.0", unit: "", doc: "margin demanded" },
        ParamDoc {
            name: "abort",
            kind: ParamKind::Bool,
            default: "true",
            unit: "",
            doc: "give up where the loss stands still",
        },
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        Ok(Arc::new(CwL2 {
            steps: args.u32("steps")?,
            searches: args.u32("searches")?,
            lr: args.f64("lr")?,
            c: args.f64("c")?,
            confidence: args.f64("confidence")?,
            abort: args.bool("abort")?,
        }))
    },
};

impl Attack for CwL2 {
    fn name(&self) -> &str {
        "cw-l2"
    }
    fn norms(&self) -> &[Norm] {
        &[Norm::L2]
    }
    fn fits(&self, open: &Open) -> Result<()> {
        smallest::fits("cw-l2", open)
    }
    fn jobs(&self, _: &Clean, _: &ThreatModel) -> Vec<Job> {
        Job::restarts(1)
    }
    fn minimal(&self) -> bool {
        true
    }
    walks!();
}

impl CwL2 {
    fn walk<T: Real>(&self, site: Site<'_, T>) -> Box<dyn Walk<T>> {
        let n = site.x0.len();
        let mut walk = CwWalk {
            v: site.x0.iter().map(|x| ((2.0 * x.wide() - 1.0) * (1.0 - 1e-6)).atanh()).collect(),
            m: vec![0.0; n],
            w: vec![0.0; n],
            first: vec![0.0; n],
            second: vec![0.0; n],
            step: 0,
            search: 0,
            total: 0,
            c: self.c,
            bounds: (0.0, 1e10),
            succeeded: false,
            checked: f64::INFINITY,
            active: true,
            again: false,
            label: site.clean.label,
            cw: self.clone(),
            smallest: Smallest::new(site.open, site.x0),
        };
        walk.place(site.x);
        Box::new(walk)
    }
}

struct CwWalk<T> {
    cw: CwL2,
    label: u32,
    /// atanh of the image, and the variable that is added to it.
    v: Vec<f64>,
    m: Vec<f64>,
    /// tanh of their sum.
    w: Vec<f64>,
    /// Adam's moments.
    first: Vec<f64>,
    second: Vec<f64>,
    step: u32,
    search: u32,
    total: u32,
    c: f64,
    bounds: (f64, f64),
    /// This c has broken the example.
    succeeded: bool,
    /// Loss at the last check.
    checked: f64,
    /// The margin takes part in the loss at this point; it likely does at the next one too.
    active: bool,
    /// The next look is at the same point, for its gradient.
    again: bool,
    smallest: Smallest<T>,
}

impl<T: Real> CwWalk<T> {
    fn place(&mut self, x: &mut [T]) {
        vectorised(Place { v: &self.v, m: &self.m, w: &mut self.w, x });
    }

    /// The next c, from a fresh start; the end after the last one.
    fn next_search(&mut self, x: &mut [T]) -> Turn {
        let (low, high) = &mut self.bounds;
        if self.succeeded {
            *high = high.min(self.c);
        } else {
            *low = low.max(self.c);
        }
        let (low, high) = self.bounds;
        self.c = if high < 1e9 { 0.5 * (low + high) } else { 10.0 * self.c };
        self.search += 1;
        if self.search == self.cw.searches {
            return self.smallest.end(x, self.total);
        }
        // The last of ten or more searches repeats the smallest c that worked (the upper bound, if none did).
        if self.cw.searches >= 10 && self.search + 1 == self.cw.searches {
            self.c = high;
        }
        (self.step, self.succeeded, self.checked) = (0, false, f64::INFINITY);
        for state in [&mut self.m, &mut self.first, &mut self.second] {
            state.iter_mut().for_each(|v| *v = 0.0);
        }
        self.place(x);
        Turn::Go
    }

    /// One step of Adam; `slope`: of the margin by x'.
    fn descend(&mut self, x: &mut [T], slope: Option<&[T]>) {
        self.step += 1;
        self.total += 1;
        let (a, b) = (1.0 - 0.9f64.powi(self.step as i32), 1.0 - 0.999f64.powi(self.step as i32));
        vectorised(Adam {
            w: &self.w,
            x0: &self.smallest.x0,
            slope: slope.map(|slope| (self.c, slope)),
            lr: self.cw.lr,
            corrections: (a, b),
            m: &mut self.m,
            first: &mut self.first,
            second: &mut self.second,
        });
        self.place(x);
    }
}

/// w = tanh(v + m), x' = (w + 1)/2.
struct Place<'a, T> {
    v: &'a [f64],
    m: &'a [f64],
    w: &'a mut [f64],
    x: &'a mut [T],
}

impl<T: Real> Vectorised for Place<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        for ((x, w), (v, m)) in self.x.iter_mut().zip(self.w).zip(self.v.iter().zip(self.m)) {
            *w = tanh(v + m);
            *x = T::of(0.5 * (*w + 1.0));
        }
    }
}

/// 1/k!, k = 0 to 13.
const INVERSE_FACTORIALS: [f64; 14] = {
    let mut all = [1.0; 14];
    let mut k = 1;
    while k < 14 {
        all[k] = all[k - 1] / k as f64;
        k += 1;
    }
    all
};

/// 1 − 2/(e²ˣ + 1), the exponential as 2ⁿ eʳ with a polynomial for |r| ≤ ln 2 / 2: within 6·10⁻¹⁶ of tanh, in
/// arithmetic that vectorises.
#[inline(always)]
fn tanh(x: f64) -> f64 {
    let y = 2.0 * x.clamp(-20.0, 20.0);
    // Adding and subtracting 1.5 · 2⁵² rounds to the nearest whole number.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    let n = (y * std::f64::consts::LOG2_E + ROUND) - ROUND;
    let r = (y - n * 0.693_147_180_369_123_8) - n * 1.908_214_929_270_587_7e-10;
    let mut e = INVERSE_FACTORIALS[13];
    for coefficient in INVERSE_FACTORIALS[..13].iter().rev() {
        e = e * r + coefficient;
    }
    let power = f64::from_bits(((n as i64 + 1023) as u64) << 52);
    1.0 - 2.0 / (e * power + 1.0)
}

/// One step of Adam along 2(x' − x) + c · slope, by m.
struct Adam<'a, T> {
    w: &'a [f64],
    x0: &'a [T],
    slope: Option<(f64, &'a [T])>,
    lr: f64,
    corrections: (f64, f64),
    m: &'a mut [f64],
    first: &'a mut [f64],
    second: &'a mut [f64],
}

impl<T: Real> Vectorised for Adam<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Adam { w, x0, slope, lr, corrections: (a, b), m, first, second } = self;
        let n = w.len();
        // One length for all: no bound is checked in the loop.
        let (x0, m, first, second) = (&x0[..n], &mut m[..n], &mut first[..n], &mut second[..n]);
        let (c, slope) = slope.map_or((0.0, x0), |(c, slope)| (c, &slope[..n]));
        for i in 0..n {
            let pixel = 0.5 * (w[i] + 1.0);
            let whole = 2.0 * (pixel - x0[i].wide()) + c * slope[i].wide();
            let g = whole * (0.5 * (1.0 - w[i] * w[i]));
            // A gradient that is no number moves nothing.
            let sound = g.is_finite();
            let g = if sound { g } else { 0.0 };
            let (f, s) = (0.9 * first[i] + 0.1 * g, 0.999 * second[i] + 0.001 * g * g);
            first[i] = if sound { f } else { first[i] };
            second[i] = if sound { s } else { second[i] };
            let step = lr * (f / a) / ((s / b).sqrt() + 1e-8);
            m[i] -= if sound { step } else { 0.0 };
        }
    }
}

impl<T: Real> Walk<T> for CwWalk<T> {
    fn look(&mut self, x: &mut [T], logits: &[f64], pulls: &mut Pulls<'_>) -> Turn {
        let (y, kappa) = (self.label as usize, self.cw.confidence);
        let other = runner_up(logits, y);
        let hinge = (logits[y] - logits[other] + kappa).max(0.0);
        let mut confident = logits.to_vec();
        confident[y] += kappa;
        if misclassified(&confident, self.label) {
            self.succeeded = true;
            if let Some(end) = self.smallest.found(x, self.total) {
                return end;
            }
        }
        if self.step == self.cw.steps {
            return self.next_search(x);
        }
        let again = std::mem::take(&mut self.again);
        if !again && self.cw.abort && self.step.is_multiple_of((self.cw.steps / 10).max(1)) {
            let distance = self.smallest.distance(x);
            let loss = distance * distance + self.c * hinge;
            if loss > 0.9999 * self.checked {
                return self.next_search(x);
            }
            self.checked = loss;
        }
        let peeked = !again && !self.active && self.step > 0;
        self.active = hinge > 0.0;
        if !self.active {
            self.descend(x, None);
            return Turn::Peek;
        }
        if peeked {
            self.again = true;
            return Turn::Go;
        }
        pulls.difference(y, other);
        Turn::Pull
    }

    fn step(&mut self, x: &mut [T], gradients: &[&[T]]) -> Turn {
        self.descend(x, Some(gradients[0]));
        if self.step == self.cw.steps { Turn::Peek } else { Turn::Go }
    }
}

#[cfg(test)]
mod tests {
    use super::tanh;

    #[test]
    fn the_hyperbolic_tangent_is_as_good_as_the_library_s() {
        for i in -30_000..=30_000 {
            let x = f64::from(i) * 1e-3;
            assert!((tanh(x) - x.tanh()).abs() <= 6e-16, "{x}: {} {}", tanh(x), x.tanh());
        }
        assert!(tanh(1e9) == 1.0 && tanh(-1e9) == -1.0 && tanh(f64::NAN).is_nan());
    }
}
