//! Transfer: examples crafted on one model, tried on another.

use gauntlet_core::plan::TRANSFER;
use gauntlet_core::registry::BuildPlan;
use gauntlet_core::{Error, ParamDoc, ParamKind, Plan, Spec};
use std::sync::Arc;

/// Registration: x' is the last iterate of an attack on a surrogate model, every step taken; the referee tries it on the target.
///
/// Papernot, McDaniel & Goodfellow 2016. No gradient of the target is used: where transferred examples break what an
/// attack on the target itself does not, that attack was held up.
pub const SPEC: Spec<BuildPlan> = Spec {
    name: TRANSFER,
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
        let (plan, _) = registry.plan(&args.table("attack")?)?;
        let Plan::Single(attack) = &*plan else {
            return Err(Error::value("transfer.attack", format!("must be a single attack, not {}", plan.name())));
        };
        if attack.minimal() {
            return Err(Error::value(
                "transfer.attack",
                format!("must be an attack with a budget; {} stops at the surrogate's boundary", attack.name()),
            ));
        }
        Ok(Arc::new(Plan::Transfer { from: args.str("surrogate")?.to_string(), attack: attack.clone() }))
    },
};
