//! ALMA: the augmented Lagrangian of distance and margin.

use crate::smallest::{self, Smallest};
use gauntlet_autograd::kernels::Real;
use gauntlet_core::attack::{Open, Pulls, Site, Turn, Walk};
use gauntlet_core::philox::Stream;
use gauntlet_core::registry::BuildAttack;
use gauntlet_core::{Attack, Error, ParamDoc, ParamKind, Range, Result, Spec, ThreatModel, walks};
use gauntlet_records::Norm;
use std::sync::Arc;

/// min ‖x' − x‖ + P(q(x'); ρ, μ), q = (z_y − max_{i≠y} z_i + κ)/(z₁ − z₃), by RMSProp with momentum; μ follows P' as a running mean, ρ
/// grows where q does not fall. P(q) = μ q + μ ρ q² + ρ² q³/6 for q ≥ 0, μ q/(1 − ρ q) below.
///
/// Rony et al. 2021, the code of adversarial-library.
#[derive(Debug, Clone)]
pub struct Alma {
    /// Steps.
    pub steps: u32,
    /// ‖·‖ of the first step; `None`: 0.1 in L2, 0.5 in L1.
    pub first: Option<f64>,
    /// Last learning rate as a share of the first.
    pub lr_last: f64,
    /// Steps between looks at whether q falls.
    pub check: u32,
    /// q must fall to this share of itself.
    pub tau: f64,
    /// Factor by which ρ grows.
    pub gamma: f64,
    /// Weight of the old in running means.
    pub alpha: f64,
    /// κ.
    pub margin: f64,
}

/// Registration.
pub const SPEC: Spec<BuildAttack> = Spec {
    name: "alma",
    summary: "augmented Lagrangian: smallest perturbation under a penalty that learns its weight; one run for every ε",
    formula: "min ‖x' − x‖ + P(q; ρ, μ),  q = (z_y − max_{i≠y} z_i + κ)/(z₁ − z₃),  μ ← α μ + (1 − α) P'(q)",
    paper: "Rony et al. 2021",
    params: &[
        ParamDoc { name: "steps", kind: ParamKind::COUNT, default: "1000", unit: "", doc: "steps" },
        ParamDoc {
            name: "first",
            kind: ParamKind::POSITIVE,
            default: "null",
            unit: "pixels",
            doc: "length of the first step, which sets the learning rate; without it 0.1 in l2, 0.5 in l1",
        },
        ParamDoc {
            name: "lr_last",
            kind: ParamKind::POSITIVE,
            default: "0.01",
            unit: "",
            doc: "last learning rate as a share of the first",
        },
        ParamDoc {
            name: "check",
            kind: ParamKind::COUNT,
            default: "10",
            unit: "",
            doc: "steps between looks at the penalty",
        },
        ParamDoc {
            name: "tau",
            kind: ParamKind::WEIGHT,
            default: "0.95",
            unit: "",
            doc: "share to which q must fall between them",
        },
        ParamDoc {
            name: "gamma",
            kind: ParamKind::Float(Range::at_least(1.0)),
            default: "1.2",
            unit: "",
            doc: "factor by which ρ grows where it does not",
        },
        ParamDoc {
            name: "alpha",
            kind: ParamKind::Float(Range::at_least(0.0).below(1.0)),
            default: "0.9",
            unit: "",
            doc: "weight of the old in running means",
        },
        ParamDoc {
            name: "margin",
            kind: ParamKind::WEIGHT,
            default: "0.0001",
            unit: "",
            doc: "κ, the difference of logits demanded",
        },
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        Ok(Arc::new(Alma {
            steps: args.u32("steps")?,
            first: if args.has("first") { Some(args.f64("first")?) } else { None },
            lr_last: args.f64("lr_last")?,
            check: args.u32("check")?,
            tau: args.f64("tau")?,
            gamma: args.f64("gamma")?,
            alpha: args.f64("alpha")?,
            margin: args.f64("margin")?,
        }))
    },
};

