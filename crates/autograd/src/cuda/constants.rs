//! Small constants that every forward needs, such as an input's mean and deviation: uploaded once.

use super::Element;
use crate::Result;
use candle_core::cuda_backend::DeviceId;
use candle_core::{DType, Tensor, WithDType};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

type Kept = HashMap<(DeviceId, DType, Vec<u64>, Vec<usize>), Tensor>;
static KEPT: Mutex<Option<Kept>> = Mutex::new(None);
/// More would be no constants.
const MOST: usize = 256;

/// The numbers as a tensor beside `like`; the same tensor for the same numbers.
pub(crate) fn constant<T: Element + WithDType>(values: &[T], dims: &[usize], like: &Tensor) -> Result<Tensor> {
    let device = like.device().as_cuda_device()?.id();
    let bits = values.iter().map(|v| v.to_f64().to_bits()).collect();
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let kept = kept.get_or_insert_default();
    let key = (device, T::DTYPE, bits, dims.to_vec());
    if let Some(tensor) = kept.get(&key) {
        return Ok(tensor.clone());
    }
    let tensor = Tensor::from_vec(values.to_vec(), dims, like.device())?;
    if kept.len() >= MOST {
        kept.clear();
    }
    kept.insert(key, tensor.clone());
    Ok(tensor)
}
