//! The fast adaptive boundary attack: steps to the linearised decision boundary, kept close to the clean image.

use crate::arguments::{MOST_TARGETS, RESTARTS, TARGETS};
use crate::hyperplane::toward;
use crate::smallest::{self, Smallest};
use gauntlet_autograd::kernels::{Real, Vectorised, vectorised};
use gauntlet_core::attack::{Backwards, Job, Open, Pulls, Site, Turn, Walk, misclassified};
use gauntlet_core::norm::Measure;
use gauntlet_core::registry::BuildAttack;
use gauntlet_core::{Attack, Clean, ParamDoc, ParamKind, Range, Result, Spec, ThreatModel, walks};
use gauntlet_records::Norm;
use std::sync::Arc;

/// x ← clip((1 − α)(x + η d₁) + α(x₀ + η d₂)), d₁, d₂ the steps from x and x₀ to the boundary of the linearised model
/// inside the box; a misclassified point is kept if it is the closest so far, and the walk goes back by β.
///
/// Croce & Hein 2020 (minimally distorted adversarial examples).
#[derive(Debug, Clone)]
pub struct Fab {
    /// One class per run instead of the nearest of all.
    pub targeted: bool,
    /// Iterations per run.
    pub steps: u32,
    /// Runs; all but the first begin at a random point.
    pub restarts: u32,
    /// Target classes per example.
    pub targets: usize,
    /// Largest weight α of the clean image.
    pub alpha_max: f64,
    /// Overshoot η.
    pub eta: f64,
    /// Step back β.
    pub beta: f64,
    /// Radius of the random starts; `None`: the budget (for every ε at once: L∞ 0.3, L2 1, L1 5).
    pub radius: Option<f64>,
}

impl Default for Fab {
    fn default() -> Self {
        Fab {
            targeted: false,
            steps: 100,
            restarts: 1,
            targets: MOST_TARGETS,
            alpha_max: 0.1,
            eta: 1.05,
            beta: 0.9,
            radius: None,
        }
    }
}

const STEPS: ParamDoc =
    ParamDoc { name: "steps", kind: ParamKind::COUNT, default: "100", unit: "", doc: "iterations per run" };
const ALPHA_MAX: ParamDoc = ParamDoc {
    name: "alpha_max",
    kind: ParamKind::WEIGHT,
    default: "0.1",
    unit: "",
    doc: "largest weight of the clean image",
};
const ETA: ParamDoc =
    ParamDoc { name: "eta", kind: ParamKind::Float(Range::at_least(1.0)), default: "1.05", unit: "", doc: "overshoot" };
const BETA: ParamDoc =
    ParamDoc { name: "beta", kind: ParamKind::WEIGHT, default: "0.9", unit: "", doc: "share kept when stepping back" };
const FORMULA: &str = "x ← clip((1 − α)(x + η d₁) + α(x₀ + η d₂)), d the steps to the linearised boundary in the box";

/// Registration.
pub const SPEC: Spec<BuildAttack> = Spec {
    name: "fab",
    summary: "fast adaptive boundary: smallest perturbation, nearest of all classes (a gradient per class)",
    formula: FORMULA,
    paper: "Croce & Hein 2020",
    params: &[STEPS, RESTARTS, ALPHA_MAX, ETA, BETA],
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        Ok(Arc::new(Fab {
            steps: args.u32("steps")?,
            restarts: args.u32("restarts")?,
            alpha_max: args.f64("alpha_max")?,
            eta: args.f64("eta")?,
            beta: args.f64("beta")?,
            ..Fab::default()
        }))
    },
};

/// Registration, targeted.
pub const T: Spec<BuildAttack> = Spec {
    name: "fab-t",
    summary: "fast adaptive boundary, one run for each of the strongest wrong classes (one gradient per step)",
    formula: FORMULA,
    paper: "Croce & Hein 2020",
    params: &[STEPS, RESTARTS, TARGETS, ALPHA_MAX, ETA, BETA],
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        Ok(Arc::new(Fab {
            targeted: true,
            steps: args.u32("steps")?,
            restarts: args.u32("restarts")?,
            targets: args.usize("targets")?,
            alpha_max: args.f64("alpha_max")?,
            eta: args.f64("eta")?,
            beta: args.f64("beta")?,
            ..Fab::default()
        }))
    },
};

impl Attack for Fab {
    fn name(&self) -> &str {
        if self.targeted { "fab-t" } else { "fab" }
    }
    fn norms(&self) -> &[Norm] {
        &[Norm::Linf, Norm::L2, Norm::L1]
    }
    fn fits(&self, open: &Open) -> Result<()> {
        smallest::fits(self.name(), open)
    }
    fn jobs(&self, clean: &Clean, _: &ThreatModel) -> Vec<Job> {
        if self.targeted {
            return Job::targets(&clean.runners_up(self.targets), self.restarts);
        }
        Job::restarts(self.restarts)
    }
    fn backwards(&self) -> Backwards {
        if self.targeted { Backwards::One } else { Backwards::PerClass }
    }
    fn minimal(&self) -> bool {
        true
    }
    walks!();
}

