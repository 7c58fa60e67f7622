//! RayS: rays to the corners of a cube, their signs flipped block by block.

use crate::query::{Decisions, Oracle, Queried, QueryAttack};
use gauntlet_core::registry::BuildAttack;
use gauntlet_core::{ParamDoc, ParamKind, Spec};
use gauntlet_records::Norm;
use std::sync::Arc;

/// Signs s ∈ {−1, 1}^d and the distance g(s) of the boundary along s/‖s‖: the signs of a block are flipped (the whole image, halves,
/// quarters, …, single pixels), and kept if the flipped ray is misclassified at g(s); then g is found again by bisection.
///
/// Chen & Gu 2020.
#[derive(Debug, Clone)]
pub struct RayS {
    /// Questions at most.
    pub queries: u32,
    /// A bisection ends at this width of g(s), in L2.
    pub tolerance: f64,
}

/// Registration.
pub const SPEC: Spec<BuildAttack> = Spec {
    name: "rays",
    summary: "from decisions alone: signs flipped block by block, kept if the ray meets the boundary earlier; one run for every ε",
    formula: "x' = clip(x + g(s) · s/‖s‖₂), s ∈ {−1, 1}^d, blocks of s flipped if g falls",
    paper: "Chen & Gu 2020",
    params: &[
        ParamDoc { name: "queries", kind: ParamKind::COUNT, default: "10000", unit: "", doc: "questions at most" },
        ParamDoc {
            name: "tolerance",
            kind: ParamKind::POSITIVE,
            default: "0.001",
            unit: "",
            doc: "width at which a bisection ends, in L2",
        },
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, _| Ok(Arc::new(Queried(RayS { queries: args.u32("queries")?, tolerance: args.f64("tolerance")? }))),
};

impl QueryAttack for RayS {
    type Sees = Decisions;
    fn name(&self) -> &str {
        "rays"
    }
    fn norms(&self) -> &[Norm] {
        &[Norm::Linf]
    }
    fn queries(&self) -> u32 {
        self.queries
    }
    async fn search(self, mut oracle: Oracle<Decisions>) {
        let n = oracle.x0().len();
        let (mut signs, mut radius) = (vec![1.0; n], f64::INFINITY);
        let mut level = 0u32;
        loop {
            let size = n.div_ceil(1 << level.min(40));
            let mut fell = false;
            for start in (0..n).step_by(size) {
                let flip = |signs: &mut [f64]| signs[start..(start + size).min(n)].iter_mut().for_each(|s| *s = -*s);
                flip(&mut signs);
                let nearer = nearer(&mut oracle, &signs, radius, self.tolerance).await;
                match nearer.filter(|r| *r < radius) {
                    Some(r) => (radius, fell) = (r, true),
                    None => flip(&mut signs),
                }
            }
            // A round of single pixels in which none fell would be repeated for ever.
            if size == 1 && !fell {
                return;
            }
            level += 1;
        }
    }
}

/// Where the boundary lies along these signs, if it is misclassified at `radius`.
async fn nearer(oracle: &mut Oracle<Decisions>, signs: &[f64], radius: f64, tolerance: f64) -> Option<f64> {
    let length = (signs.len() as f64).sqrt();
    let point = |oracle: &Oracle<Decisions>, r: f64| oracle.along(signs, r / length);
    let at = point(oracle, radius);
    if !oracle.fools(&at).await {
        return None;
    }
    let (low, high) = oracle.threat().bounds;
    let (mut inside, mut outside) = (0.0, radius.min((high - low) * length));
    while outside - inside > tolerance {
        let middle = 0.5 * (inside + outside);
        let at = point(oracle, middle);
        *if oracle.fools(&at).await { &mut outside } else { &mut inside } = middle;
    }
    Some(outside)
}
