//! A model that lives in Python, as attacks see it.

use crate::entries::answers_of;
use gauntlet::Target;
use gauntlet::autograd::kernels;
use gauntlet::candle::{Device, Tensor};
use gauntlet::core::{Activation, Answers, Error, Linear, ModelInfo, Result};
use numpy::{PyArray1, PyArray2, PyArray4, PyArrayMethods, PyUntypedArrayMethods};
use pyo3::prelude::*;
use std::sync::{Arc, Mutex, PoisonError};

/// Calls back into Python, on the thread that the evaluation was started on, with the interpreter held for the call alone.
///
/// `forward(x)` takes `(N, C, H, W)` and gives logits `(N, K)`, `linearise(x)` gives those and a function from cotangents
/// `(N, K)` to gradients `(N, C, H, W)`; all of them arrays of float32.
pub(crate) struct PyTarget {
    info: ModelInfo,
    forward: Py<PyAny>,
    linearise: Option<Py<PyAny>>,
    answers: Answers,
    /// Images of a call at most, or exactly.
    width: usize,
    /// Whether the last images of a batch are filled up to the width.
    padded: bool,
    /// What Python raised, to be raised again at the end.
    raised: Arc<Mutex<Option<PyErr>>>,
}

impl PyTarget {
    /// From the adapter of the package: attributes `name`, `classes`, `answers`, `forward`, `linearise` (or None), `padded`.
    pub(crate) fn new(model: &Bound<'_, PyAny>, input: (usize, usize, usize), width: usize) -> PyResult<Self> {
        let linearise = model.getattr("linearise")?;
        Ok(PyTarget {
            info: ModelInfo {
                name: model.getattr("name")?.extract()?,
                input,
                classes: model.getattr("classes")?.extract()?,
                // Nothing that attacks a target reads what is below.
                activation: Activation::Relu,
                mean: Vec::new(),
                std: Vec::new(),
                numerics: 1,
            },
            forward: model.getattr("forward")?.unbind(),
            linearise: (!linearise.is_none()).then(|| linearise.unbind()),
            answers: answers_of(&model.getattr("answers")?.extract::<String>()?)?,
            width: width.max(1),
            padded: model.getattr("padded")?.extract()?,
            raised: Arc::default(),
        })
    }

    /// Takes what Python raised.
    pub(crate) fn raised(&self) -> Option<PyErr> {
        self.raised.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn failed(&self, error: PyErr) -> Error {
        keep(&self.raised, error)
    }

    /// The batch in pieces, each with its number of images.
    fn pieces(&self, x: &Tensor) -> Result<Vec<(Tensor, usize)>> {
        let n = x.dim(0)?;
        let piece = |start: usize| {
            let taken = self.width.min(n - start);
            let piece = x.narrow(0, start, taken)?;
            if taken == self.width || !self.padded {
                return Ok((piece.contiguous()?, taken));
            }
            // Copies of a real image: whatever the model makes of black, padding makes it no different.
            let rest = piece.narrow(0, taken - 1, 1)?.repeat((self.width - taken, 1, 1, 1))?;
            Ok((Tensor::cat(&[&piece, &rest], 0)?.contiguous()?, taken))
        };
        (0..n).step_by(self.width).map(piece).collect()
    }

    /// Calls `function` with an array of these images.
    fn call<'py>(&self, py: Python<'py>, function: &Py<PyAny>, x: &Tensor) -> PyResult<Bound<'py, PyAny>> {
        // Ctrl-C is heard here, whatever the model does.
        py.check_signals()?;
        let values = kernels::values::<f32>(x).map_err(|e| crate::failure::Failure::input(e.to_string()))?;
        let (n, c, h, w) = x.dims4().map_err(|e| crate::failure::Failure::input(e.to_string()))?;
        let array = PyArray1::from_slice(py, &values).reshape([n, c, h, w])?;
        function.bind(py).call1((array,))
    }

    fn logits_of(&self, z: &Bound<'_, PyAny>, n: usize) -> PyResult<Tensor> {
        let z = z.cast::<PyArray2<f32>>()?;
        let (rows, classes) = (z.dims()[0], z.dims()[1]);
        if (rows, classes) != (n, self.info.classes) {
            let (name, k) = (&self.info.name, self.info.classes);
            let why = format!("{name} answered {n} images with logits of shape ({rows}, {classes}), ({n}, {k}) before");
            return Err(crate::failure::Failure::input(why).into());
        }
        let z = z.readonly();
        Ok(Tensor::from_slice(z.as_slice()?, (rows, classes), &Device::Cpu).map_err(crate::failure::Failure::from)?)
    }
}

