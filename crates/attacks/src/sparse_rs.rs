//! Sparse-RS: random search over which values are changed, all of them to black or white.

use crate::arguments::RESTARTS;
use gauntlet_autograd::kernels::Real;
use gauntlet_core::attack::{Backwards, Job, Open, Pulls, Site, Turn, Walk, margin, misclassified};
use gauntlet_core::philox::Stream;
use gauntlet_core::registry::BuildAttack;
use gauntlet_core::{Attack, Clean, ParamDoc, ParamKind, Range, Spec, ThreatModel, walks};
use gauntlet_records::Norm;
use std::sync::Arc;

/// A set of ε values, each 0 or 1 at random; a proposal puts a share p of them back, changes as many others, and is kept if
/// the margin falls. p shrinks by a schedule over the queries.
///
/// Croce et al. 2022, the twin of square in L0. They change pixels, all channels of each at once: `pixels`, of which a budget of ε
/// values holds ⌊ε/C⌋.
#[derive(Debug, Clone)]
pub struct SparseRs {
    /// Queries per run.
    pub queries: u32,
    /// The first share p, but for the schedule.
    pub p_init: f64,
    /// Runs, from new random sets.
    pub restarts: u32,
    /// Whole pixels are changed, not single values.
    pub pixels: bool,
}

