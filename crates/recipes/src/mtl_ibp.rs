//! Training by a mean of an adversarial loss and its interval bound.

use crate::growth::{Growth, RAMP, SCHEDULE, WARM_UP};
use crate::ibp::{INIT, narrow, narrowed};
use crate::inner::{ATTACK, EPS, InnerAttack, MODE, mode};
use crate::intervals::{Bounded, boxes, worst_loss};
use gauntlet_autograd::Var;
use gauntlet_core::position::Position;
use gauntlet_core::registry::BuildRecipe;
use gauntlet_core::{ParamDoc, ParamKind, ParamSpec, Recipe, Result, Spec, Step, Term, ThreatModel};
use gauntlet_records::{Eps, Norm};
use std::sync::Arc;

/// L = (1 − α) mean ℓ(x_adv) + α mean ℓ(ẑ), ẑ as of `ibp`, De Palma et al. 2024.
pub struct MtlIbp {
    /// ε in pixels at the end of the ramp.
    pub eps: Eps,
    /// α: weight of the bound.
    pub alpha: f64,
    /// What makes x_adv.
    pub inner: InnerAttack,
    /// How ε moves.
    pub growth: Growth,
    /// Weights start as Shi et al. 2021 have them.
    pub narrow: bool,
}

/// Registration.
pub const SPEC: Spec<BuildRecipe> = Spec {
    name: "mtl-ibp",
    summary: "certified training: a mean of the loss at an adversarial example and of its interval bound",
    formula: "mean (1 − α)ℓ(x_adv) + αℓ(ẑ),  ẑ as of ibp",
    paper: "De Palma et al. 2024",
    params: &[
        EPS,
        ParamDoc {
            name: "alpha",
            kind: ParamKind::SHARE,
            default: "0.5",
            unit: "",
            doc: "weight of the bound, in [0, 1]; 1 is ibp with κ = 0",
        },
        ParamDoc { default: r#"{"name":"pgd","steps":1,"alpha":"eps/0.1"}"#, ..ATTACK },
        MODE,
        WARM_UP,
        RAMP,
        SCHEDULE,
        INIT,
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, registry| {
        let eps = args.eps("eps")?;
        let (attack, _) = registry.attack(&args.table("attack")?)?;
        let threat = ThreatModel::new(Norm::Linf, eps.value());
        Ok(Arc::new(MtlIbp {
            alpha: args.f64("alpha")?,
            inner: InnerAttack { threat, attack, mode: mode(args)?, ramp: 0.0 },
            growth: Growth::read(args)?,
            narrow: narrow(args)?,
            eps,
        }))
    },
};

impl Recipe for MtlIbp {
    fn name(&self) -> &str {
        "mtl-ibp"
    }
    fn starting(&self, specs: Vec<ParamSpec>) -> Vec<ParamSpec> {
        if self.narrow { narrowed(specs) } else { specs }
    }
    fn threat(&self, position: &Position) -> Option<ThreatModel> {
        Some(ThreatModel::new(Norm::Linf, self.growth.at(position) * self.eps.value()))
    }
    fn terms(&self, step: &mut Step<'_>) -> Result<Vec<Term>> {
        let eps = self.growth.at(&step.position()) * self.eps.value();
        let x = step.input();
        if eps == 0.0 {
            return Ok(vec![Term::new("ce", 1.0, step.cross_entropy(&x)?)]);
        }
        let threat = ThreatModel { eps, ..self.inner.threat };
        let x_adv = Var::leaf(step.attack(self.inner.attack.as_ref(), threat, self.inner.mode)?);
        let (network, params) = (step.network(), step.params());
        let bounded = Bounded::of(network.as_ref(), params, step)?;
        let found = bounded.intervals(boxes(x.tensor(), eps)?)?;
        let robust = worst_loss(step, &bounded.margins(&found, step.labels())?)?;
        let adversarial = step.cross_entropy(&x_adv)?;
        Ok(vec![Term::new("adv_ce", 1.0 - self.alpha, adversarial), Term::new("ibp_ce", self.alpha, robust)])
    }
}
