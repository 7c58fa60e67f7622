//! Numbers as reports and suites have them.

use crate::failure::Failure;
use gauntlet::records::{Eps, statistics::wilson};
use pyo3::prelude::*;

/// The 95 % interval of k of n, as reports print it.
#[pyfunction]
pub(crate) fn interval(k: u64, n: u64) -> (f64, f64) {
    wilson(k, n, 1.96)
}

/// A budget as it is written, `8/255`, in pixels.
#[pyfunction]
pub(crate) fn pixels(eps: &str) -> PyResult<f64> {
    let eps: Eps = eps.parse().map_err(|e| Failure::from(gauntlet::core::Error::from(e)))?;
    Ok(eps.value())
}
