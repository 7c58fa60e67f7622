//! Fast minimum-norm: gradient steps in a ball whose radius follows the boundary.

use crate::ddn::{cosine, farthest};
use crate::objectives::runner_up;
use crate::smallest::{self, Smallest};
use gauntlet_autograd::kernels::{Real, Vectorised, vectorised};
use gauntlet_core::attack::{Job, Open, Pulls, Site, Turn, Walk, misclassified};
use gauntlet_core::norm::Measure;
use gauntlet_core::registry::BuildAttack;
use gauntlet_core::{Attack, Clean, ParamDoc, ParamKind, Result, Spec, ThreatModel, walks};
use gauntlet_records::Norm;
use std::sync::Arc;

/// δ ← Π_ε(δ − α ∇L/‖∇L‖₂), L = z_y − max_{j≠y} z_j; ε first jumps to the linearised distance to the boundary, then
/// shrinks or grows by γ with success; α and γ fall along cosines.
///
/// Pintor et al. 2021. In L2, Π is the projection onto the sphere, as in the code that its authors point to: a step that
/// falls short of the radius is lengthened. With the ball of the paper's text a point that is not misclassified yet creeps
/// towards the boundary from inside and many never reach it.
///
/// α: adversarial-library's is 1.0 everywhere. In L2, where the boundary is that near (networks that are not robust), the
/// box cuts most of such a step off and runs end short of it, so that accuracies are failures of the attack. The default
/// there is 0.05 · |L|/‖∇L‖₂ at the image; docs/decisions/2026-11-audit.md says how the factor was chosen.
///
/// In L0 ε counts changed values, begins at 1 and moves by whole ones; Π keeps the largest changes, then clips.
#[derive(Debug, Clone)]
pub struct Fmn {
    /// Steps.
    pub steps: u32,
    /// First step size; `None`: 1.0, in L2 [`Fmn::FIRST_STEP`] × the linearised distance to the boundary at the image.
    pub alpha: Option<f64>,
    /// Last step size; `None`: 0.01, a hundredth of the first in L2 without one.
    pub alpha_last: Option<f64>,
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
        ParamDoc { name: "steps", kind: ParamKind::COUNT, default: "100", unit: "", doc: "steps" },
        ParamDoc {
            name: "alpha",
            kind: ParamKind::WEIGHT,
            default: "null",
            unit: "pixels",
            doc: "first step size; without it 1.0, in L2 0.05 times the linearised distance to the boundary, which \
                  differs from image to image; 1.0 is adversarial-library's in every norm",
        },
        ParamDoc {
            name: "alpha_last",
            kind: ParamKind::WEIGHT,
            default: "null",
            unit: "pixels",
            doc: "last step size; without it 0.01, a hundredth of the first in L2 without `alpha`",
        },
        ParamDoc {
            name: "gamma",
            kind: ParamKind::WEIGHT,
            default: "0.05",
            unit: "",
            doc: "first relative change of the radius",
        },
        ParamDoc { name: "gamma_last", kind: ParamKind::WEIGHT, default: "0.001", unit: "", doc: "last one" },
    ],
    numerics: 4,
    origin: "built-in",
    build: |args, _| {
        let given = |name| args.has(name).then(|| args.f64(name)).transpose();
        Ok(Arc::new(Fmn {
            steps: args.u32("steps")?,
            alpha: given("alpha")?,
            alpha_last: given("alpha_last")?,
            gamma: args.f64("gamma")?,
            gamma_last: args.f64("gamma_last")?,
        }))
    },
};

