//! Student's t: what a mean over few training seeds says.

/// The 97.5 % quantile of Student's t with `degrees` degrees of freedom (at least one): half the width of a two-sided 95 %
/// interval in standard errors. A fraction of a degree is left out, which widens it.
///
/// To thirty degrees from the table (Student 1908), beyond by the expansion of Cornish and Fisher,
/// z + (z³ + z)/4ν + (5z⁵ + 16z³ + 3z)/96ν².
pub(crate) fn quantile(degrees: f64) -> f64 {
    const TABLE: [f64; 30] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
        2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
    ];
    let whole = degrees.floor().max(1.0);
    if let Some(known) = TABLE.get(whole as usize - 1) {
        return *known;
    }
    let z: f64 = 1.959_964;
    z + (z.powi(3) + z) / (4.0 * whole) + (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * whole * whole)
}

/// Whether the means of two samples differ at 5 %, two-sided; `None` where both have one value, which says nothing.
///
/// Welch's t with his degrees of freedom where both have several values (Welch 1947). Where one has a single value, the deviation
/// of the other stands for both: t = Δ / (s √(1 + 1/k)) with k − 1 degrees.
pub(crate) fn differ(a: &[f64], b: &[f64]) -> Option<bool> {
    let spread = |values: &[f64]| {
        let (mean, sd) = gauntlet_core::statistics::mean_sd(values)?;
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
    Some(difference > 0.0 && (error == 0.0 || difference >= quantile(degrees) * error.sqrt()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (degrees, expected) in
            [(1.0, 12.706), (2.9, 4.303), (30.0, 2.042), (40.0, 2.0211), (60.0, 2.0003), (120.0, 1.9799)]
        {
            assert!((quantile(degrees) - expected).abs() < 1e-4, "{degrees}: {}", quantile(degrees));
        }
        assert!((quantile(1e9) - 1.959_964).abs() < 1e-6 && quantile(0.2) == 12.706);
    }

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
