//! The L∞ attack of Carlini and Wagner: what exceeds a shrinking bound, and the margin.

use crate::objectives::runner_up;
use crate::smallest::{self, Smallest};
use gauntlet_autograd::kernels::Real;
use gauntlet_core::attack::{Open, Pulls, Site, Turn, Walk, misclassified};
use gauntlet_core::registry::BuildAttack;
use gauntlet_core::{Attack, ParamDoc, ParamKind, Range, Result, Spec, walks};
use gauntlet_records::Norm;
use std::sync::Arc;

/// min over m of Σ_i max(0, |x'_i − x_i| − τ) + c · max(0, z_y − max_{i≠y} z_i), x' = (tanh(v + m) + 1)/2, by Adam. τ falls to
/// `shrink` times the smallest ‖x' − x‖∞ found while runs succeed; where one fails, c is multiplied by `grow`.
///
/// Carlini & Wagner 2017, with the schedule of adversarial-library.
#[derive(Debug, Clone)]
pub struct CwLinf {
    /// Adam's steps per pair of c and τ.
    pub steps: u32,
    /// Adam's learning rate.
    pub lr: f64,
    /// First c.
    pub c: f64,
    /// The search ends where c has reached this.
    pub c_most: f64,
    /// Factor by which c grows.
    pub grow: f64,
    /// Factor by which τ falls.
    pub shrink: f64,
    /// The search ends where τ has reached this.
    pub tau_least: f64,
}

/// Registration.
pub const SPEC: Spec<BuildAttack> = Spec {
    name: "cw-linf",
    summary: "Carlini & Wagner: smallest L∞ perturbation by Adam on what exceeds a falling bound; one run for every ε",
    formula: "min Σ_i max(0, |x'_i − x_i| − τ) + c · max(0, z_y − max_{i≠y} z_i),  x' = (tanh(v + m) + 1)/2",
    paper: "Carlini & Wagner 2017",
    params: &[
        ParamDoc { name: "steps", kind: ParamKind::COUNT, default: "1000", unit: "", doc: "optimiser steps per run" },
        ParamDoc { name: "lr", kind: ParamKind::WEIGHT, default: "0.01", unit: "", doc: "Adam's learning rate" },
        ParamDoc {
            name: "c",
            kind: ParamKind::POSITIVE,
            default: "0.00001",
            unit: "",
            doc: "first weight of the margin",
        },
        ParamDoc {
            name: "c_most",
            kind: ParamKind::WEIGHT,
            default: "20.0",
            unit: "",
            doc: "weight at which the search ends",
        },
        ParamDoc {
            name: "grow",
            kind: ParamKind::Float(Range::above(1.0)),
            default: "2.0",
            unit: "",
            doc: "factor of c where a run fails",
        },
        ParamDoc {
            name: "shrink",
            kind: ParamKind::Float(Range::above(0.0).below(1.0)),
            default: "0.9",
            unit: "",
            doc: "factor of τ where a run succeeds",
        },
        ParamDoc {
            name: "tau_least",
            kind: ParamKind::Length,
            default: "\"1/255\"",
            unit: "pixels",
            doc: "bound τ at which the search ends",
        },
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        Ok(Arc::new(CwLinf {
            steps: args.u32("steps")?,
            lr: args.f64("lr")?,
            c: args.f64("c")?,
            c_most: args.f64("c_most")?,
            grow: args.f64("grow")?,
            shrink: args.f64("shrink")?,
            tau_least: args.eps("tau_least")?.value().max(1e-9),
        }))
    },
};

impl Attack for CwLinf {
    fn name(&self) -> &str {
        "cw-linf"
    }
    fn norms(&self) -> &[Norm] {
        &[Norm::Linf]
    }
    fn fits(&self, open: &Open) -> Result<()> {
        smallest::fits("cw-linf", open)
    }
    fn minimal(&self) -> bool {
        true
    }
    walks!();
}

impl CwLinf {
    fn walk<T: Real>(&self, site: Site<'_, T>) -> Box<dyn Walk<T>> {
        let n = site.x0.len();
        let mut walk = CwLinfWalk {
            cw: self.clone(),
            label: site.clean.label,
            v: site.x0.iter().map(|x| libm::atanh((2.0 * x.wide() - 1.0) * (1.0 - 1e-6))).collect(),
            m: vec![0.0; n],
            w: vec![0.0; n],
            first: vec![0.0; n],
            second: vec![0.0; n],
            step: 0,
            total: 0,
            c: self.c,
            tau: 1.0,
            smallest_of_all: 1.0,
            succeeded: false,
            slope: 0.0,
            smallest: Smallest::new(site.open, site.x0),
        };
        walk.place(site.x);
        Box::new(walk)
    }
}

