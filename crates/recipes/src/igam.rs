//! Matching a teacher's input gradient.

use gauntlet_autograd::{Graph, Var, grad};
use gauntlet_core::registry::BuildRecipe;
use gauntlet_core::{ParamDoc, ParamKind, Recipe, Result, Spec, Step, Term};
use std::sync::Arc;

/// weight · mean_n ‖∇ₓ p_y^S − ∇ₓ p_y^T‖₂², p_y the probability of the true class, S the student, T a frozen teacher;
/// Chan, Tay & Ong 2020, without their discriminator on gradients.
///
/// The teacher is the model of the row that the suite names as `teacher`.
#[derive(Debug, Clone)]
pub struct Igam {
    /// Weight in the total; the authors' γ on inputs in [0, 255] is γN/255² here.
    pub weight: f64,
}

/// Registration.
pub const SPEC: Spec<BuildRecipe> = Spec {
    name: "igam",
    summary: "penalty on the distance to a robust teacher's input gradient (without the paper's discriminator)",
    formula: "weight · mean_n ‖∇ₓ p_y(student) − ∇ₓ p_y(teacher)‖₂²",
    paper: "Chan, Tay & Ong 2020",
    params: &[ParamDoc {
        name: "weight",
        kind: ParamKind::WEIGHT,
        default: "",
        unit: "",
        doc: "weight of the penalty",
    }],
    numerics: 1,
    origin: "built-in",
    build: |args, _| Ok(Arc::new(Igam { weight: args.f64("weight")? })),
};

/// ∇ₓ p_y of a teacher, `(N, C, H, W)`.
pub(crate) fn of_teacher(step: &Step<'_>, x: &Var) -> Result<Var> {
    let linear = step.teacher()?.linearise(x.tensor())?;
    let logits = Var::leaf(linear.logits().clone());
    let p = logits.softmax()?.gather_labels(step.labels())?;
    let cotangent = grad(&p, &[&logits], Graph::Free)?.swap_remove(0);
    Ok(Var::constant(linear.pull(cotangent.tensor())?))
}

impl Recipe for Igam {
    fn name(&self) -> &str {
        "igam"
    }
    fn terms(&self, step: &mut Step<'_>) -> Result<Vec<Term>> {
        let x = step.input();
        let p = step.forward(&x)?.softmax()?.gather_labels(step.labels())?;
        let own = step.input_gradient(&p, &x, Graph::Keep)?;
        let apart = own.sub(&of_teacher(step, &x)?)?;
        Ok(vec![Term::new("grad_match", self.weight, apart.sqr()?.sum_per_example()?)])
    }
}
