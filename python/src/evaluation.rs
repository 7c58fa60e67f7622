//! Attacks on one model, and what came out.

use crate::entries::{Subject, entries};
use crate::failure::Failure;
use crate::network::{Network, Polled, array, images};
use crate::process::own_threads;
use crate::progress::Follower;
use crate::storage::{Kept, Storage};
use crate::target::PyTarget;
use crate::{columns, registry};
use gauntlet::candle::Tensor;
use gauntlet::records::{Fate, Record, statistics::wilson};
use gauntlet::report::{Folder, Manifest, Plot, Report};
use gauntlet::{AttackEntry, Evaluated, Evaluator, Examples, Target};
use numpy::{PyArray4, PyReadonlyArray4};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

/// What came out of an evaluation.
#[pyclass(frozen, module = "gauntlet")]
pub(crate) struct Evaluation {
    found: Evaluated,
    examples: Examples,
    entries: Vec<AttackEntry>,
    kept: Kept,
    record: Record,
}

/// How an evaluation is run, beside what is attacked.
struct Settings<'a> {
    width: usize,
    seed: u64,
    draws: u32,
    carry: bool,
    storage: Option<&'a Storage>,
    interrupt: &'a AtomicBool,
}

/// Attacks a model: an adapter of the package, or a `Network`.
///
/// `x` (N, C, H, W) in [0, 1], labels `y`, rows `ids`; `attacks` is a JSON list of `{"label", "attack", "norm", "eps"}`, `conditions`
/// a JSON object for the record. `progress(attack, norm, eps, done, of, robust)` is called with every few verdicts.
#[pyfunction]
#[pyo3(signature = (model, x, y, ids, attacks, *, width=256, seed=0, draws=1, carry=false, conditions="{}", sha256="", store=None, progress=None))]
#[allow(clippy::too_many_arguments)]
pub(crate) fn evaluate(
    py: Python<'_>,
    model: &Bound<'_, PyAny>,
    x: PyReadonlyArray4<'_, f32>,
    y: Vec<u32>,
    ids: Vec<u64>,
    attacks: &str,
    width: usize,
    seed: u64,
    draws: u32,
    carry: bool,
    conditions: &str,
    sha256: &str,
    store: Option<PathBuf>,
    progress: Option<Py<PyAny>>,
) -> PyResult<Evaluation> {
    own_threads(py)?;
    let x = images(&x)?;
    let (_, c, h, w) = x.dims4().map_err(Failure::from)?;
    let examples = Examples::new(x, y, ids).map_err(Failure::from)?;
    let interrupt = AtomicBool::new(false);
    let conditions: Value = serde_json::from_str(conditions).map_err(Failure::from)?;
    let storage = match store {
        None => None,
        Some(folder) => {
            let data = gauntlet::records::file::sha256(&bytes(&examples)?);
            let conditions =
                json!({ "model": sha256, "data": data, "attack_seed": seed, "draws": draws, "carry": carry });
            Some(Storage { folder, conditions, input: (c, h, w) })
        }
    };
    let settings = Settings { width, seed, draws, carry, storage: storage.as_ref(), interrupt: &interrupt };
    let (name, entries, found, kept) = if let Ok(network) = model.cast::<Network>() {
        let network = network.get();
        let raised = Mutex::new(None);
        let target = Polled { inner: &network.target, interrupt: &interrupt, raised: &raised };
        let name = target.info().name.clone();
        let entries =
            entries(attacks, &Subject { name: &name, input: target.info().input, answers: target.answers() })?;
        let taken = || raised.lock().ok().and_then(|mut r| r.take());
        let (found, kept) = settings.run(py, &target, &examples, &entries, progress.as_ref(), &taken)?;
        (name, entries, found, kept)
    } else {
        let target = PyTarget::new(model, (c, h, w), width)?;
        let (name, answers) = (target.info().name.clone(), target.answers());
        let entries = entries(attacks, &Subject { name: &name, input: (c, h, w), answers })?;
        let (found, kept) = settings.run(py, &target, &examples, &entries, progress.as_ref(), &|| target.raised())?;
        (name, entries, found, kept)
    };
    let mut provenance = gauntlet::engine::provenance(rayon::current_num_threads());
    provenance.evaluate_seconds = found.seconds;
    let mut record = found.clone().record("python", &name, provenance);
    record.result.checkpoint_sha256 = sha256.to_string();
    if let Value::Object(conditions) = conditions {
        for (key, value) in conditions {
            record.result.configuration[key] = value;
        }
    }
    // Names the record's files, which a model's name may not do.
    if let Some(row) = record.result.configuration["row"].as_str() {
        record.row = row.to_string();
    }
    record.result.configuration["evaluation"] = json!({ "attack_seed": seed, "draws": draws, "carry": carry });
    Ok(Evaluation { found, examples, entries, kept, record })
}

