//! Primal-dual proximal gradient descent: Adam on the classification, a proximal step on the norm, their weight learned.

use crate::objectives::runner_up;
use crate::smallest::{self, Smallest};
use gauntlet_autograd::kernels::Real;
use gauntlet_core::attack::{Open, Pulls, Site, Turn, Walk};
use gauntlet_core::registry::BuildAttack;
use gauntlet_core::{Attack, ParamDoc, ParamKind, Range, Result, Spec, ThreatModel, walks};
use gauntlet_records::Norm;
use std::sync::Arc;

/// r ← prox_{μ‖·‖}(Adam(r, ∇ log(1 + e^m))), m = z_y − max_{j≠y} z_j, μ = (λ₀/λ₁) · step; (λ₀, λ₁) is a softmax whose second entry
/// rises while x is classified as y and falls while it is not, averaged over steps.
///
/// Matyasko & Chau 2021. The proximal step is that of the metric which Adam's divisors span, found by a few fixed-point steps.
#[derive(Debug, Clone)]
pub struct Pdpgd {
    /// Steps.
    pub steps: u32,
    /// First step size of r, and the last as a share of it.
    pub lr: f64,
    /// Last as a share of the first.
    pub lr_last: f64,
    /// λ₀/λ₁ at first.
    pub ratio: f64,
    /// First step size of the dual variable, and the last as a share of it.
    pub dual_lr: f64,
    /// Last as a share of the first.
    pub dual_lr_last: f64,
    /// Share of the average that stays at a step.
    pub average: f64,
    /// Fixed-point steps of each proximal step.
    pub proximal: u32,
}

/// Registration.
pub const SPEC: Spec<BuildAttack> = Spec {
    name: "pdpgd",
    summary: "primal-dual proximal gradients: smallest perturbation, the norm's weight learned as a dual variable; one run for every ε",
    formula: "r ← prox_{μ‖·‖}(r − η · Adam(∇ log(1 + e^m))), m = z_y − max_{j≠y} z_j, μ = η λ₀/λ₁, log(λ₁/λ₀) ← log(λ₁/λ₀) + θ sign(m)",
    paper: "Matyasko & Chau 2021",
    params: &[
        ParamDoc { name: "steps", kind: ParamKind::COUNT, default: "500", unit: "", doc: "steps" },
        ParamDoc { name: "lr", kind: ParamKind::POSITIVE, default: "0.1", unit: "", doc: "first step size η" },
        ParamDoc {
            name: "lr_last",
            kind: ParamKind::POSITIVE,
            default: "0.01",
            unit: "",
            doc: "the last, as a share of the first",
        },
        ParamDoc { name: "ratio", kind: ParamKind::POSITIVE, default: "0.01", unit: "", doc: "λ₀/λ₁ at first" },
        ParamDoc { name: "dual_lr", kind: ParamKind::POSITIVE, default: "0.1", unit: "", doc: "first step size θ" },
        ParamDoc {
            name: "dual_lr_last",
            kind: ParamKind::POSITIVE,
            default: "0.1",
            unit: "",
            doc: "the last, as a share of the first",
        },
        ParamDoc {
            name: "average",
            kind: ParamKind::Float(Range::at_least(0.0).below(1.0)),
            default: "0.9",
            unit: "",
            doc: "share of (λ₀, λ₁)'s average that stays",
        },
        ParamDoc {
            name: "proximal",
            kind: ParamKind::COUNT,
            default: "5",
            unit: "",
            doc: "fixed-point steps of each proximal step",
        },
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        let positive = |name: &str| args.f64(name);
        Ok(Arc::new(Pdpgd {
            steps: args.u32("steps")?,
            lr: positive("lr")?,
            lr_last: positive("lr_last")?,
            ratio: positive("ratio")?,
            dual_lr: positive("dual_lr")?,
            dual_lr_last: positive("dual_lr_last")?,
            average: args.f64("average")?,
            proximal: args.u32("proximal")?,
        }))
    },
};

