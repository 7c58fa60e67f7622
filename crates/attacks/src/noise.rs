//! Random noise: the control that every gradient attack must beat.

use candle_core::{Device, Tensor};
use gauntlet_core::attack::{self, Open};
use gauntlet_core::registry::BuildAttack;
use gauntlet_core::{Answer, Ask, Attack, Clean, Job, Norm, Outcome, ParamDoc, Result, Slots, Spec, Want};
use std::sync::Arc;

/// The distribution of the noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// The norm's random start: uniform in the L∞ cube or the L1 ball, random direction and radius for L2.
    Ball,
    /// ±ε per pixel (L∞ only).
    Sign,
}

/// Worst of n draws of noise of the given budget; no gradient is used.
#[derive(Debug, Clone)]
pub struct Noise {
    /// Draws, at least 1; the first that is misclassified ends the example.
    pub draws: u32,
    /// Distribution.
    pub shape: Shape,
}

/// Registration.
pub const SPEC: Spec<BuildAttack> = Spec {
    name: "noise",
    summary: "worst of n random draws; a control, must be much weaker than fgsm",
    formula: "x' = clip(x + δ), δ uniform in the ball or ±ε per pixel",
    paper: "Goodfellow, Shlens & Szegedy 2015 (control)",
    params: &[
        ParamDoc { name: "draws", kind: "int", default: "10", unit: "", doc: "draws per example" },
        ParamDoc {
            name: "shape",
            kind: "one of ball, sign",
            default: "\"ball\"",
            unit: "",
            doc: "inside the ball, or ±ε on every pixel (linf)",
        },
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        let shape = match args.choice("shape", &["ball", "sign"])? {
            "sign" => Shape::Sign,
            _ => Shape::Ball,
        };
        Ok(Arc::new(Noise { draws: args.usize("draws", 1)? as u32, shape }))
    },
};

impl Attack for Noise {
    fn name(&self) -> &str {
        "noise"
    }
    fn norms(&self) -> &[Norm] {
        match self.shape {
            Shape::Ball => &[Norm::Linf, Norm::L2, Norm::L1],
            Shape::Sign => &[Norm::Linf],
        }
    }
    fn jobs(&self, clean: &Clean) -> Vec<Job> {
        vec![Job { index: clean.index, id: clean.id, label: clean.label, restart: 0, target: None }]
    }
    fn open(&self, open: &Open) -> Result<Box<dyn Slots>> {
        let (c, h, w) = open.input;
        let blank = || Tensor::zeros((open.width, c, h, w), open.dtype, &Device::Cpu);
        Ok(Box::new(NoiseSlots {
            open: *open,
            noise: self.clone(),
            jobs: vec![None; open.width],
            x: blank()?,
            x0: blank()?,
            ended: Vec::new(),
        }))
    }
}

struct NoiseSlots {
    open: Open,
    noise: Noise,
    /// The job of each slot and the draws tried.
    jobs: Vec<Option<(Job, u32)>>,
    x: Tensor,
    x0: Tensor,
    ended: Vec<(usize, Outcome)>,
}

impl NoiseSlots {
    fn draw(&self, job: &Job, draw: u32, x0: &Tensor) -> Result<Tensor> {
        let mut stream = self.open.key.stream(job.id, job.restart, draw);
        if self.noise.shape == Shape::Ball {
            return self.open.threat.random_start(x0, &mut [stream]);
        }
        let signs: Vec<f64> =
            (0..x0.elem_count()).map(|_| if stream.next_u32() & 1 == 0 { 1.0 } else { -1.0 }).collect();
        let signs = Tensor::from_vec(signs, x0.dims(), &Device::Cpu)?.to_dtype(x0.dtype())?;
        self.open.threat.step(x0, x0, &signs, &[self.open.threat.eps])
    }
}

impl Slots for NoiseSlots {
    fn load(&mut self, slot: usize, job: &Job, x: &Tensor) -> Result<()> {
        let x = x.copy()?;
        self.x.slice_set(&self.draw(job, 0, &x)?.contiguous()?, 0, slot)?;
        self.x0.slice_set(&x, 0, slot)?;
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
        Ok(Ask { points: self.x.clone(), want: Want::Logits })
    }

    fn tell(&mut self, answer: &Answer) -> Result<()> {
        let logits = attack::rows(&answer.logits)?;
        let next = self.x.copy()?;
        for (slot, logits) in logits.iter().enumerate() {
            let Some((job, draw)) = self.jobs[slot].clone() else { continue };
            let tried = draw + 1;
            let broken = !self.open.lockstep && attack::predicted(logits).is_some_and(|p| p != job.label);
            if broken || tried == self.noise.draws {
                let x_adv = self.x.get(slot)?.copy()?;
                self.jobs[slot] = None;
                self.ended.push((slot, Outcome { job, x_adv, broken, steps: tried, forwards: tried, backwards: 0 }));
            } else {
                let x0 = self.x0.narrow(0, slot, 1)?.copy()?;
                next.slice_set(&self.draw(&job, tried, &x0)?.contiguous()?, 0, slot)?;
                self.jobs[slot] = Some((job, tried));
            }
        }
        self.x = next;
        Ok(())
    }

    fn poll(&mut self) -> Result<Vec<(usize, Outcome)>> {
        Ok(std::mem::take(&mut self.ended))
    }
}
