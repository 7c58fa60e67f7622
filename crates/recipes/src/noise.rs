//! Training on noisy images: a control, not a defence.

use gauntlet_core::registry::BuildRecipe;
use gauntlet_core::{ParamDoc, ParamKind, Recipe, Result, Spec, Step, Term};
use gauntlet_records::Eps;
use std::sync::Arc;

/// L = mean ℓ(clip(x + η)), η random and fresh in every step; the controls of Goodfellow, Shlens & Szegedy 2015.
#[derive(Debug, Clone)]
pub struct Noise {
    /// How η is distributed.
    pub kind: NoiseKind,
    /// σ, or ε, in pixels.
    pub size: Eps,
}

/// The distribution of every pixel's noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoiseKind {
    /// N(0, size²).
    Gaussian,
    /// U(−size, size).
    Uniform,
    /// ± size, with even odds.
    Sign,
}

/// Registration.
pub const SPEC: Spec<BuildRecipe> = Spec {
    name: "noise",
    summary: "training on noisy images (a control: noise is not a worst case)",
    formula: "mean ℓ(clip(x + η)),  η ~ N(0, σ²), U(−ε, ε) or ±ε per pixel",
    paper: "Goodfellow, Shlens & Szegedy 2015",
    params: &[
        ParamDoc {
            name: "kind",
            kind: ParamKind::Choice(&["gaussian", "uniform", "sign"]),
            default: "\"gaussian\"",
            unit: "",
            doc: "distribution of every pixel's noise",
        },
        ParamDoc { name: "size", kind: ParamKind::Eps, default: "", unit: "pixels", doc: "σ of gaussian, else ε" },
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        let kind = match args.str("kind")? {
            "uniform" => NoiseKind::Uniform,
            "sign" => NoiseKind::Sign,
            _ => NoiseKind::Gaussian,
        };
        Ok(Arc::new(Noise { kind, size: args.eps("size")? }))
    },
};

impl Recipe for Noise {
    fn name(&self) -> &str {
        "noise"
    }
    fn terms(&self, step: &mut Step<'_>) -> Result<Vec<Term>> {
        let size = self.size.value();
        let noise = match self.kind {
            NoiseKind::Gaussian => step.normal_pixels("noise")?.affine(size, 0.0)?,
            NoiseKind::Uniform => step.uniform_pixels("noise", (-size, size))?,
            NoiseKind::Sign => step.uniform_pixels("noise", (-1.0, 1.0))?.sign()?.affine(size, 0.0)?,
        };
        let x = step.input().detach().add(&noise)?.clamp(0.0, 1.0)?.to_leaf();
        Ok(vec![Term::new("ce", 1.0, step.cross_entropy(&x)?)])
    }
}
