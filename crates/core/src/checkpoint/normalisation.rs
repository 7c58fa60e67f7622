//! What a published network does to images before its first layer.

use crate::ModelInfo;
use candle_core::{DType, Tensor};
use std::collections::HashMap;
use std::fmt;

/// (x − mean) / std per channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalisation {
    /// Subtracted, pixels.
    pub mean: Vec<f64>,
    /// Divided by, pixels.
    pub std: Vec<f64>,
}

/// How far numbers may be apart that are the same, one of them in single precision.
const SAME: f64 = 1e-6;

impl Normalisation {
    /// Of two tensors of a file, with one number for every channel or one for all.
    ///
    /// # Errors
    /// In words: another count, a deviation that is not positive, a number that is not finite.
    pub(super) fn of(mean: &Tensor, std: &Tensor, channels: usize) -> Result<Self, String> {
        let list = |t: &Tensor| -> Result<Vec<f64>, String> {
            let flat = t.to_dtype(DType::F64).and_then(|t| t.flatten_all()).and_then(|t| t.to_vec1());
            let values: Vec<f64> = flat.map_err(|e| e.to_string())?;
            // 0.4914 as somebody wrote it, not as single precision holds it.
            let written = |v: f64| (v as f32).to_string().parse().unwrap_or(v);
            Ok(values.into_iter().map(|v| if t.dtype() == DType::F32 { written(v) } else { v }).collect())
        };
        Self::checked(list(mean)?, list(std)?, channels)
    }

    /// What the metadata of a file of gauntlet's tell, if they tell any.
    ///
    /// # Errors
    /// See [`Normalisation::of`].
    pub(super) fn told(metadata: &HashMap<String, String>, channels: usize) -> Result<Option<Self>, String> {
        let list = |key: &str| metadata.get(key).map(String::as_str).filter(|text| !text.is_empty());
        let numbers = |text: Option<&str>, none: f64| -> Result<Vec<f64>, String> {
            let Some(text) = text else { return Ok(vec![none]) };
            let odd = |_| format!("its normalisation {text:?} is no list of numbers");
            text.split(',').map(|n| n.parse::<f64>().map_err(odd)).collect()
        };
        match (list("mean"), list("std")) {
            (None, None) => Ok(None),
            (mean, std) => Self::checked(numbers(mean, 0.0)?, numbers(std, 1.0)?, channels).map(Some),
        }
    }

    fn checked(mean: Vec<f64>, std: Vec<f64>, channels: usize) -> Result<Self, String> {
        let of_channels = |what: &str, values: Vec<f64>| {
            let fits = values.len() == channels || values.len() == 1;
            if !fits || !values.iter().all(|v| v.is_finite()) {
                return Err(format!(
                    "the {what} of its images is {values:?}, which is not one number for each of {channels} channels"
                ));
            }
            Ok(values.into_iter().cycle().take(channels).collect::<Vec<f64>>())
        };
        let (mean, std) = (of_channels("mean", mean)?, of_channels("deviation", std)?);
        match std.iter().find(|s| **s <= 0.0) {
            Some(bad) => Err(format!("the deviation of its images is {bad}, which is not positive")),
            None => Ok(Normalisation { mean, std }),
        }
    }

    /// What is to be done beside what the model does by itself: nothing where it does the same.
    ///
    /// # Errors
    /// In words: the model does another thing.
    pub(super) fn beside(self, info: &ModelInfo) -> Result<Option<Self>, String> {
        if info.mean.is_empty() && info.std.is_empty() {
            return Ok(Some(self));
        }
        let near = |own: &[f64], models: &[f64], none: f64| {
            own.iter().enumerate().all(|(i, v)| (v - models.get(i).copied().unwrap_or(none)).abs() <= SAME)
        };
        if near(&self.mean, &info.mean, 0.0) && near(&self.std, &info.std, 1.0) {
            return Ok(None);
        }
        let ModelInfo { mean, std, .. } = info;
        Err(format!("it says {self}, the model is built with mean = {mean:?}, std = {std:?}; pass the file's values"))
    }
}

/// As a model is told it.
impl fmt::Display for Normalisation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mean = {:?}, std = {:?}", self.mean, self.std)
    }
}
