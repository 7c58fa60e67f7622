//! Transfer: examples crafted on one model, tried on another.

use gauntlet_core::attack::{Backwards, Job, Open, Site, Walk};
use gauntlet_core::reach::Reach;
use gauntlet_core::registry::BuildAttack;
use gauntlet_core::{Attack, Clean, Error, ParamDoc, ParamKind, Result, Spec, ThreatModel};
use gauntlet_records::Norm;
use std::sync::Arc;

/// x' is the last iterate of an attack on a surrogate model, every step taken; the referee tries it on the target.
///
/// Papernot, McDaniel & Goodfellow 2016. No gradient of the target is used: where transferred examples break what an
/// attack on the target itself does not, that attack was held up.
pub struct Transfer {
    /// The surrogate: a row of the suite, or a checkpoint.
    pub surrogate: String,
    /// What crafts the examples.
    pub attack: Arc<dyn Attack>,
}

/// Registration.
pub const SPEC: Spec<BuildAttack> = Spec {
    name: "transfer",
    summary: "examples crafted on another model (a row of the suite, or a checkpoint), tried on this one",
    formula: "x' = last iterate of the attack on the surrogate; broken if this model misclassifies it",
    paper: "Papernot, McDaniel & Goodfellow 2016",
    params: &[
        ParamDoc {
            name: "surrogate",
            kind: ParamKind::Row,
            default: "",
            unit: "",
            doc: "row id; in a suite `surrogates = \"all\"` or a list gives one column each: the transfer matrix",
        },
        ParamDoc {
            name: "attack",
            kind: ParamKind::Attack,
            default: "\"pgd\"",
            unit: "",
            doc: "attack with a budget that crafts the examples, every step taken",
        },
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, registry| {
        let surrogate = args.str("surrogate")?.to_string();
        let (attack, _) = registry.attack(&args.table("attack")?)?;
        if !attack.stages(Norm::Linf).is_empty() || attack.surrogate().is_some() {
            return Err(Error::value("transfer.attack", format!("must be a single attack, not {}", attack.name())));
        }
        if attack.minimal() {
            return Err(Error::value(
                "transfer.attack",
                format!("must be an attack with a budget; {} stops at the surrogate's boundary", attack.name()),
            ));
        }
        Ok(Arc::new(Transfer { surrogate, attack }))
    },
};

impl Attack for Transfer {
    fn name(&self) -> &str {
        "transfer"
    }
    fn norms(&self) -> &[Norm] {
        self.attack.norms()
    }
    fn fits(&self, open: &Open) -> Result<()> {
        self.attack.fits(open)
    }
    fn jobs(&self, clean: &Clean, threat: &ThreatModel) -> Vec<Job> {
        self.attack.jobs(clean, threat)
    }
    fn backwards(&self) -> Backwards {
        self.attack.backwards()
    }
    fn needs_clean(&self) -> bool {
        self.attack.needs_clean()
    }
    fn aim(&self, job: &Job) -> Option<u32> {
        self.attack.aim(job)
    }
    fn reach(&self, threat: &ThreatModel) -> Option<Reach> {
        self.attack.reach(threat)
    }
    fn surrogate(&self) -> Option<&str> {
        Some(&self.surrogate)
    }
    fn walk_f32(&self, site: Site<'_, f32>) -> Box<dyn Walk<f32>> {
        self.attack.walk_f32(site)
    }
    fn walk_f64(&self, site: Site<'_, f64>) -> Box<dyn Walk<f64>> {
        self.attack.walk_f64(site)
    }
}
