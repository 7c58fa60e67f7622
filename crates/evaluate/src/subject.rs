//! What is attacked, where it is a network with weights of ours to read.

use crate::Result;
use crate::normalised::Normalised;
use candle_core::{Device, Tensor};
use gauntlet_core::checkpoint::Loaded;
use gauntlet_core::{Compute, Frozen, Key, Network, Precision, Purpose, Weights, checkpoint};
use std::path::Path;
use std::sync::Arc;

/// Where a subject's weights come from.
#[derive(Debug)]
pub enum Origin<'a> {
    /// Those that the network brings along, or else initial ones drawn from seed 0.
    Initial,
    /// Those that the network brings along; it is an error if it brings none.
    Own,
    /// A checkpoint: safetensors or PyTorch's pickle, gauntlet's or somebody else's.
    File {
        /// The file.
        path: &'a Path,
        /// Names of its tensors in the order of the network's parameters, where its own tell nothing.
        names: Option<&'a [String]>,
    },
    /// Weights in memory.
    Given(Weights),
}

impl<'a> Origin<'a> {
    /// A checkpoint whose names tell which tensor is which.
    pub fn file(path: &'a Path) -> Self {
        Origin::File { path, names: None }
    }
}

/// A network with its weights: a built-in architecture, or any other [`Network`].
///
/// What is no network, such as a closure, is a [`Target`](gauntlet_core::Target) by itself and needs no opening.
pub struct Subject {
    /// The architecture.
    pub network: Arc<dyn Network>,
    /// Its weights, in the main memory.
    pub weights: Weights,
    /// sha256 of the weights' tensors.
    pub sha256: String,
    /// What was adapted while they were read.
    pub notes: Vec<String>,
}

impl Subject {
    /// Opens a network with weights of that type. A file that brings its normalisation along (`mu` and `sigma`, `mean` and `std`), which
    /// the network has not, makes `network` one that has it.
    ///
    /// # Errors
    /// See [`Subject::open`]; a normalisation that is none, or another one than the network's.
    pub fn open_published(network: Arc<dyn Network>, origin: Origin<'_>, precision: Precision) -> Result<Self> {
        let Origin::File { path, names } = origin else { return Self::open(network, origin, precision) };
        let loaded = checkpoint::load_published(path, names, &network.specs(), network.info(), precision)?;
        let Loaded { weights, notes: adapted, normalisation } = loaded;
        let mut notes: Vec<String> = network.notes().iter().cloned().chain(adapted).collect();
        let Some(own) = normalisation else {
            return Ok(Subject { sha256: checkpoint::sha256(&weights)?, network, weights, notes });
        };
        notes.push(format!("the model normalises its images as the file says: {own}"));
        // The same weights behind another normalisation are another network.
        let told = Weights::from_entries(weights.iter().map(|(n, t, tr)| (n.to_string(), t.clone(), tr)).chain([
            ("mean".to_string(), Tensor::new(own.mean.as_slice(), &Device::Cpu)?, false),
            ("std".to_string(), Tensor::new(own.std.as_slice(), &Device::Cpu)?, false),
        ]));
        let sha256 = checkpoint::sha256(&told)?;
        Ok(Subject { network: Arc::new(Normalised::new(network, own)), weights, sha256, notes })
    }

    /// Opens a network with weights of that type, as it was built.
    ///
    /// # Errors
    /// No weights where there should be some; a file that is not there, is no checkpoint, whose tensors are not the network's, by name or
    /// by shape, or that normalises images as the network does not.
    pub fn open(network: Arc<dyn Network>, origin: Origin<'_>, precision: Precision) -> Result<Self> {
        let (weights, adapted) = match origin {
            Origin::Own if network.own_weights().is_none() => {
                let why = "brings no weights along (only an ONNX network does, unless it is to start anew): give a checkpoint";
                return Err(gauntlet_core::Error::Message(format!("{} {why}", network.info().name)).into());
            }
            Origin::Initial | Origin::Own => {
                let weights = network.start(Key::new(0, Purpose::Init), precision, &Device::Cpu)?;
                let untrained = network.own_weights().is_none().then(|| "the weights are untrained".into());
                (weights, untrained.into_iter().collect())
            }
            Origin::File { path, names } => {
                checkpoint::load_named(path, names, &network.specs(), network.info(), precision)?
            }
            Origin::Given(weights) => (weights, Vec::new()),
        };
        let notes = network.notes().iter().cloned().chain(adapted).collect();
        Ok(Subject { sha256: checkpoint::sha256(&weights)?, network, weights, notes })
    }

    /// The network as attacks see it: in eval mode, its weights constant, where it is to be computed with.
    ///
    /// # Errors
    /// A device that does not take the weights.
    pub fn target(&self, compute: &Compute) -> Result<Frozen> {
        let weights = self.weights.to_device(compute.device())?.constants();
        Ok(Frozen::new(self.network.clone(), weights).in_blocks_of(compute.block()))
    }
}
