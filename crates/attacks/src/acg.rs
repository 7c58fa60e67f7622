//! Auto conjugate gradient: Auto-PGD's schedule of step sizes, conjugate directions in place of its momentum.

use crate::Apgd;
use crate::arguments::{self, OBJECTIVE, RESTARTS, TARGETS};
use gauntlet_core::registry::BuildAttack;
use gauntlet_core::{ParamDoc, Spec};
use gauntlet_records::Norm;
use std::sync::Arc;

/// Where it is defined: the sparse schedule of L1 has no counterpart.
pub(crate) const NORMS: &[Norm] = &[Norm::Linf, Norm::L2];

/// Registration.
pub const SPEC: Spec<BuildAttack> = Spec {
    name: "acg",
    summary: "auto conjugate gradient: Auto-PGD's step sizes along conjugate directions, which change more from step to step",
    formula: "x ← P(x + η s(d)), d ← ∇ + β d, β = ⟨−∇, y⟩/⟨d, y⟩, y = ∇_before − ∇, η halved at checkpoints as by apgd-ce",
    paper: "Yamamura et al. 2022",
    params: &[
        ParamDoc { name: "steps", kind: "int", default: "100", unit: "", doc: "iterations per run" },
        RESTARTS,
        ParamDoc {
            name: "rho",
            kind: "float",
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
            steps: args.usize("steps", 1)? as u32,
            restarts: args.usize("restarts", 1)? as u32,
            rho: args.f64_from("rho", 0.0)?,
            draws: 1,
            objective: arguments::objective(args, registry)?,
            targets: args.usize("targets", 1)?,
            conjugate: true,
        }))
    },
};
