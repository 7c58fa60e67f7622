//! Draws from Beta(α, α).

use gauntlet_core::philox::Stream;

/// One of Gamma(shape, 1), Marsaglia & Tsang 2000; below 1 by the power of a uniform number.
fn gamma(shape: f64, stream: &mut Stream) -> f64 {
    if shape < 1.0 {
        let boost = libm::pow(stream.uniform().max(f64::MIN_POSITIVE), 1.0 / shape);
        return gamma(shape + 1.0, stream) * boost;
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let z = stream.normal();
        let v = (1.0 + c * z) * (1.0 + c * z) * (1.0 + c * z);
        let u = stream.uniform().max(f64::MIN_POSITIVE);
        if v > 0.0 && libm::log(u) < 0.5 * z * z + d - d * v + d * libm::log(v) {
            return d * v;
        }
    }
}

/// One of Beta(α, α), in [0, 1].
pub(crate) fn beta(alpha: f64, stream: &mut Stream) -> f64 {
    if alpha == 1.0 {
        return stream.uniform();
    }
    let (a, b) = (gamma(alpha, stream), gamma(alpha, stream));
    // Two that are too small to be numbers: either end, by a coin.
    if a + b > 0.0 { a / (a + b) } else { f64::from(stream.below(2)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gauntlet_core::{Key, Purpose};

    #[test]
    fn mean_and_variance_are_those_of_the_distribution() {
        for alpha in [0.2, 1.0, 1.4, 3.0] {
            let n = 20_000;
            let draws: Vec<f64> =
                (0..n).map(|i| beta(alpha, &mut Key::new(1, Purpose::Augment).stream(i, 0, 0))).collect();
            let mean = draws.iter().sum::<f64>() / n as f64;
            let variance = draws.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n as f64;
            let want = 1.0 / (4.0 * (2.0 * alpha + 1.0));
            assert!(
                (mean - 0.5).abs() < 0.01 && (variance - want).abs() < 0.02 * want.max(0.1),
                "{alpha}: {mean} {variance} {want}"
            );
        }
    }
}
