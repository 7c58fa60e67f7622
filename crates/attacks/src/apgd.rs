//! Auto-PGD: gradient ascent with momentum and a step size that halves itself.

use crate::arguments::{self, DRAWS, RESTARTS, TARGETS};
use crate::objectives::{ce::Ce, dlr::Dlr};
use gauntlet_autograd::kernels::Real;
use gauntlet_core::attack::{Average, Job, Open, Pulls, Site, Turn, Walk, misclassified};
use gauntlet_core::registry::BuildAttack;
use gauntlet_core::{Args, Attack, Clean, Goal, Objective, ParamDoc, ParamKind, Result, Spec, ThreatModel, walks};
use gauntlet_records::Norm;
use std::sync::Arc;

/// x_{t+1} = P(x_t + a(z − x_t) + (1 − a)(x_t − x_{t−1})), z = P(x_t + η s(g_t)), a = 1 at first, then 0.75; η starts at
/// 2ε and halves at checkpoints that see too little progress, where the walk goes back to its best point.
///
/// The first misclassified iterate ends a run. On a randomised model, or with several draws, all iterations are gone through
/// and the last iterate is proposed whose last draw is misclassified, as in the published code.
///
/// Croce & Hein 2020; under L1 the sparse three-phase schedule of Croce & Hein 2021.
#[derive(Clone)]
pub struct Apgd {
    /// Registered name.
    pub name: &'static str,
    /// Iterations per run.
    pub steps: u32,
    /// Runs, from new random starts.
    pub restarts: u32,
    /// Share of increasing steps below which η is halved.
    pub rho: f64,
    /// Gradients averaged per step.
    pub draws: u32,
    /// What is ascended.
    pub objective: Arc<dyn Objective>,
    /// Target classes, if the objective is targeted.
    pub targets: usize,
    /// Steps go along conjugate directions instead of with momentum (ACG, Yamamura et al. 2022): s ← ∇ + β s, β = ⟨−∇, y⟩/⟨s, y⟩,
    /// y = ∇_before − ∇.
    pub conjugate: bool,
}

const STEPS: ParamDoc =
    ParamDoc { name: "steps", kind: ParamKind::COUNT, default: "100", unit: "", doc: "iterations per run" };
const RHO: ParamDoc = ParamDoc {
    name: "rho",
    kind: ParamKind::WEIGHT,
    default: "0.75",
    unit: "",
    doc: "share of increasing steps below which the step size is halved",
};
const ONE_DRAW: ParamDoc = ParamDoc { default: "1", ..DRAWS };
const FORMULA: &str = "x_{t+1} = P(x_t + a(P(x_t + η s(g)) − x_t) + (1 − a)(x_t − x_{t−1})), η halved at checkpoints";

/// Registration with cross-entropy.
pub const CE: Spec<BuildAttack> = Spec {
    name: "apgd-ce",
    summary: "Auto-PGD on the cross-entropy: step size by itself, momentum, restarts from the best point",
    formula: FORMULA,
    paper: "Croce & Hein 2020",
    params: &[STEPS, RESTARTS, RHO, ONE_DRAW],
    numerics: 2,
    origin: "built-in",
    build: |args, _| Ok(Arc::new(Apgd::of(args, "apgd-ce", Arc::new(Ce { targeted: false }))?)),
};

/// Registration with the difference of logits ratio.
pub const DLR: Spec<BuildAttack> = Spec {
    name: "apgd-dlr",
    summary: "Auto-PGD on the difference of logits ratio; needs three classes",
    formula: FORMULA,
    paper: "Croce & Hein 2020",
    params: &[STEPS, RESTARTS, RHO, ONE_DRAW],
    numerics: 2,
    origin: "built-in",
    build: |args, _| Ok(Arc::new(Apgd::of(args, "apgd-dlr", Arc::new(Dlr { targeted: false }))?)),
};

