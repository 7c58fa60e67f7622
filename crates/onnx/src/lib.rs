//! ONNX networks as graphs: whatever a file holds can be attacked, certified and trained like a built-in network, or is refused
//! with the node, the operator and the reason.
//!
//! A file is read in steps. Its bytes are counted before anything is made of them ([`open`] reads hostile files too); nodes that the
//! logits depend on are put in order; each operator becomes layers of a [`gauntlet_graph::Graph`] in which a value has a batch in
//! front whatever number of examples the file was exported with. Shapes are computed when the file is read, constants are folded,
//! float initialisers become parameters by their names.
//!
//! ```no_run
//! use gauntlet_onnx::{Options, open};
//! let net = open("net.onnx".as_ref(), &Options::default())?;
//! print!("{}", net.graph.summary());
//! net.notes.iter().for_each(|note| println!("{note}"));
//! # Ok::<(), gauntlet_onnx::Error>(())
//! ```

mod attributes;
mod error;
mod export;
mod external;
mod import;
mod input;
mod lowering;
mod network;
mod networks;
mod operators;
mod order;
mod proto;
mod scan;
mod tensor;
mod value;

pub use error::{Error, Problem, Result};
pub use export::{OPSET, export};
pub use import::{Imported, Options, TRAINABLE_EXPORT, import, open, sha256};
pub use input::Layout;
pub use network::FileNetwork;
pub use networks::{Networks, PREFIX, imported};

use gauntlet_core::Registry;
use std::sync::Arc;

/// Lets suites name models `onnx:<file>`.
pub fn register(registry: &mut Registry) {
    registry.models.set_source(Arc::new(Networks::default()));
}
