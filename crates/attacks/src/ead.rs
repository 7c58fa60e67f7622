//! EAD: the elastic-net attack, by shrinkage and thresholding.

use crate::objectives::runner_up;
use crate::smallest::{self, Smallest};
use gauntlet_autograd::kernels::Real;
use gauntlet_core::attack::{Open, Pulls, Site, Turn, Walk, misclassified};
use gauntlet_core::registry::BuildAttack;
use gauntlet_core::{Attack, ParamDoc, ParamKind, Result, Spec, walks};
use gauntlet_records::Norm;
use std::sync::Arc;

/// min c · max(0, z_y − max_{i≠y} z_i + κ) + ‖x' − x‖₂² + β ‖x' − x‖₁ by FISTA: x_{k+1} = S_β(y_k − α_k ∇g(y_k)), y_{k+1} = x_{k+1} +
/// k/(k+3) (x_{k+1} − x_k), α_k = α √(1 − k/steps), S_β shrinking every change by β within the box; c by binary search.
///
/// Chen et al. 2018. Of the misclassified x_k the one of the smallest ‖x' − x‖₁ is kept, or of the smallest elastic-net distance.
#[derive(Debug, Clone)]
pub struct Ead {
    /// Steps per value of c.
    pub steps: u32,
    /// Values of c tried.
    pub searches: u32,
    /// α.
    pub lr: f64,
    /// First c.
    pub c: f64,
    /// β.
    pub beta: f64,
    /// Margin κ demanded.
    pub confidence: f64,
    /// Keep the smallest by ‖·‖₂² + β ‖·‖₁ instead of ‖·‖₁.
    pub elastic: bool,
    /// Give a value of c up if a tenth of the steps did not lower the loss.
    pub abort: bool,
}

/// Registration.
pub const SPEC: Spec<BuildAttack> = Spec {
    name: "ead",
    summary: "elastic-net attack: smallest L1 perturbation by shrinkage and a binary search; one run for every ε",
    formula: "min c · max(0, z_y − max_{i≠y} z_i + κ) + ‖x' − x‖₂² + β ‖x' − x‖₁ by FISTA",
    paper: "Chen et al. 2018",
    params: &[
        ParamDoc { name: "steps", kind: ParamKind::COUNT, default: "1000", unit: "", doc: "steps per value of c" },
        ParamDoc { name: "searches", kind: ParamKind::COUNT, default: "9", unit: "", doc: "values of c tried" },
        ParamDoc {
            name: "lr", kind: ParamKind::WEIGHT, default: "0.01", unit: "", doc: "first step size, √-decayed"
        },
        ParamDoc { name: "c", kind: ParamKind::WEIGHT, default: "0.001", unit: "", doc: "first weight of the margin" },
        ParamDoc {
            name: "beta", kind: ParamKind::WEIGHT, default: "0.001", unit: "", doc: "weight β of ‖x' − x‖₁"
        },
        ParamDoc { name: "confidence", kind: ParamKind::WEIGHT, default: "0.0", unit: "", doc: "margin demanded" },
        ParamDoc {
            name: "rule",
            kind: ParamKind::Choice(&["l1", "en"]),
            default: "\"l1\"",
            unit: "",
            doc: "which misclassified point is kept: the nearest in L1, or by ‖·‖₂² + β ‖·‖₁",
        },
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
        Ok(Arc::new(Ead {
            steps: args.u32("steps")?,
            searches: args.u32("searches")?,
            lr: args.f64("lr")?,
            c: args.f64("c")?,
            beta: args.f64("beta")?,
            confidence: args.f64("confidence")?,
            elastic: args.str("rule")? == "en",
            abort: args.bool("abort")?,
        }))
    },
};

impl Attack for Ead {
    fn name(&self) -> &str {
        "ead"
    }
    fn norms(&self) -> &[Norm] {
        &[Norm::L1]
    }
    fn fits(&self, open: &Open) -> Result<()> {
        smallest::fits("ead", open)
    }
    fn minimal(&self) -> bool {
        true
    }
    walks!();
}

impl Ead {
    fn walk<T: Real>(&self, site: Site<'_, T>) -> Box<dyn Walk<T>> {
        let clean: Vec<f64> = site.x0.iter().map(|x| x.wide()).collect();
        Box::new(EadWalk {
            x: clean.clone(),
            y: clean.clone(),
            clean,
            step: 0,
            search: 0,
            total: 0,
            c: self.c,
            bounds: (0.0, f64::INFINITY),
            succeeded: false,
            checked: f64::INFINITY,
            testing: false,
            elastic: f64::INFINITY,
            by_elastic: None,
            bounds_of_pixels: site.open.threat.bounds,
            label: site.clean.label,
            ead: self.clone(),
            smallest: Smallest::new(site.open, site.x0),
        })
    }
}