/// Registration with the targeted ratio.
pub const T: Spec<BuildAttack> = Spec {
    name: "apgd-t",
    summary: "Auto-PGD on the targeted ratio, one run for each of the strongest wrong classes; needs four classes",
    formula: FORMULA,
    paper: "Croce & Hein 2020",
    params: &[STEPS, RESTARTS, TARGETS, RHO, ONE_DRAW],
    numerics: 2,
    origin: "built-in",
    build: |args, _| Ok(Arc::new(Apgd::of(args, "apgd-t", Arc::new(Dlr { targeted: true }))?)),
};

impl Apgd {
    fn of(args: &Args, name: &'static str, objective: Arc<dyn Objective>) -> Result<Self> {
        Ok(Apgd {
            name,
            steps: args.u32("steps")?,
            restarts: args.u32("restarts")?,
            rho: args.f64("rho")?,
            draws: args.u32("draws")?,
            targets: if objective.targeted() { args.usize("targets")? } else { arguments::MOST_TARGETS },
            objective,
            conjugate: false,
        })
    }

    /// The attack of that name with AutoAttack's parameters.
    pub(crate) fn standard(name: &'static str, restarts: u32, draws: u32, targets: usize) -> Self {
        let objective: Arc<dyn Objective> = match name {
            "apgd-ce" => Arc::new(Ce { targeted: false }),
            "apgd-dlr" => Arc::new(Dlr { targeted: false }),
            _ => Arc::new(Dlr { targeted: true }),
        };
        Apgd { name, steps: 100, restarts, rho: 0.75, draws, objective, targets, conjugate: false }
    }
}

impl Attack for Apgd {
    fn name(&self) -> &str {
        self.name
    }
    fn norms(&self) -> &[Norm] {
        // The sparse schedule of L1 has no counterpart along conjugate directions.
        if self.conjugate { &[Norm::Linf, Norm::L2] } else { &[Norm::Linf, Norm::L2, Norm::L1] }
    }
    fn fits(&self, open: &Open) -> Result<()> {
        arguments::fits(self.name, self.objective.as_ref(), open.classes)
    }
    fn jobs(&self, clean: &Clean, _: &ThreatModel) -> Vec<Job> {
        arguments::jobs(self.objective.as_ref(), clean, self.targets, self.restarts)
    }
    fn needs_clean(&self) -> bool {
        self.objective.targeted() || self.objective.refers()
    }
    walks!();
}

/// Budget and iterations of one phase.
#[derive(Debug, Clone, Copy)]
struct Phase {
    eps: f64,
    steps: u32,
}

impl Apgd {
    /// One phase; under L1 three, with 30, 30 and 40 % of the iterations at 3ε, 2ε and ε.
    fn phases(&self, threat: &ThreatModel) -> Vec<Phase> {
        if threat.norm != Norm::L1 {
            return vec![Phase { eps: threat.eps, steps: self.steps }];
        }
        let part = (0.3 * f64::from(self.steps)).ceil() as u32;
        let last = self.steps.saturating_sub(2 * part).max(1);
        [(3.0, part), (2.0, part), (1.0, last)].map(|(times, steps)| Phase { eps: times * threat.eps, steps }).to_vec()
    }

