//! SuperDeepFool: DeepFool's point, projected onto the normal of the boundary there, again and again.

use crate::smallest::{self, Smallest};
use gauntlet_autograd::kernels::Real;
use gauntlet_core::attack::{Backwards, Open, Pulls, Site, Turn, Walk, predicted};
use gauntlet_core::norm::Measure;
use gauntlet_core::registry::BuildAttack;
use gauntlet_core::{Attack, ParamDoc, ParamKind, Range, Result, Spec, walks};
use gauntlet_records::Norm;

/// x ← x + ⟨x̃ − x₀, w⟩ w, x̃ what DeepFool finds from x, w = ∇(z_k − z_y)/‖∇(z_k − z_y)‖₂ there, k the class of x̃; the first
/// misclassified x is bisected towards the image.
///
/// Abdolahpour, Moosavi-Dezfooli et al. 2023, SDF(∞, 1): DeepFool's point lies on the boundary but not at the foot of the
/// perpendicular from the image; the projection takes out what is not normal.
#[derive(Debug, Clone)]
pub struct SuperDeepFool {
    /// Projections at most.
    pub steps: u32,
    /// Steps of each DeepFool at most.
    pub inner: u32,
    /// How far beyond the linearised boundary these go, as a share of the step.
    pub overshoot: f64,
    /// Bisections of the end.
    pub bisections: u32,
}

/// Registration.
pub const SPEC: Spec<BuildAttack> = Spec {
    name: "superdeepfool",
    summary: "DeepFool with projections onto the boundary's normal: smallest L2 perturbation; one run for every ε",
    formula: "x ← x + ⟨x̃ − x₀, w⟩ · w, x̃ = DeepFool(x), w = ∇(z_k − z_y)(x̃)/‖∇(z_k − z_y)(x̃)‖₂",
    paper: "Abdolahpour et al. 2023",
    params: &[
        ParamDoc { name: "steps", kind: ParamKind::COUNT, default: "100", unit: "", doc: "projections at most" },
        ParamDoc {
            name: "inner",
            kind: ParamKind::COUNT,
            default: "100",
            unit: "",
            doc: "steps of each DeepFool at most",
        },
        ParamDoc {
            name: "overshoot",
            kind: ParamKind::WEIGHT,
            default: "0.02",
            unit: "",
            doc: "how far beyond the linearised boundary DeepFool steps, as a share of the step",
        },
        ParamDoc {
            name: "bisections",
            kind: ParamKind::Int(Range::at_least(0.0)),
            default: "10",
            unit: "",
            doc: "between the image and what is found, at the end",
        },
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        Ok(std::sync::Arc::new(SuperDeepFool {
            steps: args.u32("steps")?,
            inner: args.u32("inner")?,
            overshoot: args.f64("overshoot")?,
            bisections: args.u32("bisections")?,
        }))
    },
};

impl Attack for SuperDeepFool {
    fn name(&self) -> &str {
        SPEC.name
    }
    fn norms(&self) -> &[Norm] {
        &[Norm::L2]
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

/// Norms of gradients below this count as this, as in the reference.
const LEAST_SLOPE: f64 = 1e-6;

impl SuperDeepFool {
    fn walk<T: Real>(&self, site: Site<'_, T>) -> Box<dyn Walk<T>> {
        let n = site.x0.len();
        Box::new(SuperDeepFoolWalk {
            attack: self.clone(),
            bounds: site.open.threat.bounds,
            label: site.clean.label as usize,
            gaps: Vec::new(),
            base: vec![0.0; n],
            rival: None,
            stage: Stage::Fall(0),
            taken: 0,
            gradients: 0,
            smallest: Smallest::new(site.open, site.x0),
        })
    }
}

/// What is asked about.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Stage {
    /// A point of DeepFool's after so many steps; after none it is the outer point.
    Fall(u32),
    /// The gradient at DeepFool's end.
    Normal,
    /// A blend of the image and what was found: (wrong from, right up to), blends left.
    Bisect(f64, f64, u32),
}

struct SuperDeepFoolWalk<T> {
    attack: SuperDeepFool,
    bounds: (f64, f64),
    label: usize,
    /// Classes and z_k − z_y of the gradients asked for.
    gaps: Vec<(usize, f64)>,
    /// The outer point; while bisecting, what was found.
    base: Vec<f64>,
    /// The class that DeepFool stepped towards last.
    rival: Option<usize>,
    stage: Stage,
    taken: u32,
    gradients: u32,
    smallest: Smallest<T>,
}

impl<T: Real> SuperDeepFoolWalk<T> {
    /// Sets x to x₀ + share · (base − x₀).
    fn blend(&self, x: &mut [T], share: f64) {
        for ((x, b), c) in x.iter_mut().zip(&self.base).zip(self.smallest.x0.iter()) {
            *x = T::of(c.wide() + share * (b - c.wide()));
        }
    }