fn keep(raised: &Mutex<Option<PyErr>>, error: PyErr) -> Error {
    let words = error.to_string();
    // The first is the cause of all others.
    raised.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    Error::Message(words)
}

fn together(mut parts: Vec<Tensor>) -> Result<Tensor> {
    Ok(if parts.len() == 1 { parts.swap_remove(0) } else { Tensor::cat(&parts, 0)? })
}

impl Target for PyTarget {
    fn info(&self) -> &ModelInfo {
        &self.info
    }
    fn answers(&self) -> Answers {
        self.answers
    }
    fn computes_here(&self) -> bool {
        false
    }
    fn logits(&self, x: &Tensor) -> Result<Tensor> {
        let one = |(x, taken): (Tensor, usize)| -> Result<Tensor> {
            let z = Python::attach(|py| self.logits_of(&self.call(py, &self.forward, &x)?, x.dims()[0]));
            Ok(z.map_err(|e| self.failed(e))?.narrow(0, 0, taken)?)
        };
        together(self.pieces(x)?.into_iter().map(one).collect::<Result<_>>()?)
    }
    fn linearise(&self, x: &Tensor) -> Result<Box<dyn Linear>> {
        let Some(linearise) = &self.linearise else {
            return Err(Error::Message(format!("{} gives no gradient", self.info.name)));
        };
        let mut pieces = Vec::new();
        let mut logits = Vec::new();
        for (x, taken) in self.pieces(x)? {
            let made = Python::attach(|py| -> PyResult<(Tensor, Py<PyAny>)> {
                let (z, pull): (Bound<'_, PyAny>, Bound<'_, PyAny>) = self.call(py, linearise, &x)?.extract()?;
                Ok((self.logits_of(&z, x.dims()[0])?, pull.unbind()))
            });
            let (z, pull) = made.map_err(|e| self.failed(e))?;
            logits.push(z.narrow(0, 0, taken)?);
            pieces.push(Piece { pull: Some(pull), size: x.dims()[0], taken });
        }
        let raised = self.raised.clone();
        Ok(Box::new(Taped { pieces, logits: together(logits)?, info: self.info.clone(), raised }))
    }
}

/// A forward that Python keeps the tape of.
struct Piece {
    pull: Option<Py<PyAny>>,
    size: usize,
    taken: usize,
}

impl Drop for Piece {
    fn drop(&mut self) {
        // At once: left to the next call, two tapes would be in memory.
        let pull = self.pull.take();
        Python::attach(|_| drop(pull));
    }
}

struct Taped {
    pieces: Vec<Piece>,
    logits: Tensor,
    info: ModelInfo,
    raised: Arc<Mutex<Option<PyErr>>>,
}

impl Taped {
    fn gradient(&self, piece: &Piece, rows: &Tensor) -> PyResult<Tensor> {
        let ((c, h, w), name) = (self.info.input, &self.info.name);
        Python::attach(|py| {
            py.check_signals()?;
            let mut values =
                kernels::values::<f32>(rows).map_err(|e| crate::failure::Failure::input(e.to_string()))?.to_vec();
            values.resize(piece.size * self.info.classes, 0.0);
            let cotangent = PyArray1::from_vec(py, values).reshape([piece.size, self.info.classes])?;
            let Some(pull) = &piece.pull else {
                return Err(crate::failure::Failure::input("a tape that is gone").into());
            };
            let gradient = pull.bind(py).call1((cotangent,))?;
            let gradient = gradient.cast::<PyArray4<f32>>()?;
            if gradient.dims() != numpy::Ix4(piece.size, c, h, w) {
                let found = gradient.shape();
                let why =
                    format!("{name}: an input gradient has shape {found:?}, the images {:?}", (piece.size, c, h, w));
                return Err(crate::failure::Failure::input(why).into());
            }
            let gradient = gradient.readonly();
            let values = &gradient.as_slice()?[..piece.taken * c * h * w];
            Ok(Tensor::from_slice(values, (piece.taken, c, h, w), &Device::Cpu)
                .map_err(crate::failure::Failure::from)?)
        })
    }
}

impl Linear for Taped {
    fn logits(&self) -> &Tensor {
        &self.logits
    }
    fn pull(&self, cotangent: &Tensor) -> Result<Tensor> {
        let mut start = 0;
        let mut gradients = Vec::with_capacity(self.pieces.len());
        for piece in &self.pieces {
            let rows = cotangent.narrow(0, start, piece.taken)?.contiguous()?;
            start += piece.taken;
            gradients.push(self.gradient(piece, &rows).map_err(|e| keep(&self.raised, e))?);
        }
        together(gradients)
    }
}
