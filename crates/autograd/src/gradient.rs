//! The reverse sweep.

use crate::kernels::map::add_into;
use crate::kernels::{dense, ones_like};
use crate::var::{Node, ancestors};
use crate::{Error, Result, Saved, Var};
use candle_core::Tensor;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Whether the *results* of [`grad`] can be differentiated again. Neither consumes the output's tape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Graph {
    /// Plain values: nothing is recorded.
    Free,
    /// The results carry their graph (`create_graph = True`).
    Keep,
}

/// d(sum of output)/d(wrt\[i\]) for each i.
///
/// Only what lies between `output` and `wrt` is visited; no other gradient is computed.
///
/// # Errors
/// [`Error::Unreached`] when the output does not depend on some of `wrt`: not a silent zero.
pub fn grad(output: &Var, wrt: &[&Var], graph: Graph) -> Result<Vec<Var>> {
    sweep(ones_like(output.tensor())?, output.node().cloned(), wrt, graph)
}

/// The last use of a tape: like [`grad`] with [`Graph::Free`], letting go of every node as it is passed.
///
/// What other variables still hold survives, so detach named terms first: a term kept for the log keeps the whole
/// forward alive.
pub fn grad_last(output: Var, wrt: &[&Var]) -> Result<Vec<Tensor>> {
    let node = output.node().cloned();
    let ones = ones_like(output.tensor())?;
    drop(output);
    Ok(sweep(ones, node, wrt, Graph::Free)?.into_iter().map(|v| v.tensor().clone()).collect())
}

/// A gradient in the making. The first contribution *is* the gradient: nothing is added to zeros.
struct Sum {
    value: Var,
    /// Whether the buffer was made here: a first contribution may be somebody else's (the vjp of add returns its argument).
    ours: bool,
}

impl Sum {
    fn add(&mut self, contribution: &Var, graph: Graph) -> Result<()> {
        if self.ours && graph == Graph::Free {
            return add_into(self.value.tensor(), contribution.tensor());
        }
        self.value = self.value.add(contribution)?;
        self.ours = true;
        Ok(())
    }
}

/// Σ cotangent · ∂output/∂x of one forward, shape of x: a pull-back, as plain values.
///
/// # Errors
/// [`Error::Unreached`]; a cotangent of another shape than the output's.
pub fn pull(output: &Var, cotangent: &Tensor, x: &Var) -> Result<Tensor> {
    if cotangent.dims() != output.dims() {
        let why = format!("a cotangent {:?} for an output {:?}", cotangent.dims(), output.dims());
        return Err(crate::error::shape("pull", why));
    }
    let seed = dense(cotangent)?;
    Ok(sweep(seed, output.node().cloned(), &[x], Graph::Free)?.swap_remove(0).tensor().clone())
}

