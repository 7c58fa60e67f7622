//! Loss recipes, one file each: every recipe is a sum of weighted means over examples of per-example quantities.
//!
//! g_n = ∂ℓ_n/∂x_n in pixel units; no batch size, image size or input deviation hides in a weight.

mod adr;
mod alignment;
mod ard;
mod ascent;
pub mod augmentations;
mod ce;
mod crown_ibp;
mod cure;
mod direction;
mod direction_matching;
mod fgsm_aug;
mod fgsm_rs;
mod free_at;
mod grad_align;
mod grad_norm;
mod grad_norm_fd;
mod growth;
mod hat;
mod ibp;
mod igam;
mod ikl;
mod inner;
mod intervals;
mod jacobian;
mod lbgat;
mod llr;
mod mart;
mod mmr;
mod mtl_ibp;
mod n_fgsm;
mod noise;
mod pgd_at;
mod reading;
mod rslad;
mod sabr;
mod score;
mod slope;
mod te;
mod teacher;
mod trades;

pub use adr::Adr;
pub use ard::Ard;
pub use ascent::Ascent;
pub use ce::Ce;
pub use crown_ibp::CrownIbp;
pub use cure::Cure;
pub use direction::Direction;
pub use direction_matching::{DirectionMatching, Measure, Towards};
pub use fgsm_aug::FgsmAug;
pub use fgsm_rs::FgsmRs;
pub use free_at::FreeAt;
pub use grad_align::GradAlign;
pub use grad_norm::{GradNorm, GradientNorm, Of};
pub use grad_norm_fd::{FdDirection, GradNormFd};
pub use growth::{Growth, Shape};
pub use hat::Hat;
pub use ibp::Ibp;
pub use igam::Igam;
pub use ikl::Ikl;
pub use inner::InnerAttack;
pub use jacobian::Jacobian;
pub use lbgat::Lbgat;
pub use llr::Llr;
pub use mart::Mart;
pub use mmr::Mmr;
pub use mtl_ibp::MtlIbp;
pub use n_fgsm::NFgsm;
pub use noise::{Noise, NoiseKind};
pub use pgd_at::PgdAt;
pub use rslad::Rslad;
pub use sabr::Sabr;
pub use score::Score;
pub use te::Te;
pub use trades::Trades;

use gauntlet_core::{Registry, Result};

/// Registers every recipe, penalty and augmentation of this crate.
///
/// # Errors
/// A name that is taken.
pub fn register(registry: &mut Registry) -> Result<()> {
    let recipes = [
        ce::SPEC,
        noise::SPEC,
        fgsm_aug::SPEC,
        fgsm_rs::SPEC,
        n_fgsm::SPEC,
        grad_align::SPEC,
        free_at::SPEC,
        pgd_at::SPEC,
        trades::SPEC,
        mart::SPEC,
        score::SPEC,
        ikl::SPEC,
        hat::SPEC,
        te::SPEC,
        adr::SPEC,
        lbgat::SPEC,
        ard::SPEC,
        rslad::SPEC,
        ibp::SPEC,
        crown_ibp::SPEC,
        sabr::SPEC,
        mtl_ibp::SPEC,
    ];
    let penalties = [
        grad_norm::SPEC,
        grad_norm_fd::SPEC,
        direction_matching::SPEC,
        grad_align::PENALTY,
        jacobian::SPEC,
        cure::SPEC,
        llr::SPEC,
        igam::SPEC,
        mmr::SPEC,
    ];
    recipes.into_iter().try_for_each(|spec| registry.recipes.add(spec))?;
    penalties.into_iter().try_for_each(|spec| registry.penalties.add(spec))?;
    augmentations::register(registry)
}
