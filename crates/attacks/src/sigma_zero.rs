//! σ-zero: a smooth count of the changed values descended, small changes cut off by a threshold that follows success.

use crate::objectives::runner_up;
use crate::smallest::{self, Smallest};
use gauntlet_autograd::kernels::Real;
use gauntlet_core::attack::{Open, Pulls, Site, Turn, Walk, misclassified};
use gauntlet_core::registry::BuildAttack;
use gauntlet_core::{Attack, ParamDoc, ParamKind, Result, Spec, walks};
use gauntlet_records::Norm;
use std::sync::Arc;

/// L = max(z_y − max_{j≠y} z_j, 0) + 1/d Σ δᵢ²/(δᵢ² + σ), descended by Adam along ∇L/‖∇L‖∞; after every step |δᵢ| < τ becomes 0, and τ
/// rises by τ_factor · η where x is misclassified and falls by as much where it is not.
///
/// Cinà et al. 2025. η falls along a cosine to a tenth.
#[derive(Debug, Clone)]
pub struct SigmaZero {
    /// Steps.
    pub steps: u32,
    /// First step size η.
    pub lr: f64,
    /// σ of the smooth count.
    pub sigma: f64,
    /// First threshold τ.
    pub threshold: f64,
    /// How fast it moves, as a share of η.
    pub factor: f64,
}

/// Registration.
pub const SPEC: Spec<BuildAttack> = Spec {
    name: "sigma-zero",
    summary: "smallest number of changed values: a smooth count and a threshold that follows success; one run for every ε",
    formula: "δ ← T_τ(δ − η · Adam(∇L/‖∇L‖∞)), L = max(z_y − max_{j≠y} z_j, 0) + 1/d Σ δᵢ²/(δᵢ² + σ), T_τ cuts off |δᵢ| < τ",
    paper: "Cinà et al. 2025",
    params: &[
        ParamDoc { name: "steps", kind: ParamKind::COUNT, default: "1000", unit: "", doc: "steps" },
        ParamDoc { name: "lr", kind: ParamKind::POSITIVE, default: "1.0", unit: "", doc: "first step size η" },
        ParamDoc {
            name: "sigma",
            kind: ParamKind::POSITIVE,
            default: "0.001",
            unit: "",
            doc: "σ: the smaller, the nearer to a count",
        },
        ParamDoc {
            name: "threshold",
            kind: ParamKind::WEIGHT,
            default: "0.3",
            unit: "pixels",
            doc: "first threshold τ",
        },
        ParamDoc {
            name: "factor",
            kind: ParamKind::WEIGHT,
            default: "0.01",
            unit: "",
            doc: "how fast τ moves, as a share of η",
        },
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        Ok(Arc::new(SigmaZero {
            steps: args.u32("steps")?,
            lr: args.f64("lr")?,
            sigma: args.f64("sigma")?,
            threshold: args.f64("threshold")?,
            factor: args.f64("factor")?,
        }))
    },
};

impl Attack for SigmaZero {
    fn name(&self) -> &str {
        SPEC.name
    }
    fn norms(&self) -> &[Norm] {
        &[Norm::L0]
    }
    fn fits(&self, open: &Open) -> Result<()> {
        smallest::fits(SPEC.name, open)
    }
    fn minimal(&self) -> bool {
        true
    }
    walks!();
}

impl SigmaZero {
    fn walk<T: Real>(&self, site: Site<'_, T>) -> Box<dyn Walk<T>> {
        let n = site.x0.len();
        Box::new(SigmaZeroWalk {
            attack: self.clone(),
            bounds: site.open.threat.bounds,
            label: site.clean.label,
            clean: site.x0.iter().map(|v| v.wide()).collect(),
            delta: vec![0.0; n],
            first: vec![0.0; n],
            second: vec![0.0; n],
            lr: self.lr,
            threshold: self.threshold,
            fell: false,
            taken: 0,
            smallest: Smallest::new(site.open, site.x0),
        })
    }
}

struct SigmaZeroWalk<T> {
    attack: SigmaZero,
    bounds: (f64, f64),
    label: u32,
    clean: Vec<f64>,
    delta: Vec<f64>,
    /// Adam's moments.
    first: Vec<f64>,
    second: Vec<f64>,
    /// η and τ of the next step.
    lr: f64,
    threshold: f64,
    fell: bool,
    taken: u32,
    smallest: Smallest<T>,
}

impl<T: Real> Walk<T> for SigmaZeroWalk<T> {
    fn look(&mut self, x: &mut [T], logits: &[f64], pulls: &mut Pulls<'_>) -> Turn {
        self.fell = misclassified(logits, self.label);
        if self.fell
            && let Some(end) = self.smallest.found(x, self.taken)
        {
            return end;
        }
        if self.taken == self.attack.steps || logits.iter().any(|z| !z.is_finite()) {
            return self.smallest.end(x, self.taken);
        }
        let y = self.label as usize;
        let other = runner_up(logits, y);
        if logits[y] <= logits[other] {
            // The margin is at its floor: the count alone descends, and there is no gradient to ask for.
            return self.descend(x, None);
        }
        let slope = pulls.add();
        slope[y] += 1.0;
        slope[other] -= 1.0;
        Turn::Pull
    }

    fn step(&mut self, x: &mut [T], gradients: &[&[T]]) -> Turn {
        self.descend(x, Some(gradients[0]))
    }
}

impl<T: Real> SigmaZeroWalk<T> {
    /// One step of Adam along the gradient of the margin, where it has one, and of the count.
    fn descend(&mut self, x: &mut [T], margin: Option<&[T]>) -> Turn {
        let (i, n) = (self.taken, self.delta.len() as f64);
        self.taken += 1;
        let sigma = self.attack.sigma;
        let gradient: Vec<f64> = self
            .delta
            .iter()
            .enumerate()
            .map(|(k, d)| {
                let g = margin.map_or(0.0, |g| g[k].wide());
                let g = if g.is_finite() { g } else { 0.0 };
                g + 2.0 * d * sigma / (n * (d * d + sigma).powi(2))
            })
            .collect();
        let size = Norm::Linf.of(gradient.iter().copied()).max(1e-12);
        let (a, b) = (1.0 - 0.9f64.powi(self.taken as i32), 1.0 - 0.999f64.powi(self.taken as i32));
        let (low, high) = self.bounds;
        for (k, g) in gradient.iter().enumerate() {
            let g = g / size;
            self.first[k] += 0.1 * (g - self.first[k]);
            self.second[k] = 0.999 * self.second[k] + 0.001 * g * g;
            let moved = self.delta[k] - self.lr / a * self.first[k] / (self.second[k].sqrt() / b.sqrt() + 1e-8);
            self.delta[k] = (moved + self.clean[k]).clamp(low, high) - self.clean[k];
        }
        let cosine = 1.0 + libm::cos(std::f64::consts::PI * f64::from(i) / f64::from(self.attack.steps));
        self.lr = self.attack.lr * (0.1 + 0.45 * cosine);
        let way = self.attack.factor * self.lr;
        self.threshold = (self.threshold + if self.fell { way } else { -way }).clamp(0.0, 1.0);
        for ((x, c), d) in x.iter_mut().zip(self.smallest.x0.iter()).zip(&mut self.delta) {
            if d.abs() < self.threshold {
                *d = 0.0;
            }
            // What is not changed is the image to the bit: it is counted.
            *x = if *d == 0.0 { *c } else { T::of(c.wide() + *d) };
        }
        if self.taken == self.attack.steps { Turn::Peek } else { Turn::Go }
    }
}
