//! A network behind the normalisation that its checkpoint brings along.

use gauntlet_autograd::Var;
use gauntlet_autograd::kernels::constant_like;
use gauntlet_core::checkpoint::Normalisation;
use gauntlet_core::{Answers, Error, ModelInfo, Network, ParamSpec, Params, Pass, Result};
use std::sync::Arc;

/// `inner((x − mean) / std)`: what `inner` would be, built with `mean` and `std`.
pub(crate) struct Normalised {
    inner: Arc<dyn Network>,
    info: ModelInfo,
    scale: Vec<f64>,
    shift: Vec<f64>,
}

impl Normalised {
    /// `inner`, which does not normalise by itself, behind `of`.
    pub(crate) fn new(inner: Arc<dyn Network>, of: Normalisation) -> Self {
        let (scale, shift) = of.mean.iter().zip(&of.std).map(|(mean, std)| (1.0 / std, -mean / std)).unzip();
        let info = ModelInfo { mean: of.mean, std: of.std, ..inner.info().clone() };
        Normalised { inner, info, scale, shift }
    }
}

impl Network for Normalised {
    fn info(&self) -> &ModelInfo {
        &self.info
    }
    fn specs(&self) -> Vec<ParamSpec> {
        self.inner.specs()
    }
    fn activations(&self) -> u64 {
        let (c, h, w) = self.info.input;
        self.inner.activations().saturating_add((c * h * w) as u64)
    }
    fn answers(&self) -> Answers {
        self.inner.answers()
    }
    fn forward(&self, params: &Params, x: &Var, pass: &mut Pass<'_>) -> Result<Var> {
        if x.dims().get(1) != Some(&self.scale.len()) {
            let why = format!("must have the {} channels that are normalised, got {:?}", self.scale.len(), x.dims());
            return Err(Error::value("images", why));
        }
        let constant = |v: &[f64]| -> Result<Var> { Ok(Var::constant(constant_like(v, &[v.len()], x.tensor())?)) };
        self.inner.forward(params, &x.channel_affine(&constant(&self.scale)?, &constant(&self.shift)?)?, pass)
    }
}
