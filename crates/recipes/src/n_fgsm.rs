//! FGSM adversarial training from strong noise, without clipping.

use crate::inner::{EPS, MODE, RAMP, mode};
use crate::slope::slope;
use gauntlet_core::position::Position;
use gauntlet_core::registry::BuildRecipe;
use gauntlet_core::{AttackMode, ParamDoc, ParamKind, Recipe, Result, Spec, Step, Term, ThreatModel};
use gauntlet_records::{Eps, Norm};
use std::sync::Arc;

/// η ~ U(−kε, kε)^d, L = mean ℓ(clip(x' + α · sign ∇ₓℓ(x'))), x' = clip(x + η); de Jorge et al. 2022.
///
/// δ is not clamped to ε: ‖δ‖_∞ may reach (k + 1) ε.
#[derive(Debug, Clone)]
pub struct NFgsm {
    /// ε in pixels.
    pub eps: Eps,
    /// α as a multiple of ε.
    pub alpha: f64,
    /// Noise as a multiple k of ε.
    pub noise: f64,
    /// What batch norm and dropout do in the attack's forward.
    pub mode: AttackMode,
    /// Epochs over which ε grows from 0 (the authors: 5 on SVHN).
    pub ramp: f64,
}

/// Registration.
pub const SPEC: Spec<BuildRecipe> = Spec {
    name: "n-fgsm",
    summary: "adversarial training on one FGSM step from strong noise, not clamped to the ball",
    formula: "mean ℓ(clip(x' + α·ε·sign ∇ₓℓ(x'))),  x' = clip(x + η), η ~ U(−kε, kε)^d",
    paper: "de Jorge et al. 2022",
    params: &[
        EPS,
        ParamDoc { default: "1.0", ..crate::fgsm_rs::ALPHA },
        ParamDoc {
            name: "noise",
            kind: ParamKind::WEIGHT,
            default: "2.0",
            unit: "ε",
            doc: "half width k of the noise",
        },
        MODE,
        RAMP,
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        Ok(Arc::new(NFgsm {
            eps: args.eps("eps")?,
            alpha: args.f64("alpha")?,
            noise: args.f64("noise")?,
            mode: mode(args)?,
            ramp: args.f64("ramp")?,
        }))
    },
};

impl Recipe for NFgsm {
    fn name(&self) -> &str {
        "n-fgsm"
    }
    fn threat(&self, position: &Position) -> Option<ThreatModel> {
        Some(ThreatModel::new(Norm::Linf, position.grown(self.ramp) * self.eps.value()))
    }
    fn terms(&self, step: &mut Step<'_>) -> Result<Vec<Term>> {
        let eps = step.position().grown(self.ramp) * self.eps.value();
        let wide = self.noise * eps;
        let noise = step.uniform_pixels("n-fgsm", (-wide, wide))?;
        let start = step.input().detach().add(&noise)?.clamp(0.0, 1.0)?;
        let (_, g) = slope(step, start.tensor(), self.mode)?;
        let x_adv = start.add(&g.sign()?.affine(self.alpha * eps, 0.0)?)?.clamp(0.0, 1.0)?.to_leaf();
        Ok(vec![Term::new("adv_ce", 1.0, step.cross_entropy(&x_adv)?)])
    }
}
