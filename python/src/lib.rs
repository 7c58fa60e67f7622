//! What the Python package calls: evaluations of models that live in Python, suites, data sets, lists and reports.
//!
//! Nothing here is meant to be called by users: `package/gauntlet` is. Texts that are structured cross the border as JSON.

mod columns;
mod data;
mod entries;
mod evaluation;
mod failure;
mod folders;
mod listing;
mod network;
mod numbers;
mod process;
mod progress;
mod storage;
mod suite;
mod target;
mod training;

use pyo3::prelude::*;

/// The compiled part of `gauntlet`.
#[pymodule]
mod _native {
    #[pymodule_export]
    use super::data::examples;
    #[pymodule_export]
    use super::entries::check_attacks;
    #[pymodule_export]
    use super::evaluation::{Evaluation, evaluate};
    #[pymodule_export]
    use super::folders::{read_records, report};
    #[pymodule_export]
    use super::listing::{components, datasets, nearest};
    #[pymodule_export]
    use super::network::Network;
    #[pymodule_export]
    use super::numbers::{interval, pixels};
    #[pymodule_export]
    use super::suite::run_suite;
    #[pymodule_export]
    use super::training::{onnx_weights, train};

    /// Version of the package and of gauntlet.
    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}

/// The registry of built-in components, made once.
pub(crate) fn registry() -> PyResult<&'static gauntlet::Registry> {
    static REGISTRY: std::sync::OnceLock<gauntlet::Registry> = std::sync::OnceLock::new();
    if let Some(known) = REGISTRY.get() {
        return Ok(known);
    }
    let made = gauntlet::registry().map_err(failure::Failure::from)?;
    Ok(REGISTRY.get_or_init(|| made))
}
