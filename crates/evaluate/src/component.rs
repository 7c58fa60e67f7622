//! A component of a suite with every default filled in.

use gauntlet_core::{Args, Error, Registry, Result, budget};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Which table of the registry a name is looked up in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A base recipe.
    Recipe,
    /// A penalty.
    Penalty,
    /// An attack.
    Attack,
    /// An architecture.
    Model,
    /// An objective of attacks.
    Objective,
    /// An augmentation of training images.
    Augmentation,
}

/// A named component, its arguments in canonical form, and the `numerics` of everything it is made of.
///
/// Two components of the same canonical form give the same numbers: this is what the store's keys are made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Component {
    /// Registered name.
    pub name: String,
    /// Arguments with all defaults, nested components resolved.
    pub args: Map<String, Value>,
    /// `attack pgd` → 1, ...: this component and those named inside it.
    pub numerics: BTreeMap<String, u32>,
}

impl Component {
    /// Looks `given` (`name` and arguments) up and fills in defaults, down to nested attacks and objectives.
    ///
    /// # Errors
    /// An unknown name or argument, with the nearest known one; a required argument that is missing.
    pub fn resolve(kind: Kind, registry: &Registry, given: &Map<String, Value>) -> Result<Self> {
        let name = given
            .get("name")
            .and_then(Value::as_str)
            .ok_or_else(|| Error::value("name", "is required: the component's registered name"))?;
        let (args, params, numerics, label) = match kind {
            Kind::Recipe => {
                let s = registry.recipes.get(name)?;
                (Args::new(s, given)?, s.params, s.numerics, "recipe")
            }
            Kind::Penalty => {
                let s = registry.penalties.get(name)?;
                (Args::of_penalty(s, given)?, s.params, s.numerics, "penalty")
            }
            Kind::Attack => {
                let s = registry.attacks.get(name)?;
                (Args::new(s, given)?, s.params, s.numerics, "attack")
            }
            Kind::Model => {
                let s = registry.models.get(name)?;
                (Args::new(s, given)?, s.params, s.numerics, "model")
            }
            Kind::Objective => {
                let s = registry.objectives.get(name)?;
                (Args::new(s, given)?, s.params, s.numerics, "objective")
            }
            Kind::Augmentation => {
                let s = registry.augmentations.get(name)?;
                (Args::new(s, given)?, s.params, s.numerics, "augmentation")
            }
        };
        budget::sensible_arguments(name, params, args.canonical())?;
        let mut component = Component {
            name: name.to_string(),
            args: args.canonical().clone(),
            numerics: BTreeMap::from([(format!("{label} {name}"), numerics)]),
        };
        for param in params {
            // A list of attacks.
            if let ("attacks", Some(Value::Array(items))) = (param.kind, component.args.get(param.name)) {
                let mut resolved = Vec::new();
                for item in items.clone() {
                    let given = gauntlet_core::registry::given(param.name, &item)?;
                    let nested = Component::resolve(Kind::Attack, registry, &given)?;
                    resolved.push(Value::Object(nested.given()));
                    component.numerics.extend(nested.numerics);
                }
                component.args.insert(param.name.to_string(), Value::Array(resolved));
                continue;
            }
            let inner = match param.kind {
                "attack" => Kind::Attack,
                "objective" => Kind::Objective,
                _ => continue,
            };
            let Some(Value::String(_) | Value::Object(_)) = component.args.get(param.name) else { continue };
            let nested = Component::resolve(inner, registry, &args.table(param.name)?)?;
            component.args.insert(param.name.to_string(), Value::Object(nested.given()));
            component.numerics.extend(nested.numerics);
        }
        Ok(component)
    }

    /// A component by its name alone.
    ///
    /// # Errors
    /// As [`Component::resolve`].
    pub fn named(kind: Kind, registry: &Registry, name: &str) -> Result<Self> {
        Self::resolve(kind, registry, &Map::from_iter([("name".to_string(), name.into())]))
    }

    /// Name and arguments in one map, as the registry's builders take them.
    pub fn given(&self) -> Map<String, Value> {
        let mut given = Map::from_iter([("name".to_string(), Value::String(self.name.clone()))]);
        given.extend(self.args.iter().map(|(k, v)| (k.clone(), v.clone())));
        given
    }

    /// Canonical JSON with `numerics`, for keys and records.
    pub fn describe(&self) -> Value {
        serde_json::json!({ "name": self.name, "args": self.args, "numerics": self.numerics })
    }
}
