//! PGD-L0: gradient steps in the whole box, of which the few changes that matter most are kept.

use crate::arguments::{self, OBJECTIVE, RESTARTS, STEPS};
use gauntlet_autograd::kernels::Real;
use gauntlet_core::attack::{Job, Open, Pulls, Site, Turn, Walk, misclassified};
use gauntlet_core::registry::BuildAttack;
use gauntlet_core::{Attack, Clean, Goal, Objective, ParamDoc, ParamKind, Result, Spec, ThreatModel, walks};
use gauntlet_records::Norm;
use std::sync::Arc;

/// x ← Π(x + α ∇ₓℓ/‖∇ₓℓ‖₁) from a random point of the box, Π the nearest point of the box that differs in at most ε values.
///
/// Croce & Hein 2019. Their Π keeps pixels, all channels of each at once: `pixels`, of which a budget of ε values holds ⌊ε/C⌋.
#[derive(Clone)]
pub struct PgdL0 {
    /// Steps per run.
    pub steps: u32,
    /// Step size.
    pub alpha: f64,
    /// Runs, from new random points.
    pub restarts: u32,
    /// Whole pixels are kept, not single values.
    pub pixels: bool,
    /// What is ascended.
    pub objective: Arc<dyn Objective>,
}

/// Registration.
pub const SPEC: Spec<BuildAttack> = Spec {
    name: "pgd-l0",
    summary: "projected gradient descent of which the ε changes that matter most are kept, with random starts",
    formula: "x ← Π(x + α · ∇ₓℓ/‖∇ₓℓ‖₁), Π: values by falling δᵢ² − (δᵢ − clip δᵢ)², the first ε clipped to the box, the others as they were",
    paper: "Croce & Hein 2019",
    params: &[
        ParamDoc { default: "20", ..STEPS },
        ParamDoc {
            name: "alpha",
            kind: ParamKind::POSITIVE,
            default: "470.0",
            unit: "pixels",
            doc: "step size, divided among all values by their slopes; 120000/255 in the published runs",
        },
        ParamDoc { default: "10", ..RESTARTS },
        ParamDoc {
            name: "pixels",
            kind: ParamKind::Bool,
            default: "false",
            unit: "",
            doc: "whole pixels are kept, ⌊ε/C⌋ of C channels, as in the published code; else single values",
        },
        OBJECTIVE,
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, registry| {
        let objective = arguments::objective(args, registry)?;
        if objective.targeted() {
            let why =
                format!("{} needs a target, which this attack has not; take ce, margin, dlr or kl", objective.name());
            return Err(gauntlet_core::Error::value(format!("{}.objective", args.owner()), why));
        }
        Ok(Arc::new(PgdL0 {
            steps: args.u32("steps")?,
            alpha: args.f64("alpha")?,
            restarts: args.u32("restarts")?,
            pixels: args.bool("pixels")?,
            objective,
        }))
    },
};

impl Attack for PgdL0 {
    fn name(&self) -> &str {
        SPEC.name
    }
    fn norms(&self) -> &[Norm] {
        &[Norm::L0]
    }
    fn fits(&self, open: &Open) -> Result<()> {
        arguments::fits(SPEC.name, &*self.objective, open.classes)
    }
    fn jobs(&self, _: &Clean, _: &ThreatModel) -> Vec<Job> {
        Job::restarts(self.restarts)
    }
    fn needs_clean(&self) -> bool {
        self.objective.refers()
    }
    walks!();
}

impl PgdL0 {
    fn walk<T: Real>(&self, site: Site<'_, T>) -> Box<dyn Walk<T>> {
        let (threat, mut stream) = (site.open.threat, site.open.key.stream(site.clean.id, site.job.restart, 0));
        let (low, high) = threat.bounds;
        let walk = PgdL0Walk {
            attack: self.clone(),
            threat,
            group: if self.pixels { site.open.input.0 } else { 1 },
            label: site.clean.label,
            goal: arguments::goal(&*self.objective, site.clean, site.job),
            lockstep: site.open.lockstep,
            taken: 0,
            x0: site.x0,
        };
        site.x.iter_mut().for_each(|x| *x = T::of(low + (high - low) * stream.uniform()));
        walk.project(site.x);
        Box::new(walk)
    }
}

struct PgdL0Walk<T> {
    attack: PgdL0,
    threat: ThreatModel,
    /// Values that are kept together.
    group: usize,
    label: u32,
    goal: Goal,
    lockstep: bool,
    taken: u32,
    x0: Arc<[T]>,
}

impl<T: Real> PgdL0Walk<T> {
    fn project(&self, x: &mut [T]) {
        self.threat.keep_largest(&self.x0, x, self.group);
    }
}

impl<T: Real> Walk<T> for PgdL0Walk<T> {
    fn look(&mut self, _: &mut [T], logits: &[f64], pulls: &mut Pulls<'_>) -> Turn {
        if !self.lockstep && misclassified(logits, self.label) {
            return Turn::broken(self.taken);
        }
        if self.taken == self.attack.steps {
            return Turn::withstood(self.taken);
        }
        self.attack.objective.ascend(logits, &self.goal, pulls.add());
        Turn::Pull
    }

    fn step(&mut self, x: &mut [T], gradients: &[&[T]]) -> Turn {
        let size = Norm::L1.of(gradients[0].iter().map(|g| g.wide()));
        if size > 0.0 && size.is_finite() {
            let rate = self.attack.alpha / size;
            x.iter_mut().zip(gradients[0]).for_each(|(x, g)| *x = T::of(x.wide() + rate * g.wide()));
        }
        self.project(x);
        self.taken += 1;
        match (self.taken == self.attack.steps, self.lockstep) {
            (false, _) => Turn::Go,
            (true, true) => Turn::withstood(self.taken),
            (true, false) => Turn::Peek,
        }
    }
}
