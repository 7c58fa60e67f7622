//! What can be proved of single images by a network with its weights.

use crate::{Error, Result};
use candle_core::{DType, Tensor};
use gauntlet_certify::{Certificate, Network, Plan, Region, Rows, certify};
use gauntlet_core::attack::misclassified;
use gauntlet_core::{Compute, Frozen, Precision, Target, ThreatModel};
use gauntlet_evaluate::Subject;
use gauntlet_graph::graph_of;

/// A network in the forms that it is asked in.
pub struct Prover {
    /// As bounds read it.
    layers: Network,
    /// As the referee computes it.
    single: Frozen,
    /// What decides where a certificate and the referee disagree.
    double: Frozen,
}

impl Prover {
    /// Opens a subject.
    ///
    /// # Errors
    /// A network whose layers are not known, or one with a layer that has no bound.
    pub fn open(subject: &Subject, compute: &Compute) -> Result<Self> {
        let Some(graph) = graph_of(subject.network.as_ref()) else {
            let name = &subject.network.info().name;
            return Err(Error::message(format!(
                "{name}: only networks whose layers are known have bounds: built-in ones, and those of ONNX files"
            )));
        };
        Ok(Prover {
            layers: Network::new(graph, &subject.weights)?,
            single: subject.target(compute)?,
            double: Frozen::new(subject.network.clone(), subject.weights.to_precision(Precision::F64)?.constants()),
        })
    }

    /// What is proved of an image `(1, C, H, W)` on all that the referee takes for a perturbation inside the budget, and the proposal
    /// that it took, if the search made one. Depends on no other image.
    ///
    /// # Errors
    /// As of [`certify`].
    pub fn prove(
        &self,
        image: &Tensor,
        label: u32,
        threat: &ThreatModel,
        plan: &Plan,
    ) -> gauntlet_core::Result<(Certificate, Option<Tensor>)> {
        let x: Vec<f64> = image.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?;
        let region = Region::referee(&x, threat)?;
        let rows = Rows::margins(self.layers.classes(), label as usize)?;
        let mut taken = None;
        let mut judge = |point: &[f64]| -> gauntlet_core::Result<bool> {
            let x = Tensor::from_slice(point, image.dims(), image.device())?.to_dtype(image.dtype())?;
            let proposal = threat.project(&x, image)?;
            let inside = threat.check(&proposal.squeeze(0)?, &image.squeeze(0)?)?.is_ok();
            let logits: Vec<f64> = self.single.logits(&proposal)?.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?;
            let broken = inside && misclassified(&logits, label);
            if broken {
                taken = Some(proposal);
            }
            Ok(broken)
        };
        let certificate = certify(&self.layers, &region, &rows, plan, &mut judge)?;
        Ok((certificate, taken))
    }

    /// Whether the network of f64 answers an example `(1, C, H, W)` with another class, too.
    ///
    /// # Errors
    /// A forward fails.
    pub fn wrong_in_f64(&self, x: &Tensor, label: u32) -> gauntlet_core::Result<bool> {
        let logits: Vec<f64> = self.double.logits(&x.to_dtype(DType::F64)?)?.flatten_all()?.to_vec1()?;
        Ok(misclassified(&logits, label))
    }
}
