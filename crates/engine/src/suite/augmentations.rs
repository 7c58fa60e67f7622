//! Reading what is done to training images.

use crate::suite::reader::Reader;
use crate::suite::section::Section;
use crate::{Augmentation, Diagnostic};
use gauntlet_evaluate::{Component, Kind};
use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::DeValue;

impl Reader<'_> {
    /// Crop and flip, which come first, and what comes after them.
    pub(crate) fn augmentations(&mut self, section: &Section<'_>) -> Option<(Augmentation, Vec<Component>)> {
        let Some((_, value)) = section.get("augmentation") else { return Some((Augmentation::None, Vec::new())) };
        let given: Vec<&Spanned<DeValue<'_>>> = match value.get_ref() {
            DeValue::Array(list) => list.iter().collect(),
            _ => vec![value],
        };
        let (mut first, mut then, mut whole) = (Augmentation::None, Vec::new(), true);
        let mut mixes = false;
        for (i, value) in given.into_iter().enumerate() {
            let Some(given) = self.named(value, "an augmentation") else {
                whole = false;
                continue;
            };
            let name = given.get("name").and_then(Value::as_str).unwrap_or_default();
            if let Some(crop) = Augmentation::named(name) {
                if i > 0 {
                    let text = format!("{name} comes before all other augmentations");
                    self.complaints.push(Diagnostic::at(value.span(), text).hint("put it first"));
                    whole = false;
                }
                if given.len() > 1 {
                    let text = format!("{name} has no parameters");
                    self.complaints.push(Diagnostic::at(value.span(), text).hint("leave the name alone"));
                    whole = false;
                }
                first = crop;
                continue;
            }
            if !self.registry.augmentations.contains(name) {
                let more = self.registry.augmentations.names();
                let known = Augmentation::NAMES.into_iter().chain(more.iter().map(String::as_str));
                let error = gauntlet_core::Error::unknown("augmentation", name, known);
                self.complaints.blame(value, &error, "gauntlet list augmentations");
                whole = false;
                continue;
            }
            if mixes {
                let text = "what mixes two images comes last, and once";
                self.complaints
                    .push(Diagnostic::at(value.span(), text).hint("put it behind this one, or leave one out"));
                whole = false;
            }
            match self.resolve(Kind::Augmentation, value, &given) {
                Some(component) => {
                    let given: Map<String, Value> = component.given();
                    mixes = self.registry.augmentation(&given).is_ok_and(|(built, _)| built.mixes());
                    then.push(component);
                }
                None => whole = false,
            }
        }
        whole.then_some((first, then))
    }
}
