//! Gradient checks: analytic derivatives against central differences in f64, first and second order.
//!
//! Beware of kinks: the input gradient of a ReLU or max-pool network *jumps* where a unit switches. A direction along
//! which any unit changes its piece between −h and +h is discarded and counted.

use crate::kernels::{numbers_like, zeros_like};
use crate::var::ancestors;
use crate::{Error, Graph, Result, Var, grad};
use candle_core::{Device, Tensor};

/// A function under check: variables to a variable of any shape (it is contracted with a fixed pseudo-random vector).
pub type Function<'a> = dyn Fn(&[Var]) -> Result<Var> + 'a;

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Report {
    /// Largest relative error over all directions.
    pub worst: f64,
    /// Directions compared.
    pub compared: usize,
    /// Directions discarded because they cross a kink.
    pub discarded: usize,
}

/// Order of the derivative to be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// ∂f.
    First,
    /// ∂⟨r, ∂f⟩ for a fixed pseudo-random r.
    Second,
}

/// How a check probes.
#[derive(Debug, Clone, Copy)]
pub struct Probe {
    /// Half the width of the central difference.
    pub h: f64,
    /// Pseudo-random directions per tensor; `None`: every coordinate.
    pub directions: Option<usize>,
    /// Largest relative error allowed.
    pub tolerance: f64,
}

/// First-order check at every coordinate of `at` (f64 tensors).
///
/// ```
/// use candle_core::{Device, Tensor};
/// use gauntlet_autograd::check;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let x = Tensor::new(&[0.3f64, -0.7], &Device::Cpu)?;
/// check::first(&|v| v[0].tanh(), &[x.clone()], 1e-8)?;
/// check::second(&|v| v[0].tanh(), &[x], 1e-8)?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::Check`] names the tensor and the direction with the largest error, if it exceeds `tolerance`.
pub fn first(f: &Function<'_>, at: &[Tensor], tolerance: f64) -> Result<Report> {
    along(f, at, Order::First, Probe { h: 1e-5, directions: None, tolerance })
}

/// Second-order check at every coordinate of `at` (f64 tensors).
///
/// # Errors
/// As [`first`].
pub fn second(f: &Function<'_>, at: &[Tensor], tolerance: f64) -> Result<Report> {
    along(f, at, Order::Second, Probe { h: 1e-5, directions: None, tolerance })
}

/// A check along coordinates or pseudo-random directions, for functions too large for every coordinate.
///
/// # Errors
/// As [`first`]; also if every direction had to be discarded.
pub fn along(f: &Function<'_>, at: &[Tensor], order: Order, probe: Probe) -> Result<Report> {
    let analytic = {
        let vars: Vec<Var> = at.iter().map(|t| Var::leaf(t.clone())).collect();
        let (output, _) = scalar(f, &vars, order)?;
        let found = gradients(&output, &vars, Graph::Free)?;
        let or_zero = |(g, v): (Option<Var>, &Var)| Ok(g.map_or(zeros_like(v.tensor())?, |g| g.tensor().clone()));
        found.into_iter().zip(&vars).map(or_zero).collect::<Result<Vec<_>>>()?
    };
    let mut pairs = Vec::new();
    let mut discarded = 0;
    for (which, tensor) in at.iter().enumerate() {
        let count = tensor.elem_count();
        let slope: Vec<f64> = analytic[which].flatten_all()?.to_vec1()?;
        for d in 0..probe.directions.unwrap_or(count) {
            let direction: Vec<f64> = match probe.directions {
                None => (0..count).map(|i| f64::from(u8::from(i == d))).collect(),
                Some(_) => (0..count).map(|i| noise(0x5eed ^ which as u64, (d * count + i) as u64)).collect(),
            };
            let exact: f64 = slope.iter().zip(&direction).map(|(a, b)| a * b).sum();
            let step = Tensor::from_vec(direction, tensor.dims(), &Device::Cpu)?;
            let shifted = |h: f64| -> Result<(f64, u64)> {
                let vars: Vec<Var> = at
                    .iter()
                    .enumerate()
                    .map(|(i, t)| Ok(Var::leaf(if i == which { (t + step.affine(h, 0.0)?)? } else { t.clone() })))
                    .collect::<Result<_>>()?;
                let (value, pieces) = scalar(f, &vars, order)?;
                Ok((value.tensor().to_scalar::<f64>()?, pieces))
            };
            let ((high, above), (low, below)) = (shifted(probe.h)?, shifted(-probe.h)?);
            if above != below {
                discarded += 1;
                continue;
            }
            pairs.push((which, d, exact, (high - low) / (2.0 * probe.h)));
        }
    }
    if pairs.is_empty() && discarded > 0 {
        return Err(Error::Check(format!("all {discarded} directions cross a kink within ±{}", probe.h)));
    }
    // Errors are relative to the derivative, but not to derivatives that are tiny beside the others.
    let scale = pairs.iter().map(|p| p.2.abs().max(p.3.abs())).fold(0.0, f64::max);
    let mut worst = (0.0, (0, 0, 0.0, 0.0));
    for pair in &pairs {
        let (_, _, exact, numeric) = *pair;
        let error = (exact - numeric).abs() / exact.abs().max(numeric.abs()).max(0.05 * scale).max(1e-3);
        // A NaN is the worst error of all, and must not get lost in a comparison.
        if error.is_nan() || error > worst.0 {
            worst = (if error.is_nan() { f64::INFINITY } else { error }, *pair);
        }
    }
    let report = Report { worst: worst.0, compared: pairs.len(), discarded };
    if report.worst > probe.tolerance {
        let (which, d, exact, numeric) = worst.1;
        return Err(Error::Check(format!(
            "{order:?} derivative of argument {which}, direction {d}: {exact:e} against {numeric:e} by central \
             differences (relative error {:.1e}, allowed {:.1e})",
            report.worst, probe.tolerance
        )));
    }
    Ok(report)
}

