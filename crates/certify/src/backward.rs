//! Linear functions of a node, taken back to the pixels: the one pass that all linear bounds are made of.

use crate::bounds::{Bounds, Rows, added};
use crate::lines::Lines;
use crate::network::Op;
use crate::rounding::{LARGEST, TINY, gamma};
use gauntlet_core::Result;

/// The functions to begin with.
pub(crate) enum Seed<'a> {
    /// Single numbers of the node, each with a sign.
    Units(&'a [(usize, f64)]),
    /// Functions of the logits.
    Rows(&'a Rows),
}

/// A rectifier that is held on one side, with its multiplier: where s·z ≥ 0 is known, −β·s·z ≤ 0 may be added.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Held {
    /// The curve.
    pub(crate) node: usize,
    /// The number.
    pub(crate) unit: usize,
    /// 1: on, −1: off.
    pub(crate) sign: f64,
    /// β ≥ 0.
    pub(crate) beta: f64,
}

/// What a pass of one row leaves behind.
#[derive(Debug, Default)]
pub(crate) struct Trace<'a> {
    /// Rectifiers that are held.
    pub(crate) held: &'a [Held],
    /// Of every curve the coefficients of its values.
    pub(crate) after: Vec<Vec<f64>>,
    /// Where the bound is attained in the pixels.
    pub(crate) point: Vec<f64>,
}

/// Sound lower bounds of the seeds: Σ a z ≥ c − slack on the region, with every rounding charged to the slack.
///
/// `fold`: curves are not gone through, their intervals are taken.
pub(crate) fn lower(
    bounds: &Bounds<'_>,
    lines: &[Lines],
    start: usize,
    seed: Seed<'_>,
    fold: bool,
    mut trace: Option<&mut Trace<'_>>,
) -> Result<Vec<f64>> {
    let network = bounds.network;
    let nodes = &network.nodes;
    let rows = match &seed {
        Seed::Units(units) => units.len(),
        Seed::Rows(rows) => rows.count(),
    };
    let mut state = State { bounds, a: vec![None; nodes.len()], c: vec![0.0; rows], slack: vec![TINY; rows] };
    if let Some(trace) = &mut trace {
        trace.after = vec![Vec::new(); nodes.len()];
    }
    // Margins are worth a search for the multiplier, numbers between are too many.
    let exact = matches!(seed, Seed::Rows(_));
    let mut from = start;
    match seed {
        Seed::Rows(given) => {
            state.a[start] = Some(given.factors.clone());
            state.c.copy_from_slice(&given.constants);
        }
        Seed::Units(units) => match &nodes[start].op {
            Op::Affine(affine) => {
                // The first layer's rows are read off: no sum, and no rounding but that in the layer's own numbers.
                let k = gamma(affine.loose + 2);
                for (row, (unit, sign)) in units.iter().enumerate() {
                    state.c[row] = sign * affine.bias[*unit];
                    state.slack[row] += k * bounds.account[start][*unit];
                }
                for (input, a) in affine.of.iter().zip(affine.map.rows(units)?) {
                    state.add(*input, a);
                }
                from = start.saturating_sub(1);
            }
            _ => {
                let size = nodes[start].size;
                let mut a = vec![0.0; size * rows];
                units.iter().enumerate().for_each(|(row, (unit, sign))| a[row * size + unit] = *sign);
                state.a[start] = Some(a);
            }
        },
    }
    for i in (1..=from).rev() {
        let Some(a) = state.a[i].take() else { continue };
        match &nodes[i].op {
            Op::Input => {}
            Op::Affine(affine) => {
                let n = nodes[i].size;
                // n products with the constants and as many as an input has readers, in each of them.
                let k = gamma(n + affine.map.fan() + affine.loose + 8);
                for (row, a) in a.chunks(n).enumerate() {
                    let (mut constant, mut size) = (0.0, 0.0);
                    for ((a, b), e) in a.iter().zip(&affine.bias).zip(&bounds.account[i]) {
                        constant += a * b;
                        size += a.abs() * e;
                    }
                    state.charge(row, constant, k * size);
                }
                for (input, a) in affine.of.iter().zip(affine.map.backward(a, rows)?) {
                    state.add(*input, a);
                }
            }
            Op::Curve(..) if fold => state.settle(i, &a),
            Op::Curve(of, _) => {
                let held = trace.as_ref().map_or(&[][..], |t| t.held);
                let back = state.relax(i, &a, &lines[i], held, *of);
                if let Some(trace) = &mut trace {
                    trace.after[i] = a;
                }
                state.add(*of, back);
            }
        }
    }
    let pixels = network.pixels();
    if let Some(a) = state.a[0].take() {
        for (row, a) in a.chunks(pixels).enumerate() {
            let least = match &mut trace {
                None if !exact => bounds.region.least(a),
                None => bounds.region.exactly(a).0,
                Some(trace) => {
                    let (least, point) = bounds.region.exactly(a);
                    trace.point = point;
                    least
                }
            };
            state.charge(row, least.value, least.slack);
        }
    } else if let Some(trace) = &mut trace {
        trace.point = bounds.region.centre.clone();
    }
    let sound = |(c, slack): (&f64, &f64)| {
        let bound = c - 1.01 * slack;
        if bound.is_finite() && c.abs() < LARGEST { bound } else { f64::NEG_INFINITY }
    };
    Ok(state.c.iter().zip(&state.slack).map(sound).collect())
}

