//! Tensors of a file: declared sizes held against the bytes that are there before anything is made of them.

use crate::external::Folder;
use crate::proto::{TensorProto, element};

/// The values of a tensor.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Values {
    /// Of float32, or of float64 rounded to it.
    Floats(Vec<f32>),
    /// Of int64, int32 and bool.
    Whole(Vec<i64>),
}

/// A tensor as it is read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stored {
    pub(crate) dims: Vec<usize>,
    pub(crate) values: Values,
}

/// Dimensions and their product.
pub(crate) fn sizes(dims: &[i64]) -> Result<(Vec<usize>, usize), String> {
    let sizes: Option<Vec<usize>> = dims.iter().map(|d| usize::try_from(*d).ok()).collect();
    let count = sizes.as_ref().and_then(|s| s.iter().try_fold(1usize, |a, b| a.checked_mul(*b)));
    match (sizes, count) {
        (Some(sizes), Some(count)) if sizes.len() <= 8 => Ok((sizes, count)),
        _ => Err(format!("the dimensions {dims:?} are none")),
    }
}

/// Reads a tensor, from the folder where its data lies outside the file.
pub(crate) fn read(tensor: &TensorProto, folder: &mut Folder<'_>) -> Result<Stored, String> {
    let (dims, count) = sizes(&tensor.dims)?;
    let raw = if tensor.data_location == 1 {
        let width = match tensor.data_type {
            element::FLOAT | element::INT32 => 4,
            element::INT64 | element::DOUBLE => 8,
            element::BOOL => 1,
            other => return Err(foreign(other)),
        };
        folder.read(&tensor.external_data, count.checked_mul(width).ok_or("it is larger than memory")?)?
    } else {
        tensor.raw_data.to_vec()
    };
    let typed = tensor.float_data.len() + tensor.int32_data.len() + tensor.int64_data.len() + tensor.double_data.len();
    if typed > 0 && !raw.is_empty() {
        return Err("it has its values twice".into());
    }
    let fits = |found: usize| {
        if found == count {
            return Ok(());
        }
        Err(format!("its dimensions {:?} are {count} values, and there are {found}", tensor.dims))
    };
    let bytes = |width: usize| {
        if count.checked_mul(width) == Some(raw.len()) {
            return Ok(());
        }
        Err(format!(
            "its dimensions {:?} are {count} values of {width} bytes, and there are {} bytes",
            tensor.dims,
            raw.len()
        ))
    };
    let values = match tensor.data_type {
        element::FLOAT if raw.is_empty() => {
            fits(tensor.float_data.len())?;
            Values::Floats(tensor.float_data.clone())
        }
        element::FLOAT => {
            bytes(4)?;
            Values::Floats(raw.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
        }
        element::DOUBLE if raw.is_empty() => {
            fits(tensor.double_data.len())?;
            Values::Floats(tensor.double_data.iter().map(|v| *v as f32).collect())
        }
        element::DOUBLE => {
            bytes(8)?;
            Values::Floats(raw.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect())
        }
        element::INT64 if raw.is_empty() => {
            fits(tensor.int64_data.len())?;
            Values::Whole(tensor.int64_data.clone())
        }
        element::INT64 => {
            bytes(8)?;
            Values::Whole(raw.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b)).collect())
        }
        element::INT32 | element::BOOL if raw.is_empty() => {
            fits(tensor.int32_data.len())?;
            Values::Whole(tensor.int32_data.iter().map(|v| i64::from(*v)).collect())
        }
        element::INT32 => {
            bytes(4)?;
            Values::Whole(raw.as_chunks().0.iter().map(|b| i64::from(i32::from_le_bytes(*b))).collect())
        }
        element::BOOL => {
            bytes(1)?;
            Values::Whole(raw.iter().map(|b| i64::from(*b != 0)).collect())
        }
        other => return Err(foreign(other)),
    };
    Ok(Stored { dims, values })
}

fn foreign(kind: i32) -> String {
    format!("its elements are {}: export the network in float32, not quantised", element::name(kind))
}
