//! The strongest ensemble of this shelf: what external evaluations ran beside AutoAttack.

use crate::{AutoAttack, MultiTargeted, Square, Version};
use gauntlet_core::registry::BuildPlan;
use gauntlet_core::{Ensemble, ParamDoc, ParamKind, Plan, Spec};
use gauntlet_records::Norm;
use std::sync::Arc;

/// AutoAttack (standard), then MultiTargeted with restarts, then square with restarts, each on what those before it left.
///
/// RobustBench's entries whose accuracy was lowered by others than AutoAttack needed MultiTargeted (Gowal et al. 2019) or square with
/// 30 restarts (Andriushchenko et al. 2020) most often.
#[derive(Debug, Clone, Copy)]
pub struct Strongest {
    /// Random starts per target class of MultiTargeted.
    pub restarts: u32,
    /// Runs of square.
    pub squares: u32,
}

/// Registration.
pub const SPEC: Spec<BuildPlan> = Spec {
    name: "strongest",
    summary: "autoattack, then multi-targeted with restarts, then square with restarts: what external evaluations add, for a number that is to stand",
    formula: "robust against every stage: autoattack standard, multi-targeted 9 × 10 × 200, square 30 × 5000",
    paper: "Croce & Hein 2020; Gowal et al. 2019; Andriushchenko et al. 2020",
    params: &[
        ParamDoc {
            name: "restarts",
            kind: ParamKind::COUNT,
            default: "10",
            unit: "",
            doc: "random starts of multi-targeted per target class",
        },
        ParamDoc {
            name: "squares",
            kind: ParamKind::COUNT,
            default: "30",
            unit: "",
            doc: "runs of square, 5000 queries each",
        },
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        let strongest = Strongest { restarts: args.u32("restarts")?, squares: args.u32("squares")? };
        Ok(Arc::new(Plan::Ensemble(strongest.ensemble())))
    },
};

impl Strongest {
    /// Its attacks in every norm.
    pub fn ensemble(self) -> Ensemble {
        let mut ensemble = AutoAttack { version: Version::Standard }.ensemble();
        ensemble.name = SPEC.name.into();
        ensemble.stages.retain(|(norm, _)| matches!(norm, Norm::Linf | Norm::L2));
        for (_, stages) in &mut ensemble.stages {
            stages.push(Arc::new(MultiTargeted { steps: 200, restarts: self.restarts, targets: 9, lr: 0.1 }));
            stages.push(Arc::new(Square { queries: 5000, p_init: 0.8, restarts: self.squares }));
        }
        ensemble
    }
}
