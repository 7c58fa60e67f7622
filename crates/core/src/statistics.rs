//! The little statistics that every table needs.

/// Wilson's score interval of k successes in n trials at z standard deviations (1.96: 95 %), as fractions.
///
/// (p̂ + z²/2n ± z √(p̂(1−p̂)/n + z²/4n²)) / (1 + z²/n) — Wilson 1927. For n = 0 it is (0, 1): nothing is known.
pub fn wilson(k: u64, n: u64, z: f64) -> (f64, f64) {
    if n == 0 {
        return (0.0, 1.0);
    }
    let (n, p) = (n as f64, k as f64 / n as f64);
    let centre = p + z * z / (2.0 * n);
    let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z * z / n;
    (((centre - half) / scale).max(0.0), ((centre + half) / scale).min(1.0))
}

/// Mean and sample standard deviation (0 for a single value; `None` for none).
pub fn mean_sd(values: &[f64]) -> Option<(f64, f64)> {
    if values.is_empty() {
        return None;
    }
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    if values.len() == 1 {
        return Some((mean, 0.0));
    }
    let var = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / (n - 1.0);
    Some((mean, var.sqrt()))
}

/// Exact two-sided McNemar p-value from the discordant counts: min(1, 2 · P(Bin(b + c, ½) ≤ min(b, c))).
pub fn mcnemar(b: u64, c: u64) -> f64 {
    let n = b + c;
    let mut term = 0.5f64.powf(n as f64).max(f64::MIN_POSITIVE);
    let mut sum = 0.0;
    for k in 0..=b.min(c) {
        sum += term;
        term *= (n - k) as f64 / (k + 1) as f64;
    }
    (2.0 * sum).min(1.0)
}

/// The median of sorted values, and two of them that bound the population's median with at least 95 %: the k-th
/// smallest and the k-th largest, k from the binomial distribution of how many lie below it.
///
/// Of fewer than six values, the smallest and the largest, with less.
pub fn median_interval(sorted: &[f64]) -> (f64, f64, f64) {
    let n = sorted.len();
    if n == 0 {
        return (f64::NAN, f64::NAN, f64::NAN);
    }
    // Σ_{i<k} C(n, i) / 2ⁿ, by logarithms: 2ⁿ is soon no number.
    let (mut k, mut below) = (1, 0.0);
    let mut logarithm = -(n as f64) * std::f64::consts::LN_2;
    for i in 0..n / 2 {
        below += logarithm.exp();
        if below > 0.025 {
            break;
        }
        k = i + 1;
        logarithm += ((n - i) as f64 / (i + 1) as f64).ln();
    }
    (sorted[n / 2], sorted[k - 1], sorted[n - k])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilson_of_known_cases() {
        // 8 of 10 at 1.96: 0.4902, 0.9433 (Agresti & Coull 1998 give 0.490–0.943).
        let (lo, hi) = wilson(8, 10, 1.96);
        assert!((lo - 0.4902).abs() < 5e-4 && (hi - 0.9433).abs() < 5e-4, "{lo} {hi}");
        assert_eq!(wilson(0, 10, 1.96).0, 0.0);
        assert_eq!(wilson(10, 10, 1.96).1, 1.0);
        assert_eq!(wilson(0, 0, 1.96), (0.0, 1.0));
    }

    #[test]
    fn mean_and_sample_deviation() {
        assert_eq!(mean_sd(&[]), None);
        assert_eq!(mean_sd(&[3.0]), Some((3.0, 0.0)));
        let (m, s) = mean_sd(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).unwrap();
        assert!((m - 5.0).abs() < 1e-12 && (s - 2.138_089_935).abs() < 1e-8);
    }

    #[test]
    fn mcnemar_of_known_cases() {
        assert_eq!(mcnemar(0, 0), 1.0);
        assert!((mcnemar(1, 9) - 22.0 / 1024.0).abs() < 1e-12);
        assert_eq!(mcnemar(5, 5), 1.0);
    }

    #[test]
    fn the_interval_of_a_median_is_that_of_the_tables() {
        // Ranks of a 95 % interval: n = 10: 2 and 9, n = 20: 6 and 15, n = 100: 40 and 61.
        for (n, low) in [(1, 1), (5, 1), (6, 1), (10, 2), (20, 6), (100, 40)] {
            let values: Vec<f64> = (1..=n).map(f64::from).collect();
            let (median, a, b) = median_interval(&values);
            assert_eq!((a, b), (f64::from(low), f64::from(n + 1 - low)), "n = {n}");
            assert!(a <= median && median <= b);
        }
        let many = vec![1.0; 5000];
        assert_eq!(median_interval(&many), (1.0, 1.0, 1.0));
        assert!(median_interval(&[]).0.is_nan());
    }
}
