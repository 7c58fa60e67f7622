//! Numbers whose size is not known beforehand, as text.

/// Three significant digits, without an exponent where that is readable.
pub(crate) fn significant(x: f64) -> String {
    if x == 0.0 || !x.is_finite() {
        return x.to_string();
    }
    let magnitude = x.abs().log10().floor();
    if !(-5.0..9.0).contains(&magnitude) {
        return format!("{x:.2e}");
    }
    format!("{x:.*}", (2.0 - magnitude).max(0.0) as usize)
}

/// With a sign in front of what is above zero, too.
pub(crate) fn signed(x: f64) -> String {
    if x > 0.0 { format!("+{}", significant(x)) } else { significant(x) }
}

/// `1000`, `100 to 1000`.
pub(crate) fn range(numbers: impl Iterator<Item = u64>) -> String {
    let (few, many) = numbers.fold((u64::MAX, 0), |(a, b), n| (a.min(n), b.max(n)));
    if few == many { few.to_string() } else { format!("{few} to {many}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_are_said() {
        let said = [(0.0, "0"), (1234.6, "1235"), (12.34, "12.3"), (0.012_345, "0.0123"), (-2.0, "-2.00")];
        for (x, text) in said {
            assert_eq!(significant(x), text);
        }
        assert_eq!((significant(1e-7), significant(f64::NAN)), ("1.00e-7".into(), "NaN".into()));
        assert_eq!((signed(0.5), signed(-0.5)), ("+0.500".into(), "-0.500".into()));
    }
}
