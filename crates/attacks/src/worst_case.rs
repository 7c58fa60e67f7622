//! The worst case of any list of attacks.

use gauntlet_core::registry::BuildPlan;
use gauntlet_core::{Attack, Ensemble, Error, ParamDoc, ParamKind, Plan, Spec};
use gauntlet_records::Norm;
use serde_json::Value;
use std::sync::Arc;

/// Registration: each attack of a list runs on what those before it left, cheap ones first.
pub const SPEC: Spec<BuildPlan> = Spec {
    name: "worst-case",
    summary: "your own ensemble: every attack of a list, each on what the others left",
    formula: "robust against every attack of the list",
    paper: "Croce & Hein 2020 (custom version)",
    params: &[ParamDoc {
        name: "attacks",
        kind: ParamKind::Attacks,
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
            let given = gauntlet_core::args::given("worst-case.attacks", item)?;
            let (plan, _) = registry.plan(&given)?;
            match &*plan {
                Plan::Single(attack) => attacks.push(attack.clone()),
                Plan::Ensemble(_) => {
                    return Err(Error::value("worst-case.attacks", format!("{} is itself an ensemble", plan.name())));
                }
                Plan::Transfer { .. } => {
                    let why = "transfer has a surrogate of its own; give it an [[attack]] of its own";
                    return Err(Error::value("worst-case.attacks", why));
                }
            }
        }
        if attacks.is_empty() {
            return Err(Error::value("worst-case.attacks", "needs at least one attack"));
        }
        let known = |norm: &Norm| attacks.iter().all(|a| a.norms().contains(norm));
        let norms = [Norm::Linf, Norm::L2, Norm::L1, Norm::L0].into_iter().filter(known);
        let stages = norms.map(|norm| (norm, attacks.clone())).collect();
        Ok(Arc::new(Plan::Ensemble(Ensemble { name: "worst-case".into(), stages, carries: true })))
    },
};
