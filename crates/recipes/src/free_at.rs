//! "Free" adversarial training.

use crate::inner::EPS;
use gauntlet_autograd::Var;
use gauntlet_autograd::kernels::zeros_like;
use gauntlet_core::position::Position;
use gauntlet_core::registry::BuildRecipe;
use gauntlet_core::{ParamDoc, ParamKind, Recipe, Result, Spec, Step, Term, ThreatModel};
use gauntlet_records::{Eps, Norm};
use std::sync::Arc;

/// Every batch is replayed m times; each replay's one backward sweep gives both gradients:
/// θ moves with mean ℓ(clip(x + δ)), then δ ← clamp(δ + ε · sign ∂/∂δ, ±ε). Shafahi et al. 2019.
///
/// δ lives on from batch to batch and belongs to the *place* in the batch, not to the image, as in the published code.
/// x + δ is clamped to `[0, 1]` in every replay, as the authors do; the gradient is that by the clamped point and δ goes on
/// from there, as in Wong et al.'s `train_free.py`, which leaves the first replay of a batch unclamped
/// (docs/decisions/2026-11-audit.md).
#[derive(Debug, Clone)]
pub struct FreeAt {
    /// ε in pixels, also the step size.
    pub eps: Eps,
    /// Replays m.
    pub replays: usize,
}

const DELTA: &str = "free-at.delta";

/// Registration.
pub const SPEC: Spec<BuildRecipe> = Spec {
    name: "free-at",
    summary: "adversarial training whose attack steps share the training steps' backward sweep",
    formula: "m times: mean ℓ(clip(x + δ)), then δ ← clamp(δ + ε·sign ∂/∂δ, ±ε); δ lives on",
    paper: "Shafahi et al. 2019",
    params: &[
        EPS,
        ParamDoc {
            name: "replays",
            kind: ParamKind::COUNT,
            default: "8",
            unit: "",
            doc: "replays m of every batch: optimiser steps",
        },
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, _| Ok(Arc::new(FreeAt { eps: args.eps("eps")?, replays: args.usize("replays")? })),
};

impl Recipe for FreeAt {
    fn name(&self) -> &str {
        "free-at"
    }
    fn threat(&self, _: &Position) -> Option<ThreatModel> {
        Some(ThreatModel::new(Norm::Linf, self.eps.value()))
    }
    fn replays(&self) -> usize {
        self.replays
    }
    fn terms(&self, step: &mut Step<'_>) -> Result<Vec<Term>> {
        let x = step.input().detach();
        let n = x.dim(0)?;
        let delta = match step.memory().get(DELTA) {
            Some(kept) if kept.dim(0)? >= n => kept.narrow(0, 0, n)?,
            _ => zeros_like(x.tensor())?,
        };
        let x_adv = x.add(&Var::constant(delta))?.clamp(0.0, 1.0)?.to_leaf();
        step.watch(&x_adv);
        Ok(vec![Term::new("adv_ce", 1.0, step.cross_entropy(&x_adv)?)])
    }
    fn after(&self, step: &mut Step<'_>) -> Result<()> {
        let eps = self.eps.value();
        let n = step.labels().dim(0)?;
        let up = Var::constant(step.gradient_of_watched()?.clone()).sign()?.affine(eps, 0.0)?;
        let Some(x_adv) = step.watched() else { return Ok(()) };
        let delta = x_adv.detach().sub(&step.input().detach())?;
        let moved = delta.add(&up)?.clamp(-eps, eps)?;
        // A short last batch moves the first rows only.
        let kept = match step.memory().get(DELTA) {
            Some(kept) if kept.dim(0)? > n => {
                let rest = Var::constant(kept.narrow(0, n, kept.dim(0)? - n)?);
                Var::cat(&[&moved, &rest], 0)?
            }
            _ => moved,
        };
        step.memory().insert(DELTA.to_string(), kept.tensor().clone());
        Ok(())
    }
}
