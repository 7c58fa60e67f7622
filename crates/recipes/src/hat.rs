//! HAT: examples beyond the ball, labelled by a network that was trained without an adversary.

use crate::inner::{EPS, EVAL_MODE, InnerAttack, KL_ATTACK, NORM, RAMP};
use crate::teacher::{answer, logits};
use crate::trades::kl;
use gauntlet_autograd::Var;
use gauntlet_core::position::Position;
use gauntlet_core::registry::BuildRecipe;
use gauntlet_core::{ParamDoc, ParamKind, Recipe, Result, Spec, Step, Term, ThreatModel};
use std::sync::Arc;

/// L = mean ℓ(x) + β · mean KL(p(x) ‖ p(x')) + γ · mean ℓ(x + h (x' − x), ŷ), ŷ the teacher's answer at x'; Rade & Moosavi 2022.
///
/// x' is that of TRADES. The teacher is the row that the suite names, trained by `ce`. The helper example may leave the box.
pub struct Hat {
    /// PGD on the KL.
    pub inner: InnerAttack,
    /// β.
    pub beta: f64,
    /// γ.
    pub gamma: f64,
    /// h.
    pub beyond: f64,
}

/// Registration.
pub const SPEC: Spec<BuildRecipe> = Spec {
    name: "hat",
    summary: "TRADES, and cross-entropy beyond the ball to the answer of a teacher that was trained by `ce`",
    formula: "mean ℓ(x) + β · mean KL(p(x) ‖ p(x')) + γ · mean ℓ(x + h (x' − x), ŷ),  ŷ = argmax teacher(x')",
    paper: "Rade & Moosavi-Dezfooli 2022",
    params: &[
        EPS,
        NORM,
        ParamDoc { name: "beta", kind: ParamKind::WEIGHT, default: "2.5", unit: "", doc: "β" },
        ParamDoc {
            name: "gamma", kind: ParamKind::WEIGHT, default: "0.5", unit: "", doc: "γ, of the helper examples"
        },
        ParamDoc {
            name: "beyond",
            kind: ParamKind::WEIGHT,
            default: "3.5",
            unit: "",
            doc: "h: helper examples lie at h times the perturbation",
        },
        KL_ATTACK,
        EVAL_MODE,
        RAMP,
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, registry| {
        Ok(Arc::new(Hat {
            inner: InnerAttack::read(args, registry)?,
            beta: args.f64("beta")?,
            gamma: args.f64("gamma")?,
            beyond: args.f64("beyond")?,
        }))
    },
};

impl Recipe for Hat {
    fn name(&self) -> &str {
        "hat"
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
        let helped = answer(&logits(step, &x_adv)?)?;
        let way = x_adv.detach().sub(&x.detach())?.affine(self.beyond, 0.0)?;
        let x_help = x.detach().add(&way)?.to_leaf();
        let ce = step.cross_entropy(&x)?;
        let (z, z_adv, z_help) = (step.forward(&x)?, step.forward(&x_adv)?, step.forward(&x_help)?);
        Ok(vec![
            Term::new("clean_ce", 1.0, ce),
            Term::new("kl", self.beta, kl(&z, &z_adv)?),
            Term::new("helper_ce", self.gamma, z_help.cross_entropy(&helped)?),
        ])
    }
}
