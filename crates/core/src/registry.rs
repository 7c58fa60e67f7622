//! Names to builders, with everything a user wants to know about each.

use crate::augment::Augment;
use crate::recipe::Ramped;
use crate::{Attack, Error, Network, Objective, Penalty, Recipe, Result, Source, Spec};
use gauntlet_records::nearest::nearest;
use indexmap::IndexMap;
use serde_json::{Map, Value};
use std::path::Path;
use std::sync::Arc;

/// Builds a recipe; the registry serves inner attacks.
pub type BuildRecipe = fn(&Args, &Registry) -> Result<Arc<dyn Recipe>>;
/// Builds a penalty.
pub type BuildPenalty = fn(&Args, &Registry) -> Result<Arc<dyn Penalty>>;
/// Builds an attack.
pub type BuildAttack = fn(&Args, &Registry) -> Result<Arc<dyn Attack>>;
/// Registration of an attack.
pub type AttackSpec = Spec<BuildAttack>;
/// Builds a network for an input (C, H, W) and K classes.
pub type BuildModel = fn(&Args, (usize, usize, usize), usize) -> Result<Arc<dyn Network>>;
/// Builds an objective.
pub type BuildObjective = fn(&Args, &Registry) -> Result<Arc<dyn Objective>>;

/// Builds an augmentation.
pub type BuildAugmentation = fn(&Args, &Registry) -> Result<Arc<dyn Augment>>;

/// All components of one kind, in order of registration.
#[derive(Debug, Clone)]
pub struct Table<B> {
    kind: &'static str,
    entries: IndexMap<&'static str, Spec<B>>,
    source: Option<Arc<dyn Source<B>>>,
}

impl<B: 'static> Table<B> {
    fn new(kind: &'static str) -> Self {
        Table { kind, entries: IndexMap::new(), source: None }
    }
    /// Names with the source's prefix come from there.
    pub fn set_source(&mut self, source: Arc<dyn Source<B>>) {
        self.source = Some(source);
    }
    /// Lets the source look in this folder first.
    pub fn look_in(&self, folder: &Path) {
        if let Some(source) = &self.source {
            source.look_in(folder);
        }
    }
    fn source_of(&self, name: &str) -> Option<&dyn Source<B>> {
        self.source.as_deref().filter(|s| name.starts_with(s.prefix()))
    }
    /// Adds a component; a name that is taken is an error.
    pub fn add(&mut self, spec: Spec<B>) -> Result<()> {
        if self.entries.contains_key(spec.name) {
            return Err(Error::Message(format!("{} {:?} is registered twice", self.kind, spec.name)));
        }
        self.entries.insert(spec.name, spec);
        Ok(())
    }
    /// The component of that name, or an error with the nearest one.
    pub fn get(&self, name: &str) -> Result<&Spec<B>> {
        if let Some(source) = self.source_of(name) {
            return source.find(name);
        }
        self.entries.get(name).ok_or_else(|| unknown(self.kind, name, self.entries.keys().copied()))
    }
    /// Whether that name is registered, or its source's to find.
    pub fn contains(&self, name: &str) -> bool {
        self.entries.contains_key(name) || self.source_of(name).is_some()
    }
    /// All components, in order of registration, and those that the source lists.
    pub fn iter(&self) -> impl Iterator<Item = &Spec<B>> {
        self.entries.values().chain(self.source.iter().flat_map(|s| s.list()))
    }
}

/// Everything that suite files can name.
#[derive(Debug, Clone)]
pub struct Registry {
    /// Base recipes.
    pub recipes: Table<BuildRecipe>,
    /// Penalties; also usable as a recipe name, short for `ce` plus the penalty.
    pub penalties: Table<BuildPenalty>,
    /// Attacks.
    pub attacks: Table<BuildAttack>,
    /// Architectures.
    pub models: Table<BuildModel>,
    /// Objectives of attacks.
    pub objectives: Table<BuildObjective>,
    /// Augmentations of training images.
    pub augmentations: Table<BuildAugmentation>,
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

/// An [`Error::Unknown`] with the nearest of the known names.
pub fn unknown<'a>(kind: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Error {
    let known: Vec<String> = known.map(str::to_string).collect();
    let hint = nearest(name, known.iter().map(String::as_str));
    Error::Unknown { kind: kind.to_string(), name: name.to_string(), hint, known }
}

