//! Bandits: the gradient of the step before is where the search for the next one begins.

use crate::StepSize;
use crate::arguments;
use crate::query::{Oracle, Queried, QueryAttack, Scores};
use gauntlet_core::attack::Open;
use gauntlet_core::registry::BuildAttack;
use gauntlet_core::{Error, ParamDoc, ParamKind, Result, Spec};
use gauntlet_records::Norm;
use std::sync::Arc;

/// A prior v of the gradient, of tiles: u ~ N(0, I/d), q± = v ± δ u (enlarged to the image), Δ = (ℓ(x + η q₊/‖q₊‖) − ℓ(x + η q₋/‖q₋‖))
/// / (η δ); v is moved along Δ u (L2: by a step of length λ Δ δ; L∞: by exponentiated gradients, v ∈ [−1, 1]); x ← Π_ε(x + α s(v)).
///
/// Ilyas, Engstrom & Madry 2019; ℓ the cross-entropy. The defaults are its configurations for L∞ and L2.
#[derive(Debug, Clone)]
pub struct Bandits {
    /// Questions at most.
    pub queries: u32,
    /// α; `None`: 0.01 in L∞, 0.5 in L2.
    pub alpha: Option<StepSize>,
    /// η, the distance at which ℓ is asked for; `None`: 0.1 in L∞, 0.01 in L2.
    pub eta: Option<f64>,
    /// δ; `None`: 1 in L∞, 0.01 in L2.
    pub exploration: Option<f64>,
    /// λ; `None`: 100 in L∞, 0.1 in L2.
    pub lr: Option<f64>,
    /// Tiles per side; `None`: pixels.
    pub tiles: Option<usize>,
}

const fn own(name: &'static str, unit: &'static str, doc: &'static str) -> ParamDoc {
    ParamDoc { name, kind: ParamKind::POSITIVE, default: "null", unit, doc }
}

/// Registration.
pub const SPEC: Spec<BuildAttack> = Spec {
    name: "bandits",
    summary: "from scores alone: two questions per step correct a running estimate of the gradient, made of tiles",
    formula: "v ← v + λ (ℓ(x + η q₊/‖q₊‖) − ℓ(x + η q₋/‖q₋‖)) u / η, q± = v ± δ u,  x ← clip(Π_ε(x + α · s(v)))",
    paper: "Ilyas, Engstrom & Madry 2019",
    params: &[
        ParamDoc { name: "queries", kind: ParamKind::COUNT, default: "10000", unit: "", doc: "questions at most" },
        ParamDoc { default: "null", doc: "step size; without it \"0.01\" in linf, \"0.5\" in l2", ..crate::pgd::ALPHA },
        own("eta", "pixels", "distance at which the loss is asked for; without it 0.1 in linf, 0.01 in l2"),
        own("exploration", "", "length δ of the draws; without it 1 in linf, 0.01 in l2"),
        own("lr", "", "learning rate λ of the estimate; without it 100 in linf, 0.1 in l2"),
        ParamDoc {
            name: "tiles",
            kind: ParamKind::COUNT,
            default: "null",
            unit: "",
            doc: "tiles per side that the estimate is made of (the paper: 50 for images of 299 × 299); without it pixels",
        },
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        let given = |name: &str| if args.has(name) { args.f64(name).map(Some) } else { Ok(None) };
        Ok(Arc::new(Queried(Bandits {
            queries: args.u32("queries")?,
            alpha: if args.has("alpha") { Some(arguments::alpha(args)?) } else { None },
            eta: given("eta")?,
            exploration: given("exploration")?,
            lr: given("lr")?,
            tiles: if args.has("tiles") { Some(args.usize("tiles")?) } else { None },
        })))
    },
};

