//! Names to builders, with everything a user wants to know about each.

use crate::args::{Args, RAMP};
use crate::augment::Augment;
use crate::recipe::Ramped;
use crate::{About, Attack, Entry, Network, Objective, Plan, Recipe, Result, Spec, Table, Task};
use serde_json::{Map, Value};
use std::sync::Arc;

/// Builds a recipe or a penalty; the registry serves inner attacks.
pub type BuildRecipe = fn(&Args, &Registry) -> Result<Arc<dyn Recipe>>;
/// Builds an attack of one kind of walk.
pub type BuildAttack = fn(&Args, &Registry) -> Result<Arc<dyn Attack>>;
/// Registration of an attack.
pub type AttackSpec = Spec<BuildAttack>;
/// Builds whatever else an evaluation can attack by: an ensemble, a transfer.
pub type BuildPlan = fn(&Args, &Registry) -> Result<Arc<Plan>>;
/// Builds a network for images and classes.
pub type BuildModel = fn(&Args, &Task) -> Result<Arc<dyn Network>>;
/// Builds an objective.
pub type BuildObjective = fn(&Args, &Registry) -> Result<Arc<dyn Objective>>;
/// Builds an augmentation.
pub type BuildAugmentation = fn(&Args, &Registry) -> Result<Arc<dyn Augment>>;

/// Everything that suite files can name.
#[derive(Debug, Clone)]
pub struct Registry {
    /// Base recipes.
    pub recipes: Table<dyn Recipe, Registry>,
    /// Penalties; also usable as a recipe name, short for `ce` plus the penalty.
    pub penalties: Table<dyn Recipe, Registry>,
    /// Attacks.
    pub attacks: Table<Plan, Registry>,
    /// Architectures.
    pub models: Table<dyn Network, Task>,
    /// Objectives of attacks.
    pub objectives: Table<dyn Objective, Registry>,
    /// Augmentations of training images.
    pub augmentations: Table<dyn Augment, Registry>,
}

impl From<AttackSpec> for Entry<Plan, Registry> {
    fn from(spec: AttackSpec) -> Self {
        Entry::new(About::from(&spec), move |args, registry| Ok(Arc::new(Plan::Single((spec.build)(args, registry)?))))
    }
}

impl Default for Registry {
    fn default() -> Self {
        Registry {
            recipes: Table::new("recipe"),
            penalties: Table::new("penalty"),
            attacks: Table::new("attack"),
            models: Table::new("model"),
            objectives: Table::new("objective"),
            augmentations: Table::new("augmentation"),
        }
    }
}

