//! Attacks, one file each: step functions over slots, written with the norm's verbs of `gauntlet-core`.

mod fgsm;
mod noise;
pub mod objectives;
mod pgd;
mod step_size;

pub use noise::{Noise, Shape};
pub use pgd::Pgd;
pub use step_size::StepSize;

use gauntlet_core::{Registry, Result};

/// Registers every attack and objective of this crate.
///
/// # Errors
/// A name that is taken.
pub fn register(registry: &mut Registry) -> Result<()> {
    registry.objectives.add(objectives::ce::SPEC)?;
    registry.objectives.add(objectives::margin::SPEC)?;
    registry.objectives.add(objectives::dlr::SPEC)?;
    registry.attacks.add(fgsm::SPEC)?;
    registry.attacks.add(pgd::SPEC)?;
    registry.attacks.add(noise::SPEC)
}
