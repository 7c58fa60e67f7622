//! NES: gradients from scores by antithetic normal draws, followed with momentum.

use crate::StepSize;
use crate::arguments;
use crate::query::{Oracle, Queried, QueryAttack, Scores};
use gauntlet_core::registry::BuildAttack;
use gauntlet_core::{ParamDoc, ParamKind, Range, Spec};
use gauntlet_records::Norm;
use std::sync::Arc;

/// Losses of the last steps that a plateau is judged by.
const PLATEAU: usize = 5;

/// ĝ = Σ_i u_i (ℓ(x + σ u_i) − ℓ(x − σ u_i)) / (n σ), u ~ N(0, I), ℓ = − log p_y; m ← μ m + (1 − μ) ĝ; x ← Π_ε(x + α s(m)). α is
/// halved, to [`Nes::alpha_least`] at least, where the mean loss of a step is below that of four steps before.
///
/// Ilyas et al. 2018, the query-limited attack, untargeted; α and σ in pixels.
#[derive(Debug, Clone)]
pub struct Nes {
    /// Questions at most.
    pub queries: u32,
    /// Draws per gradient, half of them the negatives of the others.
    pub draws: u32,
    /// σ.
    pub sigma: f64,
    /// First α.
    pub alpha: StepSize,
    /// Least α, as a share of the first.
    pub alpha_least: f64,
    /// μ.
    pub momentum: f64,
}

/// Registration.
pub const SPEC: Spec<BuildAttack> = Spec {
    name: "nes",
    summary: "from scores alone: gradient estimated by antithetic normal draws, followed with momentum inside the budget",
    formula: "ĝ = Σ_i u_i (ℓ(x + σ u_i) − ℓ(x − σ u_i)) / (n σ),  m ← μ m + (1 − μ) ĝ,  x ← clip(Π_ε(x + α · s(m)))",
    paper: "Ilyas et al. 2018",
    params: &[
        ParamDoc { name: "queries", kind: ParamKind::COUNT, default: "10000", unit: "", doc: "questions at most" },
        ParamDoc {
            name: "draws",
            kind: ParamKind::Int(Range::at_least(2.0)),
            default: "50",
            unit: "",
            doc: "draws per gradient, in pairs",
        },
        ParamDoc { name: "sigma", kind: ParamKind::POSITIVE, default: "0.001", unit: "pixels", doc: "σ of the draws" },
        ParamDoc { default: "\"0.01\"", doc: "first step size", ..crate::pgd::ALPHA },
        ParamDoc {
            name: "alpha_least",
            kind: ParamKind::WEIGHT,
            default: "0.005",
            unit: "",
            doc: "least step size, as a share of the first",
        },
        ParamDoc {
            name: "momentum",
            kind: ParamKind::WEIGHT,
            default: "0.9",
            unit: "",
            doc: "decay μ of the direction",
        },
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        Ok(Arc::new(Queried(Nes {
            queries: args.u32("queries")?,
            draws: args.u32("draws")?,
            sigma: args.f64("sigma")?,
            alpha: arguments::alpha(args)?,
            alpha_least: args.f64("alpha_least")?,
            momentum: args.f64("momentum")?,
        })))
    },
};

impl QueryAttack for Nes {
    type Sees = Scores;
    fn name(&self) -> &str {
        "nes"
    }
    fn norms(&self) -> &[Norm] {
        &[Norm::Linf, Norm::L2]
    }
    fn queries(&self) -> u32 {
        self.queries
    }
    async fn search(self, mut oracle: Oracle<Scores>) {
        let threat = oracle.threat();
        let most = self.alpha.pixels(threat.eps);
        let mut alpha = most;
        let mut x = oracle.x0().to_vec();
        let mut direction = vec![0.0; x.len()];
        let mut losses = Vec::new();
        loop {
            // Whether the point itself breaks it is what this is asked for.
            oracle.ask(&x).await;
            let pairs = self.draws / 2;
            let scale = (1.0 - self.momentum) / (f64::from(2 * pairs) * self.sigma);
            direction.iter_mut().for_each(|m| *m *= self.momentum);
            let mut sum = 0.0;
            for _ in 0..pairs {
                let u: Vec<f64> = x.iter().map(|_| oracle.stream.normal()).collect();
                for sign in [1.0, -1.0] {
                    let probe: Vec<f64> = x.iter().zip(&u).map(|(x, u)| x + sign * self.sigma * u).collect();
                    let loss = -oracle.log_probability(&probe).await;
                    sum += loss;
                    direction.iter_mut().zip(&u).for_each(|(m, u)| *m += scale * sign * loss * u);
                }
            }
            losses.push(sum);
            if losses.len() > PLATEAU {
                losses.remove(0);
            }
            // Ascent: a plateau is where the loss fell.
            if losses.len() == PLATEAU && losses[PLATEAU - 1] < losses[0] {
                alpha = (0.5 * alpha).max(self.alpha_least * most);
                losses.clear();
            }
            threat.step_row(oracle.x0(), &mut x, &direction, alpha);
            oracle.propose(&x);
        }
    }
}
