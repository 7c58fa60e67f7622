//! Named parameters: as tensors between steps, as variables within one.

use crate::{Error, Key, Precision, Result};
use candle_core::{Device, Tensor};
use gauntlet_autograd::Var;
use indexmap::IndexMap;

/// How a parameter starts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// Uniform in ±1/√fan_in: PyTorch's default for convolutions and linear layers, weights and biases alike.
    TorchDefault {
        /// Inputs that feed one output.
        fan_in: usize,
    },
    /// He normal, N(0, 2/fan), with fan_in or fan_out as the architecture's authors chose.
    HeNormal {
        /// The fan.
        fan: usize,
    },
    /// Xavier uniform, ±√(6/(fan_in + fan_out)) (Glorot & Bengio 2010).
    XavierUniform {
        /// Inputs that feed one output.
        fan_in: usize,
        /// Outputs that one input feeds.
        fan_out: usize,
    },
    /// Normal with a given standard deviation, cut at two of them when `truncated`.
    Normal {
        /// Standard deviation.
        std: f64,
        /// Redraw beyond ±2·std.
        truncated: bool,
    },
    /// All entries the same.
    Constant(f64),
}

/// One parameter or buffer of a network.
#[derive(Debug, Clone, PartialEq)]
pub struct ParamSpec {
    /// PyTorch's name, e.g. `0.weight`.
    pub name: String,
    /// Shape, as in PyTorch.
    pub shape: Vec<usize>,
    /// How it starts.
    pub init: Init,
    /// Trained (a parameter) or not (a buffer such as `running_mean`).
    pub trainable: bool,
}

/// Plain tensors by name, in `state_dict` order: what checkpoints hold and optimisers update.
#[derive(Debug, Clone, Default)]
pub struct Weights {
    entries: IndexMap<String, (Tensor, bool)>,
}

impl Weights {
    /// Initial weights: every entry has a stream of its own, keyed by (key, parameter name).
    pub fn init(specs: &[ParamSpec], key: Key, precision: Precision, device: &Device) -> Result<Self> {
        let mut entries = IndexMap::new();
        for spec in specs {
            let count: usize = spec.shape.iter().product();
            let mut stream = key.named(&spec.name).stream(0, 0, 0);
            let values: Vec<f64> = (0..count)
                .map(|_| match spec.init {
                    Init::TorchDefault { fan_in } => (2.0 * stream.uniform() - 1.0) / (fan_in as f64).sqrt(),
                    Init::HeNormal { fan } => stream.normal() * (2.0 / fan as f64).sqrt(),
                    Init::XavierUniform { fan_in, fan_out } => {
                        (2.0 * stream.uniform() - 1.0) * (6.0 / (fan_in + fan_out) as f64).sqrt()
                    }
                    Init::Normal { std, truncated } => loop {
                        let z = stream.normal();
                        if !truncated || z.abs() <= 2.0 {
                            break z * std;
                        }
                    },
                    Init::Constant(c) => c,
                })
                .collect();
            let tensor = Tensor::from_vec(values, spec.shape.as_slice(), &Device::Cpu)?.to_dtype(precision.dtype())?;
            let tensor = tensor.to_device(device)?;
            entries.insert(spec.name.clone(), (tensor, spec.trainable));
        }
        Ok(Weights { entries })
    }

    /// From tensors in order; `bool` says whether it is trained.
    pub fn from_entries(entries: impl IntoIterator<Item = (String, Tensor, bool)>) -> Self {
        Weights { entries: entries.into_iter().map(|(name, tensor, trainable)| (name, (tensor, trainable))).collect() }
    }

    /// Names, tensors and whether they are trained, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor, bool)> {
        self.entries.iter().map(|(name, (tensor, trainable))| (name.as_str(), tensor, *trainable))
    }

    /// The tensor of that name.
    pub fn get(&self, name: &str) -> Result<&Tensor> {
        self.entries.get(name).map(|(t, _)| t).ok_or_else(|| Error::Message(format!("no parameter named {name:?}")))
    }

    /// Replaces the tensor of that name.
    pub fn set(&mut self, name: &str, tensor: Tensor) -> Result<()> {
        match self.entries.get_mut(name) {
            Some((t, _)) => {
                *t = tensor;
                Ok(())
            }
            None => Err(Error::Message(format!("no parameter named {name:?}"))),
        }
    }

    /// All entries in another precision.
    pub fn to_precision(&self, precision: Precision) -> Result<Self> {
        let entries = self
            .entries
            .iter()
            .map(|(name, (t, trainable))| Ok((name.clone(), (t.to_dtype(precision.dtype())?, *trainable))))
            .collect::<Result<_>>()?;
        Ok(Weights { entries })
    }

    /// All entries on another device.
    pub fn to_device(&self, device: &Device) -> Result<Self> {
        let entries = self
            .entries
            .iter()
            .map(|(name, (t, trainable))| Ok((name.clone(), (t.to_device(device)?, *trainable))))
            .collect::<Result<_>>()?;
        Ok(Weights { entries })
    }

    /// Variables to differentiate by (buffers stay constants).
    pub fn leaves(&self) -> Params {
        self.params(true)
    }

    /// Constants: nothing is recorded for them.
    pub fn constants(&self) -> Params {
        self.params(false)
    }

    fn params(&self, leaves: bool) -> Params {
        let vars = self.entries.iter().map(|(name, (t, trainable))| {
            let var = if leaves && *trainable { Var::leaf(t.clone()) } else { Var::constant(t.clone()) };
            (name.clone(), (var, *trainable))
        });
        Params { vars: vars.collect() }
    }
}

/// The variables of one step or one frozen model.
#[derive(Clone)]
pub struct Params {
    vars: IndexMap<String, (Var, bool)>,
}

impl Params {
    /// The variable of that name.
    pub fn get(&self, name: &str) -> Result<&Var> {
        self.vars.get(name).map(|(v, _)| v).ok_or_else(|| Error::Message(format!("no parameter named {name:?}")))
    }
    /// Names and variables of the trained parameters, in order.
    pub fn trained(&self) -> impl Iterator<Item = (&str, &Var)> {
        self.vars.iter().filter(|(_, (_, trainable))| *trainable).map(|(name, (v, _))| (name.as_str(), v))
    }
    /// From variables in order; `bool` says whether it is trained.
    pub fn from_entries(entries: impl IntoIterator<Item = (String, Var, bool)>) -> Self {
        Params { vars: entries.into_iter().map(|(name, var, trained)| (name, (var, trained))).collect() }
    }
    /// Where they lie; `None`: there are none.
    pub fn device(&self) -> Option<&Device> {
        self.vars.values().next().map(|(v, _)| v.device())
    }
    /// The same values as constants.
    pub fn detached(&self) -> Params {
        Params { vars: self.vars.iter().map(|(n, (v, t))| (n.clone(), (v.detach(), *t))).collect() }
    }
}
