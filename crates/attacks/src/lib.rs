//! Attacks, one file each: walks of single examples, written with the norm's verbs of `gauntlet-core`.

mod acg;
mod alma;
mod apgd;
mod arguments;
mod autoattack;
mod bandits;
mod best_iterate;
mod blocks;
mod boundary;
mod cw_l2;
mod cw_linf;
mod ddn;
mod deepfool;
mod ead;
mod fab;
mod fgsm;
mod fmn;
mod frequencies;
mod geoda;
mod hopskipjump;
mod hyperplane;
mod input_diversity;
mod jsma;
pub mod left_out;
mod malt;
mod md;
mod momentum;
mod multi_targeted;
mod nattack;
mod nes;
mod noise;
pub mod objectives;
mod pdpgd;
mod pgd;
mod pgd_l0;
pub mod query;
mod rays;
mod sigma_zero;
mod sign_opt;
mod simba;
mod smallest;
mod sparse_rs;
mod spectrum;
mod spsa;
mod square;
mod start;
mod step_size;
mod strongest;
mod superdeepfool;
mod surfree;
mod transfer;
mod trust_region;
mod warp;
mod worst_case;

pub use alma::Alma;
pub use apgd::Apgd;
pub use autoattack::{AutoAttack, Version};
pub use bandits::Bandits;
pub use boundary::Boundary;
pub use cw_l2::CwL2;
pub use cw_linf::CwLinf;
pub use ddn::Ddn;
pub use deepfool::DeepFool;
pub use ead::Ead;
pub use fab::Fab;
pub use fmn::Fmn;
pub use geoda::GeoDa;
pub use hopskipjump::HopSkipJump;
pub use jsma::Jsma;
pub use malt::Malt;
pub use md::MarginDecomposition;
pub use momentum::{Momentum, Options};
pub use multi_targeted::MultiTargeted;
pub use nattack::NAttack;
pub use nes::Nes;
pub use noise::{Noise, Shape};
pub use pdpgd::Pdpgd;
pub use pgd::{Pgd, Start};
pub use pgd_l0::PgdL0;
pub use rays::RayS;
pub use sigma_zero::SigmaZero;
pub use sign_opt::SignOpt;
pub use simba::SimBa;
pub use sparse_rs::SparseRs;
pub use spsa::Spsa;
pub use square::Square;
pub use step_size::StepSize;
pub use strongest::Strongest;
pub use superdeepfool::SuperDeepFool;
pub use surfree::SurFree;
pub use trust_region::TrustRegion;

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
        momentum::SPEC,
        pgd::EOT,
        apgd::CE,
        apgd::DLR,
        apgd::T,
        acg::SPEC,
        multi_targeted::SPEC,
        malt::SPEC,
        pgd_l0::SPEC,
        jsma::SPEC,
        md::SPEC,
        fab::SPEC,
        fab::T,
        square::SPEC,
        sparse_rs::SPEC,
        simba::SPEC,
        spsa::SPEC,
        nes::SPEC,
        nattack::SPEC,
        bandits::SPEC,
        deepfool::SPEC,
        superdeepfool::SPEC,
        trust_region::SPEC,
        cw_l2::SPEC,
        cw_linf::SPEC,
        alma::SPEC,
        pdpgd::SPEC,
        sigma_zero::SPEC,
        ead::SPEC,
        ddn::SPEC,
        fmn::SPEC,
        hopskipjump::SPEC,
        rays::SPEC,
        boundary::SPEC,
        geoda::SPEC,
        sign_opt::SPEC,
        surfree::SPEC,
        noise::SPEC,
    ] {
        registry.attacks.add(spec)?;
    }
    for spec in [autoattack::SPEC, strongest::SPEC, worst_case::SPEC, transfer::SPEC] {
        registry.attacks.add(spec)?;
    }
    Ok(())
}
