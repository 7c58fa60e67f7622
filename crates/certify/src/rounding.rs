//! How far computed numbers can lie from real ones: Higham's constants.

/// Unit roundoff of f64, 2⁻⁵³.
pub(crate) const UNIT: f64 = f64::EPSILON / 2.0;
/// Unit roundoff of f32, 2⁻²⁴.
pub(crate) const SINGLE: f64 = f32::EPSILON as f64 / 2.0;
/// More than all products that underflow to zero in one pass can be worth, while magnitudes stay below [`LARGEST`].
pub(crate) const TINY: f64 = 1e-280;
/// Magnitudes from which on nothing is certified.
pub(crate) const LARGEST: f64 = 1e20;

/// γₙ = n·u / (1 − n·u) in f64, and a little more: a sum of n products, in any order, fused or not, errs by at most γₙ Σ|aᵢ bᵢ|
/// (Higham, *Accuracy and Stability of Numerical Algorithms*, 3.1). The hundredth on top covers that the sum of magnitudes is
/// itself computed.
pub(crate) fn gamma(n: usize) -> f64 {
    of(n, UNIT)
}

/// The same in f32.
pub(crate) fn gamma_single(n: usize) -> f64 {
    of(n, SINGLE)
}

fn of(n: usize, unit: f64) -> f64 {
    let errors = n as f64 * unit;
    if errors < 0.01 { 1.01 * errors / (1.0 - errors) } else { f64::INFINITY }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_err_by_less_than_their_account() {
        // 1 + n times half a unit: the f64 sum is 1, the real one is 1 + n·u.
        let n = 1000;
        let computed = (0..n).fold(1.0, |sum, _| sum + UNIT);
        let real_beyond = n as f64 * UNIT;
        assert_eq!(computed, 1.0);
        assert!(gamma(n + 1) >= real_beyond && gamma(n + 1) < 2.0 * real_beyond);
        assert!(gamma_single(1 << 30).is_infinite());
    }
}
