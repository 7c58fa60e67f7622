//! What a model tells of an image.

use crate::attack::Backwards;
use crate::{Attack, Error, Registry, Result};
use gauntlet_records::{Family, Norm};
use serde_json::{Map, Value};

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
    fn asked(attack: &dyn Attack, norm: Norm) -> (Answers, String) {
        let stages = attack.stages(norm);
        if let Some(most) =
            stages.iter().map(|stage| Answers::asked(stage.as_ref(), norm)).reduce(|a, b| if b.0 > a.0 { b } else { a })
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
    /// An attack, or a stage of one, that asks for more than `model` tells; those of the registry that do not are listed.
    pub fn suffice(self, attack: &dyn Attack, norm: Norm, model: &str, registry: &Registry) -> Result<()> {
        let (asked, who) = Answers::asked(attack, norm);
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
            registry.attack(&given).is_ok_and(|(attack, _)| {
                attack.norms().contains(&norm) && Answers::asked(attack.as_ref(), norm).0 <= self
            })
        };
        registry.attacks.iter().map(|spec| spec.name.to_string()).filter(|name| fits(name)).collect()
    }
}
