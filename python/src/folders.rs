//! Folders of records: read as columns, written as reports.

use crate::columns;
use crate::failure::Failure;
use gauntlet::report::{Folder, Report};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::path::PathBuf;

/// What was read of a folder: one dictionary per record, and sentences about what could not be read.
type Read<'py> = (Vec<Bound<'py, PyDict>>, Vec<String>);

/// The records of a folder, each with `record` (JSON without verdicts) and, per attack and budget, columns of verdicts.
#[pyfunction]
pub(crate) fn read_records<'py>(py: Python<'py>, folder: PathBuf) -> PyResult<Read<'py>> {
    let read = py.detach(|| Folder::read(&folder)).map_err(Failure::from)?;
    let mut records = Vec::new();
    for record in &read.records {
        let one = PyDict::new(py);
        one.set_item("record", serde_json::to_string(record).map_err(Failure::from)?)?;
        one.set_item("row", &record.row)?;
        one.set_item("seed", record.seed)?;
        one.set_item("failed", record.failed.as_deref())?;
        let mut cells = Vec::new();
        for cell in &record.result.attacked {
            let about = PyDict::new(py);
            about.set_item("attack", &cell.attack)?;
            about.set_item("norm", cell.norm.to_string())?;
            about.set_item("eps", cell.eps.to_string())?;
            about.set_item("verdicts", columns::verdicts(py, &record.result.clean, &cell.verdicts)?)?;
            cells.push(about);
        }
        one.set_item("cells", cells)?;
        records.push(one);
    }
    Ok((records, read.problems))
}

/// Writes tables, pictures and page of a folder of records into `out`; the paths, and what was wrong with the folder.
#[pyfunction]
pub(crate) fn report(py: Python<'_>, folder: PathBuf, out: PathBuf) -> PyResult<(Vec<PathBuf>, Vec<String>)> {
    let written = py.detach(|| -> gauntlet::report::Result<_> {
        let folder = Folder::read(&folder)?;
        let report = Report::new(&folder)?;
        Ok((report.publish(&folder, &out)?, report.problems.clone()))
    });
    Ok(written.map_err(Failure::from)?)
}