    fn walk<T: Real>(&self, site: Site<'_, T>) -> Box<dyn Walk<T>> {
        let (threat, mut stream) = (site.open.threat, site.open.key.stream(site.clean.id, site.job.restart, 0));
        // A run into a target draws its own start.
        if let Some(target) = site.job.target {
            stream = site.open.key.child(u64::from(target) + 1).stream(site.clean.id, site.job.restart, 0);
        }
        let draw: Vec<f64> = site
            .x0
            .iter()
            .map(|_| if threat.norm == Norm::Linf { 2.0 * stream.uniform() - 1.0 } else { stream.normal() })
            .collect();
        let size = threat.norm.of(draw.iter().copied()).max(f64::MIN_POSITIVE);
        let scale = if threat.norm == Norm::L1 { 1.0 } else { threat.eps / size };
        for (x, d) in site.x.iter_mut().zip(&draw) {
            *x = T::of(x.wide() + scale * d);
        }
        let phases = self.phases(&threat);
        let first = ThreatModel { eps: phases[0].eps, ..threat };
        first.project_both_row(&site.x0, site.x);
        let n = site.x0.len();
        let mut walk = ApgdWalk {
            threat,
            phases,
            phase: 0,
            rho: self.rho,
            lockstep: site.open.lockstep,
            every_step: site.open.randomised || self.draws > 1,
            fallen: None,
            label: site.clean.label,
            goal: arguments::goal(self.objective.as_ref(), site.clean, site.job),
            objective: self.objective.clone(),
            average: Average::new(self.draws),
            value: 0.0,
            iteration: 0,
            before: 0,
            previous: vec![T::zero(); n],
            best: vec![T::zero(); n],
            best_gradient: vec![T::zero(); n],
            best_value: f64::NEG_INFINITY,
            x0: site.x0,
            eta: 0.0,
            window: 0,
            in_window: 0,
            increases: 0,
            last_value: 0.0,
            reduced: true,
            best_at_check: 0.0,
            kappa: 0.0,
            density: 0.0,
            conjugate: self.conjugate.then(Conjugate::default),
        };
        walk.enter(site.x);
        Box::new(walk)
    }
}

struct ApgdWalk<T> {
    threat: ThreatModel,
    phases: Vec<Phase>,
    phase: usize,
    rho: f64,
    lockstep: bool,
    /// No early end: a single misclassified draw is luck.
    every_step: bool,
    /// Then: the last iterate that was misclassified, and the iterations up to it.
    fallen: Option<(Vec<T>, u32)>,
    label: u32,
    goal: Goal,
    objective: Arc<dyn Objective>,
    average: Average<T>,
    x0: Arc<[T]>,
    /// Of the objective at the point looked at.
    value: f64,
    /// Iterations of this phase, and of the phases before.
    iteration: u32,
    before: u32,
    previous: Vec<T>,
    best: Vec<T>,
    best_gradient: Vec<T>,
    best_value: f64,
    eta: f64,
    /// Iterations between checkpoints, those since the last one, and how many of them increased the value.
    window: u32,
    in_window: u32,
    increases: u32,
    last_value: f64,
    reduced: bool,
    best_at_check: f64,
    /// L1: share of the pixels that move in a step, and the pixels that differ at the last check.
    kappa: f64,
    density: f64,
    conjugate: Option<Conjugate<T>>,
}

/// Directions of ACG: the last one with the gradient where it began, and those that led to the best point.
#[derive(Debug, Clone)]
struct Conjugate<T> {
    gradient: Vec<T>,
    direction: Vec<T>,
    best: (Vec<T>, Vec<T>),
}

impl<T> Default for Conjugate<T> {
    fn default() -> Self {
        Conjugate { gradient: Vec::new(), direction: Vec::new(), best: Default::default() }
    }
}

impl<T: Real> Conjugate<T> {
    /// The next direction from a point with this gradient; the first one is the gradient.
    fn next(&mut self, gradient: &[T]) -> Vec<T> {
        let beta = if self.direction.is_empty() {
            0.0
        } else {
            let dot = |a: &[T]| -> f64 {
                a.iter().zip(&self.gradient).zip(gradient).map(|((a, old), g)| a.wide() * (old.wide() - g.wide())).sum()
            };
            -dot(gradient) / dot(&self.direction)
        };
        let mut next = gradient.to_vec();
        // Two equal gradients say nothing of the curvature.
        if beta != 0.0 && beta.is_finite() {
            next.iter_mut().zip(&self.direction).for_each(|(s, old)| *s = T::of(s.wide() + beta * old.wide()));
        }
        self.gradient = gradient.to_vec();
        self.direction = next.clone();
        next
    }
}