/// Pixels, labels and rows, for a key.
fn bytes(examples: &Examples) -> Result<Vec<u8>, Failure> {
    let pixels: Vec<f32> = examples.pixels().flatten_all()?.to_vec1()?;
    let mut bytes: Vec<u8> = pixels.iter().flat_map(|p| p.to_le_bytes()).collect();
    examples.labels().iter().for_each(|y| bytes.extend(y.to_le_bytes()));
    examples.ids().iter().for_each(|id| bytes.extend(id.to_le_bytes()));
    Ok(bytes)
}

impl Settings<'_> {
    /// Without the interpreter; only calls of the model take it.
    fn run(
        &self,
        py: Python<'_>,
        target: &dyn Target,
        examples: &Examples,
        entries: &[AttackEntry],
        progress: Option<&Py<PyAny>>,
        raised: &dyn Fn() -> Option<PyErr>,
    ) -> PyResult<(Evaluated, Kept)> {
        let evaluator = Evaluator {
            width: self.width.max(1),
            attack_seed: self.seed,
            draws: self.draws.max(1),
            carry: self.carry,
            ..Evaluator::new(target, examples, self.interrupt)
        };
        let registry = registry()?;
        let mut follower = Follower::new(entries, progress, self.storage);
        let found = py.detach(|| gauntlet::evaluate(&evaluator, entries, registry, &mut follower));
        // What Python raised is the cause, whatever was made of it.
        if let Some(error) = raised().or(follower.raised) {
            return Err(error);
        }
        Ok((found.map_err(Failure::from)?, follower.kept))
    }
}

impl Evaluation {
    fn cell(&self, index: usize) -> PyResult<(usize, usize)> {
        let places = self.entries.iter().enumerate().flat_map(|(e, entry)| (0..entry.eps.len()).map(move |k| (e, k)));
        let place = places.into_iter().nth(index);
        place.ok_or_else(|| Failure::input(format!("there is no {index}th pair of attack and budget")).into())
    }
    fn folder(&self, name: &str) -> Folder {
        let mut record = self.record.clone();
        record.suite = name.to_string();
        Folder::of(name, "gauntlet.evaluate(...)", vec![record])
    }
}

