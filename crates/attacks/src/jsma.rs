//! JSMA: two values at a time, chosen by the Jacobian, to white or to black.

use crate::smallest::{self, Smallest};
use gauntlet_autograd::kernels::Real;
use gauntlet_core::attack::{Backwards, Job, Open, Pulls, Site, Turn, Walk, misclassified};
use gauntlet_core::registry::BuildAttack;
use gauntlet_core::{Attack, Clean, Error, ParamDoc, ParamKind, Range, Result, Spec, ThreatModel, walks};
use gauntlet_records::Norm;
use std::sync::Arc;

/// The pair (p, q) of values with the largest −α β, α = Σ_{p,q} ∂z_t > 0 > β = Σ_{p,q} Σ_{j≠t} ∂z_j, moves by θ, and no value twice.
///
/// Papernot et al. 2016. t: the runners-up of the clean image, one after the other; any misclassification ends a run.
#[derive(Debug, Clone)]
pub struct Jsma {
    /// What a value is moved by: up, or down where negative.
    pub theta: f64,
    /// Share of all values that may be moved.
    pub gamma: f64,
    /// Target classes.
    pub targets: usize,
}

/// Registration.
pub const SPEC: Spec<BuildAttack> = Spec {
    name: "jsma",
    summary: "Jacobian-based saliency map: two values at a time go to the end of the box; few changed values, one run for every ε",
    formula: "x_p, x_q ← clip(x + θ), (p, q) = argmax −αβ, α = Σ_{p,q} ∂z_t > 0 > β = Σ_{p,q} Σ_{j≠t} ∂z_j",
    paper: "Papernot et al. 2016",
    params: &[
        ParamDoc {
            name: "theta",
            kind: ParamKind::FLOAT,
            default: "1.0",
            unit: "pixels",
            doc: "what a value is moved by; negative: down (then α < 0 < β)",
        },
        ParamDoc {
            name: "gamma",
            kind: ParamKind::Float(Range::above(0.0).at_most(1.0)),
            default: "0.1",
            unit: "",
            doc: "share of all values that may be moved; 0.1 in torchattacks, 1 in AdverTorch and ART",
        },
        ParamDoc {
            name: "targets",
            kind: ParamKind::COUNT,
            default: "1",
            unit: "",
            doc: "target classes: the runners-up of the clean image, one after the other",
        },
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        let theta = args.f64("theta")?;
        if theta == 0.0 || !theta.is_finite() {
            let why = format!("must not be 0, got {theta}: no value would move");
            return Err(Error::value(format!("{}.theta", args.owner()), why));
        }
        Ok(Arc::new(Jsma { theta, gamma: args.f64("gamma")?, targets: args.usize("targets")? }))
    },
};

impl Attack for Jsma {
    fn name(&self) -> &str {
        SPEC.name
    }
    fn norms(&self) -> &[Norm] {
        &[Norm::L0]
    }
    fn fits(&self, open: &Open) -> Result<()> {
        smallest::fits(SPEC.name, open)
    }
    fn jobs(&self, clean: &Clean, _: &ThreatModel) -> Vec<Job> {
        Job::targets(&clean.runners_up(self.targets), 1)
    }
    fn needs_clean(&self) -> bool {
        true
    }
    /// Two: of the target, and of all others together.
    fn backwards(&self) -> Backwards {
        Backwards::PerClass
    }
    fn minimal(&self) -> bool {
        true
    }
    walks!();
}

/// Values nearer to the end of the box are not moved towards it.
const NO_ROOM: f64 = 0.01;

impl Jsma {
    fn walk<T: Real>(&self, site: Site<'_, T>) -> Box<dyn Walk<T>> {
        let (low, high) = site.open.threat.bounds;
        let up = self.theta > 0.0;
        let free = |v: &T| if up { v.wide() < high - NO_ROOM } else { v.wide() > low + NO_ROOM };
        Box::new(JsmaWalk {
            theta: self.theta,
            steps: (site.x0.len() as f64 * self.gamma / 2.0).ceil() as u32,
            budget: (!site.open.smallest).then_some(site.open.threat.eps),
            bounds: site.open.threat.bounds,
            label: site.clean.label,
            target: site.job.target,
            free: (0..site.x0.len()).filter(|i| free(&site.x0[*i])).collect(),
            taken: 0,
            smallest: Smallest::new(site.open, site.x0),
        })
    }
}

struct JsmaWalk<T> {
    theta: f64,
    steps: u32,
    /// No further step once the changes exceed it.
    budget: Option<f64>,
    bounds: (f64, f64),
    label: u32,
    target: Option<u32>,
    /// Values that may be moved yet.
    free: Vec<usize>,
    taken: u32,
    smallest: Smallest<T>,
}

/// The pair of entries with the largest −(aₚ + a_q)(bₚ + b_q), a positive and b negative sums.
fn best_pair(values: &[(usize, f64, f64)]) -> Option<(usize, usize)> {
    let mut best = (0.0, None);
    for (k, (p, a, b)) in values.iter().enumerate() {
        for (q, c, d) in &values[k + 1..] {
            let (alpha, beta) = (a + c, b + d);
            if alpha > 0.0 && beta < 0.0 && -alpha * beta > best.0 {
                best = (-alpha * beta, Some((*p, *q)));
            }
        }
    }
    best.1
}

impl<T: Real> Walk<T> for JsmaWalk<T> {
    fn look(&mut self, x: &mut [T], logits: &[f64], pulls: &mut Pulls<'_>) -> Turn {
        if misclassified(logits, self.label) {
            return self.smallest.found(x, self.taken).unwrap_or_else(|| self.smallest.end(x, self.taken));
        }
        let spent = self.budget.is_some_and(|eps| self.smallest.distance(x) >= eps);
        let target = self.target.filter(|_| self.taken < self.steps && !spent);
        let Some(target) = target else { return self.smallest.end(x, self.taken) };
        pulls.add()[target as usize] = 1.0;
        let others = pulls.add();
        others.fill(1.0);
        others[target as usize] = 0.0;
        Turn::Pull
    }

    fn step(&mut self, x: &mut [T], gradients: &[&[T]]) -> Turn {
        // Moving down is moving up with both slopes turned round.
        let sign = self.theta.signum();
        let values: Vec<(usize, f64, f64)> =
            self.free.iter().map(|i| (*i, sign * gradients[0][*i].wide(), sign * gradients[1][*i].wide())).collect();
        let Some((p, q)) = best_pair(&values) else { return self.smallest.end(x, self.taken) };
        let (low, high) = self.bounds;
        for i in [p, q] {
            x[i] = T::of((x[i].wide() + self.theta).clamp(low, high));
        }
        self.free.retain(|i| *i != p && *i != q);
        self.taken += 1;
        Turn::Go
    }
}

#[cfg(test)]
mod tests {
    use super::best_pair;

    #[test]
    fn pairs_help_the_target_and_hurt_the_others() {
        // Alone, 3 hurts the others most, but with 5 the target would gain nothing.
        assert_eq!(best_pair(&[(1, 1.0, -1.0), (3, 0.5, -4.0), (5, -0.5, -6.0)]), Some((1, 3)));
        assert_eq!(best_pair(&[(1, 1.0, 1.0), (2, -2.0, -1.0)]), None);
        assert_eq!(best_pair(&[(7, 1.0, f64::NAN), (8, 1.0, -1.0)]), None);
    }
}