/// The reverse sweep from a node whose gradient is `seed`.
fn sweep(seed: Tensor, root: Option<Arc<Node>>, wrt: &[&Var], graph: Graph) -> Result<Vec<Var>> {
    let mut nodes = root.as_ref().map(ancestors).unwrap_or_default();
    let targets: HashSet<u64> = wrt.iter().filter_map(|v| v.id()).collect();
    // Which nodes lead to a target: by growing id, inputs come first.
    let mut leads: HashSet<u64> = HashSet::new();
    for node in &nodes {
        let through = node.inputs.iter().any(|e| e.node.as_ref().is_some_and(|n| leads.contains(&n.id)));
        if through || targets.contains(&node.id) {
            leads.insert(node.id);
        }
    }
    let missing: Vec<usize> =
        wrt.iter().enumerate().filter(|(_, v)| v.id().is_none_or(|id| !leads.contains(&id))).map(|(i, _)| i).collect();
    if !missing.is_empty() {
        return Err(Error::Unreached { positions: missing });
    }
    let Some(root) = root else { return Ok(Vec::new()) };
    let mut gradients: HashMap<u64, Sum> = HashMap::new();
    gradients.insert(root.id, Sum { value: Var::constant(seed), ours: false });
    drop(root);
    let mut found: HashMap<u64, Var> = HashMap::new();
    while let Some(node) = nodes.pop() {
        if !leads.contains(&node.id) {
            continue;
        }
        let Some(Sum { value: gradient, .. }) = gradients.remove(&node.id) else { continue };
        if targets.contains(&node.id) {
            found.insert(node.id, gradient.clone());
        }
        let Some(op) = &node.op else { continue };
        let needed: Vec<bool> =
            node.inputs.iter().map(|e| e.node.as_ref().is_some_and(|n| leads.contains(&n.id))).collect();
        if !needed.contains(&true) {
            continue;
        }
        let saved = Saved { node: &node, op: op.name(), keep: graph == Graph::Keep };
        let contributions = op.vjp(&saved, &gradient, &needed)?;
        for ((edge, contribution), needed) in node.inputs.iter().zip(contributions).zip(needed) {
            let (Some(input), Some(contribution), true) = (&edge.node, contribution, needed) else { continue };
            if contribution.dims() != edge.dims {
                return Err(crate::error::shape(
                    op.name(),
                    format!("its vjp returned {:?} for an input of {:?}", contribution.dims(), edge.dims),
                ));
            }
            match gradients.entry(input.id) {
                Entry::Vacant(place) => {
                    place.insert(Sum { value: contribution, ours: false });
                }
                Entry::Occupied(mut place) => place.get_mut().add(&contribution, graph)?,
            }
        }
    }
    // A derivative that is zero everywhere (a sign on the way) leaves no contribution.
    let positions: Vec<usize> = wrt
        .iter()
        .enumerate()
        .filter(|(_, v)| v.id().is_none_or(|id| !found.contains_key(&id)))
        .map(|(i, _)| i)
        .collect();
    if !positions.is_empty() {
        return Err(Error::Unreached { positions });
    }
    Ok(wrt.iter().filter_map(|v| v.id().and_then(|id| found.get(&id).cloned())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn scalar(x: f64) -> Var {
        Var::leaf(Tensor::new(x, &Device::Cpu).unwrap())
    }

    fn value(v: &Var) -> f64 {
        v.tensor().to_scalar().unwrap()
    }

    #[test]
    fn derivatives_of_any_order() {
        let x = scalar(0.7);
        let mut y = x.mul(&x).unwrap().mul(&x).unwrap().mul(&x).unwrap();
        let mut want = 0.7f64.powi(4);
        for k in (1..=4).rev() {
            assert!((value(&y) - want).abs() < 1e-12);
            y = grad(&y, &[&x], Graph::Keep).unwrap().swap_remove(0);
            want = want * f64::from(k) / 0.7;
        }
        assert!((value(&y) - 24.0).abs() < 1e-12);
    }

    #[test]
    fn many_contributions_add_up_and_nothing_that_is_shared_changes() {
        let x = Var::leaf(Tensor::new(&[1.0f64, -2.0], &Device::Cpu).unwrap());
        let a = x.affine(3.0, 0.0).unwrap();
        let y = a.add(&a).unwrap().add(&x).unwrap().add(&a).unwrap().add(&x).unwrap();
        for graph in [Graph::Free, Graph::Keep] {
            let g = grad(&y, &[&x, &a], graph).unwrap();
            assert_eq!(g[0].tensor().to_vec1::<f64>().unwrap(), [11.0, 11.0]);
            assert_eq!(g[1].tensor().to_vec1::<f64>().unwrap(), [3.0, 3.0]);
        }
        assert_eq!(a.tensor().to_vec1::<f64>().unwrap(), [3.0, -6.0]);
    }

    #[test]
    fn free_gradients_are_constants_and_keep_the_tape() {
        let x = scalar(2.0);
        let y = x.sqr().unwrap();
        let g = grad(&y, &[&x], Graph::Free).unwrap().swap_remove(0);
        assert!(g.id().is_none());
        assert_eq!(value(&grad(&y, &[&x], Graph::Free).unwrap()[0]), 4.0);
    }

    #[test]
    fn unreached_variables_are_errors_that_name_all() {
        let (x, y, z) = (scalar(1.0), scalar(2.0), scalar(3.0));
        let out = x.mul(&y).unwrap();
        let error = grad(&out, &[&z, &x, &Var::constant(x.tensor().clone())], Graph::Free).unwrap_err();
        assert!(matches!(error, Error::Unreached { ref positions } if *positions == [0, 2]), "{error}");
        let constant = x.sign().unwrap();
        assert!(matches!(grad(&constant, &[&x], Graph::Free), Err(Error::Unreached { .. })));
    }

    #[test]
    fn intermediate_variables_can_be_differentiated_by() {
        let x = scalar(3.0);
        let y = x.sqr().unwrap();
        let z = y.sqr().unwrap();
        let g = grad(&z, &[&y, &x], Graph::Free).unwrap();
        assert_eq!((value(&g[0]), value(&g[1])), (18.0, 108.0));
    }

    #[test]
    fn the_last_sweep_lets_go_of_every_node() {
        let x = scalar(1.5);
        let mid = x.exp().unwrap();
        let weak = Arc::downgrade(mid.node().unwrap());
        let out = mid.sqr().unwrap();
        drop(mid);
        let g = grad_last(out, &[&x]).unwrap();
        assert!(weak.upgrade().is_none());
        assert!((g[0].to_scalar::<f64>().unwrap() - 2.0 * (3.0f64).exp()).abs() < 1e-12);
    }
}
