//! Where a training stands: enough to go on as if nothing had happened.

use crate::{Error, Result};
use candle_core::{Device, Tensor};
use gauntlet_core::checkpoint;
use gauntlet_core::optimiser::OptimiserState;
use gauntlet_core::{Memory, ParamSpec, Weights};
use gauntlet_records::file::write_atomically;
use gauntlet_records::record::Epoch;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::Path;

/// Weights, moments, memory, averages and the position between two steps.
#[derive(Debug, Clone)]
pub(crate) struct TrainingState {
    pub(crate) weights: Weights,
    pub(crate) optimiser: OptimiserState,
    pub(crate) memory: Memory,
    /// The average of what is trained, by name; empty: none, or none yet.
    pub(crate) average: BTreeMap<String, Tensor>,
    /// The measured weights of the best epoch so far, where one is chosen.
    pub(crate) best: Option<Weights>,
    pub(crate) progress: Progress,
}

/// The part of a state that is not tensors.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Epoch of the next step, from 0.
    pub(crate) epoch: u32,
    /// The next step within it; equal to the steps of an epoch when only the monitor is left.
    pub(crate) step: u32,
    /// Sums over this epoch's examples of every named term.
    pub(crate) sums: Vec<(String, f64)>,
    /// Examples in the sums.
    pub(crate) seen: u64,
    /// Finished epochs.
    pub(crate) curve: Vec<Epoch>,
    /// Epochs whose weights went into their average.
    #[serde(default)]
    pub(crate) averaged: u32,
    /// Wall seconds so far.
    pub(crate) seconds: f64,
    /// CPU seconds so far; `None`: a part of the training did not measure them.
    #[serde(default)]
    pub(crate) cpu_seconds: Option<f64>,
    /// How often the training was taken up again.
    pub(crate) resumed: u32,
    /// See [`crate::Trained::cost_relative_to_ce`].
    #[serde(default)]
    pub(crate) cost_relative_to_ce: Option<f64>,
}

const ENTRY: &str = "gauntlet";

#[derive(Serialize, Deserialize)]
struct Header {
    key: String,
    steps: u64,
    progress: Progress,
}

impl TrainingState {
    /// Writes the state of the training `key`, whole or not at all.
    pub(crate) fn save(&self, path: &Path, key: &str) -> Result<()> {
        let header = Header { key: key.into(), steps: self.optimiser.steps, progress: self.progress.clone() };
        let text = serde_json::to_string(&header).map_err(|e| Error::message(format!("training state: {e}")))?;
        let mut named: Vec<(String, &Tensor)> = Vec::new();
        named.extend(self.weights.iter().map(|(n, t, _)| (format!("weight/{n}"), t)));
        named.extend(self.optimiser.moments.iter().map(|(n, t)| (format!("moment/{n}"), t)));
        named.extend(self.memory.iter().map(|(n, t)| (format!("memory/{n}"), t)));
        named.extend(self.average.iter().map(|(n, t)| (format!("average/{n}"), t)));
        named.extend(self.best.iter().flat_map(Weights::iter).map(|(n, t, _)| (format!("best/{n}"), t)));
        let metadata = HashMap::from([(ENTRY.to_string(), text)]);
        let bytes = checkpoint::to_bytes(named.iter().map(|(n, t)| (n.as_str(), *t)), metadata)?;
        Error::stored(write_atomically(path, &bytes))
    }

    /// Finished epochs and steps of the next one, from the head of the file: its tensors are not read. `None`: no state is
    /// there, or none of use.
    pub(crate) fn place(path: &Path) -> Option<(u32, u32)> {
        let mut file = std::fs::File::open(path).ok()?;
        let mut length = [0; 8];
        file.read_exact(&mut length).ok()?;
        let length = u64::from_le_bytes(length);
        if length > file.metadata().ok()?.len() {
            return None;
        }
        let mut head = Vec::new();
        file.take(length).read_to_end(&mut head).ok()?;
        let head: serde_json::Value = serde_json::from_slice(&head).ok()?;
        let header: Header = serde_json::from_str(head["__metadata__"][ENTRY].as_str()?).ok()?;
        Some((header.progress.epoch, header.progress.step))
    }

    /// The same state on another device.
    pub(crate) fn to_device(&self, device: &Device) -> Result<Self> {
        let memory = self.memory.iter().map(|(name, t)| Ok((name.clone(), t.to_device(device)?)));
        Ok(TrainingState {
            weights: self.weights.to_device(device)?,
            optimiser: self.optimiser.to_device(device)?,
            memory: memory.collect::<Result<_>>()?,
            average: self
                .average
                .iter()
                .map(|(name, t)| Ok((name.clone(), t.to_device(device)?)))
                .collect::<Result<_>>()?,
            best: self.best.as_ref().map(|best| best.to_device(device)).transpose()?,
            progress: self.progress.clone(),
        })
    }

    /// Reads it back.
    ///
    /// # Errors
    /// [`Error::Damaged`] when the file is of another training or not whole; it can be deleted then.
    pub(crate) fn load(path: &Path, key: &str, specs: &[ParamSpec]) -> Result<Self> {
        let damaged = |why: String| Error::Damaged { path: path.display().to_string(), why };
        let bytes = std::fs::read(path).map_err(|e| Error::store("read", path, e))?;
        let (mut tensors, metadata) =
            checkpoint::from_bytes(&path.display().to_string(), &bytes).map_err(|e| damaged(e.to_string()))?;
        let chosen = tensors.keys().any(|name| name.starts_with("best/"));
        let text = metadata.get(ENTRY).ok_or_else(|| damaged("it is not a training state".into()))?;
        let header: Header = serde_json::from_str(text).map_err(|e| damaged(e.to_string()))?;
        if header.key != key {
            return Err(damaged("it belongs to another training".into()));
        }
        let mut whole = |of: &str| {
            let entries = specs.iter().map(|spec| {
                let tensor = tensors.remove(&format!("{of}/{}", spec.name)).filter(|t| t.dims() == spec.shape);
                let tensor =
                    tensor.ok_or_else(|| damaged(format!("{:?} is missing or of another shape", spec.name)))?;
                Ok((spec.name.clone(), tensor, spec.trainable))
            });
            Ok::<_, Error>(Weights::from_entries(entries.collect::<Result<Vec<_>>>()?))
        };
        let weights = whole("weight")?;
        let best = if chosen { Some(whole("best")?) } else { None };
        let mut state = TrainingState {
            weights,
            optimiser: OptimiserState::after(header.steps),
            memory: Memory::new(),
            average: BTreeMap::new(),
            best,
            progress: header.progress,
        };
        for (name, tensor) in tensors {
            if let Some(name) = name.strip_prefix("moment/") {
                state.optimiser.moments.insert(name.to_string(), tensor);
            } else if let Some(name) = name.strip_prefix("average/") {
                state.average.insert(name.to_string(), tensor);
            } else if let Some(name) = name.strip_prefix("memory/") {
                state.memory.insert(name.to_string(), tensor);
            }
        }
        Ok(state)
    }
}
