//! Labelled images: to train on, and to be judged.

use candle_core::{Device, Tensor};
use gauntlet_core::{Error, Precision, Result};
use gauntlet_data::Split;
use gauntlet_evaluate::Examples;

/// A training and a test split, as a suite uses them.
#[derive(Debug, Clone)]
pub struct Images {
    /// What is trained on (and, at its end, held out).
    pub train: Split,
    /// What is attacked.
    pub test: Split,
    /// Class names, in the order of the labels.
    pub classes: Vec<String>,
    /// How the test rows are ordered, where that is not random: their first n are then no sample of them.
    pub order: Option<String>,
}

/// Rows of a split, to be judged.
///
/// # Errors
/// An empty list; a row that the split does not have.
pub fn examples_of(split: &Split, rows: &[usize], precision: Precision) -> Result<Examples> {
    let mut images = Vec::new();
    let (mut labels, mut ids) = (Vec::new(), Vec::new());
    for chunk in rows.chunks(1024) {
        let batch = split.batch(chunk, precision, &Device::Cpu).map_err(|e| Error::Message(e.to_string()))?;
        images.push(batch.x);
        labels.extend(batch.y.to_vec1::<u32>()?);
        ids.extend(batch.ids);
    }
    if images.is_empty() {
        return Err(Error::value("examples", "the split is empty"));
    }
    Examples::new(Tensor::cat(&images, 0)?, labels, ids)
}
