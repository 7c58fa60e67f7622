//! The little statistics that every table needs.

/// Wilson's score interval of k successes in n trials at z standard deviations (1.96: 95 %), as fractions.
///
/// (p̂ + z²/2n ± z √(p̂(1−p̂)/n + z²/4n²)) / (1 + z²/n) — Wilson 1927. For n = 0 it is (0, 1): nothing is known.
pub fn wilson(k: u64, n: u64, z: f64) -> (f64, f64) {
    if n == 0 {
        return (0.0, 1.0);
    }
    wilson_share(k as f64 / n as f64, n as f64, z)
}

/// [`wilson`] of a share p of n > 0 trials that was printed as such, and need not be a whole number of them.
pub fn wilson_share(p: f64, n: f64, z: f64) -> (f64, f64) {
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

/// The 95 % interval of the difference of two shares of the same n examples, a minus b, where b examples are right under the
/// first alone and c under the second alone, at z standard deviations.
///
/// With p = (b + 1)/(n + 2) and q = (c + 1)/(n + 2): p − q ± z √((p + q − (p − q)²)/(n + 2)) — Bonett & Price 2012.
pub fn paired_difference(b: u64, c: u64, n: u64, z: f64) -> (f64, f64) {
    let n = n as f64 + 2.0;
    let (p, q) = ((b as f64 + 1.0) / n, (c as f64 + 1.0) / n);
    let half = z * ((p + q - (p - q) * (p - q)) / n).sqrt();
    ((p - q - half).max(-1.0), (p - q + half).min(1.0))
}

/// The t for which Student's distribution with ν ≥ 1 degrees of freedom has 95 % between −t and t: 12.7, 4.30, 3.18, …, 1.96.
///
/// By bisection of its closed form for whole ν (Abramowitz & Stegun 26.7.3 and 26.7.4).
pub fn student_t(degrees: u64) -> f64 {
    let between = |t: f64| {
        let angle = (t / (degrees as f64).sqrt()).atan();
        let (sine, cosine) = angle.sin_cos();
        let odd = degrees % 2 == 1;
        // Odd: cos + 2/3 cos³ + 2·4/(3·5) cos⁵ …; even: 1 + 1/2 cos² + 1·3/(2·4) cos⁴ …; up to cos^(ν − 2).
        let (mut term, mut sum) = (if odd { cosine } else { 1.0 }, 0.0);
        let mut power = if odd { 1 } else { 0 };
        while power + 2 <= degrees {
            sum += term;
            power += 2;
            term *= cosine * cosine * (power - 1) as f64 / power as f64;
        }
        if odd { 2.0 / std::f64::consts::PI * (angle + sine * sum) } else { sine * sum }
    };
    let (mut low, mut high) = (1.0, 13.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if between(middle) < 0.95 { low = middle } else { high = middle }
    }
    high
}

/// Exact two-sided McNemar p-value from the discordant counts: min(1, 2 · P(Bin(b + c, ½) ≤ min(b, c))).
pub fn mcnemar(b: u64, c: u64) -> f64 {
    let (n, m) = (b + c, b.min(c));
    // C(n, m) / 2ⁿ, by logarithms where 2⁻ⁿ is no number; exact where n is small.
    let mut term = if n <= 1000 {
        (0..m).fold(0.5f64.powf(n as f64), |term, k| term * (n - k) as f64 / (k + 1) as f64)
    } else {
        let choose: f64 = (0..m).map(|k| ((n - k) as f64 / (k + 1) as f64).ln()).sum();
        (choose - n as f64 * std::f64::consts::LN_2).exp()
    };
    // From the largest term of the tail downwards, until they add nothing.
    let mut sum = term;
    for k in (1..=m).rev() {
        term *= k as f64 / (n - k + 1) as f64;
        if term < sum * f64::EPSILON / 4.0 {
            break;
        }
        sum += term;
    }
    (2.0 * sum).min(1.0)
}

/// Holm's adjusted p-values, in the order given: the i-th smallest of m (from 0) times m − i, at least those before it, at
/// most 1 — Holm 1979. Rejecting where it is at most α keeps the chance of any false rejection of the family below α.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut adjusted = vec![1.0; p.len()];
    let mut least: f64 = 0.0;
    for (i, &at) in order.iter().enumerate() {
        least = least.max((p[at] * (p.len() - i) as f64).min(1.0));
        adjusted[at] = least;
    }
    adjusted
}

/// Discordant examples, all one way, that McNemar's exact test needs for p < 0.05: 2 · 2⁻⁶ = 0.03, 2 · 2⁻⁵ = 0.06.
pub const FEWEST_DISCORDANT: u64 = 6;

