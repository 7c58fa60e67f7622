//! RSLAD: a robust teacher's answer is the target inside and outside the attack.

use crate::ascent::{ALPHA, Ascent, STEPS};
use crate::inner::{EPS, EVAL_MODE, RAMP};
use crate::teacher::{distance, logits};
use gauntlet_autograd::Var;
use gauntlet_core::position::Position;
use gauntlet_core::registry::BuildRecipe;
use gauntlet_core::{ParamDoc, ParamKind, Recipe, Result, Spec, Step, Term, ThreatModel};
use std::sync::Arc;

/// L = α · mean KL(t(x) ‖ p(x')) + (1 − α) · mean KL(t(x) ‖ p(x)), x' ascends KL(t(x) ‖ p(x')) from x + 0.001 · N(0, I), t the
/// teacher; Zi et al. 2021.
///
/// No label is looked at. The published code averages over classes too: its loss is this one divided by K (and by 10⁻⁵ inside a
/// logarithm of the teacher's, which trains nothing).
pub struct Rslad {
    /// The inner attack.
    pub ascent: Ascent,
    /// α.
    pub alpha: f64,
}

/// Registration.
pub const SPEC: Spec<BuildRecipe> = Spec {
    name: "rslad",
    summary: "distillation: a robust teacher's answer at x is the target at x and at an adversarial x' that flees from it",
    formula: "α · mean KL(t(x) ‖ p(x')) + (1 − α) · mean KL(t(x) ‖ p(x)),  x' ascends KL(t(x) ‖ p(x'))",
    paper: "Zi et al. 2021",
    params: &[
        EPS,
        ParamDoc {
            name: "share",
            kind: ParamKind::SHARE,
            default: "0.8333333333333334",
            unit: "",
            doc: "α, share of the adversarial examples",
        },
        STEPS,
        ALPHA,
        EVAL_MODE,
        RAMP,
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, _| Ok(Arc::new(Rslad { ascent: Ascent::read(args)?, alpha: args.f64("share")? })),
};

impl Recipe for Rslad {
    fn name(&self) -> &str {
        "rslad"
    }
    fn threat(&self, position: &Position) -> Option<ThreatModel> {
        Some(self.ascent.at(position))
    }
    fn terms(&self, step: &mut Step<'_>) -> Result<Vec<Term>> {
        let x = step.input();
        let taught = logits(step, &x)?;
        let t = taught.softmax()?;
        let start = x.detach().add(&step.normal_pixels("rslad")?.affine(0.001, 0.0)?)?.clamp(0.0, 1.0)?;
        let away = |z: &Var, _: &Var| Ok(z.softmax()?.sub(&t)?);
        let x_adv = Var::leaf(self.ascent.examples(step, &start, &away)?);
        let (z, z_adv) = (step.forward(&x)?, step.forward(&x_adv)?);
        Ok(vec![
            Term::new("distill_adv", self.alpha, distance(&taught, &z_adv, 1.0)?),
            Term::new("distill", 1.0 - self.alpha, distance(&taught, &z, 1.0)?),
        ])
    }
}
