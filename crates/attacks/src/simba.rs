//! SimBA: one pixel or one cosine after the other, there or back, kept if the label's probability falls.

use crate::frequencies::{self, Frequencies};
use crate::query::{Oracle, Queried, QueryAttack, Scores};
use gauntlet_core::attack::Open;
use gauntlet_core::registry::BuildAttack;
use gauntlet_core::{ParamDoc, ParamKind, Result, Spec};
use gauntlet_records::Norm;
use std::sync::Arc;

/// x ← x − α q or, if p_y does not fall, x + α q, if it falls there; q the images of a basis in random order: single pixels, or the
/// lowest cosines of every channel. After the last of them in another order, until the questions are used up.
///
/// Guo et al. 2019. Here every step is projected onto the budget; log p_y stands for p_y, which rounds to 1.
#[derive(Debug, Clone)]
pub struct SimBa {
    /// Questions at most.
    pub queries: u32,
    /// α.
    pub step: f64,
    /// Cosines per side; `None`: pixels.
    pub frequencies: Option<usize>,
}

/// Registration.
pub const SPEC: Spec<BuildAttack> = Spec {
    name: "simba",
    summary: "from scores alone: pixels or cosines in random order, each moved by ±step if the label's probability falls",
    formula: "x ← Π_ε(x ± α q) if p_y falls, q of a basis: pixels, or the lowest cosines (DCT)",
    paper: "Guo et al. 2019",
    params: &[
        ParamDoc { name: "queries", kind: ParamKind::COUNT, default: "10000", unit: "", doc: "questions at most" },
        ParamDoc { name: "step", kind: ParamKind::POSITIVE, default: "0.2", unit: "pixels", doc: "α" },
        ParamDoc {
            name: "frequencies",
            kind: ParamKind::COUNT,
            default: "null",
            unit: "",
            doc: "SimBA-DCT: so many of the lowest cosines per side (the paper: 28 for images of 224 × 224); without it pixels",
        },
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        Ok(Arc::new(Queried(SimBa {
            queries: args.u32("queries")?,
            step: args.f64("step")?,
            frequencies: if args.has("frequencies") { Some(args.usize("frequencies")?) } else { None },
        })))
    },
};

impl QueryAttack for SimBa {
    type Sees = Scores;
    fn name(&self) -> &str {
        "simba"
    }
    fn norms(&self) -> &[Norm] {
        &[Norm::Linf, Norm::L2]
    }
    fn fits(&self, open: &Open) -> Result<()> {
        self.frequencies.map_or(Ok(()), |count| frequencies::fit("simba", count, open))
    }
    fn queries(&self) -> u32 {
        self.queries
    }
    async fn search(self, mut oracle: Oracle<Scores>) {
        let cosines = self.frequencies.map(|count| Frequencies::new(oracle.input(), count));
        let mut x = oracle.x0().to_vec();
        let mut order: Vec<usize> = (0..cosines.as_ref().map_or(x.len(), Frequencies::len)).collect();
        let mut lowest = oracle.log_probability(&x).await;
        loop {
            oracle.stream.shuffle(&mut order);
            let mut moved = false;
            for k in &order {
                let image = cosines.as_ref().map(|basis| basis.image(*k));
                for step in [-self.step, self.step] {
                    let mut tried = x.clone();
                    match &image {
                        Some(image) => tried.iter_mut().zip(image).for_each(|(x, q)| *x += step * q),
                        None => tried[*k] += step,
                    }
                    oracle.threat().project_row(oracle.x0(), &mut tried);
                    // Out of the box or of the budget: the answer is known.
                    if tried == x {
                        continue;
                    }
                    moved = true;
                    let value = oracle.log_probability(&tried).await;
                    if value < lowest {
                        (x, lowest) = (tried, value);
                        oracle.propose(&x);
                        break;
                    }
                }
            }
            if !moved {
                return;
            }
        }
    }
}
