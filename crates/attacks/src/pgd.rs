//! Projected gradient descent, and the walk that its relatives share.

use crate::StepSize;
use crate::arguments::{self, DRAWS, OBJECTIVE, RESTARTS, RUNNERS_UP, SPARSITY, STEPS, SUCCESS};
use crate::best_iterate::BestIterate;
use gauntlet_autograd::kernels::Real;
use gauntlet_core::attack::{Ascent, Average, Beginning, Job, Open, Pulls, Site, Turn, Walk, succeeded};
use gauntlet_core::reach::Reach;
use gauntlet_core::registry::BuildAttack;
use gauntlet_core::{
    Attack, Clean, Error, Goal, Objective, ParamDoc, ParamKind, Result, Spec, ThreatModel, norm, walks,
};
use gauntlet_records::{Family, Norm};
use std::sync::Arc;

/// Where a run begins.
#[derive(Debug, Clone, PartialEq)]
pub enum Start {
    /// At the clean image.
    Clean,
    /// At a random point of the ball, clamped to the box.
    Ball,
    /// At x + α·sign(N(0, I)), Tramèr et al. 2018; the step is then ε − α.
    Sign(StepSize),
    /// At x + σ·N(0, I), clamped to the box (not to the ball), Zhang et al. 2019.
    Gaussian(f64),
}

/// x₀ = x or a random start; x_{t+1} = clip(Π(x_t + α · s(∇ₓℓ(x_t)))). The first misclassified iterate ends a job.
///
/// On a randomised model, or with several draws, a misclassified draw is luck: every step is taken, and of the iterates that
/// most draws misclassify (of all, if there is none) the one of the highest mean loss is proposed.
///
/// In L1 a step is SLIDE's (Tramèr & Boneh 2019): of the pixels with room in the box, the strongest 1 % share α; then the
/// exact projection onto ball ∩ box. A targeted objective goes towards the runner-up of the clean image, or one after the
/// other towards `targets` of them; unless `only_target`, any misclassification on the way counts.
///
/// Madry et al. 2018. With one step, α = ε and no random start this is FGSM, bit for bit.
pub struct Pgd {
    /// Registered name.
    pub name: &'static str,
    /// Steps per restart, at least 1.
    pub steps: u32,
    /// Step size.
    pub alpha: StepSize,
    /// Restarts, at least 1; they continue only with examples that are not broken.
    pub restarts: u32,
    /// Starting point (of every restart, the first too).
    pub start: Start,
    /// Decay μ of the accumulated direction m ← μ m + g/‖g‖₁, which is then followed instead of g.
    pub momentum: Option<f64>,
    /// Gradients averaged per step, over which the mean loss is taken too.
    pub draws: u32,
    /// What is ascended.
    pub objective: Arc<dyn Objective>,
    /// Target classes per example, if the objective is targeted: the runners-up of the clean image.
    pub targets: usize,
    /// Only the target class counts as broken, not every misclassification.
    pub only_target: bool,
    /// Share of the pixels that a step in L1 leaves alone; `None`: [`norm::SPARSITY`].
    pub sparsity: Option<f64>,
}

pub(crate) const ALPHA: ParamDoc = ParamDoc {
    name: "alpha",
    kind: ParamKind::Length,
    default: "\"eps/4\"",
    unit: "pixels",
    doc: "step size: \"0.01\", \"2/255\" or relative, \"eps/4\"",
};

pub(crate) const RANDOM_START: ParamDoc = ParamDoc {
    name: "random_start",
    kind: ParamKind::BoolOrLength,
    default: "true",
    unit: "pixels",
    doc: "true: start at a random point of the ball; false: at the clean image; a length such as \"0.001\": at \
          x + that · N(0, I), as TRADES does",
};

