//! Objectives: values and their derivatives by the logits, in closed form.

pub mod ce;
pub mod dlr;
pub mod kl;
pub mod margin;

/// The largest logit of another class: its index.
pub(crate) fn runner_up(z: &[f64], label: usize) -> usize {
    let first = usize::from(label == 0);
    (0..z.len()).filter(|i| *i != label).fold(first, |best, i| if z[i] > z[best] { i } else { best })
}

/// Classes by falling logit.
fn ranking(z: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..z.len()).collect();
    order.sort_by(|a, b| z[*b].total_cmp(&z[*a]));
    order
}

/// log Σ exp z and softmax(z).
fn softmax(z: &[f64]) -> (f64, Vec<f64>) {
    let max = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let e: Vec<f64> = z.iter().map(|z| (z - max).exp()).collect();
    let sum: f64 = e.iter().sum();
    (sum.ln() + max, e.into_iter().map(|e| e / sum).collect())
}

#[cfg(test)]
mod tests {
    use gauntlet_core::{Goal, Objective};

    fn all() -> [Box<dyn Objective>; 7] {
        [
            Box::new(super::ce::Ce { targeted: false }),
            Box::new(super::ce::Ce { targeted: true }),
            Box::new(super::margin::Margin { targeted: false }),
            Box::new(super::margin::Margin { targeted: true }),
            Box::new(super::dlr::Dlr { targeted: false }),
            Box::new(super::dlr::Dlr { targeted: true }),
            Box::new(super::kl::Kl),
        ]
    }

    fn goal(label: usize) -> Goal {
        let reference: Vec<f64> = super::softmax(&[0.3, -0.2, 0.9, 0.1, 0.0]).1;
        Goal { label, target: Some((label + 2) % 5), reference: Some(reference.into()) }
    }

    #[test]
    fn derivatives_agree_with_central_differences() {
        let rows = [[1.3, -0.4, 0.9, 2.2, -1.0], [0.1, 0.2, 3.0, -0.3, 0.7], [9.0, -9.0, 1.0, 2.0, 0.5]];
        for objective in all() {
            for (z, label) in rows.iter().zip([0usize, 3, 0]) {
                let goal = goal(label);
                let mut slope = [0.0; 5];
                objective.ascend(z, &goal, &mut slope);
                for k in 0..5 {
                    let h = 1e-6;
                    let (mut a, mut b) = (*z, *z);
                    a[k] += h;
                    b[k] -= h;
                    let value = |z: &[f64]| objective.ascend(z, &goal, &mut [0.0; 5]);
                    let numeric = (value(&a) - value(&b)) / (2.0 * h);
                    assert!((numeric - slope[k]).abs() < 1e-7, "{} label {label} class {k}", objective.name());
                }
            }
        }
    }

    #[test]
    fn saturated_logits_stay_finite() {
        for objective in all() {
            let mut slope = [0.0; 5];
            let value = objective.ascend(&[1000.0, -1000.0, 0.0, 5.0, 1.0], &goal(0), &mut slope);
            assert!(value.is_finite() && slope.iter().all(|x| x.is_finite()), "{}", objective.name());
        }
    }

    /// The defining property: positive where, and only where, the example is misclassified.
    #[test]
    fn margins_and_ratios_are_positive_exactly_for_errors() {
        let margin = super::margin::Margin { targeted: false };
        let dlr = super::dlr::Dlr { targeted: false };
        for (z, wrong) in [([3.0, 1.0, 0.0, -1.0], false), ([1.0, 3.0, 0.0, 2.0], true)] {
            for objective in [&margin as &dyn Objective, &dlr] {
                let value = objective.ascend(&z, &Goal::default(), &mut [0.0; 4]);
                assert_eq!(value > 0.0, wrong, "{}", objective.name());
            }
        }
        // Invariant to shift and scale.
        let z = [3.0, 1.0, 0.5, -1.0];
        let value = |z: &[f64]| dlr.ascend(z, &Goal::default(), &mut [0.0; 4]);
        assert!((value(&z) - value(&z.map(|z| 7.0 * z - 4.0))).abs() < 1e-9);
    }
}
