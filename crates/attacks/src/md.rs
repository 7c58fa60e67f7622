//! Margin decomposition: the two terms of the margin one after the other, so that neither hides the other's gradient.

use crate::arguments::RESTARTS;
use crate::objectives::runner_up;
use gauntlet_autograd::kernels::Real;
use gauntlet_core::attack::{Job, Pulls, Site, Turn, Walk, misclassified};
use gauntlet_core::registry::BuildAttack;
use gauntlet_core::{Attack, Clean, ParamDoc, ParamKind, Range, Spec, ThreatModel, walks};
use gauntlet_records::Norm;
use std::sync::Arc;

/// From a random point, x ← clip(Π_ε(x + α_k sign(∇ₓL_k))): L is z_y for one step, then −z_y (even runs) or max_{j≠y} z_j (odd runs),
/// and from `change` on their sum; α begins at 2ε in both parts and falls along a cosine.
///
/// Jiang, Ma, Erfani & Bailey 2020. Where one term's gradient is much smaller than the other's, the margin's leads along one alone.
#[derive(Debug, Clone)]
pub struct MarginDecomposition {
    /// Steps per run.
    pub steps: u32,
    /// The step from which the whole margin is ascended.
    pub change: u32,
    /// Random starts, of two runs each.
    pub restarts: u32,
}

/// Registration.
pub const SPEC: Spec<BuildAttack> = Spec {
    name: "md",
    summary: "margin decomposition: first one term of the margin, then both; against gradients of which one hides the other",
    formula: "x ← clip(Π_ε(x + α_k · sign(∇ₓL_k))), L_0 = z_y, L_k = −z_y or max_{j≠y} z_j up to `change`, then max_{j≠y} z_j − z_y",
    paper: "Jiang et al. 2020",
    params: &[
        ParamDoc {
            name: "steps",
            kind: ParamKind::Int(Range::at_least(2.0)),
            default: "50",
            unit: "",
            doc: "steps per run",
        },
        ParamDoc {
            name: "change",
            kind: ParamKind::COUNT,
            default: "null",
            unit: "",
            doc: "step from which the whole margin is ascended; without it half of them",
        },
        ParamDoc { doc: "random starts, of two runs each", ..RESTARTS },
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        let steps = args.u32("steps")?;
        let change = if args.has("change") { args.u32("change")? } else { steps / 2 };
        if change >= steps {
            let why = format!("must be below steps = {steps}, got {change}: the margin would never be ascended");
            return Err(gauntlet_core::Error::value(format!("{}.change", args.owner()), why));
        }
        Ok(Arc::new(MarginDecomposition { steps, change, restarts: args.u32("restarts")? }))
    },
};

impl Attack for MarginDecomposition {
    fn name(&self) -> &str {
        SPEC.name
    }
    fn norms(&self) -> &[Norm] {
        &[Norm::Linf]
    }
    fn jobs(&self, _: &Clean, _: &ThreatModel) -> Vec<Job> {
        Job::restarts(2 * self.restarts)
    }
    walks!();
}

impl MarginDecomposition {
    /// α of a step, in multiples of ε.
    fn length(&self, step: u32) -> f64 {
        let since = if step > self.change { step - self.change } else { step };
        let angle = (f64::from(since) - 1.0) / f64::from(self.steps - self.change) * std::f64::consts::PI;
        1.0 + libm::cos(angle)
    }

    fn walk<T: Real>(&self, site: Site<'_, T>) -> Box<dyn Walk<T>> {
        let mut stream = site.open.key.stream(site.clean.id, site.job.restart, 0);
        site.open.threat.start_row(&site.x0, site.x, &mut stream);
        Box::new(MdWalk {
            attack: self.clone(),
            threat: site.open.threat,
            label: site.clean.label,
            rival_first: site.job.restart % 2 == 1,
            lockstep: site.open.lockstep,
            taken: 0,
            x0: site.x0,
        })
    }
}

struct MdWalk<T> {
    attack: MarginDecomposition,
    threat: ThreatModel,
    label: u32,
    rival_first: bool,
    lockstep: bool,
    taken: u32,
    x0: Arc<[T]>,
}

impl<T: Real> Walk<T> for MdWalk<T> {
    fn look(&mut self, _: &mut [T], logits: &[f64], pulls: &mut Pulls<'_>) -> Turn {
        if !self.lockstep && misclassified(logits, self.label) {
            return Turn::broken(self.taken);
        }
        if self.taken == self.attack.steps {
            return Turn::withstood(self.taken);
        }
        let y = self.label as usize;
        let (rival, slope) = (runner_up(logits, y), pulls.add());
        match self.taken {
            0 => slope[y] = 1.0,
            k if k >= self.attack.change => (slope[rival], slope[y]) = (1.0, -1.0),
            _ if self.rival_first => slope[rival] = 1.0,
            _ => slope[y] = -1.0,
        }
        Turn::Pull
    }

    fn step(&mut self, x: &mut [T], gradients: &[&[T]]) -> Turn {
        let length = self.attack.length(self.taken) * self.threat.eps;
        self.threat.step_row(&self.x0, x, gradients[0], length);
        self.taken += 1;
        match (self.taken == self.attack.steps, self.lockstep) {
            (false, _) => Turn::Go,
            (true, true) => Turn::withstood(self.taken),
            (true, false) => Turn::Peek,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published schedule: 50 steps, change at 25, ε = 1.
    #[test]
    fn steps_begin_at_two_in_both_parts_and_fall_along_cosines() {
        let md = MarginDecomposition { steps: 50, change: 25, restarts: 1 };
        let at = |k: u32| md.length(k);
        let cosine = |k: f64| 1.0 + (k / 25.0 * std::f64::consts::PI).cos();
        for (step, want) in [(0, -1.0), (1, 0.0), (13, 12.0), (25, 24.0), (26, 0.0), (27, 1.0), (49, 23.0)] {
            assert!((at(step) - cosine(want)).abs() < 1e-12, "{step}");
        }
        assert_eq!((at(1), at(26)), (2.0, 2.0));
    }
}
