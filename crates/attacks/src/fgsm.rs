//! The fast gradient sign method: PGD's own step, once, with α = ε and no random start.

use crate::{Pgd, StepSize};
use gauntlet_core::registry::BuildAttack;
use gauntlet_core::{ParamDoc, Spec};
use std::sync::Arc;

/// Registration.
pub const SPEC: Spec<BuildAttack> = Spec {
    name: "fgsm",
    summary: "one step of size ε along the norm's steepest direction",
    formula: "x' = clip(x + ε · s(∇ₓℓ(x))), s = sign for L∞, g/‖g‖₂ for L2",
    paper: "Goodfellow, Shlens & Szegedy 2015",
    params: &[ParamDoc {
        name: "objective",
        kind: "objective",
        default: "\"ce\"",
        unit: "",
        doc: "what is ascended: ce, margin, dlr",
    }],
    numerics: 1,
    origin: "built-in",
    build: |args, registry| {
        let (objective, _) = registry.objective(&args.table("objective")?)?;
        Ok(Arc::new(Pgd {
            name: "fgsm",
            steps: 1,
            alpha: StepSize::Relative(1.0),
            restarts: 1,
            random_start: false,
            objective,
        }))
    },
};