/// Registration.
pub const SPEC: Spec<BuildAttack> = Spec {
    name: "sparse-rs",
    summary: "random search over the set of changed values with scores alone: square's twin in L0",
    formula: "M ← M \\ A ∪ B, |A| = |B| = max(⌊p_i ε⌋, 1), values of B black or white at random, if max(z_y − max_{j≠y} z_j) falls",
    paper: "Croce et al. 2022",
    params: &[
        ParamDoc { name: "queries", kind: ParamKind::COUNT, default: "5000", unit: "", doc: "queries per run" },
        ParamDoc {
            name: "p_init",
            kind: ParamKind::Float(Range::above(0.0).at_most(1.0)),
            default: "0.3",
            unit: "",
            doc: "first share of the set that is exchanged",
        },
        RESTARTS,
        ParamDoc {
            name: "pixels",
            kind: ParamKind::Bool,
            default: "false",
            unit: "",
            doc: "whole pixels are changed, ⌊ε/C⌋ of C channels, as in the published code; else single values",
        },
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, _| {
        Ok(Arc::new(SparseRs {
            queries: args.u32("queries")?,
            p_init: args.f64("p_init")?,
            restarts: args.u32("restarts")?,
            pixels: args.bool("pixels")?,
        }))
    },
};

impl Attack for SparseRs {
    fn name(&self) -> &str {
        SPEC.name
    }
    fn norms(&self) -> &[Norm] {
        &[Norm::L0]
    }
    fn jobs(&self, _: &Clean, _: &ThreatModel) -> Vec<Job> {
        Job::restarts(self.restarts)
    }
    fn backwards(&self) -> Backwards {
        Backwards::None
    }
    walks!();
}

/// What p is divided by after so many of 10,000 queries.
fn divisor(at: u32) -> f64 {
    const PARTS: [(u32, f64); 9] = [
        (8000, 20.0),
        (6000, 15.0),
        (4000, 12.0),
        (2000, 10.0),
        (1000, 8.0),
        (500, 6.0),
        (200, 5.0),
        (50, 4.0),
        (0, 2.0),
    ];
    PARTS.iter().find(|(from, _)| at > *from).map_or(1.0, |(_, by)| *by)
}

impl SparseRs {
    fn walk<T: Real>(&self, site: Site<'_, T>) -> Box<dyn Walk<T>> {
        let (c, h, w) = site.open.input;
        let units = if self.pixels { h * w } else { c * h * w };
        let each = c * h * w / units.max(1);
        let size = ((site.open.threat.eps / each as f64) as usize).min(units);
        let mut walk = SparseRsWalk {
            attack: self.clone(),
            open: *site.open,
            id: site.clean.id,
            restart: site.job.restart,
            label: site.clean.label,
            order: (0..units).collect(),
            size,
            stride: if self.pixels { h * w } else { c * h * w },
            exchanged: Vec::new(),
            best: site.x0.to_vec(),
            lowest: f64::INFINITY,
            query: 0,
            x0: site.x0,
        };
        let mut stream = walk.stream();
        stream.shuffle(&mut walk.order);
        for k in 0..walk.size {
            walk.colour(site.x, walk.order[k], &mut stream);
        }
        Box::new(walk)
    }
}

struct SparseRsWalk<T> {
    attack: SparseRs,
    open: Open,
    id: u64,
    restart: u32,
    label: u32,
    /// Units (values or pixels): the first `size` are the set.
    order: Vec<usize>,
    size: usize,
    /// Values of a unit lie so far apart.
    stride: usize,
    /// Places of the order that the proposal exchanges.
    exchanged: Vec<(usize, usize)>,
    best: Vec<T>,
    lowest: f64,
    query: u32,
    x0: Arc<[T]>,
}

impl<T: Real> SparseRsWalk<T> {
    /// The stream of one proposal.
    fn stream(&self) -> Stream {
        self.open.key.stream(self.id, self.restart, self.query)
    }

    /// Black or white at random, channel by channel.
    fn colour(&self, x: &mut [T], unit: usize, stream: &mut Stream) {
        let (low, high) = self.open.threat.bounds;
        for at in (unit..x.len()).step_by(self.stride) {
            x[at] = T::of(if stream.next_u32() & 1 == 0 { low } else { high });
        }
    }

    fn propose(&mut self, x: &mut [T]) {
        let mut stream = self.stream();
        let at = (f64::from(self.query) / f64::from(self.attack.queries) * 10_000.0) as u32;
        let share = self.attack.p_init / divisor(at);
        let others = self.order.len() - self.size;
        let count = ((share * self.size as f64) as usize).max(1).min(others).min(self.size);
        x.copy_from_slice(&self.best);
        self.exchanged.clear();
        // Different ones of the set and of the rest: the first of a shuffle that is not finished.
        let mut first = |n: usize| {
            let mut moved: std::collections::HashMap<usize, usize> = std::collections::HashMap::new();
            (0..count)
                .map(|k| {
                    let pick = k + stream.below((n - k) as u32) as usize;
                    let chosen = *moved.get(&pick).unwrap_or(&pick);
                    let here = *moved.get(&k).unwrap_or(&k);
                    moved.insert(pick, here);
                    chosen
                })
                .collect::<Vec<usize>>()
        };
        let (inside, outside) = (first(self.size), first(others));
        self.exchanged = inside.into_iter().zip(outside.into_iter().map(|k| self.size + k)).collect();
        for (a, b) in &self.exchanged {
            for at in (self.order[*a]..x.len()).step_by(self.stride) {
                x[at] = self.x0[at];
            }
            self.colour(x, self.order[*b], &mut stream);
        }
    }
}

impl<T: Real> Walk<T> for SparseRsWalk<T> {
    fn look(&mut self, x: &mut [T], logits: &[f64], _: &mut Pulls<'_>) -> Turn {
        let value = margin(logits, self.label);
        if !self.open.lockstep && misclassified(logits, self.label) {
            return Turn::broken(self.query);
        }
        // A NaN is no progress.
        if value < self.lowest || self.query == 0 {
            self.best.copy_from_slice(x);
            self.lowest = if value.is_nan() { f64::INFINITY } else { value };
            for (a, b) in std::mem::take(&mut self.exchanged) {
                self.order.swap(a, b);
            }
        }
        if self.query + 1 >= self.attack.queries || self.size == 0 {
            x.copy_from_slice(&self.best);
            return Turn::withstood(self.query);
        }
        self.query += 1;
        self.propose(x);
        Turn::Go
    }

    fn step(&mut self, _: &mut [T], _: &[&[T]]) -> Turn {
        Turn::Go
    }
}

#[cfg(test)]
mod tests {
    use super::divisor;

    #[test]
    fn the_schedule_is_that_of_the_published_code() {
        let at = [0, 1, 50, 51, 201, 501, 1001, 2001, 4001, 6001, 8001];
        assert_eq!(at.map(divisor), [1.0, 2.0, 2.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 15.0, 20.0]);
    }
}
