//! Better lower lines and multipliers for one function of the logits (α and β), by ascent.
//!
//! The bound is concave in the slopes and multipliers as long as no coefficient changes sign, and by the envelope theorem its derivative is read
//! off one forward pass along the lines from the point where it is attained: ∂/∂αᵢ = max(aᵢ, 0) zᵢ, ∂/∂βᵢ = −sᵢ zᵢ. Every step's bound is
//! sound; the best one counts.

use crate::backward::{self, Held, Seed, Trace};
use crate::bounds::{Bounds, Rows};
use crate::curve::Curve;
use crate::lines::Lines;
use crate::network::Op;
use gauntlet_core::Result;

/// Step sizes of slopes and multipliers.
const SLOPES: f64 = 0.1;
const MULTIPLIERS: f64 = 0.3;

/// A rectifier that is neither on nor off everywhere on the region.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Undecided {
    pub(crate) node: usize,
    pub(crate) unit: usize,
    /// The node before the curve.
    pub(crate) of: usize,
    /// Slope below 0.
    pub(crate) bent: f64,
}

/// What stays the same for all parts of a region.
pub(crate) struct Ascent<'b, 'n> {
    pub(crate) bounds: &'b Bounds<'n>,
    lines: Vec<Lines>,
    pub(crate) undecided: Vec<Undecided>,
}

/// A part of the region: some rectifiers are held on one side.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) held: Vec<Held>,
    /// Slopes of the undecided ones.
    slopes: Vec<f64>,
    /// Lower bound of the function on this part.
    pub(crate) lower: f64,
    /// Where the relaxed network attains it.
    pub(crate) point: Vec<f64>,
    /// The undecided one, by its place, that is to be held next.
    pub(crate) next: Option<usize>,
}

impl<'b, 'n> Ascent<'b, 'n> {
    pub(crate) fn new(bounds: &'b Bounds<'n>) -> Self {
        let mut lines = bounds.lines.clone();
        let mut undecided = Vec::new();
        for (node, n) in bounds.network.nodes.iter().enumerate() {
            let Op::Curve(of, curve @ Curve::Bent(bent)) = n.op else { continue };
            for unit in 0..n.size {
                if !curve.decided(bounds.low[of][unit], bounds.high[of][unit]) {
                    undecided.push(Undecided { node, unit, of, bent });
                    // Its lower line may take any slope between those of the two sides.
                    lines[node].account[unit] += (1.0 + bent.abs()) * bounds.magnitude(of, unit);
                }
            }
        }
        Ascent { bounds, lines, undecided }
    }

    /// The whole region.
    pub(crate) fn whole(&self) -> Part {
        let slopes = self.undecided.iter().map(|u| self.lines[u.node].below[u.unit].d).collect();
        Part { held: Vec::new(), slopes, lower: f64::NEG_INFINITY, point: Vec::new(), next: None }
    }

    /// The part in which one more rectifier is held.
    pub(crate) fn within(&self, part: &Part, which: usize, sign: f64) -> Part {
        let u = self.undecided[which];
        // Its parent's bound holds for it; where that is attained and what to split are its own.
        let mut child = Part { point: Vec::new(), next: None, ..part.clone() };
        child.held.push(Held { node: u.node, unit: u.unit, sign, beta: 0.0 });
        child
    }