struct CwLinfWalk<T> {
    cw: CwLinf,
    label: u32,
    /// atanh of the image, and the variable that is added to it, which runs inherit.
    v: Vec<f64>,
    m: Vec<f64>,
    /// tanh of their sum.
    w: Vec<f64>,
    /// Adam's moments.
    first: Vec<f64>,
    second: Vec<f64>,
    step: u32,
    total: u32,
    c: f64,
    tau: f64,
    /// The smallest ‖x' − x‖∞ of a misclassified point.
    smallest_of_all: f64,
    /// This run has found a smaller one.
    succeeded: bool,
    /// Weight of the margin's gradient at this point: c, or 0.
    slope: f64,
    smallest: Smallest<T>,
}

impl<T: Real> CwLinfWalk<T> {
    fn place(&mut self, x: &mut [T]) {
        for ((x, w), (v, m)) in x.iter_mut().zip(&mut self.w).zip(self.v.iter().zip(&self.m)) {
            *w = libm::tanh(v + m);
            *x = T::of(0.5 * (*w + 1.0));
        }
    }

    /// How far pixel i is from the image.
    fn change(&self, i: usize) -> f64 {
        0.5 * (self.w[i] + 1.0) - self.smallest.x0[i].wide()
    }

    /// The next c or τ; the end where either has come far enough.
    fn next_run(&mut self, x: &mut [T]) -> Turn {
        if self.succeeded {
            self.tau = self.cw.shrink * self.tau.min(self.smallest_of_all);
        } else {
            self.c *= self.cw.grow;
        }
        if self.tau <= self.cw.tau_least || self.c >= self.cw.c_most {
            return self.smallest.end(x, self.total);
        }
        (self.step, self.succeeded) = (0, false);
        self.first.iter_mut().chain(&mut self.second).for_each(|v| *v = 0.0);
        Turn::Go
    }

    fn descend(&mut self, x: &mut [T], slope: Option<&[T]>) {
        self.step += 1;
        self.total += 1;
        let (a, b) = (1.0 - 0.9f64.powi(self.step as i32), 1.0 - 0.999f64.powi(self.step as i32));
        for i in 0..self.m.len() {
            let change = self.change(i);
            let beyond = if change.abs() >= self.tau && change != 0.0 { change.signum() } else { 0.0 };
            let whole = beyond + slope.map_or(0.0, |slope| self.slope * slope[i].wide());
            let g = whole * 0.5 * (1.0 - self.w[i] * self.w[i]);
            // A gradient that is no number moves nothing.
            if !g.is_finite() {
                continue;
            }
            self.first[i] = 0.9 * self.first[i] + 0.1 * g;
            self.second[i] = 0.999 * self.second[i] + 0.001 * g * g;
            self.m[i] -= self.cw.lr / a * self.first[i] / (self.second[i].sqrt() / b.sqrt() + 1e-8);
        }
        self.place(x);
    }
}

impl<T: Real> Walk<T> for CwLinfWalk<T> {
    fn look(&mut self, x: &mut [T], logits: &[f64], pulls: &mut Pulls<'_>) -> Turn {
        // A run ends with its last step, before that is looked at; the next one begins where it ended.
        if self.step == self.cw.steps {
            let turn = self.next_run(x);
            if turn != Turn::Go {
                return turn;
            }
        }
        let y = self.label as usize;
        if misclassified(logits, self.label) {
            let size = self.smallest.distance(x);
            if size < self.smallest_of_all {
                (self.smallest_of_all, self.succeeded) = (size, true);
            }
            if let Some(end) = self.smallest.found(x, self.total) {
                return end;
            }
        }
        let other = runner_up(logits, y);
        let margin = (logits[y] - logits[other]).max(0.0);
        let beyond: f64 = (0..self.m.len()).map(|i| (self.change(i).abs() - self.tau).max(0.0)).sum();
        if beyond + self.c * margin < 1e-4 * self.c {
            // Nothing is left of the loss: the run ends here, and the same point begins the next one.
            return self.next_run(x);
        }
        if margin > 0.0 {
            self.slope = self.c;
            pulls.difference(y, other);
            return Turn::Pull;
        }
        self.descend(x, None);
        Turn::Go
    }

    fn step(&mut self, x: &mut [T], gradients: &[&[T]]) -> Turn {
        self.descend(x, Some(gradients[0]));
        Turn::Go
    }
}
