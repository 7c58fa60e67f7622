//! Training by interval bounds.

use crate::growth::{Growth, RAMP, SCHEDULE, WARM_UP};
use crate::inner::EPS;
use crate::intervals::{Bounded, boxes, worst_loss};
use gauntlet_core::params::Init;
use gauntlet_core::position::Position;
use gauntlet_core::registry::BuildRecipe;
use gauntlet_core::{Args, ParamDoc, ParamKind, ParamSpec, Recipe, Result, Spec, Step, Term, ThreatModel};
use gauntlet_records::{Eps, Norm};
use std::sync::Arc;

/// L = κ mean ℓ(z) + (1 − κ) mean ℓ(ẑ), ẑ_y = 0, ẑ_j = −(lower bound of z_y − z_j by intervals), Gowal et al. 2018.
///
/// The ball is cut to the box of pixels, and the last layer is folded into the margins. ε grows from 0 and κ falls from 1 over
/// the ramp; at ε = 0 it is `ce`, bit for bit. Batch norms take the clean batch's statistics, as constants.
#[derive(Debug, Clone)]
pub struct Ibp {
    /// ε in pixels at the end of the ramp.
    pub eps: Eps,
    /// κ at the end of the ramp.
    pub kappa: f64,
    /// How both move.
    pub growth: Growth,
    /// Weights start as Shi et al. 2021 have them.
    pub narrow: bool,
}

/// The parameter `kappa`.
pub(crate) const KAPPA: ParamDoc = ParamDoc {
    name: "kappa",
    kind: ParamKind::SHARE,
    default: "0.5",
    unit: "",
    doc: "weight of the clean cross-entropy at the end of the ramp, from 1 at its beginning",
};
/// The parameter `init`.
pub(crate) const INIT: ParamDoc = ParamDoc {
    name: "init",
    kind: ParamKind::Choice(&["model", "ibp"]),
    default: "\"model\"",
    unit: "",
    doc: "how weights start; ibp: N(0, 2π/fan_in²) in all layers but the last (Shi et al. 2021), so that intervals do not explode",
};

/// Registration.
pub const SPEC: Spec<BuildRecipe> = Spec {
    name: "ibp",
    summary: "certified training: cross-entropy of the worst logits that intervals allow",
    formula: "mean κℓ(z) + (1 − κ)ℓ(ẑ),  ẑ_y = 0, ẑ_j = −lower(z_y − z_j) by intervals of x ± ε",
    paper: "Gowal et al. 2018",
    params: &[EPS, KAPPA, WARM_UP, RAMP, SCHEDULE, INIT],
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        Ok(Arc::new(Ibp {
            eps: args.eps("eps")?,
            kappa: args.f64("kappa")?,
            growth: Growth::read(args)?,
            narrow: narrow(args)?,
        }))
    },
};

/// Whether `init` is `ibp`.
pub(crate) fn narrow(args: &Args) -> Result<bool> {
    Ok(args.str("init")? == "ibp")
}

/// Shi et al.'s start: N(0, 2π/fan_in²) for every weight but the last layer's; biases and norms stay.
pub(crate) fn narrowed(mut specs: Vec<ParamSpec>) -> Vec<ParamSpec> {
    let weighty = |s: &ParamSpec| s.shape.len() > 1;
    let last = specs.iter().rposition(weighty);
    for (i, spec) in specs.iter_mut().enumerate() {
        if Some(i) != last && weighty(spec) {
            let fan_in: usize = spec.shape.iter().skip(1).product();
            let std = (2.0 * std::f64::consts::PI).sqrt() / fan_in as f64;
            spec.init = Init::Normal { std, truncated: false };
        }
    }
    specs
}

/// κ ℓ(z) + (1 − κ) ℓ(ẑ) with κ from 1 to its end.
pub(crate) fn mixed(
    step: &mut Step<'_>,
    kappa: f64,
    name: &'static str,
    robust: gauntlet_autograd::Var,
) -> Result<Vec<Term>> {
    let x = step.input();
    let clean = step.cross_entropy(&x)?;
    Ok(vec![Term::new("ce", kappa, clean), Term::new(name, 1.0 - kappa, robust)])
}

impl Recipe for Ibp {
    fn name(&self) -> &str {
        "ibp"
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
        let (network, params) = (step.network(), step.params());
        let bounded = Bounded::of(network.as_ref(), params, step)?;
        let found = bounded.intervals(boxes(step.input().tensor(), eps)?)?;
        let robust = worst_loss(step, &bounded.margins(&found, step.labels())?)?;
        mixed(step, 1.0 - grown * (1.0 - self.kappa), "ibp_ce", robust)
    }
}
