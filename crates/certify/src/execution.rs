//! What the bits that a CPU computes in f32 can differ by from the network of real numbers.

use crate::bounds::Bounds;
use crate::curve::Curve;
use crate::network::Op;
use crate::rounding::gamma_single;
use gauntlet_core::{Error, Result};

/// Below the smallest normal number of f32 an addition is exact and a product errs by half of this at most.
const TINY_SINGLE: f64 = 1.5e-45;

/// See [`Bounds::rounding_in_single`].
pub(crate) fn errors(bounds: &Bounds<'_>) -> Result<Vec<f64>> {
    let network = bounds.network;
    let mut errors: Vec<Vec<f64>> = Vec::with_capacity(network.nodes.len());
    for (i, node) in network.nodes.iter().enumerate() {
        let refuse = |why: &str| Err(Error::value(format!("executed in f32, layer {}", node.label), why));
        let found = match &node.op {
            // Pixels are the numbers that they are.
            Op::Input => vec![0.0; node.size],
            Op::Affine(affine) => {
                if affine.winograd {
                    return refuse(
                        "is computed by Winograd's algorithm, which has no account of rounding; use the network of real numbers",
                    );
                }
                if let Some((a, b)) = affine.larger {
                    // The larger of two numbers moves no farther than they do; where it is computed as y + relu(x − y), by two roundings more.
                    let reach = |node: usize, unit: usize| bounds.magnitude(node, unit) + errors[node][unit];
                    let error =
                        |u: usize| errors[a][u].max(errors[b][u]) + gamma_single(4) * (reach(a, u) + reach(b, u));
                    errors.push((0..node.size).map(error).collect());
                    continue;
                }
                let mut inputs = Vec::new();
                for input in &affine.of {
                    let e = &errors[*input];
                    let z = e.iter().enumerate().map(|(unit, e)| bounds.magnitude(*input, unit) + e);
                    inputs.push(e.iter().copied().chain(z).collect::<Vec<f64>>());
                }
                let n = node.size;
                let sums = affine.map.forward(&inputs.iter().map(Vec::as_slice).collect::<Vec<_>>(), 2, true)?;
                let terms = affine.map.terms();
                // The network's own numbers may be rounded to f32 on the way: one more in each factor and constant.
                let k = gamma_single(terms + affine.loose + 6);
                let tiny = (terms + 2) as f64 * TINY_SINGLE;
                let error = |u: usize| (sums[u] + k * (sums[n + u] + affine.bias_size[u])) * (1.0 + 1e-9) + tiny;
                (0..n).map(error).collect()
            }
            Op::Curve(of, Curve::Bent(slope)) => {
                let steep = slope.abs().max(1.0);
                let k = if *slope == 0.0 { 0.0 } else { gamma_single(6) };
                let error = |(unit, e): (usize, &f64)| steep * e + k * (bounds.magnitude(*of, unit) + e);
                errors[*of].iter().enumerate().map(error).collect()
            }
            Op::Curve(..) => {
                return refuse(
                    "is a smooth function, whose f32 arithmetic has no account of rounding; use the network of real numbers",
                );
            }
        };
        errors.push(found);
        let reach = |(unit, e): (usize, &f64)| bounds.magnitude(i, unit) + e;
        // Not above the largest number, and a number.
        let fits = |reach: f64| reach < f64::from(f32::MAX);
        if !errors[i].iter().enumerate().map(reach).all(fits) {
            return refuse("may overflow");
        }
    }
    Ok(errors.swap_remove(network.output))
}
