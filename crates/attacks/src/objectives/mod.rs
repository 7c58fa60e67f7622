//! Objectives: per-example values and their derivatives by the logits, in closed form, computed in f64.

pub mod ce;
pub mod dlr;
pub mod margin;

use candle_core::{Device, Tensor};
use gauntlet_core::{Error, Goal, Result, attack};

/// Applies a closed form row by row: `f(logits, label, derivative) -> value`.
fn by_row(logits: &Tensor, goal: &Goal, f: impl Fn(&[f64], usize, &mut [f64]) -> f64) -> Result<(Tensor, Tensor)> {
    let rows = attack::rows(logits)?;
    let labels: Vec<u32> = goal.labels.to_vec1()?;
    let (n, k) = logits.dims2()?;
    if labels.len() != n || labels.iter().any(|l| *l as usize >= k) {
        return Err(Error::value("labels", format!("{} labels for {n} rows of {k} classes", labels.len())));
    }
    let mut values = Vec::with_capacity(n);
    let mut slopes = vec![0.0; n * k];
    for ((row, label), slope) in rows.iter().zip(&labels).zip(slopes.chunks_exact_mut(k)) {
        values.push(f(row, *label as usize, slope));
    }
    let dtype = logits.dtype();
    Ok((
        Tensor::from_vec(values, n, &Device::Cpu)?.to_dtype(dtype)?,
        Tensor::from_vec(slopes, (n, k), &Device::Cpu)?.to_dtype(dtype)?,
    ))
}

/// The largest logit of another class: its index.
fn runner_up(z: &[f64], label: usize) -> usize {
    let first = usize::from(label == 0);
    (0..z.len()).filter(|i| *i != label).fold(first, |best, i| if z[i] > z[best] { i } else { best })
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};
    use gauntlet_core::{Goal, Objective};

    #[test]
    fn derivatives_agree_with_central_differences() {
        let z = [[1.3f64, -0.4, 0.9, 2.2, -1.0], [0.1, 0.2, 3.0, -0.3, 0.7], [9.0, -9.0, 1.0, 2.0, 0.5]];
        let labels = Tensor::new(&[0u32, 3, 0], &Device::Cpu).unwrap();
        let goal = Goal { labels, targets: None, reference: None };
        let objectives: [&dyn Objective; 3] = [&super::ce::Ce, &super::margin::Margin, &super::dlr::Dlr];
        for objective in objectives {
            let value = |z: &[[f64; 5]; 3]| {
                let t = Tensor::new(z, &Device::Cpu).unwrap();
                let (v, d) = objective.ascend(&t, &goal).unwrap();
                (v.to_vec1::<f64>().unwrap(), d.to_vec2::<f64>().unwrap())
            };
            let (_, slope) = value(&z);
            for n in 0..3 {
                for k in 0..5 {
                    let h = 1e-6;
                    let (mut a, mut b) = (z, z);
                    a[n][k] += h;
                    b[n][k] -= h;
                    let numeric = (value(&a).0[n] - value(&b).0[n]) / (2.0 * h);
                    assert!((numeric - slope[n][k]).abs() < 1e-7, "{} row {n} class {k}", objective.name());
                }
            }
        }
    }

    #[test]
    fn saturated_logits_stay_finite() {
        let t = Tensor::new(&[[1000.0f32, -1000.0, 0.0, 5.0]], &Device::Cpu).unwrap();
        let goal = Goal { labels: Tensor::new(&[0u32], &Device::Cpu).unwrap(), targets: None, reference: None };
        let objectives: [&dyn Objective; 3] = [&super::ce::Ce, &super::margin::Margin, &super::dlr::Dlr];
        for objective in objectives {
            let (v, d) = objective.ascend(&t, &goal).unwrap();
            assert!(v.to_vec1::<f32>().unwrap()[0].is_finite());
            assert!(d.to_vec2::<f32>().unwrap()[0].iter().all(|x| x.is_finite()));
        }
    }
}
