//! The element types that have kernels.

/// Runs a body with `$T` bound to the tensor's element type.
macro_rules! by_dtype {
    ($op:expr, $tensor:expr, $T:ident => $body:expr) => {
        match $tensor.dtype() {
            candle_core::DType::F32 => {
                type $T = f32;
                $body
            }
            candle_core::DType::F64 => {
                type $T = f64;
                $body
            }
            other => Err($crate::Error::Dtype { op: $op, dtype: other.as_str() }),
        }
    };
}
pub(crate) use by_dtype;