impl Attack for Pdpgd {
    fn name(&self) -> &str {
        SPEC.name
    }
    fn norms(&self) -> &[Norm] {
        &[Norm::Linf, Norm::L2, Norm::L1]
    }
    fn fits(&self, open: &Open) -> Result<()> {
        smallest::fits(SPEC.name, open)
    }
    fn minimal(&self) -> bool {
        true
    }
    walks!();
}

/// |log(λ₁/λ₀)| stays below log 10⁶.
const LEAST_RATIO: f64 = 1e-6;
/// A fixed point is reached where a step changes less than this share.
const REACHED: f64 = 1e-2;

impl Pdpgd {
    fn walk<T: Real>(&self, site: Site<'_, T>) -> Box<dyn Walk<T>> {
        let n = site.x0.len();
        let dual = -libm::log(self.ratio);
        Box::new(PdpgdWalk {
            attack: self.clone(),
            threat: site.open.threat,
            label: site.clean.label as usize,
            clean: site.x0.iter().map(|v| v.wide()).collect(),
            r: vec![0.0; n],
            first: vec![0.0; n],
            second: vec![0.0; n],
            margin: 0.0,
            dual,
            weights: weights(dual),
            taken: 0,
            smallest: Smallest::new(site.open, site.x0),
        })
    }
}

/// softmax(0, dual).
fn weights(dual: f64) -> [f64; 2] {
    let share = 1.0 / (1.0 + libm::exp(-dual));
    [1.0 - share, share]
}

struct PdpgdWalk<T> {
    attack: Pdpgd,
    threat: ThreatModel,
    label: usize,
    clean: Vec<f64>,
    r: Vec<f64>,
    /// Adam's moments.
    first: Vec<f64>,
    second: Vec<f64>,
    /// m at the last look.
    margin: f64,
    /// log(λ₁/λ₀), and the averaged weights.
    dual: f64,
    weights: [f64; 2],
    taken: u32,
    smallest: Smallest<T>,
}

/// argmin_z μ‖z‖ + ½‖z − v‖₂², in place.
fn proximal(norm: Norm, v: &mut [f64], mu: f64) {
    match norm {
        Norm::L1 => v.iter_mut().for_each(|v| *v = v.signum() * (v.abs() - mu).max(0.0)),
        Norm::L2 => {
            let size = Norm::L2.of(v.iter().copied());
            let keep = if size > 0.0 { (1.0 - mu / size).max(0.0) } else { 0.0 };
            v.iter_mut().for_each(|v| *v *= keep);
        }
        // Moreau: what is left beside the projection onto the dual norm's ball.
        _ => {
            let ball = ThreatModel { norm: Norm::L1, eps: mu, bounds: (f64::NEG_INFINITY, f64::INFINITY) };
            let mut inside = v.to_vec();
            ball.project_row(&vec![0.0; v.len()], &mut inside);
            v.iter_mut().zip(&inside).for_each(|(v, p)| *v -= p);
        }
    }
}

impl<T: Real> PdpgdWalk<T> {
    /// r moved into the box.
    fn boxed(&self, r: &mut [f64]) {
        let (low, high) = self.threat.bounds;
        r.iter_mut().zip(&self.clean).for_each(|(r, c)| *r = (*r + c).clamp(low, high) - c);
    }
}

impl<T: Real> Walk<T> for PdpgdWalk<T> {
    fn look(&mut self, x: &mut [T], logits: &[f64], pulls: &mut Pulls<'_>) -> Turn {
        let (y, other) = (self.label, runner_up(logits, self.label));
        self.margin = logits[y] - logits[other];
        if logits.iter().any(|z| !z.is_finite()) {
            return self.smallest.end(x, self.taken);
        }
        if self.margin < 0.0
            && let Some(end) = self.smallest.found(x, self.taken)
        {
            return end;
        }
        if self.taken == self.attack.steps {
            return self.smallest.end(x, self.taken);
        }
        let weight = 1.0 / (1.0 + libm::exp(-self.margin));
        let slope = pulls.add();
        slope[y] += weight;
        slope[other] -= weight;
        Turn::Pull
    }

