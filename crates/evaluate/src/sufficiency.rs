//! Whether a model tells what an attack asks.

use crate::{Error, Result};
use gauntlet_core::attack::Backwards;
use gauntlet_core::{Answers, Attack, Plan, Registry};
use gauntlet_records::{Family, Norm};
use serde_json::{Map, Value};
use std::sync::Arc;

/// What an attack asks of the model under attack, of an ensemble the most that a stage asks, and who asks it.
fn asked(plan: &Plan, norm: Norm) -> (Answers, String) {
    let of = |attack: &Arc<dyn Attack>| {
        let asked = match attack.family() {
            Family::Decisions | Family::Noise => Answers::Labels,
            _ if attack.backwards() == Backwards::None => Answers::Logits,
            _ => Answers::Gradients,
        };
        (asked, attack.name().to_string())
    };
    let nothing = (Answers::Labels, plan.name().to_string());
    match plan {
        // What is crafted on a surrogate is only judged here.
        Plan::Transfer { .. } => nothing,
        Plan::Single(_) | Plan::Ensemble(_) => {
            plan.stages(norm).iter().map(of).reduce(|a, b| if b.0 > a.0 { b } else { a }).unwrap_or(nothing)
        }
    }
}

/// Whether an attack can be run on a model that answers so.
///
/// # Errors
/// An attack, or a stage of one, that asks for more than `model` tells; with a registry, its attacks that do not are listed.
pub fn suffices(answers: Answers, plan: &Plan, norm: Norm, model: &str, registry: Option<&Registry>) -> Result<()> {
    let (asked, who) = asked(plan, norm);
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
        registry.plan(&given).is_ok_and(|(plan, _)| plan.norms().contains(&norm) && asked(&plan, norm).0 <= answers)
    };
    registry.attacks.names().into_iter().filter(|name| fits(name)).collect()
}
