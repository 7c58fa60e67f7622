//! Decoupled direction and norm: a fixed direction rule on a sphere whose radius follows success.

use crate::smallest::{self, Smallest};
use gauntlet_autograd::kernels::{Real, Vectorised, vectorised};
use gauntlet_core::attack::{Job, Open, Pulls, Site, Turn, Walk, misclassified};
use gauntlet_core::norm::Measure;
use gauntlet_core::philox::Stream;
use gauntlet_core::registry::BuildAttack;
use gauntlet_core::{Attack, Clean, Goal, Objective, ParamDoc, ParamKind, Range, Result, Spec, ThreatModel, walks};
use gauntlet_records::Norm;
use std::sync::Arc;

/// δ ← δ + α g/‖g‖₂, then onto the sphere of radius ε, ε shrinking by γ while the point is misclassified and growing by
/// γ while it is not; α falls from 1 to 0.01 along a cosine.
///
/// Rony et al. 2019.
#[derive(Debug, Clone)]
pub struct Ddn {
    /// Steps.
    pub steps: u32,
    /// First radius.
    pub radius: f64,
    /// Relative change γ of the radius.
    pub gamma: f64,
    /// Grey levels that pixels are rounded to; 0: none.
    pub levels: u32,
}

/// Registration.
pub const SPEC: Spec<BuildAttack> = Spec {
    name: "ddn",
    summary: "decoupled direction and norm: smallest L2 perturbation in few steps; one run for every ε",
    formula: "δ ← ε · (δ + α g/‖g‖₂)/‖·‖₂,  ε ← (1 ∓ γ) ε by success",
    paper: "Rony et al. 2019",
    params: &[
        ParamDoc { name: "steps", kind: ParamKind::COUNT, default: "100", unit: "", doc: "steps" },
        ParamDoc { name: "radius", kind: ParamKind::WEIGHT, default: "1.0", unit: "pixels", doc: "first radius" },
        ParamDoc {
            name: "gamma",
            kind: ParamKind::WEIGHT,
            default: "0.05",
            unit: "",
            doc: "relative change of the radius",
        },
        ParamDoc {
            name: "levels",
            kind: ParamKind::Int(Range::at_least(0.0)),
            default: "256",
            unit: "",
            doc: "grey levels pixels are rounded to; 0: none",
        },
    ],
    numerics: 2,
    origin: "built-in",
    build: |args, _| {
        Ok(Arc::new(Ddn {
            steps: args.u32("steps")?,
            radius: args.f64("radius")?,
            gamma: args.f64("gamma")?,
            levels: args.u32("levels")?,
        }))
    },
};

impl Attack for Ddn {
    fn name(&self) -> &str {
        "ddn"
    }
    fn norms(&self) -> &[Norm] {
        &[Norm::L2]
    }
    fn fits(&self, open: &Open) -> Result<()> {
        smallest::fits("ddn", open)
    }
    fn jobs(&self, _: &Clean, _: &ThreatModel) -> Vec<Job> {
        Job::restarts(1)
    }
    fn minimal(&self) -> bool {
        true
    }
    walks!();
}

impl Ddn {
    fn walk<T: Real>(&self, site: Site<'_, T>) -> Box<dyn Walk<T>> {
        Box::new(DdnWalk {
            ddn: self.clone(),
            radius: self.radius,
            most: farthest(Norm::L2, &site.x0),
            delta: vec![0.0; site.x0.len()],
            label: site.clean.label,
            fell: false,
            taken: 0,
            stream: site.open.key.stream(site.clean.id, 0, 0),
            smallest: Smallest::new(site.open, site.x0),
        })
    }
}

/// The norm of the way to the farthest corner of the box.
pub(crate) fn farthest<T: Real>(norm: Norm, x0: &[T]) -> f64 {
    norm.of(x0.iter().map(|x| x.wide().max(1.0 - x.wide())))
}

/// last + (first − last)(1 + cos(π i/n))/2.
pub(crate) fn cosine(first: f64, last: f64, i: u32, n: u32) -> f64 {
    last + (first - last) * 0.5 * (1.0 + (std::f64::consts::PI * f64::from(i) / f64::from(n)).cos())
}

struct DdnWalk<T> {
    ddn: Ddn,
    radius: f64,
    most: f64,
    delta: Vec<f64>,
    label: u32,
    fell: bool,
    taken: u32,
    stream: Stream,
    smallest: Smallest<T>,
}

impl<T: Real> Walk<T> for DdnWalk<T> {
    fn look(&mut self, x: &mut [T], logits: &[f64], pulls: &mut Pulls<'_>) -> Turn {
        self.fell = misclassified(logits, self.label);
        if self.fell
            && let Some(end) = self.smallest.found(x, self.taken)
        {
            return end;
        }
        if self.taken == self.ddn.steps {
            return self.smallest.end(x, self.taken);
        }
        let goal = Goal { label: self.label as usize, target: None, reference: None };
        crate::objectives::ce::Ce { targeted: false }.ascend(logits, &goal, pulls.add());
        Turn::Pull
    }

    fn step(&mut self, x: &mut [T], gradients: &[&[T]]) -> Turn {
        let alpha = cosine(1.0, 0.01, self.taken, self.ddn.steps);
        self.taken += 1;
        let mut direction = gradients[0];
        let mut size = Norm::L2.row(direction);
        let drawn: Vec<T>;
        if !(size > 0.0 && size.is_finite()) {
            drawn = x.iter().map(|_| T::of(self.stream.normal())).collect();
            direction = &drawn;
            size = Norm::L2.row(direction);
        }
        vectorised(Push { delta: &mut self.delta, direction, alpha, size });
        self.radius *= if self.fell { 1.0 - self.ddn.gamma } else { 1.0 + self.ddn.gamma };
        self.radius = self.radius.min(self.most);
        let scale = self.radius / Norm::L2.row(&self.delta).max(f64::MIN_POSITIVE);
        let levels = (self.ddn.levels > 1).then(|| f64::from(self.ddn.levels) - 1.0);
        vectorised(Place { delta: &mut self.delta, x0: &self.smallest.x0, x, scale, levels });
        if self.taken == self.ddn.steps { Turn::Peek } else { Turn::Go }
    }
}

/// δ ← δ + α g/‖g‖₂.
struct Push<'a, T> {
    delta: &'a mut [f64],
    direction: &'a [T],
    alpha: f64,
    size: f64,
}

impl<T: Real> Vectorised for Push<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        for (delta, d) in self.delta.iter_mut().zip(self.direction) {
            *delta += self.alpha * d.wide() / self.size;
        }
    }
}

/// x = x₀ + scale · δ inside the box, on grey levels if there are any; δ is what is left of it.
struct Place<'a, T> {
    delta: &'a mut [f64],
    x0: &'a [T],
    x: &'a mut [T],
    scale: f64,
    levels: Option<f64>,
}

impl<T: Real> Vectorised for Place<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        for ((delta, x), x0) in self.delta.iter_mut().zip(self.x).zip(self.x0) {
            let x0 = x0.wide();
            let mut pixel = (x0 + *delta * self.scale).clamp(0.0, 1.0);
            if let Some(levels) = self.levels {
                pixel = (pixel * levels).round_ties_even() / levels;
            }
            *delta = pixel - x0;
            *x = T::of(pixel);
        }
    }
}