/// The parameter that every penalty has.
const RAMP: &str = "ramp";

/// Arguments of a component: checked against its parameters, with every default filled in.
#[derive(Debug, Clone)]
pub struct Args {
    owner: String,
    values: Map<String, Value>,
}

impl Args {
    /// Checks `given` (keys other than `name`) against `spec` and fills in defaults, in the spec's order.
    pub fn new<B>(spec: &Spec<B>, given: &Map<String, Value>) -> Result<Self> {
        for key in given.keys().filter(|k| *k != "name") {
            if !spec.params.iter().any(|p| p.name == key) {
                return Err(unknown(&format!("parameter of {}", spec.name), key, spec.params.iter().map(|p| p.name)));
            }
        }
        let mut values = Map::new();
        for p in spec.params {
            let value = match given.get(p.name) {
                Some(v) => v.clone(),
                // Left out, so that such a parameter can be added without moving the keys of what is stored.
                None if p.default == "null" => continue,
                None if p.default.is_empty() => {
                    return Err(Error::value(format!("{}.{}", spec.name, p.name), format!("is required: {}", p.doc)));
                }
                None => serde_json::from_str(p.default)
                    .map_err(|e| Error::Message(format!("default of {}.{}: {e}", spec.name, p.name)))?,
            };
            values.insert(p.name.to_string(), value);
        }
        Ok(Args { owner: spec.name.to_string(), values })
    }
    /// The component's name.
    pub fn owner(&self) -> &str {
        &self.owner
    }
    /// Like [`Args::new`]; a penalty also takes `ramp`, epochs over which its weights grow from 0, whether it lists it or
    /// not (where it does not and none is given, it is no part of the canonical arguments).
    pub fn of_penalty(spec: &Spec<BuildPenalty>, given: &Map<String, Value>) -> Result<Self> {
        if spec.params.iter().any(|p| p.name == RAMP) || !given.contains_key(RAMP) {
            return Self::new(spec, given);
        }
        let mut own = given.clone();
        let ramp = own.shift_remove(RAMP).unwrap_or_default();
        let mut args = Self::new(spec, &own)?;
        args.values.insert(RAMP.to_string(), ramp);
        args.f64_from(RAMP, 0.0)?;
        Ok(args)
    }
    /// All values with defaults, in order: part of the store's keys.
    pub fn canonical(&self) -> &Map<String, Value> {
        &self.values
    }
    /// A value as JSON.
    pub fn value(&self, name: &str) -> Result<&Value> {
        self.values.get(name).ok_or_else(|| Error::Message(format!("{} has no parameter {name:?}", self.owner)))
    }
    fn wrong(&self, name: &str, want: &str, got: &Value) -> Error {
        // TOML's nan and inf, which JSON does not have.
        let got = if got.is_null() { "nan or inf".to_string() } else { got.to_string() };
        Error::value(format!("{}.{name}", self.owner), format!("must be {want}, got {got}"))
    }
    /// A finite number.
    pub fn f64(&self, name: &str) -> Result<f64> {
        let v = self.value(name)?;
        v.as_f64().filter(|x| x.is_finite()).ok_or_else(|| self.wrong(name, "a number", v))
    }
    /// Whether a parameter whose default is `null` (none) was given.
    pub fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }
    /// A finite number of at least `least`.
    pub fn f64_from(&self, name: &str, least: f64) -> Result<f64> {
        let x = self.f64(name)?;
        if x < least {
            return Err(Error::value(format!("{}.{name}", self.owner), format!("must be at least {least}, got {x}")));
        }
        Ok(x)
    }
    /// A whole number of at least `least`.
    pub fn usize(&self, name: &str, least: usize) -> Result<usize> {
        let v = self.value(name)?;
        let x = v.as_u64().ok_or_else(|| self.wrong(name, "a whole number", v))? as usize;
        if x < least {
            return Err(Error::value(format!("{}.{name}", self.owner), format!("must be at least {least}, got {x}")));
        }
        Ok(x)
    }
    /// true or false.
    pub fn bool(&self, name: &str) -> Result<bool> {
        let v = self.value(name)?;
        v.as_bool().ok_or_else(|| self.wrong(name, "true or false", v))
    }
    /// A text.
    pub fn str(&self, name: &str) -> Result<&str> {
        let v = self.value(name)?;
        v.as_str().ok_or_else(|| self.wrong(name, "a text", v))
    }
    /// A text out of a list, with a did-you-mean.
    pub fn choice<'a>(&self, name: &str, among: &[&'a str]) -> Result<&'a str> {
        let text = self.str(name)?;
        among
            .iter()
            .find(|a| **a == text)
            .copied()
            .ok_or_else(|| unknown(&format!("value of {}.{name}", self.owner), text, among.iter().copied()))
    }
    /// A budget or length in pixels: `"8/255"`, `"0.3"` or a plain number.
    pub fn eps(&self, name: &str) -> Result<gauntlet_records::Eps> {
        let v = self.value(name)?;
        match v {
            Value::String(s) => Ok(s.parse()?),
            Value::Number(n) => Ok(n.to_string().parse()?),
            _ => Err(self.wrong(name, "a length in pixels such as \"8/255\" or \"0.3\"", v)),
        }
    }
    /// The nested arguments of a component named inside this one, e.g. `attack = { name = "pgd", steps = 10 }`.
    pub fn table(&self, name: &str) -> Result<Map<String, Value>> {
        given(&format!("{}.{name}", self.owner), self.value(name)?)
    }
}

