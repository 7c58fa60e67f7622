//! Projected gradient descent.

use crate::StepSize;
use candle_core::{Device, Tensor};
use gauntlet_core::attack::{self, Open};
use gauntlet_core::registry::BuildAttack;
use gauntlet_core::{
    Answer, Ask, Attack, Clean, Error, Goal, Job, Norm, Objective, Outcome, ParamDoc, Result, Slots, Spec, Want,
};
use std::sync::Arc;

/// x₀ = x or a random start; x_{t+1} = clip(Π(x_t + α · s(∇ₓℓ(x_t)))). The first misclassified iterate ends a job.
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
    /// Start at a random point of the ball (every restart, the first too).
    pub random_start: bool,
    /// What is ascended.
    pub objective: Arc<dyn Objective>,
}

/// Registration.
pub const SPEC: Spec<BuildAttack> = Spec {
    name: "pgd",
    summary: "projected gradient descent with random start and restarts",
    formula: "x_{t+1} = clip(Π_ε(x_t + α · s(∇ₓℓ(x_t)))), any misclassified iterate counts",
    paper: "Madry et al. 2018",
    params: &[
        ParamDoc { name: "steps", kind: "int", default: "40", unit: "", doc: "steps per restart" },
        ParamDoc {
            name: "alpha",
            kind: "length",
            default: "\"eps/4\"",
            unit: "pixels",
            doc: "step size: \"0.01\", \"2/255\" or relative, \"eps/4\"",
        },
        ParamDoc {
            name: "restarts",
            kind: "int",
            default: "1",
            unit: "",
            doc: "random restarts on examples not yet broken",
        },
        ParamDoc {
            name: "random_start",
            kind: "bool",
            default: "true",
            unit: "",
            doc: "start at a random point of the ball, not at the clean image",
        },
        ParamDoc {
            name: "objective",
            kind: "objective",
            default: "\"ce\"",
            unit: "",
            doc: "what is ascended: ce, margin, dlr",
        },
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, registry| {
        let (objective, _) = registry.objective(&args.table("objective")?)?;
        let alpha = match args.value("alpha")? {
            serde_json::Value::Number(n) => n.to_string(),
            _ => args.str("alpha")?.to_string(),
        };
        let restarts = args.usize("restarts", 1)? as u32;
        let random_start = args.bool("random_start")?;
        if restarts > 1 && !random_start {
            return Err(Error::value(
                "pgd.restarts",
                "more than one restart without a random start repeats the same run",
            ));
        }
        Ok(Arc::new(Pgd {
            name: "pgd",
            steps: args.usize("steps", 1)? as u32,
            alpha: alpha.parse()?,
            restarts,
            random_start,
            objective,
        }))
    },
};

impl Attack for Pgd {
    fn name(&self) -> &str {
        self.name
    }
    fn norms(&self) -> &[Norm] {
        &[Norm::Linf, Norm::L2, Norm::L1]
    }
    fn jobs(&self, clean: &Clean) -> Vec<Job> {
        let job = |restart| Job { index: clean.index, id: clean.id, label: clean.label, restart, target: None };
        (0..self.restarts).map(job).collect()
    }
    fn open(&self, open: &Open) -> Result<Box<dyn Slots>> {
        let (c, h, w) = open.input;
        let blank = || Tensor::zeros((open.width, c, h, w), open.dtype, &Device::Cpu);
        Ok(Box::new(PgdSlots {
            open: *open,
            steps: self.steps,
            alpha: self.alpha.pixels(open.threat.eps),
            random_start: self.random_start,
            objective: self.objective.clone(),
            jobs: vec![None; open.width],
            x: blank()?,
            x0: blank()?,
            ended: Vec::new(),
        }))
    }
}

struct PgdSlots {
    open: Open,
    steps: u32,
    alpha: f64,
    random_start: bool,
    objective: Arc<dyn Objective>,
    /// The job of each slot and the steps it has taken.
    jobs: Vec<Option<(Job, u32)>>,
    x: Tensor,
    x0: Tensor,
    ended: Vec<(usize, Outcome)>,
}

impl PgdSlots {
    fn end(&mut self, slot: usize, row: &Tensor, broken: bool, forwards: u32) -> Result<()> {
        if let Some((job, taken)) = self.jobs[slot].take() {
            let x_adv = row.copy()?;
            self.ended.push((slot, Outcome { job, x_adv, broken, steps: taken, forwards, backwards: taken }));
        }
        Ok(())
    }
}

impl Slots for PgdSlots {
    fn load(&mut self, slot: usize, job: &Job, x: &Tensor) -> Result<()> {
        let start = if self.random_start {
            let stream = self.open.key.stream(job.id, job.restart, 0);
            self.open.threat.random_start(x, &mut [stream])?
        } else {
            x.copy()?
        };
        self.x.slice_set(&start.contiguous()?, 0, slot)?;
        self.x0.slice_set(&x.copy()?, 0, slot)?;
        self.jobs[slot] = Some((job.clone(), 0));
        Ok(())
    }

    fn shrink(&mut self, keep: &[usize]) -> Result<()> {
        let rows = Tensor::from_vec(keep.iter().map(|i| *i as u32).collect(), keep.len(), &Device::Cpu)?;
        self.x = self.x.index_select(&rows, 0)?;
        self.x0 = self.x0.index_select(&rows, 0)?;
        self.jobs = keep.iter().map(|i| self.jobs[*i].clone()).collect();
        Ok(())
    }

    fn ask(&mut self) -> Result<Ask> {
        let climbing = self.jobs.iter().flatten().any(|(_, taken)| *taken < self.steps);
        let want = if climbing {
            let labels: Vec<u32> = self.jobs.iter().map(|j| j.as_ref().map_or(0, |(job, _)| job.label)).collect();
            let labels = Tensor::from_vec(labels, self.jobs.len(), &Device::Cpu)?;
            Want::Ascend(self.objective.clone(), Goal { labels, targets: None, reference: None })
        } else {
            Want::Logits
        };
        Ok(Ask { points: self.x.clone(), want })
    }

    fn tell(&mut self, answer: &Answer) -> Result<()> {
        let logits = attack::rows(&answer.logits)?;
        let here = self.x.clone();
        if !self.open.lockstep {
            for (slot, logits) in logits.iter().enumerate() {
                let Some((job, taken)) = &self.jobs[slot] else { continue };
                let broken = attack::predicted(logits).is_some_and(|p| p != job.label);
                if broken || *taken == self.steps {
                    let forwards = taken + 1;
                    self.end(slot, &here.get(slot)?, broken, forwards)?;
                }
            }
        }
        let Some(gradient) = answer.gradients.first() else { return Ok(()) };
        let alpha = vec![self.alpha; self.jobs.len()];
        self.x = self.open.threat.step(&here, &self.x0, gradient, &alpha)?;
        for slot in 0..self.jobs.len() {
            let Some((_, taken)) = &mut self.jobs[slot] else { continue };
            *taken += 1;
            if self.open.lockstep && *taken == self.steps {
                let (row, forwards) = (self.x.get(slot)?, self.steps);
                self.end(slot, &row, false, forwards)?;
            }
        }
        Ok(())
    }

    fn poll(&mut self) -> Result<Vec<(usize, Outcome)>> {
        Ok(std::mem::take(&mut self.ended))
    }
}
