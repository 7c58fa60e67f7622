//! The fast gradient sign method: PGD's own step, once, with α = ε and no random start.

use crate::arguments::{self, OBJECTIVE, RUNNERS_UP, SPARSITY, SUCCESS};
use crate::{Pgd, Start, StepSize};
use gauntlet_core::Spec;
use gauntlet_core::registry::BuildAttack;
use std::sync::Arc;

/// Registration.
pub const SPEC: Spec<BuildAttack> = Spec {
    name: "fgsm",
    summary: "one step of size ε along the norm's steepest direction; with a targeted objective towards the runner-up",
    formula: "x' = clip(x + ε · s(∇ₓℓ(x))), s = sign for L∞, g/‖g‖₂ for L2, for L1 the strongest 1 % of the pixels with room",
    paper: "Goodfellow, Shlens & Szegedy 2015",
    params: &[OBJECTIVE, RUNNERS_UP, SUCCESS, SPARSITY],
    numerics: 2,
    origin: "built-in",
    build: |args, registry| {
        let objective = arguments::objective(args, registry)?;
        let (targets, only_target) = arguments::aims(args, &*objective)?;
        Ok(Arc::new(Pgd {
            name: "fgsm",
            steps: 1,
            alpha: StepSize::Relative(1.0),
            restarts: 1,
            start: Start::Clean,
            momentum: None,
            draws: 1,
            objective,
            targets,
            only_target,
            sparsity: arguments::sparsity(args)?,
        }))
    },
};
