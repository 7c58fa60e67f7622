//! What scripts hand over, as numbers.

use crate::ran::Ran;
use rhai::Dynamic;

/// A number, whole or not.
pub(super) fn number(what: &str, value: &Dynamic) -> Ran<f64> {
    let found = value.as_float().or_else(|_| value.as_int().map(|n| n as f64));
    found.map_err(|kind| format!("{what} must be a number, got {kind}").into())
}

/// A whole number of at least 0.
pub(super) fn whole(what: &str, value: i64) -> Ran<usize> {
    usize::try_from(value).map_err(|_| format!("{what} must be at least 0, got {value}").into())
}

/// A list of whole numbers.
pub(super) fn wholes(what: &str, values: rhai::Array) -> Ran<Vec<usize>> {
    let one = |v: Dynamic| {
        let n = v.as_int().map_err(|kind| format!("{what} must be whole numbers, got {kind}"))?;
        whole(what, n)
    };
    values.into_iter().map(one).collect()
}

/// A list of numbers.
pub(super) fn numbers(what: &str, values: &rhai::Array) -> Ran<Vec<f64>> {
    values.iter().map(|v| number(what, v)).collect()
}
