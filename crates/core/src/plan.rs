//! What an attack's name means to an evaluation.

use crate::attack::Open;
use crate::{Attack, Error, Result};
use gauntlet_records::{Family, Norm};
use std::sync::Arc;

/// Attacks that run in order, each on what the others left.
#[derive(Clone)]
pub struct Ensemble {
    /// Registered name.
    pub name: String,
    /// Of every norm that it knows the attacks in order, at least one.
    pub stages: Vec<(Norm, Vec<Arc<dyn Attack>>)>,
    /// As [`Attack::carries`].
    pub carries: bool,
}

/// How an evaluation attacks: what a suite can name. Recipes take a [`Plan::single`] attack.
#[derive(Clone)]
pub enum Plan {
    /// One attack, on the model itself.
    Single(Arc<dyn Attack>),
    /// Several.
    Ensemble(Ensemble),
    /// Examples that an attack crafted on another model, every step taken there; the model judges the end.
    Transfer {
        /// The other model: a row of the suite, or a checkpoint.
        from: String,
        /// What crafts them: one with a budget.
        attack: Arc<dyn Attack>,
    },
}

/// The registered name of [`Plan::Transfer`].
pub const TRANSFER: &str = "transfer";

impl Plan {
    /// Registered name.
    pub fn name(&self) -> &str {
        match self {
            Plan::Single(attack) => attack.name(),
            Plan::Ensemble(ensemble) => &ensemble.name,
            Plan::Transfer { .. } => TRANSFER,
        }
    }
    /// What it goes by.
    pub fn family(&self) -> Family {
        match self {
            Plan::Single(attack) => attack.family(),
            Plan::Ensemble(_) => Family::Ensemble,
            Plan::Transfer { .. } => Family::Transfer,
        }
    }
    /// Norms it is defined for.
    pub fn norms(&self) -> Vec<Norm> {
        match self {
            Plan::Single(attack) | Plan::Transfer { attack, .. } => attack.norms().to_vec(),
            Plan::Ensemble(ensemble) => ensemble.stages.iter().map(|(norm, _)| *norm).collect(),
        }
    }
    /// The attacks in order; none where the norm is none of its own.
    pub fn stages(&self, norm: Norm) -> &[Arc<dyn Attack>] {
        match self {
            Plan::Single(attack) | Plan::Transfer { attack, .. } => std::slice::from_ref(attack),
            Plan::Ensemble(ensemble) => {
                ensemble.stages.iter().find(|(known, _)| *known == norm).map_or(&[], |(_, stages)| stages.as_slice())
            }
        }
    }
    /// Whether it can run on such a model.
    ///
    /// # Errors
    /// What is missing; of an ensemble the first attack that cannot.
    pub fn fits(&self, open: &Open) -> Result<()> {
        self.stages(open.threat.norm).iter().try_for_each(|attack| attack.fits(open))
    }
    /// Whether one run answers every budget.
    pub fn minimal(&self) -> bool {
        matches!(self, Plan::Single(attack) if attack.minimal())
    }
    /// Whether a suite's `carry` may apply.
    pub fn carries(&self) -> bool {
        match self {
            Plan::Single(attack) => attack.carries(),
            Plan::Ensemble(ensemble) => ensemble.carries,
            Plan::Transfer { .. } => true,
        }
    }
    /// The other model, if there is one.
    pub fn surrogate(&self) -> Option<&str> {
        match self {
            Plan::Transfer { from, .. } => Some(from),
            Plan::Single(_) | Plan::Ensemble(_) => None,
        }
    }
    /// The one attack that it is.
    ///
    /// # Errors
    /// An ensemble, or examples of another model.
    pub fn single(&self) -> Result<Arc<dyn Attack>> {
        let why = match self {
            Plan::Single(attack) => return Ok(attack.clone()),
            Plan::Ensemble(_) => "is an ensemble for evaluation; a single attack is needed here",
            Plan::Transfer { .. } => "crafts its examples on another model; a single attack is needed here",
        };
        Err(Error::value(self.name(), why))
    }
}
