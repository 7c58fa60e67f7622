//! Whole steps with the tricks around a loss against their authors' procedure, computed literally by `scripts/parity/steps.py`.

use super::{golden, labels, matches, network, tensor, weights};
use candle_core::DType;
use gauntlet::core::optimiser::{Optimiser, OptimiserState};
use gauntlet::core::position::Position;
use gauntlet::core::{Batch, Memory, Registry};
use gauntlet::engine::{TrainingStep, Tricks};

#[test]
fn steps_are_those_of_their_authors() {
    let mut registry = Registry::default();
    gauntlet::attacks::register(&mut registry).unwrap();
    gauntlet::recipes::register(&mut registry).unwrap();
    let net = network("lenet-small", "softplus", (1, 28, 28));
    let start = weights(&*net, "recipes", DType::F64);
    let x = tensor("recipes/x", &[4, 1, 28, 28], 0.0, 1.0);
    let batch = Batch { x, y: labels(4), ids: (0..4).collect() };
    let optimiser = Optimiser::Sgd { lr: 0.1, momentum: 0.9, nesterov: false, weight_decay: 5e-4 };
    // The twelfth step, which recipes.py keys its draws by.
    let at = Position { epoch: 1, epochs: 3, step: 2, steps: 10, replay: 0 };
    let cases = golden("steps.json")["cases"].as_array().unwrap().clone();
    assert!(cases.len() >= 9);
    for want in &cases {
        let tricks: Tricks = serde_json::from_value(want["tricks"].clone()).unwrap();
        let (recipe, _) = registry.recipe(want["recipe"].as_object().unwrap()).unwrap();
        let step = TrainingStep {
            network: &net,
            recipe: &*recipe,
            optimiser: &optimiser,
            clip: None,
            teacher: None,
            graphs: None,
            tricks: &tricks,
            mixed: None,
        };
        let (mut moved, mut state) = (start.clone(), OptimiserState::default());
        step.take(&mut moved, &mut state, &mut Memory::new(), &batch, (5, at, 0.1)).unwrap();
        let what = format!("{} {}", want["tricks"], want["recipe"]["name"]);
        for (name, before, _) in start.iter() {
            let way = (moved.get(name).unwrap() - before).unwrap();
            matches(name, &way, &want["moved"][name], 1e-9, &what);
        }
    }
}
