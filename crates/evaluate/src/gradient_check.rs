//! Whether a target's pull-backs are the derivative of its logits: a check against finite differences.

use crate::{Examples, Result};
use candle_core::{DType, Device, Tensor};
use gauntlet_core::{Error, Key, Purpose, Target};
use gauntlet_records::Flag;

/// Examples that are looked at.
const EXAMPLES: usize = 8;
/// Random directions, each with random weights of the logits.
const DIRECTIONS: u32 = 8;
/// Steps per pixel, falling: large ones meet kinks and curvature, small ones drown in rounding.
const STEPS: [f64; 4] = [0.016, 0.004, 0.001, 0.00025];
/// Error that is forgiven, as a share of the typical derivative.
const FORGIVEN: f64 = 0.02;
/// How many times its own doubt the differences must miss the gradient by.
const DOUBTS: f64 = 2.0;

/// Compares pull-backs with central differences and says where they are not the derivative.
///
/// At up to eight examples, moved into the box and off exact zeros (x' = 0.02 + 0.96·(0.9·x + 0.1·u)), along random
/// directions d = ±1 per pixel and for random weights c of the logits, ⟨pull(c), d⟩ is compared with
/// Σₖ cₖ·(zₖ(x' + h·d) − zₖ(x' − h·d)) / 2h, as a share of the example's median derivative. The differences judge
/// themselves: of four step sizes h the one counts whose result moves least when h is divided by four, and how far it
/// moves (the median over examples and directions, so that a kink here or there does not matter), but at least what the
/// rounding of the logits can hide, is its doubt. The flag
/// `gradient-defect` is raised when the median error exceeds 0.02 + 2·doubt.
///
/// # Errors
/// A forward or a pull-back that fails. Logits that are not finite raise no flag here.
pub fn gradient_check(target: &dyn Target, examples: &Examples) -> Result<Option<Flag>> {
    let n = examples.len().min(EXAMPLES);
    let x = inside(&examples.pixels().narrow(0, 0, n)?, &examples.ids()[..n])?;
    let pixels = x.elem_count() / n;
    let linear = target.linearise(&x)?;
    let (classes, z) = (linear.logits().dim(1)?, rows(linear.logits())?);
    if !z.iter().flatten().all(|z| z.is_finite()) {
        return Ok(None);
    }
    let epsilon = match linear.logits().dtype() {
        DType::F64 => f64::EPSILON,
        DType::F16 => 2f64.powi(-10),
        DType::BF16 => 2f64.powi(-7),
        DType::F32 => f64::from(f32::EPSILON),
        other => return Err(Error::value("logits", format!("must be floats, got {}", other.as_str())).into()),
    };
    // Per example and direction: what the pull-back says, and what the differences say at every step.
    let mut said: Vec<Vec<f64>> = vec![Vec::new(); n];
    let mut seen: Vec<Vec<Seen>> = vec![Vec::new(); n];
    let mut odd = 0;
    for direction in 0..DIRECTIONS {
        let (mut d, mut c) = (Vec::with_capacity(n * pixels), Vec::with_capacity(n * classes));
        for id in &examples.ids()[..n] {
            let mut stream = key("direction").stream(*id, direction, 0);
            d.extend((0..pixels).map(|_| if stream.uniform() < 0.5 { -1.0 } else { 1.0 }));
            let mut stream = key("weights").stream(*id, direction, 0);
            c.extend((0..classes).map(|_| stream.normal()));
        }
        let cotangent = Tensor::from_vec(c.clone(), (n, classes), &Device::Cpu)?.to_dtype(linear.logits().dtype())?;
        let pulled = flat(&linear.pull(&cotangent)?)?;
        let mut differences = vec![[0.0; STEPS.len()]; n];
        let along = Tensor::from_vec(d.clone(), x.dims(), &Device::Cpu)?.to_dtype(x.dtype())?;
        for (k, h) in STEPS.into_iter().enumerate() {
            let there = rows(&target.logits(&(&x + along.affine(h, 0.0)?)?)?)?;
            let back = rows(&target.logits(&(&x - along.affine(h, 0.0)?)?)?)?;
            for (i, (there, back)) in there.iter().zip(&back).enumerate() {
                let weighted = c[i * classes..].iter().zip(there.iter().zip(back)).map(|(c, (a, b))| c * (a - b));
                differences[i][k] = weighted.sum::<f64>() / (2.0 * h);
            }
        }
        for i in 0..n {
            let range = i * pixels..(i + 1) * pixels;
            let slope: f64 = pulled[range.clone()].iter().zip(&d[range]).map(|(g, d)| g * d).sum();
            odd += usize::from(!slope.is_finite());
            said[i].push(slope);
            let weighted = c[i * classes..].iter().zip(&z[i]).map(|(c, z)| (c * z).abs());
            seen[i].push(Seen { differences: differences[i], grain: epsilon * weighted.sum::<f64>() });
        }
    }
    let flag = |detail: String| Some(Flag { name: "gradient-defect".into(), detail });
    if odd > 0 {
        let all = n * DIRECTIONS as usize;
        return Ok(flag(format!(
            "{odd} of {all} directional derivatives are not finite where the logits are; attacks that follow the \
             gradient are blind there, so their numbers are upper bounds"
        )));
    }
    Ok(judge(&said, &seen).and_then(|found| {
        let Found { error, doubt, strength } = found;
        let strength = if strength.is_finite() {
            format!("has {:.0} % of their size", 100.0 * strength)
        } else {
            "is not zero where they are".to_string()
        };
        flag(format!(
            "the input gradient misses central differences by {:.0} % and {strength} (medians over {n} \
             examples × {DIRECTIONS} directions; the differences themselves are good to {:.1} %): attacks that follow it \
             are held up, so their numbers are upper bounds",
            100.0 * error,
            100.0 * doubt
        ))
    }))
}