impl Attack for Fmn {
    fn name(&self) -> &str {
        "fmn"
    }
    fn norms(&self) -> &[Norm] {
        &[Norm::Linf, Norm::L2, Norm::L1, Norm::L0]
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
    /// In L2 the first step, as a multiple of the linearised distance to the boundary at the image.
    pub const FIRST_STEP: f64 = 0.05;

    /// First and last step size, but where they follow the image.
    fn alphas(&self, norm: Norm) -> Option<(f64, f64)> {
        match self.alpha {
            None if norm == Norm::L2 => None,
            alpha => Some((alpha.unwrap_or(1.0), self.alpha_last.unwrap_or(0.01))),
        }
    }

    fn walk<T: Real>(&self, site: Site<'_, T>) -> Box<dyn Walk<T>> {
        Box::new(FmnWalk {
            fmn: self.clone(),
            threat: site.open.threat,
            most: farthest(site.open.threat.norm, &site.x0),
            radius: if site.open.threat.norm == Norm::L0 { 1.0 } else { f64::INFINITY },
            alphas: self.alphas(site.open.threat.norm),
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
    /// First and last step size, once they are known.
    alphas: Option<(f64, f64)>,
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
        let other = runner_up(logits, y);
        self.loss = logits[y] - logits[other];
        pulls.difference(y, other);
        Turn::Pull
    }

    fn step(&mut self, x: &mut [T], gradients: &[&[T]]) -> Turn {
        let (g, i, n) = (gradients[0], self.taken, self.fmn.steps);
        let slope = self.threat.norm.dual().row(g);
        let linearised = self.loss.abs() / slope.max(f64::MIN_POSITIVE);
        if self.alphas.is_none() && slope > 0.0 && slope.is_finite() {
            // Beyond the farthest corner of the box a step has nothing to look for.
            let first = Fmn::FIRST_STEP * linearised.min(self.most);
            self.alphas = Some((first, self.fmn.alpha_last.unwrap_or(0.01 * first)));
        }
        let (first, last) = self.alphas.unwrap_or_default();
        let alpha = cosine(first, last, i, n);
        let gamma = cosine(self.fmn.gamma, self.fmn.gamma_last, i, n);
        self.taken += 1;
        self.radius = match self.smallest.size() {
            // Counts change by 1 at least; less than one changed value is none.
            best if self.threat.norm == Norm::L0 => {
                let (fewer, more) = ((self.radius * (1.0 - gamma)).floor(), (self.radius * (1.0 + gamma)).floor());
                if self.fell {
                    (self.radius - 1.0).min(fewer).min(best.unwrap_or(self.most)).max(1.0)
                } else {
                    (self.radius + 1.0).max(more)
                }
            }
            Some(best) if self.fell => (self.radius * (1.0 - gamma)).min(best),
            Some(_) => self.radius * (1.0 + gamma),
            None => self.smallest.distance(x) + linearised,
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
        } else if self.threat.norm == Norm::L0 {
            // The largest changes before the box cuts them, as in the reference.
            let free = ThreatModel { eps: self.radius, bounds: (f64::NEG_INFINITY, f64::INFINITY), ..self.threat };
            free.keep_largest(&self.smallest.x0, x, 1);
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

#[cfg(test)]
mod tests {
    use super::*;
    use gauntlet_core::{Key, Purpose};

    /// f = z_y − z_k = 0.6 with ∇f = (3, 4): the boundary is 0.12 away, in L2.
    #[test]
    fn step_sizes_in_l2_follow_the_linearised_distance() {
        let fmn = |alpha, alpha_last| Fmn { steps: 10, alpha, alpha_last, gamma: 0.05, gamma_last: 0.001 };
        let alphas = |fmn: Fmn, norm: Norm, g: [f64; 2]| {
            let open = Open {
                input: (1, 1, 2),
                classes: 2,
                threat: ThreatModel::new(norm, f64::INFINITY),
                key: Key::new(0, Purpose::AttackStart),
                lockstep: false,
                smallest: true,
                randomised: false,
            };
            let mut x = [0.5, 0.5];
            let mut walk = FmnWalk {
                alphas: fmn.alphas(norm),
                fmn,
                threat: open.threat,
                most: farthest(norm, &x),
                radius: f64::INFINITY,
                label: 0,
                loss: 0.6,
                fell: false,
                taken: 0,
                smallest: Smallest::new(&open, Arc::from(x)),
            };
            walk.step(&mut x, &[&g]);
            walk.alphas
        };
        let close = |got: Option<(f64, f64)>, want: (f64, f64)| {
            let (first, last) = got.unwrap();
            assert!((first - want.0).abs() < 1e-12 && (last - want.1).abs() < 1e-12, "{first} {last}: {want:?}");
        };
        let first = Fmn::FIRST_STEP * 0.12;
        close(alphas(fmn(None, None), Norm::L2, [3.0, 4.0]), (first, 0.01 * first));
        close(alphas(fmn(None, Some(1e-4)), Norm::L2, [3.0, 4.0]), (first, 1e-4));
        // No farther than the farthest corner; without a slope it waits for one.
        close(
            alphas(fmn(None, None), Norm::L2, [3e-9, 4e-9]),
            (Fmn::FIRST_STEP * 0.5f64.sqrt(), 0.01 * Fmn::FIRST_STEP * 0.5f64.sqrt()),
        );
        assert_eq!(alphas(fmn(None, None), Norm::L2, [0.0, 0.0]), None);
        // As in adversarial-library: what is given, in L2; always in the other norms.
        assert_eq!(alphas(fmn(Some(1.0), None), Norm::L2, [3.0, 4.0]), Some((1.0, 0.01)));
        for norm in [Norm::Linf, Norm::L1] {
            assert_eq!(alphas(fmn(None, None), norm, [3.0, 4.0]), Some((1.0, 0.01)));
        }
    }
}
