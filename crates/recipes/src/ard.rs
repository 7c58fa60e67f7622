//! ARD: a robust teacher's soft answers at adversarial examples of the student.

use crate::inner::{ATTACK, EPS, InnerAttack, MODE, NORM, RAMP};
use crate::teacher::{distance, logits};
use gauntlet_autograd::Var;
use gauntlet_core::position::Position;
use gauntlet_core::registry::BuildRecipe;
use gauntlet_core::{ParamDoc, ParamKind, Recipe, Result, Spec, Step, Term, ThreatModel};
use std::sync::Arc;

/// L = α T² · mean KL(t(x)/T ‖ p(x')/T) + (1 − α) · mean ℓ(x), t the teacher; Goldblum et al. 2020.
///
/// Published code averages the KL over classes too, so that its α is another one: α' / (1 − α') = (α / K) / (1 − α).
pub struct Ard {
    /// PGD on the student's cross-entropy.
    pub inner: InnerAttack,
    /// α.
    pub alpha: f64,
    /// T.
    pub temperature: f64,
}

/// Registration.
pub const SPEC: Spec<BuildRecipe> = Spec {
    name: "ard",
    summary: "distillation: the divergence from a robust teacher's softened answer at x to the student's at an adversarial x'",
    formula: "α T² · mean KL(t(x)/T ‖ p(x')/T) + (1 − α) · mean ℓ(x),  x' = PGD on the student's ℓ",
    paper: "Goldblum et al. 2020",
    params: &[
        EPS,
        NORM,
        ParamDoc { name: "alpha", kind: ParamKind::SHARE, default: "1.0", unit: "", doc: "α" },
        ParamDoc { name: "temperature", kind: ParamKind::POSITIVE, default: "30.0", unit: "", doc: "T" },
        ATTACK,
        MODE,
        RAMP,
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, registry| {
        let (alpha, temperature) = (args.f64("alpha")?, args.f64("temperature")?);
        Ok(Arc::new(Ard { inner: InnerAttack::read(args, registry)?, alpha, temperature }))
    },
};

impl Recipe for Ard {
    fn name(&self) -> &str {
        "ard"
    }
    fn threat(&self, position: &Position) -> Option<ThreatModel> {
        Some(self.inner.at(position))
    }
    fn held_constant(&self) -> Option<&'static str> {
        self.inner.held_constant()
    }
    fn terms(&self, step: &mut Step<'_>) -> Result<Vec<Term>> {
        let x = step.input();
        let x_adv = Var::leaf(self.inner.examples(step)?);
        let taught = logits(step, &x)?;
        let z_adv = step.forward(&x_adv)?;
        let kl = distance(&taught, &z_adv, self.temperature)?;
        let mut terms = vec![Term::new("distill", self.alpha * self.temperature * self.temperature, kl)];
        if self.alpha < 1.0 {
            terms.push(Term::new("clean_ce", 1.0 - self.alpha, step.cross_entropy(&x)?));
        }
        Ok(terms)
    }
}