/// What differences along one direction say of one example.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    /// Central differences at every step.
    differences: [f64; STEPS.len()],
    /// What rounding can hide of the weighted logits: Σₖ |cₖ·zₖ| · ε of their type.
    grain: f64,
}

/// How far pull-backs and differences are apart.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Found {
    /// Median of |pull − difference| ÷ the example's median |difference|.
    error: f64,
    /// Median of |difference − difference at four times the step| ÷ the same, at least the grain's share.
    doubt: f64,
    /// Median of the example's median |pull| ÷ median |difference|.
    strength: f64,
}

/// Judges by the most trustworthy step; `None` if all is well or nothing can be said.
fn judge(said: &[Vec<f64>], seen: &[Vec<Seen>]) -> Option<Found> {
    let measure = |k: usize| -> Option<Found> {
        let (mut errors, mut doubts, mut strengths) = (Vec::new(), Vec::new(), Vec::new());
        for (said, seen) in said.iter().zip(seen) {
            let size = median(seen.iter().map(|s| s.differences[k].abs()).collect())?;
            let pulls = median(said.iter().map(|s| s.abs()).collect())?;
            let size_or_pulls = size.max(pulls);
            if size_or_pulls == 0.0 || !size.is_finite() {
                continue;
            }
            errors.extend(said.iter().zip(seen).map(|(a, s)| (a - s.differences[k]).abs() / size_or_pulls));
            doubts.extend(seen.iter().map(|s| {
                let moved = (s.differences[k - 1] - s.differences[k]).abs();
                moved.max(s.grain / (2.0 * STEPS[k])) / size_or_pulls
            }));
            strengths.push(if size == 0.0 { f64::INFINITY } else { pulls / size });
        }
        Some(Found { error: median(errors)?, doubt: median(doubts)?, strength: median(strengths)? })
    };
    let best = (1..STEPS.len()).filter_map(measure).min_by(|a, b| a.doubt.total_cmp(&b.doubt))?;
    (best.error > FORGIVEN + DOUBTS * best.doubt).then_some(best)
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn key(purpose: &str) -> Key {
    Key::new(0, Purpose::Sample).named("gradient check").named(purpose)
}

/// x' = 0.02 + 0.96·(0.9·x + 0.1·u): inside the box with room for a step, and off the exact zeros and ties of black
/// background, where a rectifier has no derivative that differences could confirm.
fn inside(x: &Tensor, ids: &[u64]) -> Result<Tensor> {
    let pixels = x.elem_count() / ids.len();
    let mut noise = Vec::with_capacity(x.elem_count());
    for id in ids {
        let mut stream = key("place").stream(*id, 0, 0);
        noise.extend((0..pixels).map(|_| 0.02 + 0.096 * stream.uniform()));
    }
    let noise = Tensor::from_vec(noise, x.dims(), x.device())?.to_dtype(x.dtype())?;
    Ok((x.affine(0.864, 0.0)? + noise)?)
}

fn flat(t: &Tensor) -> Result<Vec<f64>> {
    Ok(t.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?)
}

fn rows(logits: &Tensor) -> Result<Vec<Vec<f64>>> {
    Ok(gauntlet_core::attack::rows(logits)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Differences that are good to `doubt`, pulls that are `factor` of the truth.
    fn scene(factor: f64, doubt: f64) -> Option<Found> {
        let truth = |i: usize, j: usize| ((i * 7 + j * 3) % 11) as f64 - 5.0;
        let said: Vec<Vec<f64>> = (0..6).map(|i| (0..8).map(|j| factor * truth(i, j)).collect()).collect();
        let seen = (0..6).map(|i| {
            let at = |j: usize| std::array::from_fn(|k| truth(i, j) * (1.0 + if k % 2 == 0 { doubt } else { -doubt }));
            (0..8).map(|j| Seen { differences: at(j), grain: 0.0 }).collect()
        });
        judge(&said, &seen.collect::<Vec<_>>())
    }

    #[test]
    fn the_verdict_needs_more_than_the_differences_doubt() {
        assert_eq!(scene(1.0, 0.0), None);
        assert_eq!(scene(1.015, 0.0), None);
        assert_eq!(scene(1.0, 0.2), None);
        assert_eq!(scene(0.8, 0.1), None);
        assert!(scene(0.95, 0.001).is_some());
        let found = scene(0.25, 0.01).unwrap();
        assert!((found.strength - 0.25).abs() < 0.01 && found.error > 0.3, "{found:?}");
        assert_eq!(scene(0.0, 0.0).unwrap().strength, 0.0);
        // No derivative, and none is claimed: nothing to say.
        let flat = |grain: f64| [vec![Seen { differences: [0.0; STEPS.len()], grain }; 3]];
        assert_eq!(judge(&[vec![0.0; 3]], &flat(0.0)), None);
        assert_eq!(judge(&[vec![1.0; 3]], &flat(0.0)).unwrap().strength, f64::INFINITY);
        // One is claimed that rounding may hide.
        assert_eq!(judge(&[vec![1.0; 3]], &flat(0.1)), None);
    }
}
