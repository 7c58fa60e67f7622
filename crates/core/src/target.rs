//! What an attack sees of a model: logits, and pull-backs through one forward. No tape in sight.

use crate::{BatchStats, Key, Mode, ModelInfo, Network, Params, Pass, Result};
use candle_core::{Device, Tensor};
use gauntlet_autograd::{Var, pull};
use std::sync::{Arc, Mutex, PoisonError};

/// A model under attack. Results for one example must not depend on the others in the batch (eval mode).
pub trait Target: Send + Sync {
    /// Architecture, input shape, classes.
    fn info(&self) -> &ModelInfo;
    /// Logits `(N, K)` of `x (N, C, H, W)`.
    fn logits(&self, x: &Tensor) -> Result<Tensor>;
    /// A forward that can be pulled back through, as often as wanted.
    fn linearise(&self, x: &Tensor) -> Result<Box<dyn Linear>>;
}

/// One forward with its tape.
pub trait Linear {
    /// Logits `(N, K)` of this forward.
    fn logits(&self) -> &Tensor;
    /// `Σₖ cotangent[n,k] · ∂logits[n,k]/∂x`, shape of x. `cotangent` is `(N, K)`.
    fn pull(&self, cotangent: &Tensor) -> Result<Tensor>;
}

/// A network with constant parameters: only input gradients exist.
///
/// Its parameters may lie on another device than what it is asked about: inputs are taken there, answers brought back.
#[derive(Clone)]
pub struct Frozen {
    network: Arc<dyn Network>,
    params: Params,
    mode: Mode,
    key: Key,
    /// Data set rows of the examples, for keyed dropout; a batch of another length is keyed by places.
    ids: Vec<u64>,
    /// Statistics of the train-mode batch norms of all forwards, in order.
    seen: Arc<Mutex<Vec<BatchStats>>>,
}

impl Frozen {
    /// Freezes a network in eval mode (parameters become constants).
    pub fn new(network: Arc<dyn Network>, params: Params) -> Self {
        Self::in_mode(network, params, Mode::Eval, Key::new(0, crate::Purpose::Dropout))
    }
    /// Freezes a network in the given mode, for attacks inside recipes.
    pub fn in_mode(network: Arc<dyn Network>, params: Params, mode: Mode, key: Key) -> Self {
        Frozen { network, params: params.detached(), mode, key, ids: Vec::new(), seen: Arc::default() }
    }
    /// The same for batches of these data set rows, which key dropout.
    #[must_use]
    pub fn of_rows(mut self, ids: Vec<u64>) -> Self {
        self.ids = ids;
        self
    }
    /// Takes the statistics that train-mode batch norms saw since the last call, in order.
    pub fn seen(&self) -> Vec<BatchStats> {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
    /// x where the parameters are.
    fn there(&self, x: &Tensor) -> Result<Tensor> {
        match self.params.device() {
            Some(device) => Ok(x.to_device(device)?),
            None => Ok(x.clone()),
        }
    }
    fn forward(&self, x: &Var) -> Result<Var> {
        let n = x.dim(0)?;
        let places: Vec<u64>;
        let ids = if self.ids.len() == n {
            &self.ids
        } else {
            places = (0..n as u64).collect();
            &places
        };
        let mut pass = Pass { mode: self.mode, ids, key: self.key, stats: Vec::new() };
        let z = self.network.forward(&self.params, x, &mut pass)?;
        if self.mode == Mode::Train {
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).append(&mut pass.stats);
        }
        Ok(z)
    }
}

impl Target for Frozen {
    fn info(&self) -> &ModelInfo {
        self.network.info()
    }
    fn logits(&self, x: &Tensor) -> Result<Tensor> {
        Ok(self.forward(&Var::constant(self.there(x)?))?.tensor().to_device(x.device())?)
    }
    fn linearise(&self, x: &Tensor) -> Result<Box<dyn Linear>> {
        let home = x.device().clone();
        let x = Var::leaf(self.there(x)?);
        let z = self.forward(&x)?;
        let logits = z.tensor().to_device(&home)?;
        Ok(Box::new(Taped { x, z, logits, home }))
    }
}

struct Taped {
    x: Var,
    z: Var,
    logits: Tensor,
    /// Where x came from.
    home: Device,
}

impl Linear for Taped {
    fn logits(&self) -> &Tensor {
        &self.logits
    }
    fn pull(&self, cotangent: &Tensor) -> Result<Tensor> {
        let cotangent = cotangent.to_device(self.z.device())?;
        Ok(pull(&self.z, &cotangent, &self.x)?.to_device(&self.home)?)
    }
}
