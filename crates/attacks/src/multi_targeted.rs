//! MultiTargeted: projected gradients into every other class, by Adam.

use crate::arguments::{RESTARTS, STEPS, TARGETS};
use gauntlet_autograd::kernels::Real;
use gauntlet_core::attack::{Job, Pulls, Site, Turn, Walk, misclassified};
use gauntlet_core::registry::BuildAttack;
use gauntlet_core::{Attack, Clean, ParamDoc, ParamKind, Spec, ThreatModel, walks};
use gauntlet_records::Norm;
use std::sync::Arc;

/// For each of the strongest wrong classes t, from random points of the ball: x ← clip(Π_ε(x + Adam(∇ₓ(z_t − z_y)))), the learning
/// rate divided by 10 after half and by 100 after three quarters of the steps. Any misclassified iterate counts.
///
/// Gowal et al. 2019.
#[derive(Debug, Clone)]
pub struct MultiTargeted {
    /// Steps per run.
    pub steps: u32,
    /// Runs per class.
    pub restarts: u32,
    /// Classes: the runners-up of the clean image.
    pub targets: usize,
    /// Adam's first learning rate.
    pub lr: f64,
}

/// Registration.
pub const SPEC: Spec<BuildAttack> = Spec {
    name: "multi-targeted",
    summary: "projected gradient descent into every other class with Adam and restarts: what RobustBench's external checks add",
    formula: "x ← clip(Π_ε(x + λ_k · Adam(∇ₓ(z_t − z_y)))), t every other class, λ_k = λ, λ/10, λ/100 from 0, ½, ¾ of the steps",
    paper: "Gowal et al. 2019",
    params: &[
        ParamDoc { default: "200", ..STEPS },
        ParamDoc { default: "10", doc: "random starts per target class", ..RESTARTS },
        TARGETS,
        ParamDoc {
            name: "lr",
            kind: ParamKind::POSITIVE,
            default: "0.1",
            unit: "",
            doc: "Adam's first learning rate λ",
        },
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        Ok(Arc::new(MultiTargeted {
            steps: args.u32("steps")?,
            restarts: args.u32("restarts")?,
            targets: args.usize("targets")?,
            lr: args.f64("lr")?,
        }))
    },
};

impl Attack for MultiTargeted {
    fn name(&self) -> &str {
        "multi-targeted"
    }
    fn norms(&self) -> &[Norm] {
        &[Norm::Linf, Norm::L2]
    }
    fn jobs(&self, clean: &Clean, _: &ThreatModel) -> Vec<Job> {
        Job::targets(&clean.runners_up(self.targets), self.restarts)
    }
    fn needs_clean(&self) -> bool {
        true
    }
    walks!();
}

impl MultiTargeted {
    fn walk<T: Real>(&self, site: Site<'_, T>) -> Box<dyn Walk<T>> {
        let (threat, n) = (site.open.threat, site.x0.len());
        // A start of its own for every class.
        let key = site.open.key.child(site.job.target.map_or(0, |t| u64::from(t) + 1));
        threat.start_row(&site.x0, site.x, &mut key.stream(site.clean.id, site.job.restart, 0));
        Box::new(MultiTargetedWalk {
            attack: self.clone(),
            threat,
            label: site.clean.label,
            target: site.job.target,
            lockstep: site.open.lockstep,
            first: vec![0.0; n],
            second: vec![0.0; n],
            taken: 0,
            x0: site.x0,
        })
    }
}

struct MultiTargetedWalk<T> {
    attack: MultiTargeted,
    threat: ThreatModel,
    label: u32,
    target: Option<u32>,
    lockstep: bool,
    /// Adam's moments.
    first: Vec<f64>,
    second: Vec<f64>,
    taken: u32,
    x0: Arc<[T]>,
}

impl<T: Real> Walk<T> for MultiTargetedWalk<T> {
    fn look(&mut self, _: &mut [T], logits: &[f64], pulls: &mut Pulls<'_>) -> Turn {
        if !self.lockstep && misclassified(logits, self.label) {
            return Turn::broken(self.taken);
        }
        let target = self.target.filter(|_| self.taken < self.attack.steps);
        let Some(target) = target else { return Turn::withstood(self.taken) };
        pulls.difference(target as usize, self.label as usize);
        Turn::Pull
    }

    fn step(&mut self, x: &mut [T], gradients: &[&[T]]) -> Turn {
        let steps = self.attack.steps;
        let decay = match self.taken {
            k if 4 * k >= 3 * steps => 0.01,
            k if 2 * k >= steps => 0.1,
            _ => 1.0,
        };
        self.taken += 1;
        let (a, b) = (1.0 - 0.9f64.powi(self.taken as i32), 1.0 - 0.999f64.powi(self.taken as i32));
        for (((x, g), f), s) in x.iter_mut().zip(gradients[0]).zip(&mut self.first).zip(&mut self.second) {
            // A gradient that is no number moves nothing.
            let g = if g.wide().is_finite() { g.wide() } else { 0.0 };
            (*f, *s) = (0.9 * *f + 0.1 * g, 0.999 * *s + 0.001 * g * g);
            *x = T::of(x.wide() + self.attack.lr * decay * (*f / a) / ((*s / b).sqrt() + 1e-9));
        }
        self.threat.project_row(&self.x0, x);
        match (self.taken == steps, self.lockstep) {
            (false, _) => Turn::Go,
            (true, true) => Turn::withstood(self.taken),
            // Only whether it is misclassified is left to be seen.
            (true, false) => Turn::Peek,
        }
    }
}
