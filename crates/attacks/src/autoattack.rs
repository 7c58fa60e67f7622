//! AutoAttack: fixed ensembles of attacks without parameters to tune.

use crate::{Apgd, Fab, Square};
use gauntlet_core::registry::BuildPlan;
use gauntlet_core::{Attack, Ensemble, ParamDoc, ParamKind, Plan, Spec};
use gauntlet_records::Norm;
use std::sync::Arc;

/// Which ensemble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// apgd-ce, apgd-t, fab-t, square.
    Standard,
    /// apgd-ce, apgd-dlr, fab, square, apgd-t, fab-t; five restarts of the untargeted ones.
    Plus,
    /// apgd-ce and apgd-dlr over 20 draws, for randomised models.
    Rand,
}

/// Each stage runs on what the stages before it left, with exactly the published parameters.
///
/// Croce & Hein 2020; L1 as in Croce & Hein 2021.
#[derive(Debug, Clone, Copy)]
pub struct AutoAttack {
    /// Which ensemble.
    pub version: Version,
}

/// Registration.
pub const SPEC: Spec<BuildPlan> = Spec {
    name: "autoattack",
    summary: "the ensemble that RobustBench ranks by: apgd-ce, apgd-t, fab-t, square, nothing to tune",
    formula: "robust against every stage; standard: apgd-ce 100, apgd-t 9×100, fab-t 9×100, square 5000",
    paper: "Croce & Hein 2020",
    params: &[ParamDoc {
        name: "version",
        kind: ParamKind::Choice(&["standard", "plus", "rand"]),
        default: "\"standard\"",
        unit: "",
        doc: "standard, plus (more restarts), rand (for randomised models); under L1 standard alone",
    }],
    numerics: 3,
    origin: "built-in",
    build: |args, _| {
        let version = match args.str("version")? {
            "plus" => Version::Plus,
            "rand" => Version::Rand,
            _ => Version::Standard,
        };
        Ok(Arc::new(Plan::Ensemble(AutoAttack { version }.ensemble())))
    },
};

impl AutoAttack {
    /// Its attacks in every norm.
    pub fn ensemble(self) -> Ensemble {
        let norms: &[Norm] = match self.version {
            Version::Standard => &[Norm::Linf, Norm::L2, Norm::L1],
            // The published code warns that these are not meant for L1, and runs something else.
            Version::Plus | Version::Rand => &[Norm::Linf, Norm::L2],
        };
        let stages = norms.iter().map(|norm| (*norm, self.stages(*norm))).collect();
        Ensemble { name: "autoattack".into(), stages, carries: false }
    }
    fn stages(&self, norm: Norm) -> Vec<Arc<dyn Attack>> {
        let square = || -> Arc<dyn Attack> { Arc::new(Square { queries: 5000, p_init: 0.8, restarts: 1 }) };
        let fab = |targeted, restarts| -> Arc<dyn Attack> { Arc::new(Fab { targeted, restarts, ..Fab::default() }) };
        let apgd = |name, restarts, draws, targets| -> Arc<dyn Attack> {
            Arc::new(Apgd::standard(name, restarts, draws, targets))
        };
        let sparse = norm == Norm::L1;
        match self.version {
            Version::Standard => vec![
                apgd("apgd-ce", if sparse { 5 } else { 1 }, 1, 0),
                apgd("apgd-t", 1, 1, if sparse { 5 } else { 9 }),
                fab(true, 1),
                square(),
            ],
            Version::Plus => vec![
                apgd("apgd-ce", 5, 1, 0),
                apgd("apgd-dlr", 5, 1, 0),
                fab(false, 5),
                square(),
                apgd("apgd-t", 1, 1, 9),
                fab(true, 1),
            ],
            Version::Rand => vec![apgd("apgd-ce", 1, 20, 0), apgd("apgd-dlr", 1, 20, 0)],
        }
    }
}
