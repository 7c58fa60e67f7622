//! Whether a model tells what an attack asks.

use crate::{Error, Result};
use gauntlet_core::attack::Backwards;
use gauntlet_core::{Answers, Attack, Registry};
use gauntlet_records::{Family, Norm};
use serde_json::{Map, Value};

/// What an attack asks of the model under attack, of an ensemble the most that a stage asks, and who asks it.
fn asked(attack: &dyn Attack, norm: Norm) -> (Answers, String) {
    let stages = attack.stages(norm);
    if let Some(most) =
        stages.iter().map(|stage| asked(stage.as_ref(), norm)).reduce(|a, b| if b.0 > a.0 { b } else { a })
    {
        return most;
    }
    let asked = match attack.family() {
        // What is crafted on a surrogate is only judged here.
        Family::Decisions | Family::Noise | Family::Transfer => Answers::Labels,
        _ if attack.backwards() == Backwards::None => Answers::Logits,
        _ => Answers::Gradients,
    };
    (asked, attack.name().to_string())
}

/// Whether an attack can be run on a model that answers so.
///
/// # Errors
/// An attack, or a stage of one, that asks for more than `model` tells; with a registry, its attacks that do not are listed.
pub fn suffices(
    answers: Answers,
    attack: &dyn Attack,
    norm: Norm,
    model: &str,
    registry: Option<&Registry>,
) -> Result<()> {
    let (asked, who) = asked(attack, norm);
    if asked <= answers {
        return Ok(());
    }
    let what = if asked == Answers::Gradients { "gradients" } else { "logits" };
    let tells = if answers == Answers::Labels { "classes alone" } else { "no gradients" };
    let others = registry.map_or_else(Vec::new, |registry| attacks(answers, registry, norm));
    let instead = if others.is_empty() { String::new() } else { format!("; attacks that can: {}", others.join(", ")) };
    Err(Error::message(format!("{who} goes by {what}, and {model} tells {tells}{instead}")))
}

/// The attacks of a registry, with their defaults, that can be run on a model that answers so.
fn attacks(answers: Answers, registry: &Registry, norm: Norm) -> Vec<String> {
    let fits = |name: &str| {
        let given = Map::from_iter([("name".to_string(), Value::from(name))]);
        registry
            .attack(&given)
            .is_ok_and(|(attack, _)| attack.norms().contains(&norm) && asked(attack.as_ref(), norm).0 <= answers)
    };
    registry.attacks.iter().map(|spec| spec.name.to_string()).filter(|name| fits(name)).collect()
}
