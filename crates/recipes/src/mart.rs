//! MART: adversarial training that looks harder at misclassified examples.

use crate::inner::{ATTACK, EPS, EVAL_MODE, InnerAttack, NORM, RAMP};
use candle_core::Tensor;
use gauntlet_autograd::Var;
use gauntlet_autograd::kernels::runner_up;
use gauntlet_core::position::Position;
use gauntlet_core::registry::BuildRecipe;
use gauntlet_core::{ParamDoc, ParamKind, Recipe, Result, Spec, Step, Term, ThreatModel};
use std::sync::Arc;

/// L = mean BCE(p', y) + β · mean KL(p ‖ p') · (1 − p_y), p at x, p' at the adversarial x'; Wang et al. 2020.
///
/// BCE = −log p'_y − log(1 − max_{k≠y} p'_k). The published code's offsets are kept: 1.0001 − p'_k + 10⁻¹²,
/// log(p' + 10⁻¹²) and 1.0000001 − p_y. There is no clean cross-entropy, so that with ε = 0 this is not `ce`.
pub struct Mart {
    /// PGD on the cross-entropy.
    pub inner: InnerAttack,
    /// β.
    pub beta: f64,
}

/// Registration.
pub const SPEC: Spec<BuildRecipe> = Spec {
    name: "mart",
    summary: "boosted cross-entropy at adversarial examples, and a KL weighted by how wrong the clean prediction is",
    formula: "mean (−log p'_y − log(1 − max_{k≠y} p'_k)) + β · mean KL(p ‖ p')·(1 − p_y)",
    paper: "Wang et al. 2020",
    params: &[
        EPS,
        NORM,
        ParamDoc {
            name: "beta",
            kind: ParamKind::WEIGHT,
            default: "5.0",
            unit: "",
            doc: "β (the authors: 5, or 6 on wide nets)",
        },
        ParamDoc { default: r#"{"name":"pgd","steps":10,"alpha":"eps/4","random_start":"0.001"}"#, ..ATTACK },
        EVAL_MODE,
        RAMP,
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, registry| Ok(Arc::new(Mart { inner: InnerAttack::read(args, registry)?, beta: args.f64("beta")? })),
};

impl Mart {
    fn bce(ce: &Var, z_adv: &Var, labels: &Tensor) -> Result<Var> {
        let p = z_adv.softmax()?;
        let rival = p.gather_labels(&runner_up(p.tensor(), labels)?)?;
        let missed = rival.affine(-1.0, 1.0001 + 1e-12)?.log()?;
        Ok(ce.sub(&missed)?)
    }
    fn weighted_kl(z: &Var, z_adv: &Var, labels: &Tensor) -> Result<Var> {
        let log_p = z.log_softmax()?;
        let p = log_p.exp()?;
        let log_q = z_adv.softmax()?.affine(1.0, 1e-12)?.log()?;
        let kl = p.mul(&log_p.sub(&log_q)?)?.sum_per_example()?;
        let doubt = p.gather_labels(labels)?.affine(-1.0, 1.000_000_1)?;
        Ok(kl.mul(&doubt)?)
    }
}

impl Recipe for Mart {
    fn name(&self) -> &str {
        "mart"
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
        let (z, z_adv) = (step.forward(&x)?, step.forward(&x_adv)?);
        let ce = step.cross_entropy(&x_adv)?;
        let labels = step.labels();
        let bce = Self::bce(&ce, &z_adv, labels)?;
        let weighted_kl = Self::weighted_kl(&z, &z_adv, labels)?;
        Ok(vec![Term::new("bce", 1.0, bce), Term::new("weighted_kl", self.beta, weighted_kl)])
    }
}
