//! Architectures with PyTorch's parameter names. Inputs are pixels in `[0, 1]`; normalisation is a layer inside the model.
//!
//! Every built-in architecture is a function that builds a [`Graph`] of its arguments; what the registry hands out is that graph
//! with its interpreter. [`graph`] gives the graph itself to what walks it.

mod candle_module;
mod cnn4;
mod cnn7;
mod command;
mod densenet;
mod hidden;
mod lenet_small;
mod linear;
mod madry_cnn;
mod maxout;
mod mlp;
mod preactresnet18;
mod resnet;
mod resnext;
mod settings;
mod start;
mod trades_smallcnn;
mod vgg;
mod wideresnet;

pub use candle_module::CandleModule;
pub use command::Command;
pub use settings::Settings;

use gauntlet_core::registry::BuildModel;
use gauntlet_core::{About, Args, Error, Registry, Result, Spec};
use gauntlet_graph::Graph;
use serde_json::{Map, Value};
use settings::Input;

/// A built-in architecture.
struct BuiltIn {
    spec: Spec<BuildModel>,
    graph: fn(&Args, Input, usize) -> Result<Graph>,
    /// The images of its paper.
    input: Input,
}

const MNIST: Input = (1, 28, 28);
const CIFAR: Input = (3, 32, 32);

/// All of them, in the order in which they are listed.
const BUILT_IN: [BuiltIn; 17] = [
    BuiltIn { spec: linear::SPEC, graph: linear::graph, input: MNIST },
    BuiltIn { spec: mlp::SPEC, graph: mlp::graph, input: MNIST },
    BuiltIn { spec: maxout::SPEC, graph: maxout::graph, input: MNIST },
    BuiltIn { spec: lenet_small::SPEC, graph: lenet_small::graph, input: MNIST },
    BuiltIn { spec: cnn4::SPEC, graph: cnn4::graph, input: CIFAR },
    BuiltIn { spec: madry_cnn::SPEC, graph: madry_cnn::graph, input: MNIST },
    BuiltIn { spec: trades_smallcnn::SPEC, graph: trades_smallcnn::graph, input: MNIST },
    BuiltIn { spec: cnn7::SPEC, graph: cnn7::graph, input: CIFAR },
    BuiltIn { spec: vgg::SPEC_11, graph: vgg::vgg11, input: CIFAR },
    BuiltIn { spec: vgg::SPEC_16, graph: vgg::vgg16, input: CIFAR },
    BuiltIn { spec: resnet::SPEC_18, graph: resnet::resnet18, input: CIFAR },
    BuiltIn { spec: resnet::SPEC_34, graph: resnet::resnet34, input: CIFAR },
    BuiltIn { spec: resnet::SPEC_50, graph: resnet::resnet50, input: CIFAR },
    BuiltIn { spec: resnext::SPEC, graph: resnext::graph, input: CIFAR },
    BuiltIn { spec: densenet::SPEC, graph: densenet::graph, input: CIFAR },
    BuiltIn { spec: preactresnet18::SPEC, graph: preactresnet18::graph, input: CIFAR },
    BuiltIn { spec: wideresnet::SPEC, graph: wideresnet::graph, input: CIFAR },
];

/// Registers every architecture of this crate.
///
/// # Errors
/// A name that is taken.
pub fn register(registry: &mut Registry) -> Result<()> {
    BUILT_IN.into_iter().try_for_each(|model| registry.models.add(model.spec))?;
    registry.models.add(command::SPEC)
}

/// The graph of the built-in architecture that `given` names, for images `input` (C, H, W; `None`: those of its paper) and K
/// classes.
///
/// # Errors
/// A name that no architecture of this crate has; a parameter outside its domain.
pub fn graph(given: &Map<String, Value>, input: Option<(usize, usize, usize)>, classes: usize) -> Result<Graph> {
    let name = given.get("name").and_then(Value::as_str).unwrap_or_default();
    let found = BUILT_IN.into_iter().find(|model| model.spec.name == name);
    let model = found.ok_or_else(|| Error::unknown("built-in model", name, BUILT_IN.iter().map(|m| m.spec.name)))?;
    (model.graph)(&Args::new(&About::from(&model.spec), given)?, input.unwrap_or(model.input), classes)
}