    fn step(&mut self, x: &mut [T], gradients: &[&[T]]) -> Turn {
        let (i, steps) = (self.taken, self.attack.steps);
        self.taken += 1;
        let (a, b) = (1.0 - 0.9f64.powi(self.taken as i32), 1.0 - 0.999f64.powi(self.taken as i32));
        let size = self.attack.lr * self.attack.lr_last.powf(f64::from(i) / f64::from(steps));
        let mut divisors = vec![0.0; self.r.len()];
        for (k, g) in gradients[0].iter().enumerate() {
            let g = if g.wide().is_finite() { g.wide() } else { 0.0 };
            self.first[k] += 0.1 * (g - self.first[k]);
            self.second[k] = 0.999 * self.second[k] + 0.001 * g * g;
            divisors[k] = self.second[k].sqrt() / b.sqrt() + 1e-8;
            self.r[k] -= size / a * self.first[k] / divisors[k];
        }
        let mut r = std::mem::take(&mut self.r);
        self.boxed(&mut r);
        let largest = divisors.iter().copied().fold(0.0, f64::max);
        let mu = self.weights[0] / self.weights[1] * (size / largest);
        let mut z = r.clone();
        for _ in 0..self.attack.proximal {
            let mut new: Vec<f64> =
                z.iter().zip(&r).zip(&divisors).map(|((z, r), d)| z - d / largest * (z - r)).collect();
            proximal(self.threat.norm, &mut new, mu);
            self.boxed(&mut new);
            let change = Norm::L2.of(new.iter().zip(&z).map(|(a, b)| a - b)) / Norm::L2.of(new.iter().copied());
            z = new;
            // All is zero where this is no number.
            if change.is_nan() || change <= REACHED {
                break;
            }
        }
        self.r = z;
        let share = if steps > 1 { f64::from(steps - 1 - i) / f64::from(steps - 1) } else { 1.0 };
        let last = self.attack.dual_lr_last;
        let sign = if self.margin == 0.0 { 0.0 } else { self.margin.signum() };
        let most = -libm::log(LEAST_RATIO);
        self.dual = (self.dual + sign * self.attack.dual_lr * (share * (1.0 - last) + last)).clamp(-most, most);
        for (w, new) in self.weights.iter_mut().zip(weights(self.dual)) {
            *w += (1.0 - self.attack.average) * (new - *w);
        }
        for ((x, c), r) in x.iter_mut().zip(&self.clean).zip(&self.r) {
            *x = T::of(c + r);
        }
        if self.taken == steps { Turn::Peek } else { Turn::Go }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gauntlet_core::{Key, Purpose};

    /// No nearby point has a smaller μ‖z‖ + ½‖z − v‖₂².
    #[test]
    fn proximal_points_are_the_least() {
        let mut stream = Key::new(2, Purpose::Sample).stream(0, 0, 0);
        for norm in [Norm::Linf, Norm::L2, Norm::L1] {
            for mu in [0.05, 0.3, 2.0, 9.0] {
                let v: Vec<f64> = (0..6).map(|_| stream.normal()).collect();
                let value = |z: &[f64]| {
                    mu * norm.of(z.iter().copied()) + 0.5 * z.iter().zip(&v).map(|(z, v)| (z - v).powi(2)).sum::<f64>()
                };
                let mut z = v.clone();
                proximal(norm, &mut z, mu);
                let least = value(&z);
                for k in 0..300 {
                    let size = [1e-3, 0.03, 0.5][k % 3];
                    let other: Vec<f64> = z.iter().map(|z| z + size * stream.normal()).collect();
                    assert!(value(&other) >= least - 1e-12, "{norm} {mu}: {other:?} instead of {z:?}");
                }
            }
        }
    }
}
