//! Errors on their way to Python: the words of the command line, as exceptions of `gauntlet.errors`.

use gauntlet::core::Error as CoreError;
use gauntlet::records::Error as RecordError;
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use std::fmt::Write;
use std::io::ErrorKind;

/// Whose trouble an error is; the command line's exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The caller's mistake.
    Input,
    /// Network, disk, device.
    Environment,
    /// A part of the work that failed.
    Failed,
    /// Interrupted.
    Interrupted,
}

/// An error with its words.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: Kind,
    message: String,
}

impl Failure {
    /// The caller's mistake.
    pub(crate) fn input(message: impl Into<String>) -> Self {
        Failure { kind: Kind::Input, message: message.into() }
    }
    fn of(kind: Kind, error: &dyn std::error::Error) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let said = error.to_string();
            if !message.contains(&said) {
                let _ = write!(message, "; caused by: {said}");
            }
            cause = error.source();
        }
        Failure { kind, message }
    }
}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> PyErr {
        let name = match failure.kind {
            Kind::Interrupted => return PyKeyboardInterrupt::new_err(failure.message),
            Kind::Input => "InputError",
            Kind::Environment => "EnvironmentFailure",
            Kind::Failed => "EvaluationFailed",
        };
        Python::attach(|py| {
            let made = || -> PyResult<PyErr> {
                let class = py.import("gauntlet.errors")?.getattr(name)?;
                Ok(PyErr::from_value(class.call1((failure.message.as_str(),))?))
            };
            made().unwrap_or_else(|error| error)
        })
    }
}

fn io(error: &std::io::Error) -> Kind {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::IsADirectory => Kind::Input,
        _ => Kind::Environment,
    }
}
fn of_core(error: &CoreError) -> Kind {
    match error {
        CoreError::Io { source, action: "read" | "list", .. } => io(source),
        CoreError::Io { .. } => Kind::Environment,
        CoreError::NotFinite { .. } | CoreError::Proposal { .. } => Kind::Failed,
        _ => Kind::Input,
    }
}
fn of_record(error: &RecordError) -> Kind {
    match error {
        RecordError::Io { source, action: "read" | "list", .. } => io(source),
        RecordError::Io { .. } => Kind::Environment,
        _ => Kind::Input,
    }
}

impl From<CoreError> for Failure {
    fn from(error: CoreError) -> Self {
        Self::of(of_core(&error), &error)
    }
}
impl From<RecordError> for Failure {
    fn from(error: RecordError) -> Self {
        Self::of(of_record(&error), &error)
    }
}
impl From<gauntlet::evaluate::Error> for Failure {
    fn from(error: gauntlet::evaluate::Error) -> Self {
        gauntlet::engine::Error::from(error).into()
    }
}
impl From<gauntlet::engine::Error> for Failure {
    fn from(error: gauntlet::engine::Error) -> Self {
        use gauntlet::engine::Error::{Core, Damaged, Data, Interrupted, Store};
        let kind = match &error {
            Core(e) => of_core(e),
            Data(e) if e.is_environment() => Kind::Environment,
            Store { .. } | Damaged { .. } => Kind::Environment,
            Interrupted => Kind::Interrupted,
            _ => Kind::Input,
        };
        Self::of(kind, &error)
    }
}
impl From<gauntlet::data::Error> for Failure {
    fn from(error: gauntlet::data::Error) -> Self {
        Self::of(if error.is_environment() { Kind::Environment } else { Kind::Input }, &error)
    }
}
impl From<gauntlet::report::Error> for Failure {
    fn from(error: gauntlet::report::Error) -> Self {
        let kind = match &error {
            gauntlet::report::Error::Record(e) => of_record(e),
            _ => Kind::Input,
        };
        Self::of(kind, &error)
    }
}
impl From<gauntlet::onnx::Error> for Failure {
    fn from(error: gauntlet::onnx::Error) -> Self {
        Self::of(Kind::Input, &error)
    }
}
impl From<gauntlet::candle::Error> for Failure {
    fn from(error: gauntlet::candle::Error) -> Self {
        CoreError::from(error).into()
    }
}
impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::of(Kind::Input, &error)
    }
}
