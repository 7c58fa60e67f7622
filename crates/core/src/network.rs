//! A differentiable network, as recipes see it.

use crate::{Answers, Key, Params, Precision, Result, Weights};
use candle_core::{Device, Tensor};
use gauntlet_autograd::Var;
use serde::{Deserialize, Serialize};
use std::any::Any;

/// Train or eval: a value handed to `forward`, never state of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Batch norm uses the batch's statistics, dropout drops.
    Train,
    /// Batch norm uses the running statistics, dropout is the identity.
    Eval,
}

/// The nonlinearity of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// max(0, x), relu'(0) = 0.
    Relu,
    /// log(1 + eˣ).
    Softplus,
    /// x·Φ(x), the exact (erf) form.
    Gelu,
    /// x·σ(x), also called swish.
    Silu,
    /// max(0, x) + 0.01 · min(0, x), 0.01 at 0.
    LeakyRelu,
    /// max(0, x) + exp(min(0, x)) − 1, 1 at 0.
    Elu,
    /// tanh x.
    Tanh,
    /// σ(x) = 1 / (1 + e⁻ˣ).
    Sigmoid,
}

impl Activation {
    /// All of them, in the order in which they are listed.
    pub const ALL: [Activation; 8] = [
        Activation::Relu,
        Activation::Softplus,
        Activation::Gelu,
        Activation::Silu,
        Activation::LeakyRelu,
        Activation::Elu,
        Activation::Tanh,
        Activation::Sigmoid,
    ];

    /// As suites and checkpoints call it.
    pub fn name(self) -> &'static str {
        match self {
            Activation::Relu => "relu",
            Activation::Softplus => "softplus",
            Activation::Gelu => "gelu",
            Activation::Silu => "silu",
            Activation::LeakyRelu => "leaky-relu",
            Activation::Elu => "elu",
            Activation::Tanh => "tanh",
            Activation::Sigmoid => "sigmoid",
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Activation> {
        Activation::ALL.into_iter().find(|a| a.name() == name)
    }

    /// Applies it elementwise.
    pub fn apply(self, x: &Var) -> Result<Var> {
        Ok(match self {
            Activation::Relu => x.relu()?,
            Activation::Softplus => x.softplus()?,
            Activation::Gelu => x.gelu()?,
            Activation::Silu => x.mul(&x.sigmoid()?)?,
            // Where x > 0 both give x but for rounding: (1 − a) · x + a · x.
            Activation::LeakyRelu => x.relu()?.affine(0.99, 0.0)?.add(&x.affine(0.01, 0.0)?)?,
            Activation::Elu => {
                let positive = x.relu()?;
                x.sub(&positive)?.exp()?.affine(1.0, -1.0)?.add(&positive)?
            }
            Activation::Tanh => x.tanh()?,
            Activation::Sigmoid => x.sigmoid()?,
        })
    }
}

/// What is fixed about a network: architecture, input, classes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Registered name, e.g. `lenet-small`.
    pub name: String,
    /// Channels, height, width of an input.
    pub input: (usize, usize, usize),
    /// Number of classes K.
    pub classes: usize,
    /// The nonlinearity.
    pub activation: Activation,
    /// Per-channel mean subtracted inside the model (empty: none).
    pub mean: Vec<f64>,
    /// Per-channel standard deviation divided by inside the model (empty: none).
    pub std: Vec<f64>,
    /// Raised by hand when the architecture's numbers change.
    pub numerics: u32,
}

/// Batch statistics that a train-mode batch norm saw; the trainer decides whether the running ones move.
#[derive(Debug, Clone)]
pub struct BatchStats {
    /// Name of the layer, e.g. `layer1.0.bn1`: its buffers are `{layer}.running_mean` and `{layer}.running_var`.
    pub layer: String,
    /// Batch mean, `(C,)`.
    pub mean: Tensor,
    /// Unbiased batch variance, `(C,)`, as PyTorch stores it.
    pub var: Tensor,
    /// PyTorch's momentum (0.1): running = (1 − m)·running + m·batch.
    pub momentum: f64,
}

/// One forward pass: mode and keyed randomness in, batch statistics out.
#[derive(Debug)]
pub struct Pass<'a> {
    /// Train or eval.
    pub mode: Mode,
    /// Data set rows of the examples (dropout is keyed by them).
    pub ids: &'a [u64],
    /// Key of this pass's randomness.
    pub key: Key,
    /// Statistics of the train-mode batch norms of this pass, in order.
    pub stats: Vec<BatchStats>,
}

impl<'a> Pass<'a> {
    /// An eval pass (no randomness is drawn, no statistics are returned).
    pub fn eval(ids: &'a [u64]) -> Self {
        Pass { mode: Mode::Eval, ids, key: Key::new(0, crate::Purpose::Dropout), stats: Vec::new() }
    }
    /// A train pass.
    pub fn train(ids: &'a [u64], key: Key) -> Self {
        Pass { mode: Mode::Train, ids, key, stats: Vec::new() }
    }
}

/// A differentiable network. Parameters are handed in: leaves to train, constants in attacks and evaluation.
pub trait Network: Send + Sync {
    /// Architecture, input shape, classes, normalisation.
    fn info(&self) -> &ModelInfo;
    /// Names, shapes and initialisers of all parameters and buffers, in PyTorch's `state_dict` order.
    fn specs(&self) -> Vec<crate::ParamSpec>;
    /// Numbers in the outputs of all layers for one image, which a training step keeps; 0 where nobody has counted them.
    fn activations(&self) -> u64 {
        0
    }
    /// The weights that it comes with, in float32 on the CPU: trainings start from them, and without a checkpoint they are what is
    /// attacked. `None`: it starts as its `specs` say.
    fn own_weights(&self) -> Option<&Weights> {
        None
    }
    /// What it tells of an image. A network that tells no gradients cannot be trained.
    fn answers(&self) -> Answers {
        Answers::Gradients
    }
    /// The graph that it computes, where it is one: a `gauntlet_graph::Graph`, which `gauntlet_graph::graph_of` reads. Bounds are
    /// computed of it; a network without one has none.
    fn layers(&self) -> Option<&dyn Any> {
        None
    }
    /// Whether its arguments say all that it is, so that a registry may build it once. A program whose files may change in the
    /// meantime is built anew whenever it is named.
    fn lasts(&self) -> bool {
        true
    }
    /// What whoever trains or attacks it should know, a line each.
    fn notes(&self) -> &[String] {
        &[]
    }
    /// Logits `(N, K)` of pixels `x (N, C, H, W)` in `[0, 1]`.
    fn forward(&self, params: &Params, x: &Var, pass: &mut Pass<'_>) -> Result<Var>;
}

impl dyn Network + '_ {
    /// What it starts with: its own weights where it brings some along, else initial ones.
    ///
    /// # Errors
    /// Those of the device.
    pub fn start(&self, key: Key, precision: Precision, device: &Device) -> Result<Weights> {
        match self.own_weights() {
            Some(own) => own.to_precision(precision)?.to_device(device),
            None => Weights::init(&self.specs(), key, precision, device),
        }
    }
}
