//! Student's t: what a mean over few training seeds says.

use gauntlet_records::statistics::{mean_sd, student_t};

/// Whether the means of two samples differ at 5 %, two-sided; `None` where both have one value, which says nothing.
///
/// Welch's t with his degrees of freedom, a fraction of one left out, where both have several values (Welch 1947). Where one has a single value, the deviation
/// of the other stands for both: t = Δ / (s √(1 + 1/k)) with k − 1 degrees.
pub(crate) fn differ(a: &[f64], b: &[f64]) -> Option<bool> {
    let spread = |values: &[f64]| {
        let (mean, sd) = mean_sd(values)?;
        Some((mean, sd * sd, values.len() as f64))
    };
    let (a, b) = (spread(a)?, spread(b)?);
    let (error, degrees) = match (a.2 > 1.0, b.2 > 1.0) {
        (false, false) => return None,
        (true, true) => {
            let (u, v) = (a.1 / a.2, b.1 / b.2);
            (u + v, (u + v).powi(2) / (u * u / (a.2 - 1.0) + v * v / (b.2 - 1.0)))
        }
        (several, _) => {
            let (_, variance, k) = if several { a } else { b };
            (variance * (1.0 + 1.0 / k), k - 1.0)
        }
    };
    let difference = (a.0 - b.0).abs();
    // Without any spread every difference counts, and has no degrees of freedom.
    Some(difference > 0.0 && (error == 0.0 || difference >= student_t((degrees as u64).max(1)) * error.sqrt()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_over_few_seeds_differ_only_where_their_spread_allows_it() {
        assert_eq!(differ(&[78.5], &[40.8]), None);
        // wong-mnist's fgsm-rs, 40.8 ± 36.3 over three seeds, beside one training of pgd-at.
        let rs = [11.0, 29.3, 82.1];
        assert_eq!(differ(&rs, &[78.5]), Some(false));
        assert_eq!(differ(&[78.5, 78.1, 78.9], &[68.4, 68.0, 68.9]), Some(true));
        // Two seeds have one degree of freedom, and 12.7 standard errors to either side.
        assert_eq!(differ(&[78.5, 78.1], &[68.4, 66.0]), Some(false));
        assert_eq!(differ(&[50.0, 50.0], &[49.9, 49.9]), Some(true));
        assert_eq!(differ(&[50.0, 50.0], &[50.0]), Some(false));
    }
}
