//! MALT: Auto-PGD into the classes whose linearised boundaries are nearest.

use crate::Apgd;
use crate::arguments::MOST_TARGETS;
use gauntlet_autograd::kernels::Real;
use gauntlet_core::attack::{Backwards, Job, Open, Pulls, Site, Turn, Walk, misclassified};
use gauntlet_core::norm::Measure;
use gauntlet_core::registry::BuildAttack;
use gauntlet_core::{Attack, Clean, ParamDoc, ParamKind, Result, Spec, ThreatModel};
use gauntlet_records::Norm;
use std::sync::Arc;

/// [`Apgd`] on the targeted ratio, one run for each of the classes t with the largest (z_t − z_y)/‖∇(z_t − z_y)‖₂ at the image, in
/// that order; apgd-t goes by z_t alone.
///
/// Melamed, Yehudai & Shamir 2024. The gradients are those of the candidates: the strongest classes.
#[derive(Clone)]
pub struct Malt {
    /// The runs.
    pub apgd: Apgd,
    /// Classes whose gradients are looked at.
    pub candidates: usize,
}

/// Registration.
pub const SPEC: Spec<BuildAttack> = Spec {
    name: "malt",
    summary: "Auto-PGD into the classes that are nearest in the linear picture of the model at the image, instead of the most likely ones; needs four classes",
    formula: "apgd-t with targets t by falling (z_t − z_y)/‖∇ₓ(z_t − z_y)‖₂",
    paper: "Melamed, Yehudai & Shamir 2024",
    params: &[
        ParamDoc { name: "steps", kind: ParamKind::COUNT, default: "100", unit: "", doc: "iterations per run" },
        ParamDoc { name: "targets", kind: ParamKind::COUNT, default: "9", unit: "", doc: "classes that are run into" },
        ParamDoc {
            name: "candidates",
            kind: ParamKind::COUNT,
            default: "100",
            unit: "",
            doc: "strongest other classes among which they are chosen (a gradient each, anew for every run)",
        },
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        let (steps, targets) = (args.u32("steps")?, args.usize("targets")?);
        let apgd = Apgd { steps, ..Apgd::standard("malt", 1, 1, targets) };
        Ok(Arc::new(Malt { apgd, candidates: args.usize("candidates")? }))
    },
};

impl Default for Malt {
    fn default() -> Self {
        Malt { apgd: Apgd::standard(SPEC.name, 1, 1, MOST_TARGETS), candidates: 100 }
    }
}

impl Attack for Malt {
    fn name(&self) -> &str {
        SPEC.name
    }
    fn norms(&self) -> &[Norm] {
        self.apgd.norms()
    }
    fn fits(&self, open: &Open) -> Result<()> {
        if open.lockstep {
            let why = "chooses its targets by gradients of all classes; a recipe needs an attack with one, as apgd-t";
            return Err(gauntlet_core::Error::value(SPEC.name, why));
        }
        self.apgd.fits(open)
    }
    /// Targets by rank: which classes they are is known when the gradients are.
    fn jobs(&self, clean: &Clean, _: &ThreatModel) -> Vec<Job> {
        let others = clean.logits.len().saturating_sub(1);
        Job::restarts(self.apgd.targets.min(self.candidates).min(others) as u32)
    }
    fn needs_clean(&self) -> bool {
        true
    }
    fn backwards(&self) -> Backwards {
        Backwards::PerClass
    }
    fn walk_f32(&self, site: Site<'_, f32>) -> Box<dyn Walk<f32>> {
        Box::new(MaltWalk {
            inner: None,
            gaps: Vec::new(),
            scene: Scene::new(self, &site),
            begin: |a, s| a.walk_f32(s),
        })
    }
    fn walk_f64(&self, site: Site<'_, f64>) -> Box<dyn Walk<f64>> {
        Box::new(MaltWalk {
            inner: None,
            gaps: Vec::new(),
            scene: Scene::new(self, &site),
            begin: |a, s| a.walk_f64(s),
        })
    }
}

/// What a run begins with once its target is known.
struct Scene<T> {
    apgd: Apgd,
    open: Open,
    clean: Clean,
    x0: Arc<[T]>,
    rank: usize,
    classes: Vec<u32>,
}

impl<T: Real> Scene<T> {
    fn new(malt: &Malt, site: &Site<'_, T>) -> Self {
        Scene {
            apgd: malt.apgd.clone(),
            open: *site.open,
            clean: site.clean.clone(),
            x0: site.x0.clone(),
            rank: site.job.restart as usize,
            classes: site.clean.runners_up(malt.candidates),
        }
    }

    /// The class of this rank; `None`: no gradient is a number.
    fn target(&self, gaps: &[f64], gradients: &[&[T]]) -> Option<u32> {
        let mut near: Vec<(f64, u32)> = gaps
            .iter()
            .zip(gradients)
            .zip(&self.classes)
            // A class without a slope is out of reach.
            .map(|((gap, w), class)| (gap / Norm::L2.row(w), *class))
            .filter(|(score, _)| !score.is_nan())
            .collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0));
        near.get(self.rank).map(|(_, class)| *class)
    }
}

struct MaltWalk<T> {
    scene: Scene<T>,
    gaps: Vec<f64>,
    inner: Option<Box<dyn Walk<T>>>,
    begin: fn(&Apgd, Site<'_, T>) -> Box<dyn Walk<T>>,
}

impl<T: Real> Walk<T> for MaltWalk<T> {
    fn look(&mut self, x: &mut [T], logits: &[f64], pulls: &mut Pulls<'_>) -> Turn {
        if let Some(inner) = &mut self.inner {
            return inner.look(x, logits, pulls);
        }
        if misclassified(logits, self.scene.clean.label) && !self.scene.open.randomised {
            return Turn::broken(0);
        }
        let y = self.scene.clean.label as usize;
        for class in &self.scene.classes {
            self.gaps.push(logits[*class as usize] - logits[y]);
            pulls.difference(*class as usize, y);
        }
        Turn::Pull
    }

    fn step(&mut self, x: &mut [T], gradients: &[&[T]]) -> Turn {
        if let Some(inner) = &mut self.inner {
            return inner.step(x, gradients);
        }
        let scene = &self.scene;
        let Some(target) = scene.target(&self.gaps, gradients) else { return Turn::withstood(0) };
        let job = Job { restart: 0, target: Some(target) };
        let site = Site { open: &scene.open, job: &job, clean: &scene.clean, x0: scene.x0.clone(), x };
        self.inner = Some((self.begin)(&scene.apgd, site));
        Turn::Go
    }
}
