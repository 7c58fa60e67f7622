//! Where tensors lie and are computed with.

use crate::{Error, Result};
use candle_core::Device;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What a user asks for: `cpu`, `cuda`, `cuda:N`, `auto`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Processor {
    /// The CPU.
    #[default]
    Cpu,
    /// An NVIDIA GPU by its number.
    Cuda(usize),
    /// The first GPU if this build and this machine have one, else the CPU.
    Auto,
}

impl fmt::Display for Processor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Processor::Cpu => f.pad("cpu"),
            Processor::Cuda(n) => f.pad(&format!("cuda:{n}")),
            Processor::Auto => f.pad("auto"),
        }
    }
}

impl FromStr for Processor {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        match s {
            "cpu" => Ok(Processor::Cpu),
            "cuda" => Ok(Processor::Cuda(0)),
            "auto" => Ok(Processor::Auto),
            other => match other.strip_prefix("cuda:").map(str::parse) {
                Some(Ok(n)) => Ok(Processor::Cuda(n)),
                _ => Err(Error::value("device", format!("must be cpu, cuda, cuda:N or auto, got {other:?}"))),
            },
        }
    }
}

/// An opened device and its precision.
#[derive(Debug, Clone)]
pub struct Compute {
    device: Device,
    tf32: bool,
    block: usize,
}

impl Default for Compute {
    fn default() -> Self {
        Compute { device: Device::Cpu, tf32: false, block: BLOCK }
    }
}

/// Images that a GPU evaluates together: see [`Compute::block`].
const BLOCK: usize = 256;

impl Compute {
    /// Opens what was asked for. `tf32`: matrix products of f32 may round their factors to 10 bits (GPUs only).
    ///
    /// # Errors
    /// No such GPU, or a build without CUDA; TF32 on the CPU.
    pub fn open(asked: Processor, tf32: bool) -> Result<Self> {
        let found = match asked {
            Processor::Cpu => None,
            Processor::Cuda(ordinal) => Some(gpu(ordinal, tf32)?),
            Processor::Auto => gpu(0, tf32).ok(),
        };
        match found {
            Some(device) => Ok(Compute { device, tf32, block: BLOCK }),
            None if tf32 => Err(Error::value("tf32", "is a precision of GPUs; add `--device cuda`")),
            None => Ok(Compute::default()),
        }
    }
    /// Images that a GPU evaluates together, always as many, empty ones beside the last: its library picks the order of a
    /// sum by the shapes, and an example's bits must not depend on how many others are still in flight.
    pub fn block(&self) -> usize {
        self.block
    }
    /// The same with blocks of another size; a GPU's numbers may change in their last bits.
    #[must_use]
    pub fn in_blocks_of(mut self, block: usize) -> Self {
        self.block = block.max(1);
        self
    }
    /// candle's device.
    pub fn device(&self) -> &Device {
        &self.device
    }
    /// Whether it is a GPU.
    pub fn is_gpu(&self) -> bool {
        !self.device.is_cpu()
    }
    /// What numbers depend on: `cpu`, `cuda` or `cuda-tf32`.
    pub fn kind(&self) -> &'static str {
        match (self.is_gpu(), self.tf32) {
            (false, _) => "cpu",
            (true, false) => "cuda",
            (true, true) => "cuda-tf32",
        }
    }
    /// Waits until the device has done what it was asked.
    ///
    /// # Errors
    /// What went wrong there.
    pub fn wait(&self) -> Result<()> {
        #[cfg(feature = "cuda")]
        if self.is_gpu() {
            gauntlet_autograd::cuda::synchronise(&self.device)?;
        }
        Ok(())
    }
    /// For provenance: `cpu`, or the GPU's make and the driver's version, `cuda (NVIDIA H100 80GB HBM3, driver 13000)`.
    pub fn name(&self) -> String {
        #[cfg(feature = "cuda")]
        if self.is_gpu() {
            let make = gauntlet_autograd::cuda::make(&self.device).unwrap_or_else(|_| "unknown".into());
            return format!("cuda ({make})");
        }
        "cpu".to_string()
    }
}

#[cfg(feature = "cuda")]
fn gpu(ordinal: usize, tf32: bool) -> Result<Device> {
    gauntlet_autograd::cuda::open(ordinal, tf32).map_err(|why| {
        Error::Message(format!("GPU number {ordinal} cannot be opened: {why}; `--device cpu` needs none"))
    })
}

#[cfg(not(feature = "cuda"))]
fn gpu(_: usize, _: bool) -> Result<Device> {
    let why = "this build knows no GPU; build with `--features cuda` (scripts/cuda/README.md says how), or use `--device cpu`";
    Err(Error::value("device", why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_as_they_are_written() {
        for (text, device) in [("cpu", Processor::Cpu), ("cuda:3", Processor::Cuda(3)), ("auto", Processor::Auto)] {
            assert_eq!(text.parse::<Processor>().unwrap(), device);
            assert_eq!(device.to_string(), text);
        }
        assert_eq!("cuda".parse::<Processor>().unwrap(), Processor::Cuda(0));
        for bad in ["gpu", "cuda:", "cuda:x", "CUDA", ""] {
            assert!(bad.parse::<Processor>().unwrap_err().to_string().contains("cuda:N"), "{bad}");
        }
    }

    #[test]
    fn precision_is_asked_of_gpus_only() {
        let cpu = Compute::open(Processor::Cpu, false).unwrap();
        assert_eq!((cpu.kind(), cpu.name().as_str(), cpu.is_gpu()), ("cpu", "cpu", false));
        assert!(Compute::open(Processor::Cpu, true).unwrap_err().to_string().contains("--device cuda"));
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_build_without_cuda_says_how_to_make_one() {
        let error = Compute::open(Processor::Cuda(0), false).unwrap_err().to_string();
        assert!(error.contains("--features cuda") && error.contains("--device cpu"), "{error}");
        assert!(!Compute::open(Processor::Auto, false).unwrap().is_gpu());
    }
}
