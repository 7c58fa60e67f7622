//! What every recipe promises, checked on any recipe: built in, compiled in by a plug-in, or a script.

mod arguments;
mod cost;
mod derivatives;
mod found;
mod laws;
mod network;
mod subject;

pub use arguments::{completed, documented_choices, short_kind};
pub use cost::{StepCost, step_cost};

use crate::Result;
use found::Found;
use gauntlet_core::Registry;
use gauntlet_evaluate::{Component, Kind};
use serde::Serialize;
use serde_json::{Map, Value};
use std::fmt;
use subject::Subject;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The promise holds.
    Passed,
    /// It does not.
    Failed,
    /// It does not apply; the check's detail says why.
    Skipped,
}

/// One promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// `terms`, `repeats`, `batch`, `pixels`, `reach`, `gradient`, `second order`, `zero`, `saturation`, `training`.
    pub name: &'static str,
    /// Whether it holds.
    pub outcome: Outcome,
    /// What was compared and how close it came, or what is wrong and what to look at.
    pub detail: String,
}

/// What the suite found out about one recipe.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Conformance {
    /// Registered name.
    pub recipe: String,
    /// All arguments, defaults and probe values filled in.
    pub args: Map<String, Value>,
    /// Required arguments that were not given, and what they were set to.
    pub probed: Vec<String>,
    /// The promises, in order.
    pub checks: Vec<Check>,
}

impl Conformance {
    /// Whether no promise is broken.
    pub fn passed(&self) -> bool {
        self.checks.iter().all(|c| c.outcome != Outcome::Failed)
    }
    /// The check of that name.
    pub fn check(&self, name: &str) -> Option<&Check> {
        self.checks.iter().find(|c| c.name == name)
    }
}

/// One line per check.
impl fmt::Display for Conformance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for check in &self.checks {
            let mark = match check.outcome {
                Outcome::Passed => '✓',
                Outcome::Failed => '✗',
                Outcome::Skipped => '-',
            };
            writeln!(f, "{mark} {:13} {}", check.name, check.detail)?;
        }
        Ok(())
    }
}

/// Runs the conformance suite over one recipe, or over `ce` plus one penalty.
///
/// `kind` is [`Kind::Recipe`] or [`Kind::Penalty`] ([`short_kind`] tells by the name), `given` a name and arguments. Required arguments that
/// are missing get probe values ([`completed`]). Everything happens on a network of 356 parameters with smooth
/// activations, on a few images of 2 × 4 × 4 pixels and four classes, in f64; a recipe that needs a teacher gets another
/// such network, frozen at random weights. The promises:
///
/// * `terms`: one finite value per example and term; the total is Σₖ weightₖ · meanₙ valuesₖ(n).
/// * `repeats`: the same step twice gives the same bits.
/// * `batch`: two halves of a batch, averaged, give the whole batch's terms and gradient.
/// * `pixels`: absorbing the model's normalisation into its first layer changes nothing.
/// * `reach`: the total reaches every trained parameter, and every weighted term reaches one.
/// * `gradient`, `second order`: derivatives by the parameters are central differences, unless
///   [`gauntlet_core::Recipe::held_constant`] says why they cannot be; `graph = "cut"` trains what no penalty trains.
/// * `zero`: at ε = 0, or with a penalty's weights (`weight`, `.._weight`) at 0, the gradient is that of `ce`.
/// * `saturation`: finite where the softmax is saturated, right or wrong, and where all weights are zero, in f32 too.
/// * `training`: a few steps of the trainer are finite and move the weights.
///
/// # Errors
/// A name that is not registered, an argument that is unknown or outside its domain. What a recipe does wrong later is a
/// failed check.
pub fn conformance(registry: &Registry, kind: Kind, given: &Map<String, Value>) -> Result<Conformance> {
    let (given, probed) = completed(registry, kind, given)?;
    let args = Component::resolve(kind, registry, &given)?.args;
    let subject = Subject::new(registry, kind, &given)?;
    type Look = fn(&Subject<'_>) -> Result<Found>;
    let checks: [(&str, Look); 10] = [
        ("terms", laws::terms),
        ("repeats", laws::repeats),
        ("batch", laws::halves),
        ("pixels", laws::pixels),
        ("reach", derivatives::reach),
        ("gradient", derivatives::first),
        ("second order", derivatives::second),
        ("zero", laws::zero),
        ("saturation", laws::saturation),
        ("training", laws::training),
    ];
    let mut computed = true;
    let checks = checks.into_iter().map(|(name, look)| {
        // Where there is no loss, every other check would tell of the same mistake.
        let found = match computed {
            true => look(&subject),
            false => Ok(Found::Skipped("not tried: the loss cannot be computed".into())),
        };
        computed = computed && !(name == "terms" && found.is_err());
        let (outcome, detail) = match found {
            Ok(Found::Holds(detail)) => (Outcome::Passed, detail),
            Ok(Found::Broken(detail)) => (Outcome::Failed, detail),
            Ok(Found::Skipped(why)) => (Outcome::Skipped, why),
            Err(error) => (Outcome::Failed, error.to_string()),
        };
        Check { name, outcome, detail }
    });
    let name = subject.name().to_string();
    Ok(Conformance { recipe: name, args, probed, checks: checks.collect() })
}