impl<T: Real> ApgdWalk<T> {
    fn ball(&self) -> ThreatModel {
        ThreatModel { eps: self.phases[self.phase].eps, ..self.threat }
    }

    fn final_phase(&self) -> bool {
        self.phase + 1 == self.phases.len()
    }

    /// Begins a phase at `x`.
    fn enter(&mut self, x: &[T]) {
        let Phase { eps, steps } = self.phases[self.phase];
        self.iteration = 0;
        self.best_value = f64::NEG_INFINITY;
        // An example's first comparison is with 0, as in the published code.
        self.last_value = 0.0;
        (self.in_window, self.increases, self.reduced) = (0, 0, true);
        if self.threat.norm == Norm::L1 {
            self.eta = eps;
            self.window = ((0.04 * f64::from(steps)) as u32).max(1);
            self.density = self.differing(x);
            self.kappa = self.density / x.len() as f64 / 1.5;
        } else {
            self.eta = 2.0 * eps;
            self.window = ((0.22 * f64::from(steps)) as u32).max(1);
        }
    }

    fn differing(&self, x: &[T]) -> f64 {
        x.iter().zip(self.x0.iter()).filter(|(a, b)| a != b).count() as f64
    }

    /// Whether η is to be reduced, by the two conditions of the paper; the next window is set.
    fn check(&mut self, steps: u32) -> bool {
        let few = f64::from(self.increases) <= self.rho * f64::from(self.in_window);
        let stuck = !self.reduced && self.best_at_check >= self.best_value;
        self.reduced = few || stuck;
        self.best_at_check = self.best_value;
        (self.in_window, self.increases) = (0, 0);
        let shrink = ((0.03 * f64::from(steps)) as u32).max(1);
        let least = ((0.06 * f64::from(steps)) as u32).max(1);
        self.window = self.window.saturating_sub(shrink).max(least);
        self.reduced
    }

    /// The L1 schedule's check: the sparser the best point has become, the sooner the walk begins anew from it.
    fn check_sparse(&mut self, eps: f64) -> bool {
        self.in_window = 0;
        let now = self.differing(&self.best);
        let sparser = now / self.density < 0.95;
        self.kappa = now / self.best.len() as f64 / 1.5;
        self.eta = if sparser { eps } else { self.eta / 1.5 }.clamp(eps / 10.0, eps);
        self.density = now;
        sparser
    }

    fn move_on(&mut self, x: &mut [T], gradient: &[T]) {
        let ball = self.ball();
        if ball.norm == Norm::L1 {
            let n = x.len();
            let mut sizes: Vec<T> = gradient.iter().map(|g| g.abs()).collect();
            let at = (((1.0 - self.kappa) * n as f64) as usize).min(n - 1);
            sizes.sort_unstable_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
            let least = sizes[at];
            let moves = |g: &T| g.abs() >= least && *g != T::zero() && g.is_finite();
            let share = self.eta / (gradient.iter().filter(|g| moves(g)).count() as f64 + 1e-10);
            for (x, g) in x.iter_mut().zip(gradient).filter(|(_, g)| moves(g)) {
                *x = T::of(x.wide() + share * g.wide().signum());
            }
            return ball.project_both_row(&self.x0, x);
        }
        if let Some(conjugate) = &mut self.conjugate {
            let direction = conjugate.next(gradient);
            return ball.step_row(&self.x0, x, &direction, self.eta);
        }
        let a = if self.iteration > 0 { 0.75 } else { 1.0 };
        let here = x.to_vec();
        ball.step_row(&self.x0, x, gradient, self.eta);
        let (keep, glide) = (T::of(a), T::of(1.0 - a));
        for ((x, here), old) in x.iter_mut().zip(&here).zip(&self.previous) {
            *x = *here + (*x - *here) * keep + (*here - *old) * glide;
        }
        ball.project_row(&self.x0, x);
        self.previous = here;
    }
}

