//! The strongest ensemble of this shelf: what external evaluations ran beside AutoAttack.

use crate::{AutoAttack, MultiTargeted, Square, Version};
use gauntlet_core::attack::{Job, Open, Site, Walk};
use gauntlet_core::registry::BuildAttack;
use gauntlet_core::{Attack, Clean, Error, ParamDoc, Result, Spec, ThreatModel};
use gauntlet_records::{Family, Norm};
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
pub const SPEC: Spec<BuildAttack> = Spec {
    name: "strongest",
    summary: "autoattack, then multi-targeted with restarts, then square with restarts: what external evaluations add, for a number that is to stand",
    formula: "robust against every stage: autoattack standard, multi-targeted 9 × 10 × 200, square 30 × 5000",
    paper: "Croce & Hein 2020; Gowal et al. 2019; Andriushchenko et al. 2020",
    params: &[
        ParamDoc {
            name: "restarts",
            kind: "int",
            default: "10",
            unit: "",
            doc: "random starts of multi-targeted per target class",
        },
        ParamDoc { name: "squares", kind: "int", default: "30", unit: "", doc: "runs of square, 5000 queries each" },
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        Ok(Arc::new(Strongest {
            restarts: args.usize("restarts", 1)? as u32,
            squares: args.usize("squares", 1)? as u32,
        }))
    },
};

impl Attack for Strongest {
    fn name(&self) -> &str {
        SPEC.name
    }
    fn family(&self) -> Family {
        Family::Ensemble
    }
    fn norms(&self) -> &[Norm] {
        &[Norm::Linf, Norm::L2]
    }
    fn fits(&self, open: &Open) -> Result<()> {
        if open.lockstep {
            return Err(Error::value(SPEC.name, "is an ensemble for evaluation; a recipe needs a single attack"));
        }
        Ok(())
    }
    fn jobs(&self, _: &Clean, _: &ThreatModel) -> Vec<Job> {
        Vec::new()
    }
    fn stages(&self, norm: Norm) -> Vec<Arc<dyn Attack>> {
        let mut stages = AutoAttack { version: Version::Standard }.stages(norm);
        stages.push(Arc::new(MultiTargeted { steps: 200, restarts: self.restarts, targets: 9, lr: 0.1 }));
        stages.push(Arc::new(Square { queries: 5000, p_init: 0.8, restarts: self.squares }));
        stages
    }
    fn carries(&self) -> bool {
        false
    }
    fn walk_f32(&self, site: Site<'_, f32>) -> Box<dyn Walk<f32>> {
        self.stages(site.open.threat.norm)[0].walk_f32(site)
    }
    fn walk_f64(&self, site: Site<'_, f64>) -> Box<dyn Walk<f64>> {
        self.stages(site.open.threat.norm)[0].walk_f64(site)
    }
}
