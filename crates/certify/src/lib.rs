//! Certified bounds: what no perturbation of a region can do to a network, proved.
//!
//! A [`Network`] is a graph with its weights as affine layers and curves. On a [`Region`] (a ball, with or without the box of pixels)
//! [`Bounds`] holds lower and upper bounds of every number that it computes: intervals, or backward linear bounds (CROWN). From
//! them come lower bounds of margins: where all are above 0, no image of the region is classified otherwise. Every bound is the
//! computed one less an account of all roundings on the way, so it holds for the network of real numbers, and
//! less [`Bounds::rounding_in_single`] for the bits that a CPU computes in f32.
//!
//! ```
//! use gauntlet_certify::{Bounds, Network, Region, Rows, Settings, Slope};
//! use gauntlet_core::{Activation, ModelInfo, Weights};
//! use gauntlet_core::{Key, Purpose};
//! use gauntlet_graph::Builder;
//! use gauntlet_records::Norm;
//! let info = ModelInfo {
//!     name: "tiny".into(),
//!     input: (1, 2, 2),
//!     classes: 2,
//!     activation: Activation::Relu,
//!     mean: Vec::new(),
//!     std: Vec::new(),
//!     numerics: 1,
//! };
//! let mut g = Builder::new(info);
//! let x = g.input();
//! let y = g.flatten(x)?;
//! let y = g.linear("0", 8).of(y)?;
//! let y = g.act(y)?;
//! let z = g.linear("2", 2).of(y)?;
//! let graph = g.finish(z)?;
//! let key = Key::new(0, Purpose::Init);
//! let weights = Weights::init(graph.params(), key, gauntlet_core::Precision::F64, &candle_core::Device::Cpu)?;
//!
//! let network = Network::new(&graph, &weights)?;
//! let x = [0.1, 0.5, 0.9, 0.3];
//! let z = network.logits(&x)?;
//! let label = if z[0] > z[1] { 0 } else { 1 };
//! let rows = Rows::margins(2, label)?;
//! let region = Region::ball(&x, Norm::Linf, 0.01, Some((0.0, 1.0)))?;
//! let bounds = Bounds::new(&network, region, Settings::default())?;
//! let (least, now) = (bounds.crown(&rows, Slope::Adaptive)?[0], rows.at(&z)[0]);
//! assert!(least < now && least > now - 0.1);
//! # Ok::<(), gauntlet_core::Error>(())
//! ```

mod affine;
mod ascent;
mod backward;
mod bounds;
mod certificate;
mod curve;
mod execution;
mod lines;
mod lowering;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod mutants;
mod network;
mod propagation;
mod property;
mod region;
mod rounding;
mod tree;

/// Raised by hand when what is proved of an example changes.
pub const NUMERICS: u32 = 1;

pub use bounds::{Between, Bounds, Rows, Settings};
pub use certificate::{Certificate, Executed, Fate, Method, Plan, certify};
pub use lines::Slope;
pub use network::Network;
pub use property::{Verdict, verify};
pub use region::Region;
pub use tree::{Budget, Ending, Search};