impl Attack for Alma {
    fn name(&self) -> &str {
        "alma"
    }
    fn norms(&self) -> &[Norm] {
        &[Norm::L2, Norm::L1]
    }
    fn fits(&self, open: &Open) -> Result<()> {
        if open.classes < 3 {
            let why = format!("needs at least 3 classes, the model has {}; use \"ddn\" or \"fmn\"", open.classes);
            return Err(Error::value("alma", why));
        }
        smallest::fits("alma", open)
    }
    fn minimal(&self) -> bool {
        true
    }
    walks!();
}

impl Alma {
    fn walk<T: Real>(&self, site: Site<'_, T>) -> Box<dyn Walk<T>> {
        let n = site.x0.len();
        Box::new(AlmaWalk {
            alma: self.clone(),
            threat: site.open.threat,
            stream: site.open.key.stream(site.clean.id, site.job.restart, 0),
            label: site.clean.label as usize,
            clean: site.x0.iter().map(|x| x.wide()).collect(),
            delta: vec![0.0; n],
            squares: vec![1.0; n],
            momentum: vec![0.0; n],
            lr: 0.0,
            mu: 1.0,
            rho: 1.0,
            before: 0.0,
            found: None,
            taken: 0,
            smallest: Smallest::new(site.open, site.x0),
        })
    }
}

struct AlmaWalk<T> {
    alma: Alma,
    threat: ThreatModel,
    stream: Stream,
    label: usize,
    clean: Vec<f64>,
    delta: Vec<f64>,
    /// Running means of squares and of scaled gradients.
    squares: Vec<f64>,
    momentum: Vec<f64>,
    lr: f64,
    mu: f64,
    rho: f64,
    /// q at the last look.
    before: f64,
    /// The first step at which it was misclassified.
    found: Option<u32>,
    taken: u32,
    smallest: Smallest<T>,
}

/// P'(q).
fn slope(q: f64, rho: f64, mu: f64) -> f64 {
    if q >= 0.0 { mu + 2.0 * mu * rho * q + 0.5 * rho * rho * q * q } else { mu / (1.0 - rho * q).powi(2) }
}

impl<T: Real> AlmaWalk<T> {
    /// q, and what it is made of: the strongest other class, the first and third of all, the difference of logits, z₁ − z₃.
    fn ratio(&self, z: &[f64]) -> (f64, usize, [usize; 2], f64, f64) {
        let mut order: Vec<usize> = (0..z.len()).collect();
        order.sort_by(|a, b| z[*b].total_cmp(&z[*a]));
        let other = if order[0] == self.label { order[1] } else { order[0] };
        let gap = z[self.label] - z[other] + self.alma.margin;
        let scale = z[order[0]] - z[order[2]] + 1e-8;
        (gap / scale, other, [order[0], order[2]], gap, scale)
    }

    /// The learning rate with which the first step is as long as asked for: doubled, then bisected twenty times.
    fn first_rate(&self, gradient: &[f64]) -> f64 {
        let (low, high) = self.threat.bounds;
        let wanted = self.alma.first.unwrap_or(if self.threat.norm == Norm::L1 { 0.5 } else { 0.1 });
        let beyond = |lr: f64| {
            let moved = self.clean.iter().zip(gradient).map(|(c, g)| (c - lr * g).clamp(low, high) - c);
            self.threat.norm.of(moved) > wanted
        };
        let (mut inside, mut outside) = (0.0, 1.0);
        while !beyond(outside) && outside < 1e12 {
            (inside, outside) = (outside, 2.0 * outside);
        }
        for _ in 0..20 {
            let middle = 0.5 * (inside + outside);
            *if beyond(middle) { &mut outside } else { &mut inside } = middle;
        }
        0.5 * (inside + outside)
    }
}

