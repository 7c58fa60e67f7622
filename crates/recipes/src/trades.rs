//! TRADES: accuracy traded against the stability of the prediction.

use crate::inner::{EPS, EVAL_MODE, InnerAttack, KL_ATTACK, NORM, RAMP};
use gauntlet_autograd::Var;
use gauntlet_core::position::Position;
use gauntlet_core::registry::BuildRecipe;
use gauntlet_core::{ParamDoc, ParamKind, Recipe, Result, Spec, Step, Term, ThreatModel};
use std::sync::Arc;

/// L = mean ℓ(x) + β · mean KL(p(x) ‖ p(x')), x' the last iterate of PGD on that KL; Zhang et al. 2019.
///
/// The attack starts at x + 0.001 · N(0, I), clamped to the box (the published code clamps after the first step,
/// docs/decisions/2026-11-audit.md): at x itself the KL has no gradient. The gradient passes both arguments
/// of the KL. One clean forward serves both terms (the published code makes two, which matters to batch norm's
/// running statistics and to dropout).
pub struct Trades {
    /// PGD on the KL.
    pub inner: InnerAttack,
    /// β.
    pub beta: f64,
}

/// Registration.
pub const SPEC: Spec<BuildRecipe> = Spec {
    name: "trades",
    summary: "cross-entropy plus the KL divergence between the predictions at x and at an adversarial x'",
    formula: "mean ℓ(x) + β · mean KL(p(x) ‖ p(x')),  x' = PGD on the KL from x + 0.001·N(0, I)",
    paper: "Zhang et al. 2019",
    params: &[
        EPS,
        NORM,
        ParamDoc {
            name: "beta",
            kind: ParamKind::WEIGHT,
            default: "6.0",
            unit: "",
            doc: "β (the authors: 6 on CIFAR-10, 1 on MNIST)",
        },
        KL_ATTACK,
        EVAL_MODE,
        RAMP,
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, registry| Ok(Arc::new(Trades { inner: InnerAttack::read(args, registry)?, beta: args.f64("beta")? })),
};

/// KL(p ‖ q) per example, `(N,)`, of logits `(N, K)`.
pub(crate) fn kl(p: &Var, q: &Var) -> Result<Var> {
    let (p, q) = (p.log_softmax()?, q.log_softmax()?);
    Ok(p.exp()?.mul(&p.sub(&q)?)?.sum_per_example()?)
}

impl Recipe for Trades {
    fn name(&self) -> &str {
        "trades"
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
        let ce = step.cross_entropy(&x)?;
        let (z, z_adv) = (step.forward(&x)?, step.forward(&x_adv)?);
        Ok(vec![Term::new("ce", 1.0, ce), Term::new("kl", self.beta, kl(&z, &z_adv)?)])
    }
}
