//! Errors of differentiation.

/// What can go wrong while recording or differentiating.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// candle refused a tensor operation.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
    /// The output does not depend on these variables (positions in `wrt`): a gradient of zero would hide a mistake.
    #[error(
        "the output does not depend on {} of the variables to differentiate by (positions {positions:?}): \
         it was computed without them, or from detached values",
        positions.len()
    )]
    Unreached {
        /// Positions in `wrt`.
        positions: Vec<usize>,
    },
    /// Shapes that an operation cannot take.
    #[error("{op}: {why}")]
    Shape {
        /// The operation.
        op: &'static str,
        /// The shapes and what was expected.
        why: String,
    },
    /// A dtype other than f32 and f64.
    #[error("{op}: dtype {dtype} is not differentiable here, use f32 or f64")]
    Dtype {
        /// The operation.
        op: &'static str,
        /// What came.
        dtype: &'static str,
    },
    /// A device without kernels.
    #[error("{op}: no kernel for this device; move the tensors to the CPU")]
    Device {
        /// The operation.
        op: &'static str,
    },
    /// A GPU, its driver or a library of it refused.
    #[error("{op}: the GPU failed: {why}")]
    Gpu {
        /// The operation.
        op: &'static str,
        /// What the driver says.
        why: String,
    },
    /// A value that a vector-Jacobian product reads was not saved: a mistake in [`crate::Op::saves`].
    #[error("{op}: its vjp reads {what}, which `saves` does not keep")]
    NotSaved {
        /// The operation.
        op: &'static str,
        /// `input 0`, `the output`.
        what: String,
    },
    /// More operations than were allowed ([`crate::limited`]).
    #[error("more than {most} operations on tensors, forward and backward")]
    Limit {
        /// How many were allowed.
        most: u64,
    },
    /// A derivative that disagrees with central differences.
    #[error("{0}")]
    Check(String),
}

/// Result with [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

pub(crate) fn shape(op: &'static str, why: impl Into<String>) -> Error {
    Error::Shape { op, why: why.into() }
}
