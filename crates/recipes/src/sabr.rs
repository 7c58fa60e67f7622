//! Training by interval bounds of small boxes around adversarial examples.

use crate::growth::{Growth, RAMP, SCHEDULE, WARM_UP};
use crate::ibp::{INIT, KAPPA, mixed, narrow, narrowed};
use crate::inner::{ATTACK, EPS, InnerAttack, MODE, mode};
use crate::intervals::{Bounded, boxes, worst_loss};
use gauntlet_core::position::Position;
use gauntlet_core::registry::BuildRecipe;
use gauntlet_core::{ParamDoc, ParamKind, ParamSpec, Recipe, Result, Spec, Step, Term, ThreatModel};
use gauntlet_records::{Eps, Norm};
use std::sync::Arc;

/// As `ibp`, on the box of half width τ = λε around x', the example of an attack with budget ε − τ, Müller et al. 2023.
pub struct Sabr {
    /// ε in pixels at the end of the ramp.
    pub eps: Eps,
    /// τ as a share of ε.
    pub lambda: f64,
    /// What finds the middle of the box.
    pub inner: InnerAttack,
    /// κ at the end of the ramp.
    pub kappa: f64,
    /// How ε and κ move.
    pub growth: Growth,
    /// Weights start as Shi et al. 2021 have them.
    pub narrow: bool,
}

/// Registration.
pub const SPEC: Spec<BuildRecipe> = Spec {
    name: "sabr",
    summary: "certified training: as ibp, on a small box around an adversarial example",
    formula: "as ibp on x' ± λε,  x' = attack(x) with budget (1 − λ)ε",
    paper: "Müller et al. 2023",
    params: &[
        EPS,
        ParamDoc {
            name: "lambda",
            kind: ParamKind::SHARE,
            default: "0.4",
            unit: "ε",
            doc: "half width of the box, in [0, 1]; 1 is ibp",
        },
        ParamDoc { default: r#"{"name":"pgd","steps":8,"alpha":"eps/4"}"#, ..ATTACK },
        MODE,
        ParamDoc { default: "0.0", ..KAPPA },
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
        Ok(Arc::new(Sabr {
            lambda: args.f64("lambda")?,
            inner: InnerAttack { threat, attack, mode: mode(args)?, ramp: 0.0 },
            kappa: args.f64("kappa")?,
            growth: Growth::read(args)?,
            narrow: narrow(args)?,
            eps,
        }))
    },
};

impl Recipe for Sabr {
    fn name(&self) -> &str {
        "sabr"
    }
    fn starting(&self, specs: Vec<ParamSpec>) -> Vec<ParamSpec> {
        if self.narrow { narrowed(specs) } else { specs }
    }
    fn threat(&self, position: &Position) -> Option<ThreatModel> {
        Some(ThreatModel::new(Norm::Linf, self.growth.at(position) * self.eps.value()))
    }
    fn terms(&self, step: &mut Step<'_>) -> Result<Vec<Term>> {
        let grown = self.growth.at(&step.position());
        let eps = grown * self.eps.value();
        if eps == 0.0 {
            let x = step.input();
            return Ok(vec![Term::new("ce", 1.0, step.cross_entropy(&x)?)]);
        }
        let small = self.lambda * eps;
        let centre = match eps - small {
            left if left > 0.0 => {
                let threat = ThreatModel { eps: left, ..self.inner.threat };
                step.attack(self.inner.attack.as_ref(), threat, self.inner.mode)?
            }
            _ => step.input().tensor().clone(),
        };
        let (network, params) = (step.network(), step.params());
        let bounded = Bounded::of(network.as_ref(), params, step)?;
        let found = bounded.intervals(boxes(&centre, small)?)?;
        let robust = worst_loss(step, &bounded.margins(&found, step.labels())?)?;
        mixed(step, 1.0 - grown * (1.0 - self.kappa), "sabr_ce", robust)
    }
}