    fn bisect(&mut self, x: &mut [T], low: f64, high: f64, left: u32) -> Turn {
        if left == 0 {
            return self.smallest.end(x, self.gradients);
        }
        self.stage = Stage::Bisect(low, high, left);
        self.blend(x, 0.5 * (low + high));
        Turn::Peek
    }
}

impl<T: Real> Walk<T> for SuperDeepFoolWalk<T> {
    fn look(&mut self, x: &mut [T], logits: &[f64], pulls: &mut Pulls<'_>) -> Turn {
        let class = predicted(logits).map(|class| class as usize);
        let wrong = class.filter(|class| *class != self.label);
        if wrong.is_some()
            && let Some(end) = self.smallest.found(x, self.gradients)
        {
            return end;
        }
        let inner = match self.stage {
            Stage::Bisect(low, high, left) => {
                let middle = 0.5 * (low + high);
                let (low, high) = if wrong.is_some() { (low, middle) } else { (middle, high) };
                return self.bisect(x, low, high, left - 1);
            }
            Stage::Fall(inner) => inner,
            // The logits of this point have been seen.
            Stage::Normal => 0,
        };
        if inner == 0 {
            self.base = x.iter().map(|v| v.wide()).collect();
            if wrong.is_some() {
                return self.bisect(x, 0.0, 1.0, self.attack.bisections);
            }
            if self.taken == self.attack.steps {
                return self.smallest.end(x, self.gradients);
            }
        }
        self.gaps.clear();
        if inner > 0 && (wrong.is_some() || inner == self.attack.inner) {
            let Some(k) = wrong.or(self.rival) else { return self.smallest.end(x, self.gradients) };
            self.stage = Stage::Normal;
            pulls.difference(k, self.label);
            return Turn::Pull;
        }
        for k in (0..logits.len()).filter(|k| *k != self.label) {
            self.gaps.push((k, logits[k] - logits[self.label]));
            pulls.difference(k, self.label);
        }
        Turn::Pull
    }

    fn step(&mut self, x: &mut [T], gradients: &[&[T]]) -> Turn {
        self.gradients += 1;
        let (low, high) = self.bounds;
        if self.stage == Stage::Normal {
            let w = gradients[0];
            let size = Norm::L2.row(w).max(LEAST_SLOPE);
            let moved = x.iter().zip(self.smallest.x0.iter()).zip(w);
            let along: f64 = moved.map(|((x, c), w)| (x.wide() - c.wide()) * w.wide() / size).sum();
            if !along.is_finite() {
                return self.smallest.end(x, self.gradients);
            }
            for ((x, b), w) in x.iter_mut().zip(&self.base).zip(w) {
                *x = T::of((b + along * w.wide() / size).clamp(low, high));
            }
            self.taken += 1;
            self.stage = Stage::Fall(0);
            return if self.taken == self.attack.steps { Turn::Peek } else { Turn::Go };
        }
        let mut nearest: Option<(f64, f64, usize, &[T])> = None;
        for ((k, gap), w) in self.gaps.iter().zip(gradients) {
            let size = Norm::L2.row(w).max(LEAST_SLOPE);
            let away = gap.abs() / size + 1e-4;
            if away.is_finite() && nearest.is_none_or(|n| away < n.0) {
                nearest = Some((away, size, *k, w));
            }
        }
        // Gradients that are no numbers lead nowhere.
        let Some((away, size, k, w)) = nearest else { return self.smallest.end(x, self.gradients) };
        self.rival = Some(k);
        let scale = (1.0 + self.attack.overshoot) * (away / size);
        for (x, w) in x.iter_mut().zip(w) {
            *x = T::of((x.wide() + scale * w.wide()).clamp(low, high));
        }
        let Stage::Fall(inner) = self.stage else { return Turn::Go };
        self.stage = Stage::Fall(inner + 1);
        Turn::Go
    }
}