impl QueryAttack for Bandits {
    type Sees = Scores;
    fn name(&self) -> &str {
        "bandits"
    }
    fn norms(&self) -> &[Norm] {
        &[Norm::Linf, Norm::L2]
    }
    fn fits(&self, open: &Open) -> Result<()> {
        let (_, h, w) = open.input;
        match self.tiles {
            Some(tiles) if tiles > h.min(w) => {
                let why = format!(
                    "is {tiles}, more than the {} pixels of the shorter side of {h} × {w}; leave it out",
                    h.min(w)
                );
                Err(Error::value("bandits.tiles", why))
            }
            _ => Ok(()),
        }
    }
    fn queries(&self) -> u32 {
        self.queries
    }
    async fn search(self, mut oracle: Oracle<Scores>) {
        let threat = oracle.threat();
        let cube = threat.norm == Norm::Linf;
        let either = |given: Option<f64>, linf: f64, l2: f64| given.unwrap_or(if cube { linf } else { l2 });
        let alpha = self.alpha.as_ref().map_or(if cube { 0.01 } else { 0.5 }, |alpha| alpha.pixels(threat.eps));
        let (eta, lr) = (either(self.eta, 0.1, 0.01), either(self.lr, 100.0, 0.1));
        let exploration = either(self.exploration, 1.0, 0.01);
        let (c, h, w) = oracle.input();
        let (rows, columns) = self.tiles.map_or((h, w), |tiles| (tiles, tiles));
        // A tile covers the pixels whose centre falls into it.
        let enlarged = |v: &[f64]| -> Vec<f64> {
            (0..c * h * w)
                .map(|k| v[(k / (h * w) * rows + k / w % h * rows / h) * columns + k % w * columns / w])
                .collect()
        };
        let d = c * rows * columns;
        let (mut x, mut prior) = (oracle.x0().to_vec(), vec![0.0; d]);
        loop {
            let u: Vec<f64> = (0..d).map(|_| exploration * oracle.stream.normal() / (d as f64).sqrt()).collect();
            let mut losses = [0.0; 2];
            for (loss, sign) in losses.iter_mut().zip([1.0, -1.0]) {
                let q: Vec<f64> = prior.iter().zip(&u).map(|(v, u)| v + sign * u).collect();
                let q = enlarged(&q);
                let size = Norm::L2.of(q.iter().copied()).max(1e-8);
                let probe: Vec<f64> = x.iter().zip(&q).map(|(x, q)| x + eta * q / size).collect();
                *loss = -oracle.log_probability(&probe).await;
            }
            let slope = (losses[0] - losses[1]) / (eta * exploration);
            for (v, u) in prior.iter_mut().zip(&u) {
                let g = lr * slope * u;
                *v = if cube { exponentiated(*v, g) } else { *v + g };
            }
            threat.step_row(oracle.x0(), &mut x, &enlarged(&prior), alpha);
            oracle.propose(&x);
            // Whether the point itself breaks it is what this is asked for.
            oracle.ask(&x).await;
        }
    }
}

/// Exponentiated gradients on [−1, 1]: with p = (v + 1)/2, p eᵍ / (p eᵍ + (1 − p) e⁻ᵍ), as an interval again.
fn exponentiated(v: f64, g: f64) -> f64 {
    let p = 0.5 * (v + 1.0);
    // Divided by eᵍ: no overflow for g > 0, and by e⁻ᵍ below.
    let (up, down) = if g > 0.0 { (p, (1.0 - p) * (-2.0 * g).exp()) } else { (p * (2.0 * g).exp(), 1.0 - p) };
    if up + down > 0.0 { 2.0 * up / (up + down) - 1.0 } else { v }
}

#[cfg(test)]
mod tests {
    use super::exponentiated;

    #[test]
    fn exponentiated_gradients_are_those_of_the_formula_and_never_overflow() {
        for (v, g) in [(0.0, 0.3), (0.7, -1.2), (-0.9, 2.0)] {
            let (p, e) = (0.5 * (v + 1.0), f64::exp(g));
            let want = 2.0 * p * e / (p * e + (1.0 - p) / e) - 1.0;
            assert!((exponentiated(v, g) - want).abs() < 1e-12, "{v} {g}");
        }
        assert_eq!((exponentiated(0.1, 1e6), exponentiated(0.1, -1e6)), (1.0, -1.0));
    }
}
