//! Random noise: the control that every gradient attack must beat.

use gauntlet_autograd::kernels::Real;
use gauntlet_core::attack::{Backwards, Job, Open, Pulls, Site, Turn, Walk, misclassified};
use gauntlet_core::registry::BuildAttack;
use gauntlet_core::{Attack, Clean, ParamDoc, ParamKind, Spec, ThreatModel, walks};
use gauntlet_records::{Family, Norm};
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
        ParamDoc { name: "draws", kind: ParamKind::COUNT, default: "10", unit: "", doc: "draws per example" },
        ParamDoc {
            name: "shape",
            kind: ParamKind::Choice(&["ball", "sign"]),
            default: "\"ball\"",
            unit: "",
            doc: "inside the ball, or ±ε on every pixel (linf)",
        },
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        let shape = match args.str("shape")? {
            "sign" => Shape::Sign,
            _ => Shape::Ball,
        };
        Ok(Arc::new(Noise { draws: args.u32("draws")?, shape }))
    },
};

impl Attack for Noise {
    fn name(&self) -> &str {
        "noise"
    }
    fn family(&self) -> Family {
        Family::Noise
    }
    fn norms(&self) -> &[Norm] {
        match self.shape {
            Shape::Ball => &[Norm::Linf, Norm::L2, Norm::L1],
            Shape::Sign => &[Norm::Linf],
        }
    }
    fn jobs(&self, _: &Clean, _: &ThreatModel) -> Vec<Job> {
        Job::restarts(1)
    }
    fn backwards(&self) -> Backwards {
        Backwards::None
    }
    walks!();
}

impl Noise {
    fn walk<T: Real>(&self, site: Site<'_, T>) -> Box<dyn Walk<T>> {
        let mut walk = NoiseWalk {
            open: *site.open,
            noise: self.clone(),
            id: site.clean.id,
            restart: site.job.restart,
            label: site.clean.label,
            x0: site.x0,
            tried: 0,
        };
        walk.draw(site.x);
        Box::new(walk)
    }
}

struct NoiseWalk<T> {
    open: Open,
    noise: Noise,
    id: u64,
    restart: u32,
    label: u32,
    x0: Arc<[T]>,
    tried: u32,
}

impl<T: Real> NoiseWalk<T> {
    fn draw(&mut self, x: &mut [T]) {
        let (threat, mut stream) = (self.open.threat, self.open.key.stream(self.id, self.restart, self.tried));
        if self.noise.shape == Shape::Ball {
            return threat.start_row(&self.x0, x, &mut stream);
        }
        let signs: Vec<T> = x.iter().map(|_| if stream.next_u32() & 1 == 0 { T::one() } else { -T::one() }).collect();
        x.copy_from_slice(&self.x0);
        threat.step_row(&self.x0, x, &signs, threat.eps);
    }
}

impl<T: Real> Walk<T> for NoiseWalk<T> {
    fn look(&mut self, x: &mut [T], logits: &[f64], _: &mut Pulls<'_>) -> Turn {
        self.tried += 1;
        if !self.open.lockstep && misclassified(logits, self.label) {
            return Turn::broken(self.tried);
        }
        if self.tried == self.noise.draws {
            return Turn::withstood(self.tried);
        }
        self.draw(x);
        Turn::Go
    }

    fn step(&mut self, _: &mut [T], _: &[&[T]]) -> Turn {
        Turn::Go
    }
}
