//! Attacks, one file each: walks of single examples, written with the norm's verbs of `gauntlet-core`.

mod apgd;
mod arguments;
mod autoattack;
mod best_iterate;
mod cw_l2;
mod ddn;
mod deepfool;
mod fab;
mod fgsm;
mod fmn;
mod hyperplane;
mod noise;
pub mod objectives;
mod pgd;
mod smallest;
mod square;
mod step_size;
mod transfer;
mod worst_case;

pub use apgd::Apgd;
pub use autoattack::{AutoAttack, Version};
pub use cw_l2::CwL2;
pub use ddn::Ddn;
pub use deepfool::DeepFool;
pub use fab::Fab;
pub use fmn::Fmn;
pub use noise::{Noise, Shape};
pub use pgd::{Pgd, Start};
pub use square::Square;
pub use step_size::StepSize;
pub use transfer::Transfer;
pub use worst_case::WorstCase;

use gauntlet_core::{Registry, Result};

/// Registers every attack and objective of this crate.
///
/// # Errors
/// A name that is taken.
pub fn register(registry: &mut Registry) -> Result<()> {
    for spec in [
        objectives::ce::SPEC,
        objectives::margin::SPEC,
        objectives::dlr::SPEC,
        objectives::kl::SPEC,
        objectives::ce::TARGETED,
        objectives::margin::TARGETED,
        objectives::dlr::TARGETED,
    ] {
        registry.objectives.add(spec)?;
    }
    for spec in [
        fgsm::SPEC,
        pgd::RANDOM,
        pgd::BIM,
        pgd::SPEC,
        pgd::MI,
        pgd::EOT,
        apgd::CE,
        apgd::DLR,
        apgd::T,
        fab::SPEC,
        fab::T,
        square::SPEC,
        deepfool::SPEC,
        cw_l2::SPEC,
        ddn::SPEC,
        fmn::SPEC,
        noise::SPEC,
        autoattack::SPEC,
        worst_case::SPEC,
        transfer::SPEC,
    ] {
        registry.attacks.add(spec)?;
    }
    Ok(())
}
