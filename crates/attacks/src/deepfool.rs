//! DeepFool: steps to the nearest linearised decision boundary until it is crossed.

use crate::smallest::{self, Smallest};
use gauntlet_autograd::kernels::Real;
use gauntlet_core::attack::{Backwards, Job, Open, Pulls, Site, Turn, Walk, misclassified};
use gauntlet_core::norm::Measure;
use gauntlet_core::registry::BuildAttack;
use gauntlet_core::{Attack, Clean, ParamDoc, ParamKind, Range, Result, Spec, ThreatModel, walks};
use gauntlet_records::Norm;
use std::sync::Arc;

/// r ← r + (|f_l|/‖w_l‖_q + 10⁻⁴) s(w_l), l the nearest class by |f|/‖w‖_q; x = clip(x₀ + (1 + overshoot) r).
///
/// Moosavi-Dezfooli, Fawzi & Frossard 2016.
#[derive(Debug, Clone)]
pub struct DeepFool {
    /// Steps at most.
    pub steps: u32,
    /// How far beyond the boundary, as a share of r.
    pub overshoot: f64,
    /// Classes looked at: the strongest on the clean image.
    pub candidates: usize,
}

/// Registration.
pub const SPEC: Spec<BuildAttack> = Spec {
    name: "deepfool",
    summary: "steps across the nearest linearised boundary; smallest perturbation, one run for every ε",
    formula: "r ← r + (|f_l|/‖w_l‖_q + 1e-4) · s(w_l),  x = clip(x₀ + (1 + overshoot) · r)",
    paper: "Moosavi-Dezfooli, Fawzi & Frossard 2016",
    params: &[
        ParamDoc { name: "steps", kind: ParamKind::COUNT, default: "50", unit: "", doc: "steps at most" },
        ParamDoc {
            name: "overshoot",
            kind: ParamKind::WEIGHT,
            default: "0.02",
            unit: "",
            doc: "how far beyond the boundary",
        },
        ParamDoc {
            name: "candidates",
            kind: ParamKind::Int(Range::at_least(2.0)),
            default: "10",
            unit: "",
            doc: "strongest classes looked at",
        },
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        Ok(Arc::new(DeepFool {
            steps: args.u32("steps")?,
            overshoot: args.f64("overshoot")?,
            candidates: args.usize("candidates")?,
        }))
    },
};

impl Attack for DeepFool {
    fn name(&self) -> &str {
        "deepfool"
    }
    fn norms(&self) -> &[Norm] {
        &[Norm::Linf, Norm::L2]
    }
    fn fits(&self, open: &Open) -> Result<()> {
        smallest::fits("deepfool", open)
    }
    fn jobs(&self, _: &Clean, _: &ThreatModel) -> Vec<Job> {
        Job::restarts(1)
    }
    fn backwards(&self) -> Backwards {
        Backwards::PerClass
    }
    fn minimal(&self) -> bool {
        true
    }
    walks!();
}

impl DeepFool {
    fn walk<T: Real>(&self, site: Site<'_, T>) -> Box<dyn Walk<T>> {
        let others = site.clean.runners_up(self.candidates - 1);
        Box::new(DeepFoolWalk {
            steps: self.steps,
            overshoot: self.overshoot,
            norm: site.open.threat.norm,
            bounds: site.open.threat.bounds,
            label: site.clean.label,
            others: others.into_iter().map(|k| k as usize).collect(),
            gaps: Vec::new(),
            moved: vec![0.0; site.x0.len()],
            taken: 0,
            smallest: Smallest::new(site.open, site.x0),
        })
    }
}

struct DeepFoolWalk<T> {
    steps: u32,
    overshoot: f64,
    norm: Norm,
    bounds: (f64, f64),
    label: u32,
    others: Vec<usize>,
    gaps: Vec<f64>,
    /// r.
    moved: Vec<f64>,
    taken: u32,
    smallest: Smallest<T>,
}

impl<T: Real> Walk<T> for DeepFoolWalk<T> {
    fn look(&mut self, x: &mut [T], logits: &[f64], pulls: &mut Pulls<'_>) -> Turn {
        if misclassified(logits, self.label) {
            return self.smallest.found(x, self.taken).unwrap_or_else(|| self.smallest.end(x, self.taken));
        }
        if self.taken == self.steps {
            return self.smallest.end(x, self.taken);
        }
        let y = self.label as usize;
        self.gaps.clear();
        for k in &self.others {
            self.gaps.push(logits[*k] - logits[y]);
            pulls.difference(*k, y);
        }
        Turn::Pull
    }

    fn step(&mut self, x: &mut [T], gradients: &[&[T]]) -> Turn {
        self.taken += 1;
        let mut nearest: Option<(f64, f64, &[T])> = None;
        for (gap, w) in self.gaps.iter().zip(gradients) {
            let size = self.norm.dual().row(w);
            let away = gap.abs() / size;
            if size > 0.0 && away.is_finite() && nearest.is_none_or(|n| away < n.0) {
                nearest = Some((away, size, w));
            }
        }
        // Nowhere to go: the gradients of all classes vanish.
        let Some((away, size, w)) = nearest else { return Turn::Go };
        let length = away + 1e-4;
        let (low, high) = self.bounds;
        for ((x, x0), (r, w)) in x.iter_mut().zip(self.smallest.x0.iter()).zip(self.moved.iter_mut().zip(w)) {
            let w = w.wide();
            *r += length
                * if self.norm == Norm::L2 {
                    w / size
                } else if w == 0.0 {
                    0.0
                } else {
                    w.signum()
                };
            *x = T::of((x0.wide() + (1.0 + self.overshoot) * *r).clamp(low, high));
        }
        if self.taken == self.steps { Turn::Peek } else { Turn::Go }
    }
}
