//! Verdicts as columns.

use gauntlet::records::{CleanVerdict, Verdict};
use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Columns of the verdicts under one attack, beside what the model answered before it.
pub(crate) fn verdicts<'py>(
    py: Python<'py>,
    clean: &[CleanVerdict],
    verdicts: &[Verdict],
) -> PyResult<Bound<'py, PyDict>> {
    let columns = PyDict::new(py);
    let numbers = |of: &dyn Fn(&Verdict) -> i64| PyArray1::from_vec(py, verdicts.iter().map(of).collect());
    let lengths = |of: &dyn Fn(&Verdict) -> f64| PyArray1::from_vec(py, verdicts.iter().map(of).collect());
    columns.set_item("id", numbers(&|v| v.id as i64))?;
    let own = |v: &Verdict| clean.iter().find(|c| c.id == v.id);
    // In the order of the examples nearly always.
    let clean: Vec<Option<&CleanVerdict>> =
        verdicts.iter().enumerate().map(|(i, v)| clean.get(i).filter(|c| c.id == v.id).or_else(|| own(v))).collect();
    let label = |of: &dyn Fn(&CleanVerdict) -> i64| {
        PyArray1::from_vec(py, clean.iter().map(|c| c.map_or(-1, of)).collect::<Vec<i64>>())
    };
    columns.set_item("label", label(&|c| i64::from(c.label)))?;
    columns.set_item("predicted", label(&|c| i64::from(c.predicted)))?;
    columns.set_item("fate", verdicts.iter().map(|v| v.fate.to_string()).collect::<Vec<_>>())?;
    columns.set_item("broken_by", verdicts.iter().map(|v| v.broken_by.clone()).collect::<Vec<_>>())?;
    columns.set_item("size", lengths(&|v| v.size))?;
    columns.set_item("margin", lengths(&|v| v.margin.unwrap_or(f64::NAN)))?;
    columns.set_item("restart", numbers(&|v| v.restart.into()))?;
    columns.set_item("steps", numbers(&|v| v.steps.into()))?;
    columns.set_item("forwards", numbers(&|v| v.forwards.into()))?;
    columns.set_item("backwards", numbers(&|v| v.backwards.into()))?;
    columns.set_item("blind", numbers(&|v| v.blind.into()))?;
    columns.set_item("rounded", PyArray1::from_vec(py, verdicts.iter().map(|v| v.rounded).collect()))?;
    if verdicts.iter().any(|v| v.fooled.is_some()) {
        columns.set_item("fooled", numbers(&|v| v.fooled.map_or(-1, i64::from)))?;
    }
    Ok(columns)
}
