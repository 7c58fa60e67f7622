//! The Frobenius norm of the input-output Jacobian.

use gauntlet_autograd::{Graph, Var};
use gauntlet_core::registry::BuildRecipe;
use gauntlet_core::{Error, ParamDoc, ParamKind, Range, Recipe, Result, Spec, Step, Term};
use std::sync::Arc;

/// weight · mean_n ‖∂z/∂x‖_F², by n random projections or exactly; Hoffman, Roberts & Yaida 2019.
///
/// q = (K/n) Σ_μ ‖∇ₓ(v_μ · z)‖₂², v_μ uniform on the unit sphere of R^K, fresh for every example and step: unbiased.
/// (The paper's eq. 8 lacks the factor K; its code has it.)
#[derive(Debug, Clone)]
pub struct Jacobian {
    /// Projections; `None`: exact, one backward per class.
    pub projections: Option<usize>,
    /// Weight in the total; the authors' λ is twice this.
    pub weight: f64,
}

/// Registration.
pub const SPEC: Spec<BuildRecipe> = Spec {
    name: "jacobian",
    summary: "penalty on the squared Frobenius norm of the logits' Jacobian",
    formula: "weight · mean_n (K/m) Σ_μ ‖∇ₓ(v_μ · z)‖₂²,  v_μ uniform on the sphere; exact: Σ_k ‖∇ₓ z_k‖₂²",
    paper: "Hoffman, Roberts & Yaida 2019",
    params: &[
        ParamDoc {
            name: "projections",
            kind: ParamKind::Int(Range::at_least(0.0).at_most(1000.0)),
            default: "1",
            unit: "",
            doc: "random projections m; 0: exact, one backward per class",
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
        let projections = args.usize("projections")?;
        let projections = (projections > 0).then_some(projections);
        Ok(Arc::new(Jacobian { projections, weight: args.f64("weight")? }))
    },
};

/// Σ_k ‖∇ₓ z_k‖₂² per example, `(N,)`: one backward per class.
pub(crate) fn exact(step: &mut Step<'_>, x: &Var, z: &Var, graph: Graph) -> Result<Var> {
    let mut sum: Option<Var> = None;
    for k in 0..z.dim(1)? {
        let g = step.input_gradient(&z.narrow(1, k, 1)?.squeeze(1)?, x, graph)?;
        let q = g.sqr()?.sum_per_example()?;
        sum = Some(match sum {
            None => q,
            Some(s) => s.add(&q)?,
        });
    }
    sum.ok_or_else(|| Error::Message("a model without classes has no Jacobian".into()))
}

impl Recipe for Jacobian {
    fn name(&self) -> &str {
        "jacobian"
    }
    fn terms(&self, step: &mut Step<'_>) -> Result<Vec<Term>> {
        let x = step.input();
        let z = step.forward(&x)?;
        let q = match self.projections {
            None => exact(step, &x, &z, Graph::Keep)?,
            Some(m) => {
                let (n, k) = (z.dim(0)?, z.dim(1)?);
                let draws = step.normal("jacobian", &[m, k])?;
                let mut sum: Option<Var> = None;
                for mu in 0..m {
                    let v = draws.narrow(1, mu, 1)?.reshape(&[n, k])?;
                    let v = v.broadcast_mul(&v.norm_l2_per_example()?.guarded_recip()?.unsqueeze(1)?)?;
                    let g = step.input_gradient(&z.dot_per_example(&v)?, &x, Graph::Keep)?;
                    let q = g.sqr()?.sum_per_example()?.affine(k as f64 / m as f64, 0.0)?;
                    sum = Some(match sum {
                        None => q,
                        Some(s) => s.add(&q)?,
                    });
                }
                sum.ok_or_else(|| Error::Message("jacobian: no projection".into()))?
            }
        };
        Ok(vec![Term::new("jac_sq", self.weight, q)])
    }
}