impl Fab {
    fn walk<T: Real>(&self, site: Site<'_, T>) -> Box<dyn Walk<T>> {
        let threat = site.open.threat;
        if site.job.restart > 0 {
            let key = site.open.key.child(site.job.target.map_or(0, |t| u64::from(t) + 1));
            let mut stream = key.stream(site.clean.id, site.job.restart, 0);
            let draw: Vec<f64> = site
                .x0
                .iter()
                .map(|_| if threat.norm == Norm::Linf { 2.0 * stream.uniform() - 1.0 } else { stream.normal() })
                .collect();
            let usual = match threat.norm {
                Norm::Linf => 0.3,
                Norm::L2 => 1.0,
                Norm::L1 | Norm::L0 => 5.0,
            };
            let radius = self.radius.unwrap_or(if threat.eps.is_finite() { threat.eps } else { usual });
            let scale = 0.5 * radius / threat.norm.of(draw.iter().copied()).max(f64::MIN_POSITIVE);
            let (low, high) = threat.bounds;
            for (x, d) in site.x.iter_mut().zip(&draw) {
                *x = T::of((x.wide() + scale * d).clamp(low, high));
            }
        }
        Box::new(FabWalk {
            fab: self.clone(),
            norm: threat.norm,
            smallest: Smallest::new(site.open, site.x0),
            classes: site.open.classes,
            label: site.clean.label,
            target: site.job.target,
            gaps: Vec::new(),
            taken: 0,
            moved: false,
            crossed: false,
        })
    }
}

struct FabWalk<T> {
    fab: Fab,
    norm: Norm,
    smallest: Smallest<T>,
    classes: usize,
    label: u32,
    target: Option<u32>,
    /// z_s − z_y of every class that is asked about.
    gaps: Vec<f64>,
    taken: u32,
    /// The point is the outcome of a step, not yet tested.
    moved: bool,
    /// The step before crossed the boundary: likely this one does too, and then no gradient is wanted at its end.
    crossed: bool,
}

impl<T> FabWalk<T> {
    /// How the end of a step is looked at.
    fn next(&self) -> Turn {
        if self.crossed || self.taken == self.fab.steps { Turn::Peek } else { Turn::Go }
    }
}

impl<T: Real> Walk<T> for FabWalk<T> {
    fn look(&mut self, x: &mut [T], logits: &[f64], pulls: &mut Pulls<'_>) -> Turn {
        let moved = std::mem::take(&mut self.moved);
        let peeked = moved && self.next() == Turn::Peek;
        if moved {
            self.crossed = misclassified(logits, self.label);
        }
        if moved && self.crossed {
            if let Some(end) = self.smallest.found(x, self.taken) {
                return end;
            }
            if self.taken < self.fab.steps {
                // Back towards the clean image; the logits there are other ones.
                let beta = T::of(self.fab.beta);
                for (x, x0) in x.iter_mut().zip(self.smallest.x0.iter()) {
                    *x = *x0 + (*x - *x0) * beta;
                }
                return Turn::Go;
            }
        }
        if self.taken == self.fab.steps {
            return self.smallest.end(x, self.taken);
        }
        if peeked {
            return Turn::Go;
        }
        let y = self.label as usize;
        let asked = match self.target {
            Some(t) => t as usize..t as usize + 1,
            None => 0..self.classes,
        };
        self.gaps.clear();
        for k in asked.filter(|k| *k != y) {
            self.gaps.push(logits[k] - logits[y]);
            pulls.difference(k, y);
        }
        Turn::Pull
    }

    fn step(&mut self, x: &mut [T], gradients: &[&[T]]) -> Turn {
        self.taken += 1;
        self.moved = true;
        let distance = |(gap, w): (&f64, &&[T])| gap.abs() / (self.norm.dual().row(w) + 1e-12);
        let all: Vec<f64> = self.gaps.iter().zip(gradients).map(distance).collect();
        let nearest = (0..all.len()).fold(0, |best, k| if all[k] < all[best] { k } else { best });
        let w = gradients[nearest];
        if w.iter().any(|w| !w.is_finite()) {
            return self.next();
        }
        // ⟨w, v⟩ − b at the point is −f, and at the clean image it differs by ⟨w, x₀ − x⟩.
        let here = self.gaps[nearest];
        let there = here + vectorised(Along { w, from: x, to: &self.smallest.x0 });
        let d1 = toward(self.norm, x, w, here);
        let d2 = toward(self.norm, &self.smallest.x0, w, there);
        let size = |d: &[T]| self.norm.row(d).max(1e-8);
        let (a1, a2) = (size(&d1), size(&d2));
        let alpha = (a1 / (a1 + a2)).min(self.fab.alpha_max);
        let (near, far, eta) = (T::of(1.0 - alpha), T::of(alpha), T::of(self.fab.eta));
        for ((x, x0), (d1, d2)) in x.iter_mut().zip(self.smallest.x0.iter()).zip(d1.iter().zip(&d2)) {
            let moved = (*x + eta * *d1) * near + (*x0 + *d2 * eta) * far;
            *x = gauntlet_core::norm::clamp(moved, T::zero(), T::one());
        }
        self.next()
    }
}

/// ⟨w, to − from⟩ in sixteen interleaved accumulators.
struct Along<'a, T> {
    w: &'a [T],
    from: &'a [T],
    to: &'a [T],
}

impl<T: Real> Vectorised for Along<'_, T> {
    type Out = f64;
    #[inline(always)]
    fn run(self) -> f64 {
        let mut lanes = [0.0f64; 16];
        let n = self.w.len();
        let whole = n - n % 16;
        let term = |i: usize| self.w[i].wide() * (self.to[i].wide() - self.from[i].wide());
        for start in (0..whole).step_by(16) {
            for (i, lane) in lanes.iter_mut().enumerate() {
                *lane += term(start + i);
            }
        }
        (whole..n).for_each(|i| lanes[i - whole] += term(i));
        lanes.iter().sum()
    }
}
