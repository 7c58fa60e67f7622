//! Loss recipes, one file each: every recipe is a sum of weighted means over examples of per-example quantities.
//!
//! g_n = ∂ℓ_n/∂x_n in pixel units; no batch size, image size or input deviation hides in a weight.

mod ce;
mod direction_matching;
mod fgsm_aug;
mod grad_norm;
mod inner;
mod pgd_at;
mod reading;

pub use ce::Ce;
pub use direction_matching::{Direction, DirectionMatching};
pub use fgsm_aug::FgsmAug;
pub use grad_norm::{GradNorm, GradientNorm};
pub use inner::InnerAttack;
pub use pgd_at::PgdAt;

use gauntlet_core::{Registry, Result};

/// Registers every recipe and penalty of this crate.
///
/// # Errors
/// A name that is taken.
pub fn register(registry: &mut Registry) -> Result<()> {
    registry.recipes.add(ce::SPEC)?;
    registry.recipes.add(fgsm_aug::SPEC)?;
    registry.recipes.add(pgd_at::SPEC)?;
    registry.penalties.add(grad_norm::SPEC)?;
    registry.penalties.add(direction_matching::SPEC)
}