/// Registration.
pub const SPEC: Spec<BuildAttack> = Spec {
    name: "pgd",
    summary: "projected gradient descent with random start and restarts",
    formula: "x_{t+1} = clip(Π_ε(x_t + α · s(∇ₓℓ(x_t)))), any misclassified iterate counts; s as fgsm's",
    paper: "Madry et al. 2018",
    params: &[STEPS, ALPHA, RESTARTS, RANDOM_START, OBJECTIVE, RUNNERS_UP, SUCCESS, SPARSITY],
    numerics: 2,
    origin: "built-in",
    build: |args, registry| {
        let restarts = args.u32("restarts")?;
        let start = match args.value("random_start")? {
            serde_json::Value::Bool(true) => Start::Ball,
            serde_json::Value::Bool(false) => Start::Clean,
            _ => Start::Gaussian(args.eps("random_start")?.value()),
        };
        if restarts > 1 && start == Start::Clean {
            return Err(Error::value(
                "pgd.restarts",
                "more than one restart without a random start repeats the same run",
            ));
        }
        let objective = arguments::objective(args, registry)?;
        let (targets, only_target) = arguments::aims(args, &*objective)?;
        Ok(Arc::new(Pgd {
            name: "pgd",
            steps: args.u32("steps")?,
            alpha: arguments::alpha(args)?,
            restarts,
            start,
            momentum: None,
            draws: 1,
            objective,
            targets,
            only_target,
            sparsity: arguments::sparsity(args)?,
        }))
    },
};

/// Registration of PGD without a random start.
pub const BIM: Spec<BuildAttack> = Spec {
    name: "bim",
    summary: "basic iterative method: projected gradient descent from the clean image",
    formula: "x_{t+1} = clip(Π_ε(x_t + α · s(∇ₓℓ(x_t)))), x_0 = x",
    paper: "Kurakin, Goodfellow & Bengio 2017",
    params: &[ParamDoc { default: "10", ..STEPS }, ALPHA, OBJECTIVE, RUNNERS_UP, SUCCESS, SPARSITY],
    numerics: 2,
    origin: "built-in",
    build: |args, registry| {
        let objective = arguments::objective(args, registry)?;
        let (targets, only_target) = arguments::aims(args, &*objective)?;
        Ok(Arc::new(Pgd {
            name: "bim",
            steps: args.u32("steps")?,
            alpha: arguments::alpha(args)?,
            restarts: 1,
            start: Start::Clean,
            momentum: None,
            draws: 1,
            objective,
            targets,
            only_target,
            sparsity: arguments::sparsity(args)?,
        }))
    },
};

/// Registration of PGD with averaged gradients.
pub const EOT: Spec<BuildAttack> = Spec {
    name: "eot-pgd",
    summary: "projected gradient descent along the mean gradient of several forwards, for randomised models",
    formula: "x_{t+1} = clip(Π_ε(x_t + α · s(E ∇ₓℓ(x_t)))), x' = the x_t of the highest E ℓ(x_t), means over draws",
    paper: "Athalye et al. 2018",
    params: &[STEPS, ALPHA, RESTARTS, DRAWS, OBJECTIVE, RUNNERS_UP, SUCCESS, SPARSITY],
    numerics: 2,
    origin: "built-in",
    build: |args, registry| {
        let objective = arguments::objective(args, registry)?;
        let (targets, only_target) = arguments::aims(args, &*objective)?;
        Ok(Arc::new(Pgd {
            name: "eot-pgd",
            steps: args.u32("steps")?,
            alpha: arguments::alpha(args)?,
            restarts: args.u32("restarts")?,
            start: Start::Ball,
            momentum: None,
            draws: args.u32("draws")?,
            objective,
            targets,
            only_target,
            sparsity: arguments::sparsity(args)?,
        }))
    },
};

