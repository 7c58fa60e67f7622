//! Fast minimum-norm: gradient steps in a ball whose radius follows the boundary.

use crate::ddn::{cosine, farthest};
use crate::smallest::{self, Smallest};
use gauntlet_autograd::kernels::{Real, Vectorised, vectorised};
use gauntlet_core::attack::{Job, Open, Pulls, Site, Turn, Walk, misclassified};
use gauntlet_core::registry::BuildAttack;
use gauntlet_core::{Attack, Clean, Norm, ParamDoc, Result, Spec, ThreatModel, walks};
use std::sync::Arc;

/// δ ← Π_ε(δ − α ∇L/‖∇L‖₂), L = z_y − max_{j≠y} z_j; ε first jumps to the linearised distance to the boundary, then
/// shrinks or grows by γ with success; α and γ fall along cosines.
///
/// Pintor et al. 2021. In L2, Π is the projection onto the sphere, as in the code that its authors point to: a step that
/// falls short of the radius is lengthened. With the ball of the paper's text a point that is not misclassified yet creeps
/// towards the boundary from inside and many never reach it. Where the nearest boundary is closer than α (networks that
/// are not robust), the box cuts most of a step off and runs may end short of it: choose a smaller α there.
#[derive(Debug, Clone)]
pub struct Fmn {
    /// Steps.
    pub steps: u32,
    /// First step size.
    pub alpha: f64,
    /// Last step size.
    pub alpha_last: f64,
    /// First relative change of the radius.
    pub gamma: f64,
    /// Last one.
    pub gamma_last: f64,
}

/// Registration.
pub const SPEC: Spec<BuildAttack> = Spec {
    name: "fmn",
    summary: "fast minimum-norm: smallest perturbation in any norm in few steps; one run for every ε",
    formula: "δ ← Π_ε(δ − α ∇L/‖∇L‖₂), L = z_y − max_{j≠y} z_j; ε follows the boundary",
    paper: "Pintor et al. 2021",
    params: &[
        ParamDoc { name: "steps", kind: "int", default: "100", unit: "", doc: "steps" },
        ParamDoc { name: "alpha", kind: "float", default: "1.0", unit: "pixels", doc: "first step size" },
        ParamDoc { name: "alpha_last", kind: "float", default: "0.01", unit: "pixels", doc: "last step size" },
        ParamDoc {
            name: "gamma",
            kind: "float",
            default: "0.05",
            unit: "",
            doc: "first relative change of the radius",
        },
        ParamDoc { name: "gamma_last", kind: "float", default: "0.001", unit: "", doc: "last one" },
    ],
    numerics: 4,
    origin: "built-in",
    build: |args, _| {
        Ok(Arc::new(Fmn {
            steps: args.usize("steps", 1)? as u32,
            alpha: args.f64_from("alpha", 0.0)?,
            alpha_last: args.f64_from("alpha_last", 0.0)?,
            gamma: args.f64_from("gamma", 0.0)?,
            gamma_last: args.f64_from("gamma_last", 0.0)?,
        }))
    },
};

impl Attack for Fmn {
    fn name(&self) -> &str {
        "fmn"
    }
    fn norms(&self) -> &[Norm] {
        &[Norm::Linf, Norm::L2, Norm::L1]
    }
    fn fits(&self, open: &Open) -> Result<()> {
        smallest::fits("fmn", open)
    }
    fn jobs(&self, _: &Clean, _: &ThreatModel) -> Vec<Job> {
        Job::restarts(1)
    }
    fn minimal(&self) -> bool {
        true
    }
    walks!();
}

impl Fmn {
    fn walk<T: Real>(&self, site: Site<'_, T>) -> Box<dyn Walk<T>> {
        Box::new(FmnWalk {
            fmn: self.clone(),
            threat: site.open.threat,
            most: farthest(site.open.threat.norm, &site.x0),
            radius: f64::INFINITY,
            label: site.clean.label,
            loss: 0.0,
            fell: false,
            taken: 0,
            smallest: Smallest::new(site.open, site.x0),
        })
    }
}

struct FmnWalk<T> {
    fmn: Fmn,
    threat: ThreatModel,
    most: f64,
    radius: f64,
    label: u32,
    /// z_y − max_{j≠y} z_j at the point.
    loss: f64,
    fell: bool,
    taken: u32,
    smallest: Smallest<T>,
}

impl<T: Real> Walk<T> for FmnWalk<T> {
    fn look(&mut self, x: &mut [T], logits: &[f64], pulls: &mut Pulls<'_>) -> Turn {
        self.fell = misclassified(logits, self.label);
        if self.fell
            && let Some(end) = self.smallest.found(x, self.taken)
        {
            return end;
        }
        if self.taken == self.fmn.steps {
            return self.smallest.end(x, self.taken);
        }
        let y = self.label as usize;
        let other = (0..logits.len())
            .filter(|k| *k != y)
            .fold(usize::from(y == 0), |best, k| if logits[k] > logits[best] { k } else { best });
        self.loss = logits[y] - logits[other];
        pulls.difference(y, other);
        Turn::Pull
    }

    fn step(&mut self, x: &mut [T], gradients: &[&[T]]) -> Turn {
        let (g, i, n) = (gradients[0], self.taken, self.fmn.steps);
        let alpha = cosine(self.fmn.alpha, self.fmn.alpha_last, i, n);
        let gamma = cosine(self.fmn.gamma, self.fmn.gamma_last, i, n);
        self.taken += 1;
        self.radius = match self.smallest.size() {
            Some(best) if self.fell => (self.radius * (1.0 - gamma)).min(best),
            Some(_) => self.radius * (1.0 + gamma),
            None => self.smallest.distance(x) + self.loss.abs() / self.threat.norm.dual().row(g).max(f64::MIN_POSITIVE),
        }
        .min(self.most);
        let size = Norm::L2.row(g);
        if size > 0.0 && size.is_finite() {
            vectorised(Descend { x, g, rate: alpha / size });
        }
        if self.threat.norm == Norm::L2 {
            let size = self.smallest.distance(x);
            if size > 0.0 && size.is_finite() {
                vectorised(Stretch { x, x0: &self.smallest.x0, by: self.radius / size });
            }
            self.threat.clamp_row(x);
        } else {
            ThreatModel { eps: self.radius, ..self.threat }.project_row(&self.smallest.x0, x);
        }
        if self.taken == self.fmn.steps { Turn::Peek } else { Turn::Go }
    }
}

/// x ← x − rate · g.
struct Descend<'a, T> {
    x: &'a mut [T],
    g: &'a [T],
    rate: f64,
}

impl<T: Real> Vectorised for Descend<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        for (x, g) in self.x.iter_mut().zip(self.g) {
            *x = T::of(x.wide() - self.rate * g.wide());
        }
    }
}

/// x ← x₀ + by · (x − x₀).
struct Stretch<'a, T> {
    x: &'a mut [T],
    x0: &'a [T],
    by: f64,
}

impl<T: Real> Vectorised for Stretch<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        for (x, c) in self.x.iter_mut().zip(self.x0) {
            *x = T::of(c.wide() + (x.wide() - c.wide()) * self.by);
        }
    }
}
