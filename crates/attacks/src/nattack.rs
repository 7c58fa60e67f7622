//! NAttack: a distribution of perturbations, moved towards those that succeed.

use crate::query::{Oracle, Queried, QueryAttack, Scores};
use gauntlet_core::registry::BuildAttack;
use gauntlet_core::{ParamDoc, ParamKind, Range, Spec};
use gauntlet_records::Norm;
use std::sync::Arc;

/// x' = Π_ε((tanh(atanh(2x − 1) + m) + 1)/2), m ~ N(μ, σ² I); μ ← μ + λ/(n σ) Σ_i u_i A_i with A the rewards −½ max(0, z_y −
/// max_{j≠y} z_j) of n draws m_i = μ + σ u_i, made standard.
///
/// Li et al. 2019, without its resizing of μ.
#[derive(Debug, Clone)]
pub struct NAttack {
    /// Steps of μ.
    pub steps: u32,
    /// n.
    pub population: u32,
    /// σ.
    pub sigma: f64,
    /// λ.
    pub lr: f64,
}

/// Registration.
pub const SPEC: Spec<BuildAttack> = Spec {
    name: "nattack",
    summary: "from scores alone: a normal distribution of perturbations, its mean moved towards the draws that succeed",
    formula: "x' = Π_ε((tanh(atanh(2x − 1) + μ + σ u) + 1)/2),  μ ← μ + λ/(n σ) Σ_i u_i A_i, A = standardised −½ max(0, margin)",
    paper: "Li et al. 2019",
    params: &[
        ParamDoc { name: "steps", kind: ParamKind::COUNT, default: "500", unit: "", doc: "steps of the mean" },
        ParamDoc {
            name: "population",
            kind: ParamKind::Int(Range::at_least(2.0)),
            default: "300",
            unit: "",
            doc: "draws, one question each, per step",
        },
        ParamDoc { name: "sigma", kind: ParamKind::POSITIVE, default: "0.1", unit: "", doc: "σ of the distribution" },
        ParamDoc { name: "lr", kind: ParamKind::POSITIVE, default: "0.02", unit: "", doc: "learning rate λ" },
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        Ok(Arc::new(Queried(NAttack {
            steps: args.u32("steps")?,
            population: args.u32("population")?,
            sigma: args.f64("sigma")?,
            lr: args.f64("lr")?,
        })))
    },
};

impl QueryAttack for NAttack {
    type Sees = Scores;
    fn name(&self) -> &str {
        "nattack"
    }
    fn norms(&self) -> &[Norm] {
        &[Norm::Linf, Norm::L2]
    }
    fn queries(&self) -> u32 {
        u32::MAX
    }
    async fn search(self, mut oracle: Oracle<Scores>) {
        let (threat, n) = (oracle.threat(), oracle.x0().len());
        // 1 − 10⁻⁶ of the way to the boundary of the box, where atanh has no value.
        let centre: Vec<f64> = oracle.x0().iter().map(|x| libm::atanh((2.0 * x - 1.0) * (1.0 - 1e-6))).collect();
        let mut mean: Vec<f64> = (0..n).map(|_| 0.001 * oracle.stream.normal()).collect();
        let place = |oracle: &Oracle<Scores>, m: &[f64]| -> Vec<f64> {
            let mut x: Vec<f64> = centre.iter().zip(m).map(|(c, m)| 0.5 * (libm::tanh(c + m) + 1.0)).collect();
            threat.project_row(oracle.x0(), &mut x);
            x
        };
        for _ in 0..self.steps {
            let (mut draws, mut rewards) = (Vec::new(), Vec::new());
            for _ in 0..self.population {
                let u: Vec<f64> = (0..n).map(|_| oracle.stream.normal()).collect();
                let m: Vec<f64> = mean.iter().zip(&u).map(|(m, u)| m + self.sigma * u).collect();
                let x = place(&oracle, &m);
                rewards.push(-0.5 * oracle.margin(&x).await.clamp(0.0, 1000.0));
                draws.push(u);
            }
            let count = f64::from(self.population);
            let average = rewards.iter().sum::<f64>() / count;
            let spread = (rewards.iter().map(|r| (r - average).powi(2)).sum::<f64>() / count).sqrt();
            for (u, reward) in draws.iter().zip(&rewards) {
                let share = self.lr / (count * self.sigma) * (reward - average) / (spread + 1e-7);
                mean.iter_mut().zip(u).for_each(|(m, u)| *m += share * u);
            }
            let x = place(&oracle, &mean);
            oracle.propose(&x);
        }
    }
}
