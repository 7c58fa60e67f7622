//! The worst case of any list of attacks.

use gauntlet_core::attack::{Job, Open, Site, Walk};
use gauntlet_core::registry::BuildAttack;
use gauntlet_core::{Attack, Clean, Error, ParamDoc, Result, Spec, ThreatModel};
use gauntlet_records::{Family, Norm};
use serde_json::Value;
use std::sync::Arc;

/// Each attack of a list runs on what those before it left.
pub struct WorstCase {
    /// In order: cheap ones first.
    pub attacks: Vec<Arc<dyn Attack>>,
}

/// Registration.
pub const SPEC: Spec<BuildAttack> = Spec {
    name: "worst-case",
    summary: "your own ensemble: every attack of a list, each on what the others left",
    formula: "robust against every attack of the list",
    paper: "Croce & Hein 2020 (custom version)",
    params: &[ParamDoc {
        name: "attacks",
        kind: "attacks",
        default: "[\"fgsm\", \"pgd\", \"apgd-ce\", \"square\"]",
        unit: "",
        doc: "names, or tables with a name and arguments",
    }],
    numerics: 1,
    origin: "built-in",
    build: |args, registry| {
        let Value::Array(list) = args.value("attacks")? else {
            return Err(Error::value("worst-case.attacks", "must be a list of attacks"));
        };
        let mut attacks: Vec<Arc<dyn Attack>> = Vec::new();
        for item in list {
            let given = gauntlet_core::registry::given("worst-case.attacks", item)?;
            let (attack, _) = registry.attack(&given)?;
            if !attack.stages(Norm::Linf).is_empty() {
                return Err(Error::value("worst-case.attacks", format!("{} is itself an ensemble", attack.name())));
            }
            if attack.surrogate().is_some() {
                let why = "transfer has a surrogate of its own; give it an [[attack]] of its own";
                return Err(Error::value("worst-case.attacks", why));
            }
            attacks.push(attack);
        }
        if attacks.is_empty() {
            return Err(Error::value("worst-case.attacks", "needs at least one attack"));
        }
        Ok(Arc::new(WorstCase { attacks }))
    },
};

impl Attack for WorstCase {
    fn name(&self) -> &str {
        "worst-case"
    }
    fn family(&self) -> Family {
        Family::Ensemble
    }
    fn norms(&self) -> &[Norm] {
        const ALL: [Norm; 4] = [Norm::Linf, Norm::L2, Norm::L1, Norm::L0];
        let known = |norm: &Norm| self.attacks.iter().all(|a| a.norms().contains(norm));
        match ALL.map(|n| known(&n)) {
            [true, true, true, true] => &ALL,
            [true, true, true, false] => &[Norm::Linf, Norm::L2, Norm::L1],
            [true, true, false, true] => &[Norm::Linf, Norm::L2, Norm::L0],
            [true, false, true, true] => &[Norm::Linf, Norm::L1, Norm::L0],
            [false, true, true, true] => &[Norm::L2, Norm::L1, Norm::L0],
            [true, true, false, false] => &[Norm::Linf, Norm::L2],
            [true, false, true, false] => &[Norm::Linf, Norm::L1],
            [true, false, false, true] => &[Norm::Linf, Norm::L0],
            [false, true, true, false] => &[Norm::L2, Norm::L1],
            [false, true, false, true] => &[Norm::L2, Norm::L0],
            [false, false, true, true] => &[Norm::L1, Norm::L0],
            [true, false, false, false] => &[Norm::Linf],
            [false, true, false, false] => &[Norm::L2],
            [false, false, true, false] => &[Norm::L1],
            [false, false, false, true] => &[Norm::L0],
            [false, false, false, false] => &[],
        }
    }
    fn fits(&self, open: &Open) -> Result<()> {
        if open.lockstep {
            return Err(Error::value("worst-case", "is an ensemble for evaluation; a recipe needs a single attack"));
        }
        Ok(())
    }
    fn jobs(&self, _: &Clean, _: &ThreatModel) -> Vec<Job> {
        Vec::new()
    }
    fn stages(&self, _: Norm) -> Vec<Arc<dyn Attack>> {
        self.attacks.clone()
    }
    fn walk_f32(&self, site: Site<'_, f32>) -> Box<dyn Walk<f32>> {
        self.attacks[0].walk_f32(site)
    }
    fn walk_f64(&self, site: Site<'_, f64>) -> Box<dyn Walk<f64>> {
        self.attacks[0].walk_f64(site)
    }
}
