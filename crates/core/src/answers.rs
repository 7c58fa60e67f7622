//! What a model tells of an image.

use crate::attack::Backwards;
use crate::{Attack, Error, Plan, Registry, Result};
use gauntlet_records::{Family, Norm};
use serde_json::{Map, Value};
use std::sync::Arc;

/// What a model tells of an image, from least to most: a program behind a pipe has no gradients, and may have no more than a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answers {
    /// The predicted class. Logits are 1 for it and 0 for the others.
    Labels,
    /// Logits.
    Logits,
    /// Logits, and gradients by the image.
    Gradients,
}

impl Answers {
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
    /// An attack, or a stage of one, that asks for more than `model` tells; those of the registry that do not are listed.
    pub fn suffice(self, plan: &Plan, norm: Norm, model: &str, registry: &Registry) -> Result<()> {
        let (asked, who) = Answers::asked(plan, norm);
        if asked <= self {
            return Ok(());
        }
        let what = if asked == Answers::Gradients { "gradients" } else { "logits" };
        let tells = if self == Answers::Labels { "classes alone" } else { "no gradients" };
        let others = self.attacks(registry, norm);
        let instead =
            if others.is_empty() { String::new() } else { format!("; attacks that can: {}", others.join(", ")) };
        Err(Error::Message(format!("{who} goes by {what}, and {model} tells {tells}{instead}")))
    }

    /// The attacks of a registry, with their defaults, that can be run on a model that answers so.
    fn attacks(self, registry: &Registry, norm: Norm) -> Vec<String> {
        let fits = |name: &str| {
            let given = Map::from_iter([("name".to_string(), Value::from(name))]);
            registry
                .plan(&given)
                .is_ok_and(|(plan, _)| plan.norms().contains(&norm) && Answers::asked(&plan, norm).0 <= self)
        };
        registry.attacks.names().into_iter().filter(|name| fits(name)).collect()
    }
}
