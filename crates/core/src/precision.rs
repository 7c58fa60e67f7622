//! The precisions that networks are trained and evaluated in.

use crate::{Error, Result};
use candle_core::{DType, Tensor};

/// Bits of the numbers that a network is trained and evaluated in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 double precision.
    F64,
}

impl Precision {
    /// That of the tensor `x`.
    ///
    /// # Errors
    /// Its elements are neither f32 nor f64.
    ///
    /// ```
    /// use candle_core::{Device, Tensor};
    /// use gauntlet_core::Precision;
    /// assert_eq!(Precision::of(&Tensor::new(0.5f64, &Device::Cpu)?)?, Precision::F64);
    /// assert!(Precision::of(&Tensor::new(1u8, &Device::Cpu)?).is_err());
    /// # Ok::<(), gauntlet_core::Error>(())
    /// ```
    pub fn of(x: &Tensor) -> Result<Precision> {
        match x.dtype() {
            DType::F32 => Ok(Precision::F32),
            DType::F64 => Ok(Precision::F64),
            other => Err(Error::value("precision", format!("must be f32 or f64, got {}", other.as_str()))),
        }
    }

    /// The name, `f32` or `f64`.
    pub fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::F64 => "f64",
        }
    }

    /// candle's name of it.
    pub fn dtype(self) -> DType {
        match self {
            Precision::F32 => DType::F32,
            Precision::F64 => DType::F64,
        }
    }
}

impl std::str::FromStr for Precision {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        match s {
            "f32" => Ok(Precision::F32),
            "f64" => Ok(Precision::F64),
            other => Err(Error::value("precision", format!("must be f32 or f64, got {other:?}"))),
        }
    }
}
