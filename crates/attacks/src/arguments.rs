//! Parameters that several attacks share.

use crate::StepSize;
use gauntlet_core::attack::{Job, Open};
use gauntlet_core::{Args, Clean, Error, Goal, Objective, ParamDoc, ParamKind, Range, Registry, Result};
use gauntlet_records::Norm;
use std::sync::Arc;

/// Targets of targeted attacks, as AutoAttack has them for ten classes and more.
pub(crate) const MOST_TARGETS: usize = 9;

pub(crate) const STEPS: ParamDoc =
    ParamDoc { name: "steps", kind: ParamKind::COUNT, default: "40", unit: "", doc: "steps per restart" };

pub(crate) const RESTARTS: ParamDoc = ParamDoc {
    name: "restarts",
    kind: ParamKind::COUNT,
    default: "1",
    unit: "",
    doc: "random restarts on examples not yet broken",
};

pub(crate) const OBJECTIVE: ParamDoc = ParamDoc {
    name: "objective",
    kind: ParamKind::Objective,
    default: "\"ce\"",
    unit: "",
    doc: "what is ascended: ce, margin, dlr, kl, or targeted ce-t, margin-t, dlr-t",
};

pub(crate) const TARGETS: ParamDoc = ParamDoc {
    name: "targets",
    kind: ParamKind::COUNT,
    default: "9",
    unit: "",
    doc: "target classes of a targeted run: the runners-up of the clean image",
};

/// Of attacks that step along a gradient; `null`, so that it is no part of a key where it is not given.
pub(crate) const RUNNERS_UP: ParamDoc = ParamDoc {
    default: "null",
    doc: "with a targeted objective: runners-up of the clean image that are tried, one after the other; without it 1, \
          the class that the image is most easily mistaken for",
    ..TARGETS
};

pub(crate) const SUCCESS: ParamDoc = ParamDoc {
    name: "success",
    kind: ParamKind::Choice(&["any", "target"]),
    default: "null",
    unit: "",
    doc: "what counts as broken with a targeted objective: any misclassification (without it), or its target class alone",
};

pub(crate) const SPARSITY: ParamDoc = ParamDoc {
    name: "sparsity",
    kind: ParamKind::Float(Range::at_least(0.0).below(1.0)),
    default: "null",
    unit: "",
    doc: "L1 only: share of the pixels that a step leaves alone; those with the largest slopes and room in the box share \
          α; without it 0.99, as SLIDE",
};

pub(crate) const DRAWS: ParamDoc =
    ParamDoc { name: "draws", kind: ParamKind::COUNT, default: "20", unit: "", doc: "gradients averaged per step" };

/// The step size `alpha`, text or number: above 0.
pub(crate) fn alpha(args: &Args) -> Result<StepSize> {
    let alpha = match args.value("alpha")? {
        serde_json::Value::Number(n) => n.to_string().parse()?,
        _ => args.str("alpha")?.parse()?,
    };
    match alpha {
        StepSize::Absolute(length) if length.value() == 0.0 => {
            let why = format!("must be above 0, got \"{length}\": such steps stay where they are");
            Err(Error::value(format!("{}.alpha", args.owner()), why))
        }
        alpha => Ok(alpha),
    }
}

/// The `objective` argument.
pub(crate) fn objective(args: &Args, registry: &Registry) -> Result<Arc<dyn Objective>> {
    Ok(registry.objective(&args.table("objective")?)?.0)
}

/// The arguments `targets` and `success` of an attack with this objective: how many runners-up, and whether a target
/// alone counts.
pub(crate) fn aims(args: &Args, objective: &dyn Objective) -> Result<(usize, bool)> {
    let targets = if args.has("targets") { args.usize("targets")? } else { 1 };
    let only = args.has("success") && args.str("success")? == "target";
    for (name, idle) in [("targets", args.has("targets")), ("success", only)] {
        if idle && !objective.targeted() {
            let why = format!("needs a targeted objective (ce-t, margin-t, dlr-t), {} has no target", objective.name());
            return Err(Error::value(format!("{}.{name}", args.owner()), why));
        }
    }
    Ok((targets, only))
}

/// The `sparsity` argument.
pub(crate) fn sparsity(args: &Args) -> Result<Option<f64>> {
    args.has("sparsity").then(|| args.f64("sparsity")).transpose()
}

/// A sparsity is for L1 alone.
pub(crate) fn sparse_in_l1(attack: &str, sparsity: Option<f64>, open: &Open) -> Result<()> {
    match (sparsity, open.threat.norm) {
        (Some(_), norm) if norm != Norm::L1 => {
            let why = format!("is for steps in l1, the norm is {norm}; leave it out");
            Err(Error::value(format!("{attack}.sparsity"), why))
        }
        _ => Ok(()),
    }
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