impl Registry {
    /// How an evaluation under the attack that `given` names goes, with its canonical arguments.
    ///
    /// # Errors
    /// As [`Table::built`].
    pub fn plan(&self, given: &Map<String, Value>) -> Result<(Arc<Plan>, Args)> {
        self.attacks.built(given, self)
    }
    /// The single attack that `given` names.
    ///
    /// # Errors
    /// As [`Registry::plan`]; an ensemble, or examples of another model.
    pub fn attack(&self, given: &Map<String, Value>) -> Result<(Arc<dyn Attack>, Args)> {
        let (plan, args) = self.plan(given)?;
        Ok((plan.single()?, args))
    }
    /// The base recipe that `given` names.
    ///
    /// # Errors
    /// As [`Table::built`].
    pub fn recipe(&self, given: &Map<String, Value>) -> Result<(Arc<dyn Recipe>, Args)> {
        self.recipes.built(given, self)
    }
    /// The penalty that `given` names; one that lists no `ramp` of its own grows over the epochs of the given one.
    ///
    /// # Errors
    /// As [`Table::built`].
    pub fn penalty(&self, given: &Map<String, Value>) -> Result<(Arc<dyn Recipe>, Args)> {
        let entry = self.penalties.named(given)?;
        let args = Args::of_penalty(&entry, given)?;
        let build = || {
            let penalty = entry.build(&args, self)?;
            if args.has(RAMP.name) && entry.param(RAMP.name).is_none() {
                return Ok(Arc::new(Ramped { penalty, ramp: args.f64(RAMP.name)? }) as Arc<dyn Recipe>);
            }
            Ok(penalty)
        };
        let built = self.penalties.once(&entry, &args, "", |_| true, build)?;
        Ok((built, args))
    }
    /// The objective that `given` names.
    ///
    /// # Errors
    /// As [`Table::built`].
    pub fn objective(&self, given: &Map<String, Value>) -> Result<(Arc<dyn Objective>, Args)> {
        self.objectives.built(given, self)
    }
    /// The augmentation that `given` names.
    ///
    /// # Errors
    /// As [`Table::built`].
    pub fn augmentation(&self, given: &Map<String, Value>) -> Result<(Arc<dyn Augment>, Args)> {
        self.augmentations.built(given, self)
    }
    /// The model that `given` names, for an input (C, H, W) and K classes; anew at every call where it does not
    /// [last](Network::lasts).
    ///
    /// # Errors
    /// As [`Table::built`].
    pub fn model(
        &self,
        given: &Map<String, Value>,
        input: (usize, usize, usize),
        classes: usize,
    ) -> Result<(Arc<dyn Network>, Args)> {
        let entry = self.models.named(given)?;
        let args = Args::new(&entry, given)?;
        let within = format!("{input:?} {classes}");
        let build = || entry.build(&args, &Task { input, classes });
        let built = self.models.once(&entry, &args, &within, |network| network.lasts(), build)?;
        Ok((built, args))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::ParamDoc;
    use crate::{Goal, ParamKind};
    use serde_json::json;
    use std::sync::atomic::{AtomicUsize, Ordering};

    struct Flat;
    impl Objective for Flat {
        fn name(&self) -> &str {
            "flat"
        }
        fn ascend(&self, _: &[f64], _: &Goal, _: &mut [f64]) -> f64 {
            0.0
        }
    }

    const STEPS: ParamDoc =
        ParamDoc { name: "steps", kind: ParamKind::COUNT, default: "5", unit: "", doc: "gradients" };

    fn flat(params: &'static [ParamDoc]) -> Spec<BuildObjective> {
        let build: BuildObjective = |_, _| Ok(Arc::new(Flat));
        Spec { name: "flat", summary: "", formula: "", paper: "", params, numerics: 1, origin: "test", build }
    }

    #[test]
    fn a_component_is_built_once_for_the_same_arguments() {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = count.clone();
        let mut registry = Registry::default();
        // A name that the program made up, and a builder that captures.
        let about = About { name: format!("flat-{}", 7), params: vec![(&STEPS).into()], ..About::default() };
        let entry = Entry::new(about, move |_: &Args, _: &Registry| {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok(Arc::new(Flat) as Arc<dyn Objective>)
        });
        registry.objectives.add(entry).unwrap();
        let build = |registry: &Registry, given: Value| registry.objective(given.as_object().unwrap()).unwrap().0;
        let first = build(&registry, json!({ "name": "flat-7" }));
        let again = build(&registry, json!({ "name": "flat-7", "steps": 5 }));
        assert!(Arc::ptr_eq(&first, &again) && count.load(Ordering::Relaxed) == 1);
        build(&registry, json!({ "name": "flat-7", "steps": 6 }));
        assert_eq!(count.load(Ordering::Relaxed), 2);
        build(&registry.clone(), json!({ "name": "flat-7" }));
        assert_eq!(count.load(Ordering::Relaxed), 3, "a clone begins anew");
    }

    #[test]
    fn what_cannot_be_registered_is_said() {
        let mut registry = Registry::default();
        registry.objectives.add(flat(&[])).unwrap();
        let twice = registry.objectives.add(flat(&[])).unwrap_err().to_string();
        assert_eq!(twice, "objective \"flat\" is registered twice");
        let mut registry = Registry::default();
        let wrong = registry.objectives.add(flat(&[ParamDoc { default: "0", ..STEPS }])).unwrap_err().to_string();
        assert_eq!(wrong, "default of flat.steps: bad value for flat.steps: must be at least 1, got 0");
        let error = registry.objective(json!({ "steps": 3 }).as_object().unwrap()).err().unwrap().to_string();
        assert_eq!(error, "bad value for objective: needs a `name`");
    }
}