/// The smallest difference of two accuracies on the same n examples that McNemar's test at 5 % finds with 80 % power, where a
/// share ψ of the examples is right under one model only; `None` where n is too small for any.
///
/// n = (z_{α/2} √ψ + z_β √(ψ − δ²))² / δ² (Miettinen 1968; Connor 1987), solved for δ:
/// δ = √ψ (z_{α/2} √n + z_β √(n + z_β² − z_{α/2}²)) / (n + z_β²). A difference is itself discordance, δ ≤ ψ: where ψ is
/// smaller than that, all of it is taken to be one way, ψ = δ. Never below [`FEWEST_DISCORDANT`] / n.
pub fn detectable(n: u64, discordance: f64) -> Option<f64> {
    const Z_ALPHA: f64 = 1.959_964;
    const Z_BETA: f64 = 0.841_621;
    if n < FEWEST_DISCORDANT {
        return None;
    }
    let examples = n as f64;
    let (a, b) = (Z_ALPHA * Z_ALPHA, Z_BETA * Z_BETA);
    let two_ways =
        discordance.sqrt() * (Z_ALPHA * examples.sqrt() + Z_BETA * (examples + b - a).sqrt()) / (examples + b);
    let delta = if two_ways < discordance {
        two_ways
    } else {
        // n δ = (z_{α/2} + z_β √(1 − δ))²: the right side falls in δ, the left one rises.
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..60 {
            let middle: f64 = 0.5 * (low + high);
            let needed = (Z_ALPHA + Z_BETA * (1.0 - middle).sqrt()).powi(2);
            if examples * middle < needed { low = middle } else { high = middle }
        }
        high
    };
    Some(delta.max(FEWEST_DISCORDANT as f64 / examples))
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
    fn students_t_of_the_tables() {
        for (degrees, t) in [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (5, 2.571), (9, 2.262), (30, 2.042)] {
            assert!((student_t(degrees) - t).abs() < 6e-4, "{degrees}: {}", student_t(degrees));
        }
        for (degrees, t) in [(40, 2.0211), (60, 2.0003), (120, 1.9799)] {
            assert!((student_t(degrees) - t).abs() < 1e-4, "{degrees}: {}", student_t(degrees));
        }
        assert!((student_t(100_000) - 1.95998).abs() < 1e-3);
    }

    #[test]
    fn paired_differences_of_known_cases() {
        // None differs: still not certainly none. p = q = 1/102, half = 1.96 √(2/102/102).
        let (low, high) = paired_difference(0, 0, 100, 1.96);
        assert!((high - 1.96 * 2f64.sqrt() / 102.0).abs() < 1e-12 && low == -high);
        // p = 0.2, q = 0.1 of 100: 0.1 ± 1.96 √(0.29/100).
        let (low, high) = paired_difference(19, 9, 98, 1.96);
        assert!((low + 0.005_548).abs() < 1e-5 && (high - 0.205_548).abs() < 1e-5, "{low} {high}");
        assert_eq!(paired_difference(1, 0, 1, 1.96).1, 1.0);
    }

    #[test]
    fn mcnemar_of_known_cases() {
        assert_eq!(mcnemar(0, 0), 1.0);
        assert!((mcnemar(1, 9) - 22.0 / 1024.0).abs() < 1e-12);
        assert_eq!(mcnemar(5, 5), 1.0);
        assert_eq!((mcnemar(0, 5), mcnemar(6, 0)), (0.0625, 0.03125));
        assert!(mcnemar(FEWEST_DISCORDANT, 0) < 0.05 && mcnemar(FEWEST_DISCORDANT - 1, 0) > 0.05);
        // Where 2⁻ⁿ is no number: 2 Σ C(5000, k) / 2⁵⁰⁰⁰, k ≤ 2400, in whole numbers.
        assert!((mcnemar(2400, 2600) / 0.004_883_649_737_5 - 1.0).abs() < 1e-6, "{}", mcnemar(2400, 2600));
        assert_eq!(mcnemar(2500, 2500), 1.0);
    }

    #[test]
    fn holm_multiplies_by_what_is_left_and_never_falls() {
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (got, expected) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((got - expected).abs() < 1e-12, "{adjusted:?}");
        }
        assert_eq!(holm(&[0.6, 0.9]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }

    #[test]
    fn the_detectable_difference_solves_its_formula() {
        // Connor's formula, forwards: what comes out needs the n that went in.
        for (n, discordance) in [(1000, 0.05), (1000, 0.3), (200, 0.5), (10_000, 0.02)] {
            let delta = detectable(n, discordance).unwrap();
            let needed = (1.959_964 * discordance.sqrt() + 0.841_621 * (discordance - delta * delta).sqrt()).powi(2);
            assert!((needed / (delta * delta) - n as f64).abs() < 1e-6 * n as f64, "n = {n}");
        }
        // ψ = 0.2, δ = 0.1 at 5 % and 80 %: 155 pairs.
        assert!((detectable(155, 0.2).unwrap() - 0.1).abs() < 2e-4);
        // Rows that hardly differ: some eight examples, all one way, and never fewer than six.
        let floor = detectable(1000, 0.0).unwrap();
        assert!((floor - 0.007_830_39).abs() < 1e-8, "{floor}");
        assert_eq!(detectable(1000, 0.001), Some(floor));
        assert_eq!(detectable(6, 0.0), Some(1.0));
        assert_eq!(detectable(5, 0.4), None);
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
