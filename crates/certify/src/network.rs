//! A network as bounds need it: affine layers and curves.

use crate::affine::Affine;
use crate::curve::Curve;
use gauntlet_core::Result;

/// A network with its weights as a row of affine layers and curves, in f64.
#[derive(Debug, Clone)]
pub struct Network {
    pub(crate) nodes: Vec<Node>,
    /// The node that the logits are.
    pub(crate) output: usize,
    /// Of every node: whether no curve lies between the images and it.
    pub(crate) linear: Vec<bool>,
}

/// A value and what it is computed of.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// The layer that it belongs to, as errors call it.
    pub(crate) label: String,
    /// Its numbers.
    pub(crate) size: usize,
    /// What it is.
    pub(crate) op: Op,
}

#[derive(Debug, Clone)]
pub(crate) enum Op {
    /// The pixels.
    Input,
    /// An affine layer.
    Affine(Box<Affine>),
    /// A curve of every number of a node.
    Curve(usize, Curve),
}

impl Node {
    pub(crate) fn inputs(&self) -> &[usize] {
        match &self.op {
            Op::Input => &[],
            Op::Affine(affine) => &affine.of,
            Op::Curve(of, _) => std::slice::from_ref(of),
        }
    }
}

impl Network {
    pub(crate) fn of(nodes: Vec<Node>, output: usize) -> Self {
        // Only what the output hangs on, in the same order.
        let mut needed = vec![false; nodes.len()];
        (needed[0], needed[output]) = (true, true);
        for i in (0..nodes.len()).rev().filter(|i| *i <= output) {
            if needed[i] {
                nodes[i].inputs().iter().for_each(|input| needed[*input] = true);
            }
        }
        let places: Vec<usize> =
            needed.iter().scan(0, |n, needed| Some(std::mem::replace(n, *n + usize::from(*needed)))).collect();
        let mut kept: Vec<Node> = nodes.into_iter().zip(&needed).filter(|(_, n)| **n).map(|(node, _)| node).collect();
        for node in &mut kept {
            match &mut node.op {
                Op::Input => {}
                Op::Curve(of, _) => *of = places[*of],
                Op::Affine(affine) => {
                    affine.of.iter_mut().for_each(|of| *of = places[*of]);
                    affine.larger =
                        affine.larger.filter(|(a, b)| needed[*a] && needed[*b]).map(|(a, b)| (places[a], places[b]));
                }
            }
        }
        let mut linear = Vec::with_capacity(kept.len());
        for node in &kept {
            let straight = !matches!(node.op, Op::Curve(..)) && node.inputs().iter().all(|i| linear[*i]);
            linear.push(straight);
        }
        Network { nodes: kept, output: places[output], linear }
    }

    /// Number of pixels.
    pub fn pixels(&self) -> usize {
        self.nodes[0].size
    }
    /// Number of logits.
    pub fn classes(&self) -> usize {
        self.nodes[self.output].size
    }
    /// The logits at x, computed in f64 by this crate's own layers.
    ///
    /// # Errors
    /// Another number of pixels.
    pub fn logits(&self, x: &[f64]) -> Result<Vec<f64>> {
        if x.len() != self.pixels() {
            let why = format!("{} pixels for a network of {}", x.len(), self.pixels());
            return Err(gauntlet_core::Error::value("image", why));
        }
        let mut values: Vec<Vec<f64>> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            values.push(match &node.op {
                Op::Input => x.to_vec(),
                Op::Affine(affine) => {
                    let inputs: Vec<&[f64]> = affine.of.iter().map(|i| values[*i].as_slice()).collect();
                    let y = affine.map.forward(&inputs, 1, false)?;
                    y.iter().zip(&affine.bias).map(|(y, b)| y + b).collect()
                }
                Op::Curve(of, curve) => values[*of].iter().map(|z| curve.value(*z)).collect(),
            });
        }
        Ok(values.swap_remove(self.output))
    }
}
