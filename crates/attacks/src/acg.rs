//! Auto conjugate gradient: Auto-PGD's schedule of step sizes, conjugate directions in place of its momentum.

use crate::Apgd;
use crate::arguments::{self, OBJECTIVE, RESTARTS, TARGETS};
use gauntlet_core::registry::BuildAttack;
use gauntlet_core::{ParamDoc, ParamKind, Spec};
use std::sync::Arc;

/// Registration.
pub const SPEC: Spec<BuildAttack> = Spec {
    name: "acg",
    summary: "auto conjugate gradient: Auto-PGD's step sizes along conjugate directions, which change more from step to step",
    formula: "x ← P(x + η s(d)), d ← ∇ + β d, β = ⟨−∇, y⟩/⟨d, y⟩, y = ∇_before − ∇, η halved at checkpoints as by apgd-ce",
    paper: "Yamamura et al. 2022",
    params: &[
        ParamDoc { name: "steps", kind: ParamKind::COUNT, default: "100", unit: "", doc: "iterations per run" },
        RESTARTS,
        ParamDoc {
            name: "rho",
            kind: ParamKind::WEIGHT,
            default: "0.75",
            unit: "",
            doc: "share of increasing steps below which the step size is halved",
        },
        ParamDoc { default: "\"margin\"", ..OBJECTIVE },
        TARGETS,
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, registry| {
        Ok(Arc::new(Apgd {
            name: SPEC.name,
            steps: args.u32("steps")?,
            restarts: args.u32("restarts")?,
            rho: args.f64("rho")?,
            draws: 1,
            objective: arguments::objective(args, registry)?,
            targets: args.usize("targets")?,
            conjugate: true,
        }))
    },
};
