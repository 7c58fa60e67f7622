//! Whether an attack has a gradient to begin with: AutoAttack's check, on the model itself.

use crate::{CleanPass, Examples, Result, flags};
use candle_core::Tensor;
use gauntlet_core::attack::rows;
use gauntlet_core::{Goal, Registry, Target};
use gauntlet_records::Flag;
use serde_json::{Map, Value};

/// The flag's name.
pub(crate) const ZERO_GRADIENT: &str = "zero-gradient";
/// Correct images whose gradients are looked at.
const IMAGES: usize = 100;

/// The flag `zero-gradient`: at some of the first 100 correct images, every entry of the gradient is zero.
///
/// The gradient is that of the DLR, which does not vanish where a softmax saturates, and so tells a gradient that is masked from
/// a model that is sure; of the cross-entropy where there are fewer than three classes. AutoAttack looks when APGD begins on the
/// DLR, at its starting points in the ball; this is at the images themselves, whatever the attacks are.
///
/// # Errors
/// A forward or a pull-back that fails.
pub(crate) fn zero_gradient(
    target: &dyn Target,
    examples: &Examples,
    clean: &CleanPass,
    registry: &Registry,
) -> Result<Option<Flag>> {
    let name = if target.info().classes < 3 { "ce" } else { "dlr" };
    let correct: Vec<usize> = clean.correct().into_iter().take(IMAGES).map(|c| c.index).collect();
    if correct.is_empty() || !registry.objectives.contains(name) {
        return Ok(None);
    }
    let given = Map::from_iter([("name".to_string(), Value::from(name))]);
    let (objective, _) = registry.objective(&given)?;
    let images = correct.iter().map(|i| Ok(examples.image(*i)?.squeeze(0)?)).collect::<Result<Vec<Tensor>>>()?;
    let linear = target.linearise(&Tensor::stack(&images, 0)?)?;
    let logits = linear.logits();
    let mut cotangent: Vec<f64> = Vec::with_capacity(logits.elem_count());
    for (z, index) in rows(logits)?.iter().zip(&correct) {
        let mut slope = vec![0.0; z.len()];
        let goal = Goal { label: examples.labels()[*index] as usize, target: None, reference: None };
        objective.ascend(z, &goal, &mut slope);
        cotangent.extend(slope);
    }
    let cotangent = Tensor::from_vec(cotangent, logits.dims(), logits.device())?.to_dtype(logits.dtype())?;
    let gradients = rows(&linear.pull(&cotangent)?.flatten_from(1)?)?;
    let none = gradients.iter().filter(|g| g.iter().all(|v| *v == 0.0)).count();
    Ok((none > 0).then(|| {
        flags::flag(
            ZERO_GRADIENT,
            format!(
                "at {none} of {} correct images the gradient of the {name} is zero everywhere: attacks with gradients may be \
                 unreliable",
                correct.len()
            ),
        )
    }))
}
