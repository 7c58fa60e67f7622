//! A component of a suite with every default filled in.

use gauntlet_core::{About, Args, Error, ParamKind, Registry, Result, Table, budget};
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
        let (args, about, label) = match kind {
            Kind::Recipe => looked_up(&registry.recipes, given, "recipe")?,
            Kind::Penalty => {
                let entry = registry.penalties.named(given)?;
                (Args::of_penalty(&entry, given)?, entry.about().clone(), "penalty")
            }
            Kind::Attack => looked_up(&registry.attacks, given, "attack")?,
            Kind::Model => looked_up(&registry.models, given, "model")?,
            Kind::Objective => looked_up(&registry.objectives, given, "objective")?,
            Kind::Augmentation => looked_up(&registry.augmentations, given, "augmentation")?,
        };
        budget::sensible_arguments(name, &about.params, args.canonical())?;
        let mut component = Component {
            name: name.to_string(),
            args: args.canonical().clone(),
            numerics: BTreeMap::from([(format!("{label} {name}"), about.numerics)]),
        };
        for param in &about.params {
            let inner = match param.kind {
                ParamKind::Attack | ParamKind::Attacks => Kind::Attack,
                ParamKind::Objective => Kind::Objective,
                _ => continue,
            };
            let Some(value) = component.args.get(&param.name).cloned() else { continue };
            let mut nested = |item: &Value| -> Result<Value> {
                let given = gauntlet_core::args::given(&format!("{name}.{}", param.name), item)?;
                let nested = Component::resolve(inner, registry, &given)?;
                let resolved = Value::Object(nested.given());
                component.numerics.extend(nested.numerics);
                Ok(resolved)
            };
            let resolved = match &value {
                Value::Array(items) => Value::Array(items.iter().map(nested).collect::<Result<_>>()?),
                one => nested(one)?,
            };
            component.args.insert(param.name.clone(), resolved);
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

/// Arguments and description of what `given` names.
fn looked_up<T: ?Sized, C>(
    table: &Table<T, C>,
    given: &Map<String, Value>,
    label: &'static str,
) -> Result<(Args, About, &'static str)> {
    let entry = table.named(given)?;
    Ok((Args::new(&entry, given)?, entry.about().clone(), label))
}
