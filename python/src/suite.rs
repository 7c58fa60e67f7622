//! A suite from its file to a report.

use crate::failure::Failure;
use crate::process::own_threads;
use crate::progress::Listener;
use crate::registry;
use gauntlet::data::{Catalogue, LoadOptions};
use gauntlet::engine::{Context, Diagnostic, Store, Suite};
use gauntlet::evaluate::Selection;
use gauntlet::records::regular_file;
use gauntlet::report::{Folder, Manifest, Report};
use pyo3::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;

/// Bytes of a suite's file.
const MAX_BYTES: u64 = 1 << 20;

/// Trains and attacks every row of a suite file, and writes records and report into `out`; how many rows and seeds failed.
#[pyfunction]
#[pyo3(signature = (path, out, runs, *, data_dir=None, take=None, quick=false, progress=None))]
#[allow(clippy::too_many_arguments)]
pub(crate) fn run_suite(
    py: Python<'_>,
    path: PathBuf,
    out: PathBuf,
    runs: PathBuf,
    data_dir: Option<PathBuf>,
    take: Option<usize>,
    quick: bool,
    progress: Option<Py<PyAny>>,
) -> PyResult<usize> {
    own_threads(py)?;
    let (mut suite, catalogue) = load(&path)?;
    if quick {
        let none = || {
            Failure::input(format!(
                "{} has no smaller version; a [quick] table in the suite says what it is",
                suite.name
            ))
        };
        suite = suite.quick().ok_or_else(none)?;
    }
    if let Some(n) = take {
        suite.select(Selection::Take(n));
        suite.name += &format!("-take{n}");
    }
    let folder = out.join("records");
    if let Some(manifest) = Manifest::of(&folder).filter(|m| m.suite != suite.name) {
        return Err(Failure::input(format!(
            "{} holds the report of suite {:?}, this is {:?}; give another folder with out=",
            out.display(),
            manifest.suite,
            suite.name
        ))
        .into());
    }
    let interrupt = AtomicBool::new(false);
    let listener = Listener::new(progress.as_ref(), &interrupt);
    let registry = registry()?;
    let done = py.detach(|| -> Result<usize, Failure> {
        let mut context = Context::new(registry, &catalogue, Store::new(&runs), &interrupt);
        context.data = LoadOptions { data_dir, quiet: true, ..LoadOptions::default() };
        let records = gauntlet::engine::run(&suite, &context, &listener)?;
        let failed = records.iter().filter(|r| r.failed.is_some()).count();
        let mut folder_of = Folder::of(&suite.name, "gauntlet.run(...)", records);
        folder_of.manifest.notes = suite.notes.clone();
        folder_of.manifest.expect = suite.expect.clone();
        folder_of.write(&folder)?;
        Report::new(&folder_of)?.publish(&folder_of, &out)?;
        Ok(failed)
    });
    if let Some(error) = listener.raised.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(error);
    }
    Ok(done?)
}

/// A suite's file; every complaint has its line.
fn load(path: &Path) -> PyResult<(Suite, Catalogue)> {
    let text = regular_file::read_text(path, MAX_BYTES, "a suite").map_err(|e| {
        let path = path.display();
        match e.kind() {
            std::io::ErrorKind::NotFound => {
                Failure::input(format!("suite {path} does not exist; give the path of a .toml file"))
            }
            _ => Failure::input(format!("cannot read suite {path}: {e}")),
        }
    })?;
    let mut catalogue = Catalogue::default();
    let registry = registry()?;
    if let Some(folder) = path.parent() {
        catalogue.add_folder(&folder.join("datasets"));
        registry.recipes.look_in(folder);
    }
    let shown = path.display().to_string();
    let line = |d: &Diagnostic| match d.line_column(&text) {
        Some((line, column)) => format!("{shown}:{line}:{column}: {d}"),
        None => format!("{shown}: {d}"),
    };
    let suite = Suite::load(&text, &shown, registry, &catalogue)
        .map_err(|complaints| Failure::input(complaints.iter().map(line).collect::<Vec<_>>().join("\n")))?;
    Ok((suite, catalogue))
}
