//! Adversarial training.

use crate::inner::{ATTACK, EPS, InnerAttack, MODE, NORM, RAMP};
use gauntlet_autograd::Var;
use gauntlet_core::position::Position;
use gauntlet_core::registry::BuildRecipe;
use gauntlet_core::{ParamDoc, ParamKind, Recipe, Result, Spec, Step, Term, ThreatModel};
use std::sync::Arc;

/// L = mean ℓ(x_adv), x_adv the last iterate of an attack on the current weights, Madry et al. 2018.
///
/// The examples are detached and cost no parameter gradients.
pub struct PgdAt {
    /// PGD, or another attack.
    pub inner: InnerAttack,
    /// Share of every batch that is attacked, the first of its (shuffled) examples; the others stay clean.
    pub fraction: f64,
}

/// Registration.
pub const SPEC: Spec<BuildRecipe> = Spec {
    name: "pgd-at",
    summary: "adversarial training: cross-entropy at PGD examples",
    formula: "mean ℓ(x_adv),  x_adv = PGD(x) on the current weights, every step taken",
    paper: "Madry et al. 2018",
    params: &[
        EPS,
        NORM,
        ATTACK,
        MODE,
        RAMP,
        ParamDoc {
            name: "fraction",
            kind: ParamKind::SHARE,
            default: "null",
            unit: "",
            doc: "share of every batch that is attacked, rounded down; the others stay clean (Croce et al.'s ae_frac); \
                  without it all",
        },
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, registry| {
        let fraction = if args.has("fraction") { args.f64("fraction")? } else { 1.0 };
        Ok(Arc::new(PgdAt { inner: InnerAttack::read(args, registry)?, fraction }))
    },
};

impl Recipe for PgdAt {
    fn name(&self) -> &str {
        "pgd-at"
    }
    fn threat(&self, position: &Position) -> Option<ThreatModel> {
        Some(self.inner.at(position))
    }
    fn held_constant(&self) -> Option<&'static str> {
        self.inner.held_constant()
    }
    fn terms(&self, step: &mut Step<'_>) -> Result<Vec<Term>> {
        let attacked = (self.fraction * step.ids().len() as f64).floor() as usize;
        let x_adv = Var::leaf(self.inner.first_examples(step, attacked)?);
        Ok(vec![Term::new("adv_ce", 1.0, step.cross_entropy(&x_adv)?)])
    }
}
