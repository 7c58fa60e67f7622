//! What the graphs of all architectures say of themselves, against what happens.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use candle_core::{DType, Device, Tensor};
use gauntlet_autograd::Var;
use gauntlet_autograd::kernels::work::multiplications;
use gauntlet_core::{Key, Pass, Precision, Purpose, Registry, Weights};
use gauntlet_graph::{Graph, Interpreter, Plan};
use serde_json::{Value, json};

type Input = (usize, usize, usize);

fn graph(given: Value, input: Option<Input>) -> Graph {
    gauntlet_models::graph(given.as_object().unwrap(), input, 10).unwrap()
}

fn all() -> Vec<Graph> {
    let mut registry = Registry::default();
    gauntlet_models::register(&mut registry).unwrap();
    // A program behind a pipe has no graph.
    let names: Vec<String> = registry.models.names().into_iter().filter(|name| name != "command").collect();
    assert_eq!(names.len(), 17);
    names.iter().map(|name| graph(json!({ "name": name }), None)).collect()
}

#[test]
fn the_registry_hands_out_these_graphs() {
    let mut registry = Registry::default();
    gauntlet_models::register(&mut registry).unwrap();
    for graph in all() {
        let info = graph.interface();
        let given = json!({ "name": info.name });
        let network = registry.model(given.as_object().unwrap(), info.input, 10).unwrap().0;
        assert_eq!(network.info(), info);
        assert_eq!(network.specs(), graph.params());
    }
}

#[test]
fn nodes_stand_behind_what_they_read() {
    for graph in all() {
        let name = &graph.interface().name;
        for (i, node) in graph.nodes().iter().enumerate() {
            assert!(node.inputs.iter().all(|input| input.index() < i), "{name}: {node:?}");
        }
        let mut params: Vec<usize> = graph.nodes().iter().flat_map(|n| &n.params).map(|p| p.index()).collect();
        params.sort_unstable();
        assert_eq!(params, (0..graph.params().len()).collect::<Vec<_>>(), "{name}: every parameter has one owner");
    }
}

#[test]
fn lenet_small_costs_what_it_costs_by_hand() {
    let graph = graph(json!({ "name": "lenet-small" }), None);
    let costs: Vec<(usize, usize)> = graph
        .nodes()
        .iter()
        .filter(|n| !n.params.is_empty())
        .map(|n| (graph.cost_of(n).parameters, graph.cost_of(n).multiply_adds))
        .collect();
    let wanted = [
        (16 * 4 * 4 + 16, 14 * 14 * 16 * 4 * 4),
        (32 * 16 * 4 * 4 + 32, 7 * 7 * 32 * 16 * 4 * 4),
        (100 * 1568 + 100, 100 * 1568),
        (10 * 100 + 10, 10 * 100),
    ];
    assert_eq!(costs, wanted);
    assert_eq!((graph.cost().parameters, graph.cost().multiply_adds), (166_406, 609_384));
}

