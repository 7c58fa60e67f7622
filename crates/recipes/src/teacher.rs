//! What a recipe asks its teacher.

use candle_core::Tensor;
use gauntlet_autograd::Var;
use gauntlet_core::{Result, Step};

/// The teacher's logits at `x`, `(N, K)`, constant; it is in eval mode.
pub(crate) fn logits(step: &Step<'_>, x: &Var) -> Result<Var> {
    Ok(Var::constant(step.teacher()?.logits(x.tensor())?))
}

/// The class of the largest logit, `(N,)`, the first of equals.
pub(crate) fn answer(logits: &Var) -> Result<Tensor> {
    let rows = gauntlet_core::attack::rows(logits.tensor())?;
    let best = |row: &Vec<f64>| (0..row.len()).fold(0, |best, k| if row[k] > row[best] { k } else { best }) as u32;
    let answers: Vec<u32> = rows.iter().map(best).collect();
    let n = answers.len();
    Ok(Tensor::from_vec(answers, n, logits.device())?)
}

/// KL(t ‖ p) per example, `(N,)`, of a constant teacher's logits and the student's, both divided by `temperature`.
pub(crate) fn distance(teacher: &Var, student: &Var, temperature: f64) -> Result<Var> {
    let cool = |z: &Var| z.affine(1.0 / temperature, 0.0);
    crate::trades::kl(&cool(teacher)?, &cool(student)?)
}