    /// Raises the bound of a part until it is above 0, or `steps` are done, the last of which are `slower` times as long as the first.
    pub(crate) fn raise(&self, part: &mut Part, row: &Rows, steps: u32, slower: f64) -> Result<()> {
        let decay = libm::pow(slower, 1.0 / f64::from(steps.max(1)));
        let mut rate = 1.0;
        let (bounds, undecided) = (self.bounds, &self.undecided);
        let mut lines = self.lines.clone();
        let is_held = |u: &Undecided, held: &[Held]| held.iter().any(|h| h.node == u.node && h.unit == u.unit);
        for u in undecided.iter() {
            if let Some(held) = part.held.iter().find(|h| h.node == u.node && h.unit == u.unit) {
                lines[u.node].decide(u.unit, if held.sign > 0.0 { 1.0 } else { u.bent });
            }
        }
        let free: Vec<usize> = (0..undecided.len()).filter(|i| !is_held(&undecided[*i], &part.held)).collect();
        let mut slopes = part.slopes.clone();
        let mut held = part.held.clone();
        let mut adam = Adam::new(free.len() + held.len());
        for step in 0..=steps {
            for i in &free {
                let u = &undecided[*i];
                lines[u.node].below[u.unit].d = slopes[*i];
            }
            let mut trace = Trace { held: &held, ..Trace::default() };
            let start = bounds.network.output;
            let lower = backward::lower(bounds, &lines, start, Seed::Rows(row), false, Some(&mut trace))?[0];
            let Trace { after, point, .. } = trace;
            if lower > part.lower || part.point.is_empty() {
                part.lower = part.lower.max(lower);
                part.slopes.copy_from_slice(&slopes);
                part.held.clone_from(&held);
                part.next = self.loses_most(&free, &after, &lines);
                part.point.clone_from(&point);
            }
            if part.lower > 0.0 || step == steps {
                break;
            }
            let values = self.along(&lines, &after, &point)?;
            let coefficient = |u: &Undecided| after[u.node].get(u.unit).copied().unwrap_or(0.0);
            let mut gradient: Vec<f64> =
                free.iter().map(|i| &undecided[*i]).map(|u| coefficient(u).max(0.0) * values[u.of][u.unit]).collect();
            for h in &held {
                let Op::Curve(of, _) = bounds.network.nodes[h.node].op else { continue };
                gradient.push(-h.sign * values[of][h.unit]);
            }
            let moved = adam.step(&gradient);
            rate *= decay;
            for (k, i) in free.iter().enumerate() {
                slopes[*i] = (slopes[*i] + rate * SLOPES * moved[k]).clamp(undecided[*i].bent, 1.0);
            }
            for (h, m) in held.iter_mut().zip(&moved[free.len()..]) {
                h.beta = (h.beta + rate * MULTIPLIERS * m).max(0.0);
            }
        }
        Ok(())
    }

    /// The undecided rectifier whose upper line costs the bound most.
    fn loses_most(&self, free: &[usize], after: &[Vec<f64>], lines: &[Lines]) -> Option<usize> {
        let mut best: Option<(f64, usize)> = None;
        for i in free {
            let u = &self.undecided[*i];
            let a = after[u.node].get(u.unit).copied().unwrap_or(0.0);
            let (low, high) = (self.bounds.low[u.of][u.unit], self.bounds.high[u.of][u.unit]);
            let score = (-a).max(0.0) * lines[u.node].above[u.unit].b + 1e-3 * a.abs() * (-low).min(high);
            if best.is_none_or(|(most, _)| score > most) {
                best = Some((score, *i));
            }
        }
        best.map(|(_, i)| i)
    }

    /// All values where curves are replaced by the lines that the bound took, from a point on.
    fn along(&self, lines: &[Lines], after: &[Vec<f64>], point: &[f64]) -> Result<Vec<Vec<f64>>> {
        let network = self.bounds.network;
        let mut values: Vec<Vec<f64>> = Vec::with_capacity(network.nodes.len());
        for (i, node) in network.nodes.iter().enumerate() {
            values.push(match &node.op {
                Op::Input => point.to_vec(),
                Op::Affine(affine) => {
                    let inputs: Vec<&[f64]> = affine.of.iter().map(|i| values[*i].as_slice()).collect();
                    let y = affine.map.forward(&inputs, 1, false)?;
                    y.iter().zip(&affine.bias).map(|(y, b)| y + b).collect()
                }
                Op::Curve(of, _) => {
                    let taken = |unit: usize| {
                        let below = after[i].get(unit).is_none_or(|a| *a >= 0.0);
                        if below { lines[i].below[unit] } else { lines[i].above[unit] }
                    };
                    let at = |(unit, z): (usize, &f64)| {
                        let line = taken(unit);
                        line.d * z + line.b
                    };
                    values[*of].iter().enumerate().map(at).collect()
                }
            });
        }
        Ok(values)
    }
}

/// Adam's directions (Kingma & Ba 2015): made of + × ÷ √ alone, so they are the same everywhere.
struct Adam {
    first: Vec<f64>,
    second: Vec<f64>,
    powers: (f64, f64),
}

impl Adam {
    fn new(n: usize) -> Self {
        Adam { first: vec![0.0; n], second: vec![0.0; n], powers: (1.0, 1.0) }
    }

    fn step(&mut self, gradient: &[f64]) -> Vec<f64> {
        const KEPT: (f64, f64) = (0.9, 0.999);
        self.powers = (self.powers.0 * KEPT.0, self.powers.1 * KEPT.1);
        let (one, two) = (1.0 - self.powers.0, 1.0 - self.powers.1);
        let moments = self.first.iter_mut().zip(&mut self.second);
        let each = moments.zip(gradient).map(|((m, v), g)| {
            *m = KEPT.0 * *m + (1.0 - KEPT.0) * g;
            *v = KEPT.1 * *v + (1.0 - KEPT.1) * g * g;
            (*m / one) / ((*v / two).sqrt() + 1e-8)
        });
        each.collect()
    }
}