/// A component named by a text or a table.
///
/// # Errors
/// Neither of both.
pub fn given(what: &str, value: &Value) -> Result<Map<String, Value>> {
    match value {
        Value::Object(m) => Ok(m.clone()),
        Value::String(s) => Ok(Map::from_iter([("name".to_string(), Value::String(s.clone()))])),
        v => Err(Error::value(what, format!("must be a name or a table with a name, got {v}"))),
    }
}

impl Registry {
    fn name_of(kind: &str, given: &Map<String, Value>) -> Result<String> {
        given
            .get("name")
            .and_then(Value::as_str)
            .map(str::to_string)
            .ok_or_else(|| Error::value(kind, "needs a `name`"))
    }
    /// Builds the attack that `given` names, with its canonical arguments.
    pub fn attack(&self, given: &Map<String, Value>) -> Result<(Arc<dyn Attack>, Args)> {
        let spec = self.attacks.get(&Self::name_of("attack", given)?)?;
        let args = Args::new(spec, given)?;
        Ok(((spec.build)(&args, self)?, args))
    }
    /// Builds the base recipe that `given` names.
    pub fn recipe(&self, given: &Map<String, Value>) -> Result<(Arc<dyn Recipe>, Args)> {
        let spec = self.recipes.get(&Self::name_of("recipe", given)?)?;
        let args = Args::new(spec, given)?;
        Ok(((spec.build)(&args, self)?, args))
    }
    /// Builds the penalty that `given` names.
    pub fn penalty(&self, given: &Map<String, Value>) -> Result<(Arc<dyn Penalty>, Args)> {
        let spec = self.penalties.get(&Self::name_of("penalty", given)?)?;
        let args = Args::of_penalty(spec, given)?;
        let built = (spec.build)(&args, self)?;
        if args.values.contains_key(RAMP) && !spec.params.iter().any(|p| p.name == RAMP) {
            let ramp = args.f64_from(RAMP, 0.0)?;
            return Ok((Arc::new(Ramped { penalty: built, ramp }), args));
        }
        Ok((built, args))
    }
    /// Builds the objective that `given` names.
    pub fn objective(&self, given: &Map<String, Value>) -> Result<(Arc<dyn Objective>, Args)> {
        let spec = self.objectives.get(&Self::name_of("objective", given)?)?;
        let args = Args::new(spec, given)?;
        Ok(((spec.build)(&args, self)?, args))
    }
    /// Builds the augmentation that `given` names.
    pub fn augmentation(&self, given: &Map<String, Value>) -> Result<(Arc<dyn Augment>, Args)> {
        let spec = self.augmentations.get(&Self::name_of("augmentation", given)?)?;
        let args = Args::new(spec, given)?;
        Ok(((spec.build)(&args, self)?, args))
    }
    /// Builds the model that `given` names for an input (C, H, W) and K classes.
    pub fn model(
        &self,
        given: &Map<String, Value>,
        input: (usize, usize, usize),
        classes: usize,
    ) -> Result<(Arc<dyn Network>, Args)> {
        let spec = self.models.get(&Self::name_of("model", given)?)?;
        let args = Args::new(spec, given)?;
        Ok(((spec.build)(&args, input, classes)?, args))
    }
}
