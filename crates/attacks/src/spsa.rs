//! SPSA: gradients from scores by random signs, followed by Adam.

use crate::query::{Oracle, Queried, QueryAttack, Scores};
use gauntlet_core::registry::BuildAttack;
use gauntlet_core::{ParamDoc, ParamKind, Spec};
use gauntlet_records::Norm;
use std::sync::Arc;

/// ĝ = Σ_i v_i (f(x + δ v_i) − f(x − δ v_i)) / (2 n δ), v ∈ {−1, 1}^d, f = z_y − max_{j≠y} z_j; x ← Π_ε(Adam(x, ĝ)) from a random
/// point of the ball.
///
/// Uesato et al. 2018; defaults of CleverHans, the steps those of the paper.
#[derive(Debug, Clone)]
pub struct Spsa {
    /// Steps.
    pub steps: u32,
    /// Pairs of questions per gradient.
    pub draws: u32,
    /// δ.
    pub delta: f64,
    /// Adam's learning rate.
    pub lr: f64,
    /// Runs.
    pub restarts: u32,
}

/// Registration.
pub const SPEC: Spec<BuildAttack> = Spec {
    name: "spsa",
    summary: "from scores alone: gradient of the margin estimated by random signs, followed by Adam inside the budget",
    formula: "ĝ = Σ_i v_i (f(x + δ v_i) − f(x − δ v_i)) / (2 n δ), v ∈ {−1, 1}^d,  x ← clip(Π_ε(Adam(x, ĝ))),  f = z_y − max_{j≠y} z_j",
    paper: "Uesato et al. 2018",
    params: &[
        ParamDoc { name: "steps", kind: ParamKind::COUNT, default: "100", unit: "", doc: "steps per run" },
        ParamDoc {
            name: "draws",
            kind: ParamKind::COUNT,
            default: "128",
            unit: "",
            doc: "pairs of questions per gradient",
        },
        ParamDoc {
            name: "delta",
            kind: ParamKind::POSITIVE,
            default: "0.01",
            unit: "pixels",
            doc: "δ of the differences",
        },
        ParamDoc { name: "lr", kind: ParamKind::POSITIVE, default: "0.01", unit: "", doc: "Adam's learning rate" },
        ParamDoc { name: "restarts", kind: ParamKind::COUNT, default: "1", unit: "", doc: "runs" },
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        Ok(Arc::new(Queried(Spsa {
            steps: args.u32("steps")?,
            draws: args.u32("draws")?,
            delta: args.f64("delta")?,
            lr: args.f64("lr")?,
            restarts: args.u32("restarts")?,
        })))
    },
};

impl QueryAttack for Spsa {
    type Sees = Scores;
    fn name(&self) -> &str {
        "spsa"
    }
    fn norms(&self) -> &[Norm] {
        &[Norm::Linf, Norm::L2]
    }
    fn queries(&self) -> u32 {
        u32::MAX
    }
    fn restarts(&self) -> u32 {
        self.restarts
    }
    async fn search(self, mut oracle: Oracle<Scores>) {
        let (threat, n) = (oracle.threat(), oracle.x0().len());
        let mut x = oracle.x0().to_vec();
        let mut stream = oracle.stream.clone();
        threat.start_row(oracle.x0(), &mut x, &mut stream);
        oracle.stream = stream;
        let (mut first, mut second) = (vec![0.0; n], vec![0.0; n]);
        for step in 1..=self.steps {
            let mut gradient = vec![0.0; n];
            for _ in 0..self.draws {
                let v: Vec<f64> = (0..n).map(|_| if oracle.stream.next_u32() & 1 == 0 { 1.0 } else { -1.0 }).collect();
                for sign in [1.0, -1.0] {
                    let probe: Vec<f64> = x.iter().zip(&v).map(|(x, v)| x + sign * self.delta * v).collect();
                    let value = oracle.margin(&probe).await;
                    let share = sign * value / (2.0 * f64::from(self.draws) * self.delta);
                    gradient.iter_mut().zip(&v).for_each(|(g, v)| *g += share * v);
                }
            }
            let (a, b) = (1.0 - 0.9f64.powi(step as i32), 1.0 - 0.999f64.powi(step as i32));
            for (((x, g), f), s) in x.iter_mut().zip(&gradient).zip(&mut first).zip(&mut second) {
                // A model that answers no number gives no direction.
                let g = if g.is_finite() { *g } else { 0.0 };
                (*f, *s) = (0.9 * *f + 0.1 * g, 0.999 * *s + 0.001 * g * g);
                *x -= self.lr * (*f / a) / ((*s / b).sqrt() + 1e-8);
            }
            threat.project_row(oracle.x0(), &mut x);
            oracle.propose(&x);
            // Whether the point itself breaks it is what this is asked for.
            oracle.ask(&x).await;
        }
    }
}
