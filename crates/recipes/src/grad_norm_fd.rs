//! The input-gradient norm by a finite difference: no double backpropagation.

use gauntlet_autograd::kernels::{argmax_rows, one_hot};
use gauntlet_autograd::{Graph, Var};
use gauntlet_core::registry::BuildRecipe;
use gauntlet_core::{ParamDoc, ParamKind, Recipe, Result, Spec, Step, Term};
use std::sync::Arc;

/// weight · mean_n [(ℓ(x + h v) − ℓ(x)) / h]², v the detached direction of the input gradient; Finlay & Oberman 2019.
///
/// As h → 0 this is ‖g‖₂² (L2), ‖g‖₁²/d (L1) or ‖g‖_∞² (Linf). At the authors' h = 0.01 on a network of ReLUs it is
/// another objective than `grad-norm`: never a substitute for it. x + h v is not clamped to the box.
#[derive(Debug, Clone)]
pub struct GradNormFd {
    /// v.
    pub direction: FdDirection,
    /// Step h in pixels, ‖v‖₂ = 1.
    pub h: f64,
    /// (ℓ(x + hv) − ℓ(x − hv)) / 2h instead.
    pub central: bool,
    /// Weight in the total; the authors' λ is twice this.
    pub weight: f64,
}

/// The direction of the difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FdDirection {
    /// g/‖g‖₂.
    L2,
    /// sign(g)/√d.
    L1,
    /// sign(gⱼ) eⱼ at the largest |gⱼ|.
    Linf,
}

/// Registration.
pub const SPEC: Spec<BuildRecipe> = Spec {
    name: "grad-norm-fd",
    summary: "penalty on the input gradient's norm by a finite difference, without double backpropagation",
    formula: "weight · mean_n [(ℓ(x + h·v) − ℓ(x))/h]²,  v = g/‖g‖₂, sign(g)/√d or sign(gⱼ)·eⱼ, detached",
    paper: "Finlay & Oberman 2019 (tulip)",
    params: &[
        ParamDoc {
            name: "norm",
            kind: ParamKind::Choice(&["l2", "l1", "linf"]),
            default: "\"l2\"",
            unit: "",
            doc: "the norm of the gradient whose square is approached",
        },
        ParamDoc {
            name: "h",
            kind: ParamKind::POSITIVE,
            default: "0.01",
            unit: "pixels",
            doc: "step of the difference",
        },
        ParamDoc {
            name: "scheme",
            kind: ParamKind::Choice(&["forward", "central"]),
            default: "\"forward\"",
            unit: "",
            doc: "central: (ℓ(x + hv) − ℓ(x − hv))/2h, one more forward",
        },
        ParamDoc {
            name: "weight",
            kind: ParamKind::WEIGHT,
            default: "",
            unit: "",
            doc: "weight of the penalty (λ/2 of the paper)",
        },
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        let direction = match args.str("norm")? {
            "l1" => FdDirection::L1,
            "linf" => FdDirection::Linf,
            _ => FdDirection::L2,
        };
        let central = args.str("scheme")? == "central";
        Ok(Arc::new(GradNormFd { direction, h: args.f64("h")?, central, weight: args.f64("weight")? }))
    },
};

impl GradNormFd {
    /// v of every row of `g (N, ..)`; zero rows stay zero.
    fn direction(&self, g: &Var) -> Result<Var> {
        let flat = g.flatten()?;
        let v = match self.direction {
            FdDirection::L2 => {
                let inverse = flat.norm_l2_per_example()?.guarded_recip()?.unsqueeze(1)?;
                flat.broadcast_mul(&inverse)?
            }
            FdDirection::L1 => flat.sign()?.affine(1.0 / (flat.dim(1)? as f64).sqrt(), 0.0)?,
            FdDirection::Linf => {
                let largest = argmax_rows(flat.abs()?.tensor())?;
                let here = one_hot(&largest, flat.dim(1)?, g.tensor())?;
                flat.sign()?.mul(&Var::constant(here))?
            }
        };
        Ok(v.reshape(g.dims())?)
    }
}

impl Recipe for GradNormFd {
    fn name(&self) -> &str {
        "grad-norm-fd"
    }
    fn held_constant(&self) -> Option<&'static str> {
        (self.direction == FdDirection::L2).then_some("the direction v of the difference")
    }
    fn terms(&self, step: &mut Step<'_>) -> Result<Vec<Term>> {
        let x = step.input();
        let ce = step.cross_entropy(&x)?;
        let v = self.direction(&step.input_gradient(&ce, &x, Graph::Free)?)?;
        let moved = |h: f64| -> Result<Var> { Ok(x.detach().add(&v.affine(h, 0.0)?)?.to_leaf()) };
        let ahead = step.cross_entropy(&moved(self.h)?)?;
        let slope = if self.central {
            ahead.sub(&step.cross_entropy(&moved(-self.h)?)?)?.affine(0.5 / self.h, 0.0)?
        } else {
            ahead.sub(&ce)?.affine(1.0 / self.h, 0.0)?
        };
        Ok(vec![Term::new("fd_sq", self.weight, slope.sqr()?)])
    }
}