#[pymethods]
impl Evaluation {
    /// Number of examples.
    fn __len__(&self) -> usize {
        self.examples.len()
    }
    /// Correct ÷ all, before any attack.
    #[getter]
    fn clean_accuracy(&self) -> f64 {
        self.found.clean_accuracy()
    }
    /// (name, detail) of every flag.
    #[getter]
    fn flags(&self) -> Vec<(String, String)> {
        self.found.flags.iter().map(|f| (f.name.clone(), f.detail.clone())).collect()
    }
    /// Wall seconds of the clean pass and the attacks.
    #[getter]
    fn seconds(&self) -> f64 {
        self.found.seconds
    }
    /// Executed forwards and backwards, in examples.
    #[getter]
    fn cost(&self) -> (u64, u64) {
        (self.found.cost.forwards, self.found.cost.backwards)
    }
    /// Columns `id`, `label`, `predicted`, `margin` before any attack.
    fn clean<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let columns = PyDict::new(py);
        columns.set_item("id", self.found.clean.iter().map(|v| v.id).collect::<Vec<_>>())?;
        columns.set_item("label", self.found.clean.iter().map(|v| v.label).collect::<Vec<_>>())?;
        columns.set_item("predicted", self.found.clean.iter().map(|v| v.predicted).collect::<Vec<_>>())?;
        columns.set_item("margin", self.found.clean.iter().map(|v| v.margin).collect::<Vec<_>>())?;
        Ok(columns)
    }
    /// One dictionary per attack and budget.
    fn cells<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let n = self.examples.len() as u64;
        let cell = |cell: &gauntlet::records::Attacked| -> PyResult<Bound<'py, PyDict>> {
            let (about, robust) = (PyDict::new(py), cell.robust_accuracy());
            let (low, high) = wilson((robust * n as f64).round() as u64, n, 1.96);
            about.set_item("attack", &cell.attack)?;
            about.set_item("norm", cell.norm.to_string())?;
            about.set_item("eps", cell.eps.to_string())?;
            about.set_item("family", cell.family().to_string())?;
            about.set_item("robust_accuracy", robust)?;
            about.set_item("interval", (low, high))?;
            about.set_item("n", n)?;
            about.set_item("parameters", cell.parameters.to_string())?;
            Ok(about)
        };
        self.found.attacked.iter().map(cell).collect()
    }
    /// Columns of the verdicts of one attack and budget.
    fn verdicts<'py>(&self, py: Python<'py>, cell: usize) -> PyResult<Bound<'py, PyDict>> {
        self.cell(cell)?;
        columns::verdicts(py, &self.found.clean, &self.found.attacked[cell].verdicts)
    }
    /// (N, C, H, W): the adversarial example where the attack found one, else the clean image.
    fn adversarial<'py>(&self, py: Python<'py>, cell: usize) -> PyResult<Bound<'py, PyArray4<f32>>> {
        let (entry, k) = self.cell(cell)?;
        let eps = &self.entries[entry].eps;
        let mut rows: Vec<Tensor> = Vec::with_capacity(self.examples.len());
        for (i, verdict) in self.found.attacked[cell].verdicts.iter().enumerate() {
            let found = match verdict.fate {
                Fate::Broken | Fate::Carried => {
                    // A search for the smallest perturbation ran once, for all budgets; what is carried fell at a smaller one.
                    let mut smaller: Vec<usize> = (0..eps.len()).filter(|j| eps[*j] < eps[k]).collect();
                    smaller.sort_by(|a, b| eps[*b].cmp(&eps[*a]));
                    let places = std::iter::once(k).chain(smaller).chain([0]);
                    places.into_iter().find_map(|j| self.kept.get(&(entry, j, i)))
                }
                _ => None,
            };
            rows.push(match found {
                Some(proposal) => proposal.clone(),
                None => self.examples.image(i).and_then(|x| Ok(x.squeeze(0)?)).map_err(Failure::from)?,
            });
        }
        array(py, &Tensor::stack(&rows, 0).map_err(Failure::from)?)
    }
    /// This one with the verdicts, before and under attack, that `other` gave on the examples at these places.
    fn with_verdicts_of(&self, other: &Evaluation, places: Vec<usize>) -> PyResult<Evaluation> {
        let same = |a: &AttackEntry, b: &AttackEntry| (&a.label, a.norm, &a.eps) == (&b.label, b.norm, &b.eps);
        let alike = self.entries.len() == other.entries.len()
            && self.entries.iter().zip(&other.entries).all(|(a, b)| same(a, b))
            && places.len() == other.examples.len()
            && places.iter().all(|place| *place < self.examples.len());
        if !alike {
            return Err(Failure::input("the verdicts are those of other attacks or examples").into());
        }
        let (mut found, mut kept) = (self.found.clone(), self.kept.clone());
        kept.retain(|(_, _, index), _| !places.contains(index));
        kept.extend(other.kept.iter().map(|((entry, eps, index), x)| ((*entry, *eps, places[*index]), x.clone())));
        for (own, place) in places.iter().enumerate() {
            found.clean[*place] = other.found.clean[own].clone();
            for (cell, new) in found.attacked.iter_mut().zip(&other.found.attacked) {
                cell.verdicts[*place] = new.verdicts[own].clone();
            }
        }
        found.seconds += other.found.seconds;
        found.cost.forwards += other.found.cost.forwards;
        found.cost.backwards += other.found.cost.backwards;
        let mut record = self.record.clone();
        record.result.clean = found.clean.clone();
        record.result.attacked = found.attacked.clone();
        record.provenance.evaluate_seconds = found.seconds;
        (record.provenance.executed_forwards, record.provenance.executed_backwards) =
            (found.cost.forwards, found.cost.backwards);
        let (examples, entries) = (self.examples.clone(), self.entries.clone());
        Ok(Evaluation { found, examples, entries, kept, record })
    }
    /// Writes the record into a folder that `gauntlet report` reads; `name` stands for the suite's. Other rows of the same name stay.
    fn save(&self, py: Python<'_>, folder: PathBuf, name: &str) -> PyResult<()> {
        let own = self.folder(name);
        let written = py.detach(|| -> gauntlet::report::Result<()> {
            let mut rows = match Manifest::of(&folder).filter(|m| m.suite == name) {
                Some(_) => Folder::read(&folder)?.records,
                None => Vec::new(),
            };
            for record in own.records {
                match rows.iter_mut().find(|r| (&r.row, r.seed) == (&record.row, record.seed)) {
                    Some(before) => *before = record,
                    None => rows.push(record),
                }
            }
            Folder::of(name, &own.manifest.command, rows).write(&folder)
        });
        Ok(written.map_err(Failure::from)?)
    }
    /// The report's page.
    fn html(&self, py: Python<'_>, name: &str) -> PyResult<String> {
        let folder = self.folder(name);
        let page = py.detach(|| -> gauntlet::report::Result<String> {
            let report = Report::new(&folder)?;
            let plots = Plot::all(&report, &folder)?;
            report.page(&folder, &plots)
        });
        Ok(page.map_err(Failure::from)?)
    }
    /// The record as JSON, without its verdicts.
    fn record(&self) -> PyResult<String> {
        Ok(serde_json::to_string(&self.record).map_err(Failure::from)?)
    }
}
