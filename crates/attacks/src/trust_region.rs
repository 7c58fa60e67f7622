//! The trust-region attack: steps towards one class, as far as the linear picture of the model holds.

use crate::smallest::{self, Smallest};
use gauntlet_autograd::kernels::Real;
use gauntlet_core::attack::{Backwards, Open, Pulls, Site, Turn, Walk, misclassified, predicted};
use gauntlet_core::norm::Measure;
use gauntlet_core::registry::BuildAttack;
use gauntlet_core::{Attack, ParamDoc, ParamKind, Result, Spec, walks};
use gauntlet_records::Norm;
use std::sync::Arc;

/// x ← clip(x + 1.02 (min(r, |f|/‖∇f‖_q) + 10⁻⁴) s(∇f)), f = z_t − z_y, until x is misclassified; the radius r grows by a fifth where
/// z_y fell by more than 0.9 per unit of length, and shrinks where it fell by less than 0.5.
///
/// Yao et al. 2019. t: of the strongest classes at the image the one with the nearest linearised boundary, kept for good.
#[derive(Debug, Clone)]
pub struct TrustRegion {
    /// Steps at most.
    pub steps: u32,
    /// The first radius.
    pub radius: f64,
    /// The radius follows how well the linear picture holds; else it stays.
    pub adaptive: bool,
    /// Classes among which t is chosen.
    pub candidates: usize,
}

/// Registration.
pub const SPEC: Spec<BuildAttack> = Spec {
    name: "trust-region",
    summary: "steps towards the nearest class inside a radius that follows the model's curvature; smallest perturbation, one run for every ε",
    formula: "x ← clip(x + 1.02 · (min(r, |f|/‖∇f‖_q) + 1e-4) · s(∇f)), f = z_t − z_y; r ← 1.2 r or r/1.2",
    paper: "Yao et al. 2019",
    params: &[
        ParamDoc { name: "steps", kind: ParamKind::COUNT, default: "1000", unit: "", doc: "steps at most" },
        ParamDoc {
            name: "radius",
            kind: ParamKind::POSITIVE,
            default: "0.001",
            unit: "pixels",
            doc: "the first radius r",
        },
        ParamDoc {
            name: "adaptive",
            kind: ParamKind::Bool,
            default: "true",
            unit: "",
            doc: "whether r changes; else it stays",
        },
        ParamDoc {
            name: "candidates",
            kind: ParamKind::COUNT,
            default: "9",
            unit: "",
            doc: "strongest other classes at the image, of which the nearest is stepped towards",
        },
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        Ok(Arc::new(TrustRegion {
            steps: args.u32("steps")?,
            radius: args.f64("radius")?,
            adaptive: args.bool("adaptive")?,
            candidates: args.usize("candidates")?,
        }))
    },
};

impl Attack for TrustRegion {
    fn name(&self) -> &str {
        SPEC.name
    }
    fn norms(&self) -> &[Norm] {
        &[Norm::Linf, Norm::L2]
    }
    fn fits(&self, open: &Open) -> Result<()> {
        smallest::fits(SPEC.name, open)
    }
    fn backwards(&self) -> Backwards {
        Backwards::PerClass
    }
    fn minimal(&self) -> bool {
        true
    }
    walks!();
}

impl TrustRegion {
    fn walk<T: Real>(&self, site: Site<'_, T>) -> Box<dyn Walk<T>> {
        Box::new(TrustRegionWalk {
            attack: self.clone(),
            norm: site.open.threat.norm,
            bounds: site.open.threat.bounds,
            label: site.clean.label as usize,
            radius: self.radius,
            target: None,
            gaps: Vec::new(),
            before: None,
            taken: 0,
            smallest: Smallest::new(site.open, site.x0),
        })
    }
}

struct TrustRegionWalk<T> {
    attack: TrustRegion,
    norm: Norm,
    bounds: (f64, f64),
    label: usize,
    radius: f64,
    /// t, once it is chosen.
    target: Option<usize>,
    /// Classes and z_k − z_y of the gradients asked for.
    gaps: Vec<(usize, f64)>,
    /// z_y at the last point.
    before: Option<f64>,
    taken: u32,
    smallest: Smallest<T>,
}

impl<T: Real> TrustRegionWalk<T> {
    /// Once the logits after a step are known: how far the next may lead.
    fn adapt(&mut self, now: f64) {
        let Some(before) = self.before.filter(|_| self.attack.adaptive) else { return };
        let fall = (before - now) / self.radius;
        let factor = if fall > 0.9 {
            1.2
        } else if fall < 0.5 {
            1.0 / 1.2
        } else {
            1.0
        };
        // The radii of the published code.
        let (least, most) = if self.norm == Norm::L2 { (0.0005, 0.05) } else { (0.0001, 0.01) };
        self.radius = (self.radius * factor).clamp(least, most);
    }
}

impl<T: Real> Walk<T> for TrustRegionWalk<T> {
    fn look(&mut self, x: &mut [T], logits: &[f64], pulls: &mut Pulls<'_>) -> Turn {
        if misclassified(logits, self.label as u32) {
            return self.smallest.found(x, self.taken).unwrap_or_else(|| self.smallest.end(x, self.taken));
        }
        if self.taken == self.attack.steps || predicted(logits).is_none() {
            return self.smallest.end(x, self.taken);
        }
        let y = self.label;
        self.adapt(logits[y]);
        self.before = Some(logits[y]);
        let classes = match self.target {
            Some(target) => vec![target],
            None => {
                let mut others: Vec<usize> = (0..logits.len()).filter(|k| *k != y).collect();
                others.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]));
                others.truncate(self.attack.candidates);
                others
            }
        };
        self.gaps = classes.into_iter().map(|k| (k, logits[k] - logits[y])).collect();
        self.gaps.iter().for_each(|(k, _)| pulls.difference(*k, y));
        Turn::Pull
    }

    fn step(&mut self, x: &mut [T], gradients: &[&[T]]) -> Turn {
        let mut nearest: Option<(f64, usize, f64, &[T])> = None;
        for ((k, gap), w) in self.gaps.iter().zip(gradients) {
            let away = -gap / self.norm.dual().row(w);
            if away.is_finite() && nearest.is_none_or(|n| away < n.0) {
                nearest = Some((away, *k, *gap, w));
            }
        }
        // No class with a slope: nowhere to go.
        let Some((_, k, gap, w)) = nearest else { return self.smallest.end(x, self.taken) };
        self.target = Some(k);
        let away = -gap / self.norm.dual().row(w).max(1e-6);
        let length = away.min(self.radius);
        if self.attack.adaptive {
            self.radius = length.max(f64::MIN_POSITIVE);
        }
        let (length, (low, high)) = ((length + 1e-4) * 1.02, self.bounds);
        let size = Norm::L2.row(w).max(1e-6);
        for (x, w) in x.iter_mut().zip(w) {
            let w = w.wide();
            let direction = if self.norm == Norm::L2 {
                w / size
            } else if w == 0.0 {
                0.0
            } else {
                w.signum()
            };
            *x = T::of((x.wide() + length * direction).clamp(low, high));
        }
        self.taken += 1;
        if self.taken == self.attack.steps { Turn::Peek } else { Turn::Go }
    }
}
