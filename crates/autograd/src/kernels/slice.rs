//! Tensors as slices.

use crate::{Error, Result};
use candle_core::{DType, Device, Storage, Tensor, WithDType};
use std::marker::PhantomData;
use std::ops::Deref;

/// f32 or f64.
pub trait Real:
    super::tile::Tiles + WithDType + num_traits::Float + Send + Sync + std::iter::Sum + std::ops::AddAssign
{
    /// erf, from `libm`.
    fn erf(self) -> Self;
    /// Exact or nearest.
    fn of(x: f64) -> Self;
    /// Exact.
    fn wide(self) -> f64;
}

impl Real for f32 {
    fn erf(self) -> Self {
        libm::erff(self)
    }
    fn of(x: f64) -> Self {
        x as f32
    }
    fn wide(self) -> f64 {
        f64::from(self)
    }
}

impl Real for f64 {
    fn erf(self) -> Self {
        libm::erf(self)
    }
    fn of(x: f64) -> Self {
        x
    }
    fn wide(self) -> f64 {
        self
    }
}

/// The names of the dtypes that have kernels.
pub fn by_dtype_names() -> [&'static str; 2] {
    [DType::F32.as_str(), DType::F64.as_str()]
}

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

/// A contiguous tensor with the same values (the same tensor if it is contiguous).
pub(crate) fn dense(tensor: &Tensor) -> Result<Tensor> {
    Ok(tensor.contiguous()?)
}

/// A borrowed slice of a contiguous CPU tensor.
pub struct View<'a, T> {
    /// candle's read guard, whose type candle does not name.
    storage: Box<dyn Deref<Target = Storage> + 'a>,
    start: usize,
    end: usize,
    element: PhantomData<T>,
}

impl<T: Real> Deref for View<'_, T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        match &**self.storage {
            Storage::Cpu(cpu) => cpu.as_slice::<T>().map(|s| &s[self.start..self.end]).unwrap_or(&[]),
            _ => &[],
        }
    }
}

/// The values of a contiguous CPU tensor.
pub(crate) fn view<'a, T: Real>(op: &'static str, tensor: &'a Tensor) -> Result<View<'a, T>> {
    if !matches!(tensor.device(), Device::Cpu) {
        return Err(Error::Device { op });
    }
    if tensor.dtype() != T::DTYPE {
        return Err(crate::error::shape(op, format!("expected dtype {:?}, got {:?}", T::DTYPE, tensor.dtype())));
    }
    let (storage, layout) = tensor.storage_and_layout();
    let (start, end) = layout
        .contiguous_offsets()
        .ok_or_else(|| crate::error::shape(op, "internal: a kernel was handed a strided tensor"))?;
    Ok(View { storage: Box::new(storage), start, end, element: PhantomData })
}

/// The values of a contiguous CPU tensor.
///
/// # Errors
/// Another dtype or device, or strides.
pub fn values<T: Real>(tensor: &Tensor) -> Result<View<'_, T>> {
    view("values", tensor)
}

/// A tensor from computed values.
pub(crate) fn from_vec<T: Real>(values: Vec<T>, dims: &[usize]) -> Result<Tensor> {
    Ok(Tensor::from_vec(values, dims, &Device::Cpu)?)
}
