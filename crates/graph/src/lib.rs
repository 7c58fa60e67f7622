//! A network as a value: layers in the order in which they are computed, and what can be said of them without running.
//!
//! A [`Graph`] is made by a [`Builder`], in which a layer is named once: from there come its parameters' names, shapes and
//! initialisers, the shape that it hands on, and its place in the forward pass. An [`Interpreter`] is the graph as a
//! [`gauntlet_core::Network`]: it calls the kernels, several layers at once where one kernel does them ([`Plan`]). All else that
//! wants to know a network walks its nodes: costs, the printed [`Summary`].
//!
//! ```
//! use gauntlet_core::{Activation, ModelInfo, Network};
//! use gauntlet_graph::{Builder, Interpreter};
//! let info = ModelInfo {
//!     name: "tiny".into(),
//!     input: (1, 8, 8),
//!     classes: 10,
//!     activation: Activation::Relu,
//!     mean: Vec::new(),
//!     std: Vec::new(),
//!     numerics: 1,
//! };
//! let mut g = Builder::new(info);
//! let x = g.input();
//! let y = g.conv("conv", 4, 3).stride(2).padding(1).of(x)?;
//! let y = g.act(y)?;
//! let y = g.flatten(y)?;
//! let z = g.linear("fc", 10).of(y)?;
//! let graph = g.finish(z)?;
//! assert_eq!(graph.node(y).shape, [4 * 4 * 4]);
//! assert_eq!(graph.cost().multiply_adds, 4 * 4 * 4 * 9 + 64 * 10);
//! let names: Vec<String> = Interpreter::new(graph).specs().into_iter().map(|s| s.name).collect();
//! assert_eq!(names, ["conv.weight", "conv.bias", "fc.weight", "fc.bias"]);
//! # Ok::<(), gauntlet_core::Error>(())
//! ```

mod backward;
mod binary;
mod builder;
mod conv;
mod cost;
mod function;
mod fusion;
mod graph;
mod interpreter;
mod layer;
mod linear;
mod movement;
mod product;
mod reduction;
mod shape;
mod start;
mod summary;
mod windows;

pub use backward::Backward;
pub use binary::Binary;
pub use builder::Builder;
pub use conv::Conv;
pub use cost::Cost;
pub use function::Function;
pub use fusion::{Call, Plan};
pub use graph::{Graph, Node, NodeId, ParamId};
pub use interpreter::{Interpreter, graph_of};
pub use layer::Layer;
pub use linear::Linear;
pub use reduction::Reduction;
pub use start::{Fans, Start, torch_default};
pub use summary::{Row, Summary};
pub use windows::Windows;
