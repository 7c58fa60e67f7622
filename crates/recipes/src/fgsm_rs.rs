//! FGSM adversarial training from a random start ("fast" adversarial training).

use crate::inner::{EPS, MODE, RAMP, mode};
use crate::slope::slope;
use gauntlet_core::position::Position;
use gauntlet_core::registry::BuildRecipe;
use gauntlet_core::{AttackMode, ParamDoc, ParamKind, Recipe, Result, Spec, Step, Term, ThreatModel};
use gauntlet_records::{Eps, Norm};
use std::sync::Arc;

/// δ₀ ~ U(−ε, ε)^d, δ = clamp(δ₀ + α · sign ∇ₓℓ(x + δ₀), ±ε), L = mean ℓ(clip(x + δ)); Wong, Rice & Kolter 2020.
///
/// A larger α, no random start or a long training may end in catastrophic overfitting: PGD accuracy falls to 0 while
/// FGSM accuracy rises. The record has both for every epoch.
#[derive(Debug, Clone)]
pub struct FgsmRs {
    /// ε in pixels.
    pub eps: Eps,
    /// α as a multiple of ε.
    pub alpha: f64,
    /// Clamp x + δ₀ to `[0, 1]` before the gradient (the authors' CIFAR-10 script does, the MNIST one does not).
    pub clamp_start: bool,
    /// What batch norm and dropout do in the attack's forward.
    pub mode: AttackMode,
    /// Epochs over which ε grows from 0.
    pub ramp: f64,
}

/// α of both scripts.
pub(crate) const ALPHA: ParamDoc = ParamDoc {
    name: "alpha",
    kind: ParamKind::WEIGHT,
    default: "1.25",
    unit: "ε",
    doc: "step size as a multiple of ε",
};

/// Registration.
pub const SPEC: Spec<BuildRecipe> = Spec {
    name: "fgsm-rs",
    summary: "adversarial training on one FGSM step from a random start",
    formula: "mean ℓ(clip(x + clamp(δ₀ + α·ε·sign ∇ₓℓ(x + δ₀), ±ε))),  δ₀ ~ U(−ε, ε)^d",
    paper: "Wong, Rice & Kolter 2020",
    params: &[
        EPS,
        ALPHA,
        ParamDoc {
            name: "clamp_start",
            kind: ParamKind::Bool,
            default: "false",
            unit: "",
            doc: "clamp x + δ₀ to [0, 1] before the gradient, as the authors' CIFAR-10 script does",
        },
        MODE,
        RAMP,
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        Ok(Arc::new(FgsmRs {
            eps: args.eps("eps")?,
            alpha: args.f64("alpha")?,
            clamp_start: args.bool("clamp_start")?,
            mode: mode(args)?,
            ramp: args.f64("ramp")?,
        }))
    },
};

impl Recipe for FgsmRs {
    fn name(&self) -> &str {
        "fgsm-rs"
    }
    fn threat(&self, position: &Position) -> Option<ThreatModel> {
        Some(ThreatModel::new(Norm::Linf, position.grown(self.ramp) * self.eps.value()))
    }
    fn terms(&self, step: &mut Step<'_>) -> Result<Vec<Term>> {
        let eps = step.position().grown(self.ramp) * self.eps.value();
        let x = step.input().detach();
        let mut start = x.add(&step.uniform_pixels("fgsm-rs", (-eps, eps))?)?;
        if self.clamp_start {
            start = start.clamp(0.0, 1.0)?;
        }
        let (_, g) = slope(step, start.tensor(), self.mode)?;
        let moved = start.add(&g.sign()?.affine(self.alpha * eps, 0.0)?)?;
        let delta = moved.sub(&x)?.clamp(-eps, eps)?;
        let x_adv = x.add(&delta)?.clamp(0.0, 1.0)?.to_leaf();
        Ok(vec![Term::new("adv_ce", 1.0, step.cross_entropy(&x_adv)?)])
    }
}
