//! Parameters that several attacks share.

use crate::StepSize;
use gauntlet_core::attack::Job;
use gauntlet_core::{Args, Clean, Error, Goal, Objective, ParamDoc, Registry, Result};
use std::sync::Arc;

/// Targets of targeted attacks, as AutoAttack has them for ten classes and more.
pub(crate) const MOST_TARGETS: usize = 9;

pub(crate) const STEPS: ParamDoc =
    ParamDoc { name: "steps", kind: "int", default: "40", unit: "", doc: "steps per restart" };

pub(crate) const RESTARTS: ParamDoc = ParamDoc {
    name: "restarts",
    kind: "int",
    default: "1",
    unit: "",
    doc: "random restarts on examples not yet broken",
};

pub(crate) const OBJECTIVE: ParamDoc = ParamDoc {
    name: "objective",
    kind: "objective",
    default: "\"ce\"",
    unit: "",
    doc: "what is ascended: ce, margin, dlr, kl, or targeted ce-t, margin-t, dlr-t",
};

pub(crate) const TARGETS: ParamDoc = ParamDoc {
    name: "targets",
    kind: "int",
    default: "9",
    unit: "",
    doc: "target classes of a targeted run: the runners-up of the clean image",
};

pub(crate) const DRAWS: ParamDoc =
    ParamDoc { name: "draws", kind: "int", default: "20", unit: "", doc: "gradients averaged per step" };

/// A length argument: text or number.
pub(crate) fn length(args: &Args, name: &str) -> Result<StepSize> {
    match args.value(name)? {
        serde_json::Value::Number(n) => n.to_string().parse(),
        _ => args.str(name)?.parse(),
    }
}

/// The `objective` argument.
pub(crate) fn objective(args: &Args, registry: &Registry) -> Result<Arc<dyn Objective>> {
    Ok(registry.objective(&args.table("objective")?)?.0)
}

/// Whether the model has the classes that the objective needs.
pub(crate) fn fits(attack: &str, objective: &dyn Objective, classes: usize) -> Result<()> {
    if classes >= objective.classes() {
        return Ok(());
    }
    let (name, least) = (objective.name(), objective.classes());
    let why =
        format!("objective {name} needs at least {least} classes, the model has {classes}; use \"margin\" or \"ce\"");
    Err(Error::value(attack, why))
}

/// Restarts, or restarts into every target of a targeted objective.
pub(crate) fn jobs(objective: &dyn Objective, clean: &Clean, targets: usize, restarts: u32) -> Vec<Job> {
    if objective.targeted() { Job::targets(&clean.runners_up(targets), restarts) } else { Job::restarts(restarts) }
}

/// What an objective is told.
pub(crate) fn goal(objective: &dyn Objective, clean: &Clean, job: &Job) -> Goal {
    let reference = objective.refers().then(|| {
        let max = clean.logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let e: Vec<f64> = clean.logits.iter().map(|z| (z - max).exp()).collect();
        let sum: f64 = e.iter().sum();
        e.into_iter().map(|e| e / sum).collect()
    });
    Goal { label: clean.label as usize, target: job.target.map(|t| t as usize), reference }
}
