//! Tensors as slices.

use super::dtype::by_dtype;
use crate::{Error, Result};
use candle_core::{Device, Storage, Tensor, WithDType};
use std::marker::PhantomData;
use std::ops::Deref;

/// What an element type needs on a GPU: nothing in a build without one.
#[cfg(not(feature = "cuda"))]
pub trait OnGpu {}
#[cfg(not(feature = "cuda"))]
impl<T> OnGpu for T {}
#[cfg(feature = "cuda")]
pub use crate::cuda::Element as OnGpu;

/// f32 or f64.
pub trait Real:
    super::tile::Tiles + OnGpu + WithDType + num_traits::Float + Send + Sync + std::iter::Sum + std::ops::AddAssign
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

/// Hands an operation over to the GPU if its tensor lies there: `return`s what the expression gives. Nothing in a build
/// without one.
macro_rules! on_gpu {
    ($tensor:expr, $call:expr) => {
        #[cfg(feature = "cuda")]
        if $tensor.device().is_cuda() {
            return $call;
        }
    };
}
pub(crate) use on_gpu;

/// A contiguous tensor with the same values (the same tensor if it is contiguous).
pub(crate) fn dense(tensor: &Tensor) -> Result<Tensor> {
    on_gpu!(tensor, crate::cuda::dense(tensor));
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

fn filled(like: &Tensor, value: f64) -> Result<Tensor> {
    on_gpu!(like, {
        let device = like.device().as_cuda_device()?;
        by_dtype!("fill", like, T => crate::cuda::fill::<T>(device, value, like.dims()))
    });
    by_dtype!("fill", like, T => from_vec(vec![<T as Real>::of(value); like.elem_count()], like.dims()))
}

/// Ones of a tensor's shape, dtype and device.
pub fn ones_like(like: &Tensor) -> Result<Tensor> {
    filled(like, 1.0)
}

/// Zeros of a tensor's shape, dtype and device.
pub fn zeros_like(like: &Tensor) -> Result<Tensor> {
    filled(like, 0.0)
}

/// Numbers as a tensor of the dtype and on the device of another, in one upload.
///
/// # Errors
/// A count that is not the product of `dims`.
pub fn numbers_like(values: &[f64], dims: &[usize], like: &Tensor) -> Result<Tensor> {
    by_dtype!("numbers_like", like, T => {
        let values: Vec<T> = values.iter().map(|v| <T as Real>::of(*v)).collect();
        Ok(Tensor::from_vec(values, dims, like.device())?)
    })
}

/// The same for a few numbers that come again and again: a GPU is sent them once.
///
/// # Errors
/// A count that is not the product of `dims`.
pub fn constant_like(values: &[f64], dims: &[usize], like: &Tensor) -> Result<Tensor> {
    on_gpu!(
        like,
        by_dtype!("constant_like", like, T => {
            let values: Vec<T> = values.iter().map(|v| <T as Real>::of(*v)).collect();
            crate::cuda::constant::<T>(&values, dims, like)
        })
    );
    numbers_like(values, dims, like)
}

/// A tensor from computed values.
pub(crate) fn from_vec<T: Real>(values: Vec<T>, dims: &[usize]) -> Result<Tensor> {
    Ok(Tensor::from_vec(values, dims, &Device::Cpu)?)
}
