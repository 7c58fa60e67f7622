//! SCORE: squared errors between probabilities in the place of logarithms.

use crate::ascent::{ALPHA, Ascent, STEPS, through_softmax};
use crate::inner::{EPS, MODE, RAMP};
use gauntlet_autograd::Var;
use gauntlet_core::position::Position;
use gauntlet_core::registry::BuildRecipe;
use gauntlet_core::{ParamDoc, ParamKind, Recipe, Result, Spec, Step, Term, ThreatModel};
use std::sync::Arc;

/// L = mean ‖p(x) − t‖² + β · mean ‖p(x') − p(x)‖², x' ascends ‖p(x') − p(x)‖² from x + U(−ε, ε)^d; Pang et al. 2022.
///
/// t is the label, smoothed as the training says (the authors: 0.1 shared by the other nine classes, s = 1/9 here). The gradient
/// passes both sides of the second term.
pub struct Score {
    /// The inner attack.
    pub ascent: Ascent,
    /// β.
    pub beta: f64,
}

/// Registration.
pub const SPEC: Spec<BuildRecipe> = Spec {
    name: "score",
    summary: "squared error of the probabilities to the label, and between those at x and at an adversarial x'",
    formula: "mean ‖p(x) − t‖² + β · mean ‖p(x') − p(x)‖²,  x' ascends ‖p(x') − p(x)‖² from x + U(−ε, ε)^d",
    paper: "Pang et al. 2022",
    params: &[
        EPS,
        ParamDoc { name: "beta", kind: ParamKind::WEIGHT, default: "3.0", unit: "", doc: "β" },
        STEPS,
        ALPHA,
        MODE,
        RAMP,
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, _| Ok(Arc::new(Score { ascent: Ascent::read(args)?, beta: args.f64("beta")? })),
};

impl Recipe for Score {
    fn name(&self) -> &str {
        "score"
    }
    fn threat(&self, position: &Position) -> Option<ThreatModel> {
        Some(self.ascent.at(position))
    }
    fn terms(&self, step: &mut Step<'_>) -> Result<Vec<Term>> {
        let x = step.input();
        let eps = self.ascent.at(&step.position()).eps;
        let start = x.detach().add(&step.uniform_pixels("score", (-eps, eps))?)?.clamp(0.0, 1.0)?;
        let apart = |z: &Var, clean: &Var| {
            let p = z.softmax()?;
            Ok(through_softmax(&p, &p.sub(&clean.softmax()?)?)?.affine(2.0, 0.0)?)
        };
        let x_adv = Var::leaf(self.ascent.examples(step, &start, &apart)?);
        let (z, z_adv) = (step.forward(&x)?, step.forward(&x_adv)?);
        let (p, p_adv) = (z.softmax()?, z_adv.softmax()?);
        let target = step.targets().distribution(&z, step.labels())?;
        let square = p.sub(&target)?.sqr()?.sum_per_example()?;
        Ok(vec![
            Term::new("square", 1.0, square),
            Term::new("apart", self.beta, p_adv.sub(&p)?.sqr()?.sum_per_example()?),
        ])
    }
}