impl<T: Real> Walk<T> for AlmaWalk<T> {
    fn look(&mut self, x: &mut [T], logits: &[f64], pulls: &mut Pulls<'_>) -> Turn {
        let (q, other, [best, third], gap, scale) = self.ratio(logits);
        if !q.is_finite() {
            return self.smallest.end(x, self.taken);
        }
        let found = q < 0.0;
        if found && let Some(end) = self.smallest.found(x, self.taken) {
            return end;
        }
        if self.taken == self.alma.steps {
            return self.smallest.end(x, self.taken);
        }
        if self.taken == 0 {
            self.before = q;
        } else {
            if (self.taken + 1).is_multiple_of(self.alma.check) {
                if self.found.is_none() && q >= self.alma.tau * self.before {
                    self.rho *= self.alma.gamma;
                }
                self.before = q;
            }
            let new = slope(q, self.rho, self.mu);
            self.mu = (self.mu + (1.0 - self.alma.alpha) * (new - self.mu)).clamp(1e-6, 1e12);
        }
        if found && self.found.is_none() {
            self.found = Some(self.taken);
        }
        let weight = slope(q, self.rho, self.mu);
        let slope = pulls.add();
        slope[self.label] += weight / scale;
        slope[other] -= weight / scale;
        slope[best] -= weight * gap / (scale * scale);
        slope[third] += weight * gap / (scale * scale);
        Turn::Pull
    }

    fn step(&mut self, x: &mut [T], gradients: &[&[T]]) -> Turn {
        let mut gradient: Vec<f64> =
            gradients[0].iter().map(|g| if g.wide().is_finite() { g.wide() } else { 0.0 }).collect();
        if self.taken == 0 {
            if Norm::L2.of(gradient.iter().copied()) <= 1e-6 {
                // No slope at the image: any direction.
                gradient.iter_mut().for_each(|g| *g = self.stream.normal());
                let size = Norm::L2.of(gradient.iter().copied()).max(1.0);
                gradient.iter_mut().for_each(|g| *g /= size);
            }
            self.lr = self.first_rate(&gradient);
        } else {
            let size = self.threat.norm.of(self.delta.iter().copied());
            for (g, d) in gradient.iter_mut().zip(&self.delta) {
                *g += match self.threat.norm {
                    _ if *d == 0.0 => 0.0,
                    Norm::L1 => d.signum(),
                    _ => d / size,
                };
            }
        }
        let decay = self.found.map_or(1.0, |found| {
            let share = f64::from(self.taken - found) / f64::from(self.alma.steps - found);
            self.alma.lr_last.powf(share)
        });
        let (alpha, (low, high)) = (self.alma.alpha, self.threat.bounds);
        for i in 0..gradient.len() {
            let g = gradient[i];
            self.squares[i] = alpha * self.squares[i] + (1.0 - alpha) * g * g;
            self.momentum[i] = alpha * self.momentum[i] + g / (self.squares[i].sqrt() + 1e-8);
            let moved = self.delta[i] - self.lr * decay * self.momentum[i];
            self.delta[i] = (moved + self.clean[i]).clamp(low, high) - self.clean[i];
            x[i] = T::of(self.clean[i] + self.delta[i]);
        }
        self.taken += 1;
        if self.taken == self.alma.steps { Turn::Peek } else { Turn::Go }
    }
}

#[cfg(test)]
mod tests {
    use super::slope;

    #[test]
    fn the_slope_is_the_penalty_s() {
        let penalty = |q: f64, rho: f64, mu: f64| {
            if q >= 0.0 { mu * q + mu * rho * q * q + rho * rho * q.powi(3) / 6.0 } else { mu * q / (1.0 - rho * q) }
        };
        for (q, rho, mu) in [(0.7, 1.3, 0.4), (-0.9, 2.0, 3.0), (0.1, 0.2, 1e-3), (-1e-3, 1.0, 1.0)] {
            let h = 1e-6;
            let want = (penalty(q + h, rho, mu) - penalty(q - h, rho, mu)) / (2.0 * h);
            assert!((slope(q, rho, mu) - want).abs() < 1e-8 * want.abs().max(1.0), "{q} {rho} {mu}");
        }
    }
}