/// Σ_i a_i z_i + c − slack, row by row.
struct State<'b, 'n> {
    bounds: &'b Bounds<'n>,
    a: Vec<Option<Vec<f64>>>,
    c: Vec<f64>,
    slack: Vec<f64>,
}

impl State<'_, '_> {
    fn charge(&mut self, row: usize, constant: f64, slack: f64) {
        self.c[row] += constant;
        self.slack[row] += slack + added(self.c[row]);
    }

    /// Coefficients of a node, on top of those of its other readers.
    fn add(&mut self, node: usize, a: Vec<f64>) {
        let Some(old) = &mut self.a[node] else {
            self.a[node] = Some(a);
            return;
        };
        let n = self.bounds.network.nodes[node].size;
        for (row, (old, new)) in old.chunks_mut(n).zip(a.chunks(n)).enumerate() {
            let mut size = 0.0;
            for (unit, (old, new)) in old.iter_mut().zip(new).enumerate() {
                *old += new;
                size += old.abs() * self.bounds.magnitude(node, unit);
            }
            self.slack[row] += gamma(2) * size;
        }
    }

    /// Takes the intervals of a node.
    fn settle(&mut self, node: usize, a: &[f64]) {
        let bounds = self.bounds;
        let n = bounds.network.nodes[node].size;
        for (row, a) in a.chunks(n).enumerate() {
            let (mut constant, mut size) = (0.0, 0.0);
            for (unit, a) in a.iter().enumerate() {
                constant += a * if *a > 0.0 { bounds.low[node][unit] } else { bounds.high[node][unit] };
                size += a.abs() * bounds.magnitude(node, unit);
            }
            self.charge(row, constant, gamma(n + 4) * size);
        }
    }

    /// Puts lines in place of a curve: the lower one where its coefficient is positive.
    fn relax(&mut self, node: usize, a: &[f64], lines: &Lines, held: &[Held], of: usize) -> Vec<f64> {
        let n = lines.below.len();
        let mut back = Vec::with_capacity(a.len());
        let k = gamma(n + 8);
        for (row, a) in a.chunks(n).enumerate() {
            let (mut constant, mut size) = (0.0, 0.0);
            for ((a, (below, above)), e) in a.iter().zip(lines.below.iter().zip(&lines.above)).zip(&lines.account) {
                if *a == 0.0 {
                    back.push(0.0);
                    continue;
                }
                let line = if *a > 0.0 { below } else { above };
                constant += a * line.b;
                size += a.abs() * e;
                back.push(a * line.d);
            }
            let first = back.len() - n;
            for held in held.iter().filter(|h| h.node == node && h.beta > 0.0) {
                let coefficient = &mut back[first + held.unit];
                *coefficient -= held.sign * held.beta;
                size += (coefficient.abs() + held.beta) * self.bounds.magnitude(of, held.unit);
            }
            self.charge(row, constant, k * size);
        }
        back
    }
}
