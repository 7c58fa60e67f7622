//! What an attack sees of a model: logits, and pull-backs through one forward. No tape in sight.

use crate::{Answers, BatchStats, Key, Mode, ModelInfo, Network, Params, Pass, Result};
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
    /// What can be asked of it; less than gradients of a program behind a pipe, say.
    fn answers(&self) -> Answers {
        Answers::Gradients
    }
    /// Whether asking again is nothing but computing again: no forward leaves anything behind. Where the last one did not,
    /// a GPU may repeat it without asking.
    fn repeats(&self) -> bool {
        false
    }
    /// Whether its forwards are computed by the threads of the pool, which then stay awake between them. Those of a library with
    /// threads of its own are to find the cores free.
    fn computes_here(&self) -> bool {
        true
    }
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
    /// Images per forward where inputs come from another device; 0: all at once.
    block: usize,
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
        Frozen { network, params: params.detached(), mode, key, ids: Vec::new(), block: 0, seen: Arc::default() }
    }
    /// The same for batches of these data set rows, which key dropout.
    #[must_use]
    pub fn of_rows(mut self, ids: Vec<u64>) -> Self {
        self.ids = ids;
        self
    }
    /// The same for inputs from another device in blocks of this many images, the last one filled up: see
    /// [`crate::Compute::block`].
    #[must_use]
    pub fn in_blocks_of(mut self, block: usize) -> Self {
        self.block = block;
        self
    }
    /// Inputs as they are evaluated: where the parameters are, in blocks of constant size, each with its number of images.
    fn blocks(&self, x: &Tensor) -> Result<Vec<(Tensor, usize)>> {
        let n = x.dim(0)?;
        let away = self.params.device().is_some_and(|device| !device.same_device(x.device()));
        if !away || self.block == 0 || self.mode != Mode::Eval || n == 0 {
            return Ok(vec![(self.there(x)?, n)]);
        }
        let block = |first: usize| {
            let n = self.block.min(n - first);
            Ok((self.there(&filled_up(&x.narrow(0, first, n)?, self.block)?)?, n))
        };
        (0..n).step_by(self.block).map(block).collect()
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
        let answer = |(block, n): (Tensor, usize)| -> Result<Tensor> {
            let z = self.forward(&Var::constant(block))?;
            Ok(z.tensor().to_device(x.device())?.narrow(0, 0, n)?)
        };
        joined(self.blocks(x)?.into_iter().map(answer).collect::<Result<_>>()?)
    }
    fn linearise(&self, x: &Tensor) -> Result<Box<dyn Linear>> {
        let home = x.device().clone();
        let mut parts = Vec::new();
        let mut logits = Vec::new();
        for (block, n) in self.blocks(x)? {
            let x = Var::leaf(block);
            let z = self.forward(&x)?;
            logits.push(z.tensor().to_device(&home)?.narrow(0, 0, n)?);
            parts.push(Part { x, z, n });
        }
        Ok(Box::new(Taped { parts, logits: joined(logits)?, home }))
    }
    fn answers(&self) -> Answers {
        self.network.answers()
    }
    fn repeats(&self) -> bool {
        // What tells no gradients is computed by somebody else, whom a recording would not ask.
        self.answers() == Answers::Gradients && self.seen.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

/// Zeros behind the images of a block that is not full.
fn filled_up(x: &Tensor, block: usize) -> Result<Tensor> {
    let n = x.dim(0)?;
    Ok(if n < block { x.pad_with_zeros(0, 0, block - n)? } else { x.clone() })
}

fn joined(parts: Vec<Tensor>) -> Result<Tensor> {
    match parts.as_slice() {
        [one] => Ok(one.clone()),
        parts => Ok(Tensor::cat(parts, 0)?),
    }
}

struct Taped {
    parts: Vec<Part>,
    logits: Tensor,
    /// Where x came from.
    home: Device,
}

/// A block with its tape; the first `n` are images.
struct Part {
    x: Var,
    z: Var,
    n: usize,
}

impl Linear for Taped {
    fn logits(&self) -> &Tensor {
        &self.logits
    }
    fn pull(&self, cotangent: &Tensor) -> Result<Tensor> {
        let mut first = 0;
        let mut gradients = Vec::with_capacity(self.parts.len());
        for Part { x, z, n } in &self.parts {
            let own = filled_up(&cotangent.narrow(0, first, *n)?, z.dim(0)?)?.to_device(z.device())?;
            gradients.push(pull(z, &own, x)?.to_device(&self.home)?.narrow(0, 0, *n)?);
            first += n;
        }
        joined(gradients)
    }
}
