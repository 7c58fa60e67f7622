//! Networks of gauntlet's own, with its own kernels: built-in architectures and ONNX files.

use crate::failure::Failure;
use crate::process::own_threads;
use crate::registry;
use gauntlet::Precision;
use gauntlet::candle::Tensor;
use gauntlet::core::{Answers, Compute, Frozen, Linear, ModelInfo, Result as CoreResult};
use gauntlet::graph::Interpreter;
use gauntlet::onnx::{Options, open};
use gauntlet::{Origin, Subject, Target};
use numpy::{PyArray2, PyArray4, PyArrayMethods, PyReadonlyArray2, PyReadonlyArray4};
use pyo3::prelude::*;
use serde_json::{Map, Value};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Logits and gradients.
type Linearised<'py> = (Bound<'py, PyArray2<f32>>, Bound<'py, PyArray4<f32>>);

/// A network on gauntlet's own kernels. It computes without the interpreter.
#[pyclass(frozen, module = "gauntlet")]
pub(crate) struct Network {
    pub(crate) target: Frozen,
    /// sha256 of its weights.
    #[pyo3(get)]
    sha256: String,
    /// What was adapted while it was read.
    #[pyo3(get)]
    notes: Vec<String>,
}

impl Network {
    fn opened(subject: Subject, mut notes: Vec<String>) -> Result<Self, Failure> {
        let target = subject.target(&Compute::default())?;
        notes.extend(subject.notes);
        Ok(Network { target, sha256: subject.sha256, notes })
    }
}

#[pymethods]
impl Network {
    /// A built-in architecture, `{"name": ..., arguments}` as JSON, with weights of a checkpoint (None: its initial ones).
    #[staticmethod]
    fn built_in(
        model: &str,
        checkpoint: Option<PathBuf>,
        input: (usize, usize, usize),
        classes: usize,
    ) -> PyResult<Self> {
        let given: Map<String, Value> = serde_json::from_str(model).map_err(Failure::from)?;
        let (network, _) = registry()?.model(&given, input, classes).map_err(Failure::from)?;
        let origin = checkpoint.as_deref().map_or(Origin::Initial, Origin::file);
        let subject = Subject::open(network, origin, Precision::F32).map_err(Failure::from)?;
        Ok(Self::opened(subject, Vec::new())?)
    }
    /// The network of an ONNX file.
    #[staticmethod]
    fn onnx(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        let made = py.detach(|| -> Result<Self, Failure> {
            let net = open(&path, &Options::default())?;
            let network = Arc::new(Interpreter::new(net.graph));
            let subject = Subject::open(network, Origin::Given(net.weights), Precision::F32)?;
            Self::opened(subject, net.notes)
        });
        Ok(made?)
    }
    /// Name of the architecture.
    #[getter]
    fn name(&self) -> &str {
        &self.target.info().name
    }
    /// (C, H, W) of its images.
    #[getter]
    fn input(&self) -> (usize, usize, usize) {
        self.target.info().input
    }
    /// Number of classes.
    #[getter]
    fn classes(&self) -> usize {
        self.target.info().classes
    }
    /// Logits (N, K) of images (N, C, H, W).
    fn logits<'py>(&self, py: Python<'py>, x: PyReadonlyArray4<'py, f32>) -> PyResult<Bound<'py, PyArray2<f32>>> {
        own_threads(py)?;
        let x = images(&x)?;
        let z = py.detach(|| self.target.logits(&x)).map_err(Failure::from)?;
        matrix(py, &z)
    }
    /// Logits of images, and Σₖ cotangent[n,k] · ∂logits[n,k]/∂x for one cotangent (N, K).
    fn vjp<'py>(
        &self,
        py: Python<'py>,
        x: PyReadonlyArray4<'py, f32>,
        cotangent: PyReadonlyArray2<'py, f32>,
    ) -> PyResult<Linearised<'py>> {
        own_threads(py)?;
        let x = images(&x)?;
        let dims = (cotangent.dims()[0], cotangent.dims()[1]);
        let c =
            Tensor::from_slice(cotangent.as_slice()?, dims, &gauntlet::candle::Device::Cpu).map_err(Failure::from)?;
        let (z, g) = py
            .detach(|| -> CoreResult<(Tensor, Tensor)> {
                let linear = self.target.linearise(&x)?;
                Ok((linear.logits().clone(), linear.pull(&c)?))
            })
            .map_err(Failure::from)?;
        Ok((matrix(py, &z)?, array(py, &g)?))
    }
    fn __repr__(&self) -> String {
        let (info, (c, h, w)) = (self.target.info(), self.target.info().input);
        format!("Network({:?}, images {c} × {h} × {w}, {} classes)", info.name, info.classes)
    }
}

/// Images of Python as a tensor.
pub(crate) fn images(x: &PyReadonlyArray4<'_, f32>) -> PyResult<Tensor> {
    let (d, device) = (x.dims(), gauntlet::candle::Device::Cpu);
    Ok(Tensor::from_slice(x.as_slice()?, (d[0], d[1], d[2], d[3]), &device).map_err(Failure::from)?)
}

fn matrix<'py>(py: Python<'py>, z: &Tensor) -> PyResult<Bound<'py, PyArray2<f32>>> {
    let (n, k) = z.dims2().map_err(Failure::from)?;
    numpy::PyArray1::from_vec(py, flat(z)?).reshape([n, k])
}

/// A tensor (N, C, H, W) as an array.
pub(crate) fn array<'py>(py: Python<'py>, x: &Tensor) -> PyResult<Bound<'py, PyArray4<f32>>> {
    let (n, c, h, w) = x.dims4().map_err(Failure::from)?;
    numpy::PyArray1::from_vec(py, flat(x)?).reshape([n, c, h, w])
}

fn flat(x: &Tensor) -> Result<Vec<f32>, Failure> {
    Ok(x.flatten_all()?.to_vec1()?)
}

/// A network under attack: every forward looks whether Ctrl-C was pressed.
pub(crate) struct Polled<'a> {
    pub(crate) inner: &'a Frozen,
    pub(crate) interrupt: &'a AtomicBool,
    pub(crate) raised: &'a Mutex<Option<PyErr>>,
}

impl Polled<'_> {
    fn poll(&self) {
        if let Err(error) = Python::attach(|py| py.check_signals()) {
            self.raised.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            self.interrupt.store(true, Ordering::Relaxed);
        }
    }
}

impl Target for Polled<'_> {
    fn info(&self) -> &ModelInfo {
        self.inner.info()
    }
    fn logits(&self, x: &Tensor) -> CoreResult<Tensor> {
        self.poll();
        self.inner.logits(x)
    }
    fn linearise(&self, x: &Tensor) -> CoreResult<Box<dyn Linear>> {
        self.poll();
        self.inner.linearise(x)
    }
    fn answers(&self) -> Answers {
        self.inner.answers()
    }
    fn repeats(&self) -> bool {
        self.inner.repeats()
    }
}
