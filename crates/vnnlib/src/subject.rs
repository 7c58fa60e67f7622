//! What is searched: a network in both precisions.

use crate::error::Result;
use crate::property::Property;
use candle_core::{DType, Device, Tensor};
use gauntlet_core::{Error, Frozen, Linear, Network, Precision, Target, Weights};
use std::sync::Arc;

/// A network that computes in float32, for the search, and in float64, which decides.
///
/// `X_i` is element i of the image (C, H, W) in that order.
#[derive(Clone)]
pub struct Subject {
    single: Arc<dyn Target>,
    double: Arc<dyn Target>,
}

impl Subject {
    /// Of two targets, given float32 and float64 images.
    ///
    /// # Errors
    /// They differ in their inputs or outputs.
    pub fn new(single: Arc<dyn Target>, double: Arc<dyn Target>) -> Result<Self> {
        let (a, b) = (single.info(), double.info());
        if (a.input, a.classes) != (b.input, b.classes) {
            let why = format!("must be one network in two precisions, got {} and {}", a.name, b.name);
            return Err(Error::value("subject", why).into());
        }
        Ok(Subject { single, double })
    }
    /// Of a network with its weights, in eval mode.
    ///
    /// # Errors
    /// The weights cannot be converted.
    pub fn of(network: Arc<dyn Network>, weights: &Weights) -> Result<Self> {
        let target = |precision: Precision| -> Result<Arc<dyn Target>> {
            Ok(Arc::new(Frozen::new(network.clone(), weights.to_precision(precision)?.constants())))
        };
        Subject::new(target(Precision::F32)?, target(Precision::F64)?)
    }

    /// # Errors
    /// The property has another number of inputs or outputs.
    pub(crate) fn fits(&self, property: &Property) -> Result<()> {
        let ((c, h, w), k) = (self.single.info().input, self.single.info().classes);
        if (property.inputs(), property.outputs()) != (c * h * w, k) {
            let why = format!(
                "is of a network with {} inputs and {} outputs, and {} has {} and {k}",
                property.inputs(),
                property.outputs(),
                self.single.info().name,
                c * h * w
            );
            return Err(Error::value("property", why).into());
        }
        Ok(())
    }

    fn images<T: candle_core::WithDType>(&self, x: Vec<T>) -> Result<Tensor> {
        let (c, h, w) = self.single.info().input;
        let n = x.len() / (c * h * w);
        Ok(Tensor::from_vec(x, (n, c, h, w), &Device::Cpu)?)
    }
    /// Outputs of several inputs in a row, in float32.
    pub(crate) fn outputs(&self, x: Vec<f32>) -> Result<Vec<f64>> {
        numbers(&self.single.logits(&self.images(x)?)?)
    }
    /// A forward in float32 to pull back through.
    pub(crate) fn linearise(&self, x: Vec<f32>) -> Result<Forward> {
        let linear = self.single.linearise(&self.images(x)?)?;
        let outputs = numbers(linear.logits())?;
        Ok(Forward { linear, outputs })
    }
    /// Outputs of one input in float64.
    pub(crate) fn exact(&self, x: &[f64]) -> Result<Vec<f64>> {
        numbers(&self.double.logits(&self.images(x.to_vec())?)?)
    }
}

/// Outputs of several inputs, with their derivatives.
pub(crate) struct Forward {
    linear: Box<dyn Linear>,
    /// K for each input, in a row.
    pub(crate) outputs: Vec<f64>,
}

impl Forward {
    /// Σₖ cₖ·∂yₖ/∂x of each input, in a row.
    pub(crate) fn pull(&self, cotangent: Vec<f32>) -> Result<Vec<f32>> {
        let cotangent = Tensor::from_vec(cotangent, self.linear.logits().dims(), &Device::Cpu)?;
        Ok(self.linear.pull(&cotangent)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?)
    }
}

fn numbers(t: &Tensor) -> Result<Vec<f64>> {
    Ok(t.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?)
}