impl<T: Real> Walk<T> for ApgdWalk<T> {
    fn look(&mut self, x: &mut [T], logits: &[f64], pulls: &mut Pulls<'_>) -> Turn {
        let Phase { steps, .. } = self.phases[self.phase];
        let (at, done) = (self.before + self.iteration, self.iteration == steps);
        if !self.lockstep && self.final_phase() && misclassified(logits, self.label) {
            if !self.every_step {
                return Turn::broken(at);
            }
            if done || self.average.last() {
                self.fallen = Some((x.to_vec(), at));
            }
        }
        if done && self.final_phase() {
            let Some((fallen, at)) = self.fallen.take() else { return Turn::withstood(at) };
            x.copy_from_slice(&fallen);
            return Turn::broken(at);
        }
        self.value = self.objective.ascend(logits, &self.goal, pulls.add());
        if !done {
            return Turn::Pull;
        }
        // The next phase begins at this one's best point, in its smaller ball.
        if self.value <= self.best_value {
            x.copy_from_slice(&self.best);
        }
        self.before += steps;
        self.phase += 1;
        self.ball().project_both_row(&self.x0, x);
        self.enter(x);
        Turn::Go
    }

    fn step(&mut self, x: &mut [T], gradients: &[&[T]]) -> Turn {
        let Some(gradient) = self.average.add(gradients[0]) else { return Turn::Go };
        let gradient = gradient.to_vec();
        let Phase { eps, steps } = self.phases[self.phase];
        let start = self.iteration == 0;
        if start || self.value > self.best_value {
            self.best.copy_from_slice(x);
            self.best_gradient.copy_from_slice(&gradient);
            self.best_value = self.value;
            if let Some(c) = &mut self.conjugate {
                c.best = (c.gradient.clone(), c.direction.clone());
            }
        }
        let mut back = false;
        if start {
            self.best_at_check = self.value;
            self.previous.copy_from_slice(x);
        } else {
            self.increases += u32::from(self.value > self.last_value);
            self.last_value = self.value;
            self.in_window += 1;
            if self.in_window == self.window {
                back = if self.threat.norm == Norm::L1 {
                    self.check_sparse(eps)
                } else {
                    let reduce = self.check(steps);
                    self.eta = if reduce { self.eta / 2.0 } else { self.eta };
                    reduce
                };
            }
        }
        if back {
            let (best, gradient) = (self.best.clone(), self.best_gradient.clone());
            x.copy_from_slice(&best);
            if let Some(c) = &mut self.conjugate {
                (c.gradient, c.direction) = c.best.clone();
            }
            self.move_on(x, &gradient);
        } else {
            self.move_on(x, &gradient);
        }
        self.iteration += 1;
        match (self.final_phase() && self.iteration == steps, self.lockstep) {
            (false, _) => Turn::Go,
            (true, true) => Turn::withstood(self.before + steps),
            (true, false) => Turn::Peek,
        }
    }
}

#[cfg(test)]
mod tests {
    /// On f = −½ Σ aᵢ xᵢ² with exact steps, conjugate directions reach the summit in as many steps as there are values.
    #[test]
    fn directions_are_conjugate() {
        let a = [1.0, 4.0, 9.0];
        let mut x = [1.0, -2.0, 0.5];
        let mut directions = super::Conjugate::<f64>::default();
        for _ in 0..3 {
            let gradient: Vec<f64> = a.iter().zip(&x).map(|(a, x)| -a * x).collect();
            let d = directions.next(&gradient);
            let along: f64 = gradient.iter().zip(&d).map(|(g, d)| g * d).sum();
            let bent: f64 = a.iter().zip(&d).map(|(a, d)| a * d * d).sum();
            x.iter_mut().zip(&d).for_each(|(x, d)| *x += along / bent * d);
        }
        assert!(x.iter().all(|x| x.abs() < 1e-12), "{x:?}");
    }
}