/// Registration of R+FGSM: one step from a random start.
pub const RANDOM: Spec<BuildAttack> = Spec {
    name: "r-fgsm",
    summary: "one FGSM step of ε − α from x + α·sign(noise), against masked gradients at the clean image",
    formula: "x° = clip(x + α·sign(N(0, I))),  x' = clip(x° + (ε − α)·s(∇ₓℓ(x°)))",
    paper: "Tramèr et al. 2018",
    params: &[
        ParamDoc { default: "\"eps/6\"", doc: "length of the random step, below ε", ..ALPHA },
        OBJECTIVE,
        RUNNERS_UP,
        SUCCESS,
    ],
    numerics: 2,
    origin: "built-in",
    build: |args, registry| {
        let alpha = arguments::alpha(args)?;
        let objective = arguments::objective(args, registry)?;
        let (targets, only_target) = arguments::aims(args, &*objective)?;
        Ok(Arc::new(Pgd {
            name: "r-fgsm",
            steps: 1,
            alpha: StepSize::Relative(1.0),
            restarts: 1,
            start: Start::Sign(alpha),
            momentum: None,
            draws: 1,
            objective,
            targets,
            only_target,
            sparsity: None,
        }))
    },
};

impl Attack for Pgd {
    fn name(&self) -> &str {
        self.name
    }
    fn family(&self) -> Family {
        if matches!(self.name, "fgsm" | "r-fgsm") { Family::OneStep } else { Family::Gradient }
    }
    fn norms(&self) -> &[Norm] {
        match self.start {
            Start::Sign(_) => &[Norm::Linf],
            _ => &[Norm::Linf, Norm::L2, Norm::L1],
        }
    }
    fn fits(&self, open: &Open) -> Result<()> {
        if let Start::Sign(alpha) = &self.start
            && alpha.pixels(open.threat.eps) >= open.threat.eps
            && open.threat.eps > 0.0
        {
            let (alpha, eps) = (alpha.pixels(open.threat.eps), open.threat.eps);
            return Err(Error::value(format!("{}.alpha", self.name), format!("must be below ε = {eps}, got {alpha}")));
        }
        arguments::sparse_in_l1(self.name, self.sparsity, open)?;
        arguments::fits(self.name, self.objective.as_ref(), open.classes)
    }
    fn jobs(&self, clean: &Clean, _: &ThreatModel) -> Vec<Job> {
        arguments::jobs(self.objective.as_ref(), clean, self.targets, self.restarts)
    }
    fn needs_clean(&self) -> bool {
        self.objective.refers() || self.objective.targeted()
    }
    fn aim(&self, job: &Job) -> Option<u32> {
        job.target.filter(|_| self.only_target)
    }
    fn reach(&self, threat: &ThreatModel) -> Option<Reach> {
        // The random step and the one after it make up ε together.
        let random_start = match self.start {
            Start::Sign(_) => return None,
            Start::Clean => false,
            Start::Ball | Start::Gaussian(_) => true,
        };
        Some(Reach { steps: self.steps, alpha: self.alpha.pixels(threat.eps), random_start })
    }
    fn ascent(&self, threat: &ThreatModel) -> Option<Ascent> {
        // A step in L1 sorts pixels: those are the walks'.
        if threat.norm == Norm::L1 {
            return None;
        }
        let start = match self.start {
            Start::Clean => Beginning::Clean,
            Start::Ball => Beginning::Ball,
            Start::Gaussian(sigma) => Beginning::Gaussian(sigma),
            Start::Sign(_) => return None,
        };
        let slope = self.objective.slope().filter(|_| self.momentum.is_none() && self.draws <= 1)?;
        Some(Ascent { start, steps: self.steps, alpha: self.alpha.pixels(threat.eps), slope })
    }
    walks!();
}