/// f, ∂⟨c, f⟩ and ∂⟨r, ∂⟨c, f⟩⟩ at `at`, wherever that lies: what two devices are compared by.
///
/// # Errors
/// Those of the function and of its derivatives.
pub fn orders(f: &Function<'_>, at: &[Tensor]) -> Result<Vec<Tensor>> {
    let vars: Vec<Var> = at.iter().map(|t| Var::leaf(t.clone())).collect();
    let output = f(&vars)?;
    let contracted = contract(&output, 0xc0)?;
    let mut found = vec![output.tensor().clone()];
    for g in gradients(&contracted, &vars, Graph::Free)?.into_iter().flatten() {
        found.push(g.tensor().clone());
    }
    if let Some(total) = slopes(&contracted, &vars)? {
        for g in gradients(&total, &vars, Graph::Free)?.into_iter().flatten() {
            found.push(g.tensor().clone());
        }
    }
    Ok(found)
}

/// ⟨r, ∂ contracted⟩; `None` where nothing depends on a variable.
fn slopes(contracted: &Var, vars: &[Var]) -> Result<Option<Var>> {
    let mut total: Option<Var> = None;
    for (i, g) in gradients(contracted, vars, Graph::Keep)?.iter().enumerate() {
        if let Some(g) = g {
            let part = contract(g, 0xd0 + i as u64)?;
            total = Some(total.map_or(Ok(part.clone()), |t| t.add(&part))?);
        }
    }
    Ok(total)
}

/// ⟨c, f⟩ or ⟨r, ∂⟨c, f⟩⟩, and which pieces the function is on.
fn scalar(f: &Function<'_>, vars: &[Var], order: Order) -> Result<(Var, u64)> {
    let output = f(vars)?;
    let pieces = pieces(&output)?;
    let contracted = contract(&output, 0xc0)?;
    if order == Order::First {
        return Ok((contracted, pieces));
    }
    let nothing = || -> Result<Var> { Ok(Var::constant(zeros_like(contracted.tensor())?)) };
    Ok((slopes(&contracted, vars)?.map_or_else(nothing, Ok)?, pieces))
}

/// Gradients by all variables in one sweep; `None` where the output does not depend on one.
fn gradients(output: &Var, vars: &[Var], graph: Graph) -> Result<Vec<Option<Var>>> {
    let mut reached: Vec<usize> = (0..vars.len()).collect();
    loop {
        let wrt: Vec<&Var> = reached.iter().map(|i| &vars[*i]).collect();
        match grad(output, &wrt, graph) {
            Ok(found) => {
                let mut all = vec![None; vars.len()];
                for (i, g) in reached.iter().zip(found) {
                    all[*i] = Some(g);
                }
                return Ok(all);
            }
            Err(Error::Unreached { positions }) => {
                let gone: Vec<usize> = positions.iter().map(|p| reached[*p]).collect();
                reached.retain(|i| !gone.contains(i));
            }
            Err(e) => return Err(e),
        }
    }
}

/// ⟨c, v⟩ with fixed pseudo-random c.
fn contract(v: &Var, seed: u64) -> Result<Var> {
    let c: Vec<f64> = (0..v.tensor().elem_count()).map(|i| noise(seed, i as u64)).collect();
    let c = Var::constant(numbers_like(&c, v.dims(), v.tensor())?);
    v.mul(&c)?.sum_all()
}

/// A hash of the pieces that all piecewise operations behind `v` are on.
pub fn pieces(v: &Var) -> Result<u64> {
    let mut hash = 0u64;
    for node in v.node().map(ancestors).unwrap_or_default() {
        let Some(op) = &node.op else { continue };
        if let Some(h) = op.pieces(node.output.as_ref(), &node.aux)? {
            hash = hash.rotate_left(9).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ h;
        }
    }
    Ok(hash)
}

/// Uniform in ±1 from SplitMix64, bounded away from zero.
fn noise(seed: u64, index: u64) -> f64 {
    let mut z = seed
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .wrapping_add(index.wrapping_mul(0xd134_2543_de82_ef95))
        .wrapping_add(1);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    let magnitude = 0.25 + 0.75 * (z >> 12) as f64 / (1u64 << 52) as f64;
    if z & 1 == 0 { magnitude } else { -magnitude }
}
