//! Data sets as arrays.

use crate::failure::Failure;
use crate::network::array;
use gauntlet::Precision;
use gauntlet::data::{Catalogue, Half, LoadOptions};
use gauntlet::engine::examples_of;
use gauntlet::evaluate::Selection;
use numpy::PyArray4;
use pyo3::prelude::*;
use std::path::PathBuf;

type Arrays<'py> = (Bound<'py, PyArray4<f32>>, Vec<u32>, Vec<u64>, Vec<String>);

/// Images (N, C, H, W) in [0, 1], labels, data set rows and class names of a split's first `take` rows.
#[pyfunction]
#[pyo3(signature = (name, split="test", take=None, sample=None, seed=0, data_dir=None))]
pub(crate) fn examples<'py>(
    py: Python<'py>,
    name: &str,
    split: &str,
    take: Option<usize>,
    sample: Option<usize>,
    seed: u64,
    data_dir: Option<PathBuf>,
) -> PyResult<Arrays<'py>> {
    let half = match split {
        "test" => Half::Test,
        "train" => Half::Train,
        other => {
            return Err(
                Failure::from(gauntlet::core::Error::unknown("split", other, ["train", "test"].into_iter())).into()
            );
        }
    };
    let manifest = Catalogue::default().get(name).map_err(Failure::from)?;
    let options = LoadOptions { data_dir, quiet: true, ..LoadOptions::default() };
    let selection = match (take, sample) {
        (Some(_), Some(_)) => return Err(Failure::input("`take` and `sample` exclude each other; keep one").into()),
        (Some(n), None) => Selection::Take(n),
        (None, Some(n)) => Selection::Sample(n),
        (None, None) => Selection::All,
    };
    let found = py.detach(|| -> Result<_, Failure> {
        let split = gauntlet::data::load_half(&manifest, &options, half)?;
        let rows = selection.indices(split.labels(), seed);
        Ok(examples_of(&split, &rows, Precision::F32)?)
    })?;
    let classes = manifest.labels().iter().map(ToString::to_string).collect();
    Ok((array(py, found.pixels())?, found.labels().to_vec(), found.ids().to_vec(), classes))
}