impl Pgd {
    fn walk<T: Real>(&self, site: Site<'_, T>) -> Box<dyn Walk<T>> {
        let (threat, mut stream) = (site.open.threat, site.open.key.stream(site.clean.id, site.job.restart, 0));
        let mut alpha = self.alpha.pixels(threat.eps);
        match &self.start {
            Start::Clean => {}
            Start::Ball => threat.start_row(&site.x0, site.x, &mut stream),
            Start::Sign(first) => {
                let first = first.pixels(threat.eps);
                alpha = threat.eps - first;
                let signs: Vec<T> = site.x0.iter().map(|_| T::of(stream.normal().signum())).collect();
                threat.step_row(&site.x0, site.x, &signs, first);
            }
            Start::Gaussian(sigma) => {
                let (low, high) = threat.bounds;
                for x in site.x.iter_mut() {
                    *x = T::of((x.wide() + sigma * stream.normal()).clamp(low, high));
                }
            }
        }
        let every_step = !site.open.lockstep && (site.open.randomised || self.draws > 1);
        Box::new(PgdWalk {
            threat,
            alpha,
            steps: self.steps,
            lockstep: site.open.lockstep,
            label: site.clean.label,
            aim: self.aim(site.job),
            sparsity: self.sparsity.unwrap_or(norm::SPARSITY),
            goal: arguments::goal(self.objective.as_ref(), site.clean, site.job),
            objective: self.objective.clone(),
            momentum: self.momentum.map(|decay| (decay, vec![T::zero(); site.x0.len()])),
            average: Average::new(self.draws),
            best: every_step.then(|| BestIterate::new(self.draws, site.x)),
            x0: site.x0,
            taken: 0,
        })
    }
}

struct PgdWalk<T> {
    threat: ThreatModel,
    alpha: f64,
    steps: u32,
    lockstep: bool,
    label: u32,
    /// The class that alone counts.
    aim: Option<u32>,
    sparsity: f64,
    goal: Goal,
    objective: Arc<dyn Objective>,
    /// Decay and direction.
    momentum: Option<(f64, Vec<T>)>,
    average: Average<T>,
    /// Where every step is taken: what is proposed in the end.
    best: Option<BestIterate<T>>,
    x0: Arc<[T]>,
    taken: u32,
}

impl<T: Real> Walk<T> for PgdWalk<T> {
    fn look(&mut self, x: &mut [T], logits: &[f64], pulls: &mut Pulls<'_>) -> Turn {
        if let Some(best) = &mut self.best {
            let loss = self.objective.ascend(logits, &self.goal, pulls.add());
            let whole = best.add(x, self.taken, loss, succeeded(logits, self.label, self.aim));
            return match (self.taken == self.steps, whole) {
                (false, _) => Turn::Pull,
                (true, false) => Turn::Peek,
                (true, true) => best.end(x),
            };
        }
        if !self.lockstep {
            if succeeded(logits, self.label, self.aim) {
                return Turn::broken(self.taken);
            }
            if self.taken == self.steps {
                return Turn::withstood(self.taken);
            }
        }
        self.objective.ascend(logits, &self.goal, pulls.add());
        Turn::Pull
    }

    fn step(&mut self, x: &mut [T], gradients: &[&[T]]) -> Turn {
        let Some(gradient) = self.average.add(gradients[0]) else { return Turn::Go };
        match &mut self.momentum {
            None => self.threat.sparse_step_row(&self.x0, x, gradient, self.alpha, self.sparsity),
            Some((decay, direction)) => {
                let size = Norm::L1.of(gradient.iter().map(|g| g.wide()));
                // A zero or broken gradient adds nothing: the old direction is kept.
                let scale = if size > 0.0 && size.is_finite() { 1.0 / size } else { 0.0 };
                for (m, g) in direction.iter_mut().zip(gradient) {
                    let new = if scale > 0.0 { g.wide() * scale } else { 0.0 };
                    *m = T::of(*decay * m.wide() + new);
                }
                self.threat.sparse_step_row(&self.x0, x, direction, self.alpha, self.sparsity);
            }
        }
        self.taken += 1;
        match (self.taken == self.steps, self.lockstep) {
            (false, _) => Turn::Go,
            (true, true) => Turn::withstood(self.taken),
            // Only whether it is misclassified is left to be seen.
            (true, false) => Turn::Peek,
        }
    }
}