struct EadWalk<T> {
    ead: Ead,
    label: u32,
    clean: Vec<f64>,
    /// The iterate, and the point ahead of it at which the gradient is taken.
    x: Vec<f64>,
    y: Vec<f64>,
    step: u32,
    search: u32,
    total: u32,
    c: f64,
    bounds: (f64, f64),
    /// This c has broken the example.
    succeeded: bool,
    /// Loss at the last check.
    checked: f64,
    /// The point is the iterate, which is only tested; else the one ahead.
    testing: bool,
    /// The smallest elastic-net distance, and where and when it was found, if that is the rule.
    elastic: f64,
    by_elastic: Option<(Vec<T>, u32)>,
    bounds_of_pixels: (f64, f64),
    smallest: Smallest<T>,
}

fn place<T: Real>(x: &mut [T], to: &[f64]) {
    x.iter_mut().zip(to).for_each(|(x, v)| *x = T::of(*v));
}

impl<T: Real> EadWalk<T> {
    fn end(&mut self, x: &mut [T]) -> Turn {
        let turn = self.smallest.end(x, self.total);
        match self.by_elastic.take() {
            Some((best, at)) if turn != Turn::withstood(self.total) => {
                x.copy_from_slice(&best);
                Turn::broken(at)
            }
            _ => turn,
        }
    }

    /// The next c, from a fresh start; the end after the last one.
    fn next_search(&mut self, x: &mut [T]) -> Turn {
        *if self.succeeded { &mut self.bounds.1 } else { &mut self.bounds.0 } = self.c;
        let (low, high) = self.bounds;
        self.c = if high.is_finite() { 0.5 * (low + high) } else { 10.0 * self.c };
        self.search += 1;
        if self.search == self.ead.searches {
            return self.end(x);
        }
        // The last of ten or more searches repeats the smallest c that worked.
        if self.ead.searches >= 10 && self.search + 1 == self.ead.searches {
            self.c = high.min(1e10);
        }
        (self.step, self.succeeded, self.checked) = (0, false, f64::INFINITY);
        self.x.copy_from_slice(&self.clean);
        self.y.copy_from_slice(&self.clean);
        place(x, &self.y);
        self.testing = false;
        Turn::Go
    }

    /// ‖v − clean‖₂².
    fn square(&self, v: &[f64]) -> f64 {
        v.iter().zip(&self.clean).map(|(v, c)| (v - c) * (v - c)).sum()
    }

    /// The iterate is misclassified.
    fn found(&mut self, x: &[T]) -> Option<Turn> {
        self.succeeded = true;
        if self.ead.elastic {
            let distance = self.square(&self.x) + self.ead.beta * self.smallest.distance(x);
            if distance < self.elastic {
                self.elastic = distance;
                self.by_elastic = Some((x.to_vec(), self.total));
            }
        }
        self.smallest.found(x, self.total)
    }

    /// One step from the point ahead; `slope`: of the margin there, if it takes part in the loss.
    fn shrink(&mut self, x: &mut [T], slope: Option<&[T]>) {
        let k = f64::from(self.step);
        let length = self.ead.lr * (1.0 - k / f64::from(self.ead.steps)).sqrt();
        let (beta, (low, high)) = (self.ead.beta, self.bounds_of_pixels);
        for i in 0..self.x.len() {
            let margin = slope.map_or(0.0, |slope| self.c * slope[i].wide());
            let gradient = 2.0 * (self.y[i] - self.clean[i]) + margin;
            // A gradient that is no number moves nothing.
            let moved = if gradient.is_finite() { self.y[i] - length * gradient } else { self.y[i] };
            let change = moved - self.clean[i];
            let new = if change > beta {
                (moved - beta).min(high)
            } else if change < -beta {
                (moved + beta).max(low)
            } else {
                self.clean[i]
            };
            self.y[i] = new + k / (k + 3.0) * (new - self.x[i]);
            self.x[i] = new;
        }
        self.step += 1;
        self.total += 1;
        self.testing = true;
        place(x, &self.x);
    }
}

impl<T: Real> Walk<T> for EadWalk<T> {
    fn look(&mut self, x: &mut [T], logits: &[f64], pulls: &mut Pulls<'_>) -> Turn {
        let (y, kappa) = (self.label as usize, self.ead.confidence);
        if self.testing {
            let mut confident = logits.to_vec();
            confident[y] += kappa;
            if misclassified(&confident, self.label)
                && let Some(end) = self.found(x)
            {
                return end;
            }
            if self.step == self.ead.steps {
                return self.next_search(x);
            }
            self.testing = false;
            place(x, &self.y);
            return Turn::Go;
        }
        let other = runner_up(logits, y);
        let hinge = (logits[y] - logits[other] + kappa).max(0.0);
        if self.ead.abort && self.step.is_multiple_of(self.ead.steps.div_ceil(10)) {
            let loss = self.square(&self.y) + self.c * hinge;
            if self.step > 0 && loss > 0.9999 * self.checked {
                return self.next_search(x);
            }
            self.checked = loss;
        }
        if hinge > 0.0 {
            pulls.difference(y, other);
            return Turn::Pull;
        }
        self.shrink(x, None);
        Turn::Peek
    }

    fn step(&mut self, x: &mut [T], gradients: &[&[T]]) -> Turn {
        self.shrink(x, Some(gradients[0]));
        Turn::Peek
    }
}