/// Of every architecture, small ones of the large.
#[test]
fn the_kernels_do_the_multiplications_that_the_graph_counts() {
    let large = [
        graph(json!({ "name": "preactresnet18" }), Some((3, 8, 8))),
        graph(json!({ "name": "wideresnet", "depth": 10, "width": 2 }), Some((3, 8, 8))),
        graph(json!({ "name": "resnet18", "width": 8 }), Some((3, 8, 8))),
        graph(json!({ "name": "resnet34", "width": 8 }), Some((3, 8, 8))),
        graph(json!({ "name": "resnet50", "width": 8 }), Some((3, 8, 8))),
        graph(json!({ "name": "cnn7", "width": 4 }), Some((3, 8, 8))),
        graph(json!({ "name": "resnext29", "base-width": 2 }), Some((3, 8, 8))),
        graph(json!({ "name": "densenet121", "growth": 4 }), Some((3, 8, 8))),
        graph(json!({ "name": "densenet121", "growth": 4, "stem": "7x7" }), Some((3, 32, 32))),
        graph(json!({ "name": "wideresnet", "layout": "deepmind", "depth": 10, "width": 2 }), Some((3, 8, 8))),
    ];
    let small = all().into_iter().filter(|g| !large.iter().any(|l| l.interface().name == g.interface().name));
    for graph in small.chain(large.clone()) {
        let (name, (c, h, w)) = (graph.interface().name.clone(), graph.interface().input);
        let weights = Weights::init(graph.params(), Key::new(1, Purpose::Init), Precision::F32, &Device::Cpu).unwrap();
        let x = Var::constant(Tensor::zeros((2, c, h, w), DType::F32, &Device::Cpu).unwrap());
        let cost = graph.cost().multiply_adds;
        let network: std::sync::Arc<dyn gauntlet_core::Network> = std::sync::Arc::new(Interpreter::new(graph));
        let before = multiplications();
        network.forward(&weights.constants(), &x, &mut Pass::eval(&[0, 1])).unwrap();
        assert_eq!(multiplications() - before, 2 * cost as u64, "{name}");
    }
}

/// Calls, and those that bring a rectifier along.
#[test]
fn layers_are_fused_where_they_were_by_hand() {
    let count = |given: Value| {
        let graph = graph(given, None);
        let plan = Plan::of(&graph);
        (plan.calls().len(), plan.calls().iter().filter(|c| c.rectified).count())
    };
    for (name, calls, rectified) in [
        ("linear", 2, 0),
        ("mlp", 3, 1),
        ("maxout", 6, 0),
        ("lenet-small", 5, 3),
        ("cnn4", 3, 1),
        // conv, pool, relu twice: the rectifier is applied to a quarter.
        ("madry-cnn", 9, 1),
        ("trades-smallcnn", 13, 4),
        // 17 batch norms, 20 convolutions, 8 sums, pooling and the linear layer; then 31, 34, 15.
        ("preactresnet18", 17 + 20 + 8 + 2, 17),
        ("wideresnet", 31 + 34 + 15 + 2, 31),
        // A convolution, its norm and its rectifier, which comes along with the norm.
        ("cnn7", 5 * 2 + 1 + 1 + 1 + 1, 6),
        ("vgg11-bn", 8 * 2 + 5 + 1 + 1, 8),
        ("vgg16-bn", 13 * 2 + 5 + 1 + 1, 13),
        // 20 convolutions and norms, 8 sums with a rectifier each, pooling and the linear layer; of 34 layers 36 and 16, of 50 53 and 16.
        ("resnet18", 2 * 20 + 2 * 8 + 2, 9),
        ("resnet34", 2 * 36 + 2 * 16 + 2, 17),
        ("resnet50", 2 * 53 + 2 * 16 + 2, 33),
        // 31 convolutions and norms, of which 19 with a rectifier, 9 sums with one.
        ("resnext29", 2 * 31 + 2 * 9 + 2, 19),
        // 120 convolutions and norms with a rectifier, 58 layers that are put beside what they read, three means.
        ("densenet121", 2 * 120 + 58 + 3 + 2, 120),
    ] {
        assert_eq!(count(json!({ "name": name })), (calls, rectified), "{name}");
    }
    assert_eq!(count(json!({ "name": "lenet-small", "activation": "gelu" })), (8, 0));
    assert_eq!(count(json!({ "name": "lenet-small", "mean": [0.1] })), (6, 3));
}

#[test]
fn a_graph_that_nobody_has_is_named() {
    let says = |given: Value| gauntlet_models::graph(given.as_object().unwrap(), None, 10).unwrap_err().to_string();
    let said = says(json!({ "name": "lenet-smal" }));
    assert!(said.contains("unknown built-in model") && said.contains("did you mean \"lenet-small\""), "{said}");
    let said = says(json!({ "name": "mlp", "hiden": [3] }));
    assert!(said.contains("did you mean \"hidden\""), "{said}");
}
