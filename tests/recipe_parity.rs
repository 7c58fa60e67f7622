//! Every recipe against the published expression, computed literally by `scripts/parity/recipes.py`: loss and weight
//! gradients of one step of lenet-small, f64.

use super::{golden, labels, matches, network, tensor, weights};
use candle_core::{DType, Tensor};
use gauntlet::Precision;
use gauntlet::autograd::{Graph, Var, grad};
use gauntlet::core::position::Position;
use gauntlet::core::recipe::Composed;
use gauntlet::core::{Batch, Frozen, Memory, Recipe, Registry, Setup, Step, Target, Weights};
use serde_json::{Map, Value};
use std::sync::Arc;

const CASE: &str = "recipes";
/// The twelfth step: what `recipes.py` keys its draws by.
const HERE: Position = Position { epoch: 1, epochs: 3, step: 2, steps: 10, replay: 0 };
const SEED: u64 = 5;

fn registry() -> Registry {
    let mut registry = Registry::default();
    gauntlet::attacks::register(&mut registry).unwrap();
    gauntlet::models::register(&mut registry).unwrap();
    gauntlet::recipes::register(&mut registry).unwrap();
    registry
}

/// A base recipe or, by its name, `ce` plus a penalty.
fn recipe(registry: &Registry, given: &Map<String, Value>) -> Arc<dyn Recipe> {
    let name = given["name"].as_str().unwrap();
    if registry.recipes.contains(name) {
        return registry.recipe(given).unwrap().0;
    }
    let base = registry.recipe(&Map::from_iter([("name".to_string(), "ce".into())])).unwrap().0;
    Arc::new(Composed { base, penalties: vec![registry.penalty(given).unwrap().0], name: name.to_string() })
}

fn numbered(x: Tensor, first: u64) -> Batch {
    let n = x.dim(0).unwrap();
    let y = if first == 0 {
        labels(n)
    } else {
        Tensor::from_vec((0..n as u32).map(|i| i % 10).collect(), n, x.device()).unwrap()
    };
    Batch { x, y, ids: (first..first + n as u64).collect() }
}

#[test]
fn recipes_are_those_of_their_papers() {
    let registry = registry();
    let net = network("lenet-small", "softplus", (1, 28, 28));
    let rectified = network("lenet-small", "relu", (1, 28, 28));
    let own = weights(&*net, CASE, DType::F64);
    let second = weights(&*net, &format!("{CASE}/teacher"), DType::F64);
    let taught = weights(&*net, &format!("{CASE}/teacher"), DType::F64).constants();
    let teacher: Arc<dyn Target> = Arc::new(Frozen::new(net.clone(), taught));
    let batch = numbered(tensor(&format!("{CASE}/x"), &[4, 1, 28, 28], 0.0, 1.0), 0);
    let train = numbered(tensor(&format!("{CASE}/train"), &[30, 1, 28, 28], 0.0, 1.0), 100);
    let mut seen = std::collections::BTreeSet::new();
    for want in golden("recipes.json")["cases"].as_array().unwrap() {
        let given = want["recipe"].as_object().unwrap();
        let what = want["recipe"].to_string();
        seen.insert(given["name"].as_str().unwrap().to_string());
        let recipe = recipe(&registry, given);
        // What is trained along has the teacher's weights.
        let specs = recipe.starting(net.specs());
        let entries = specs.iter().map(|s| {
            let of = s.name.strip_prefix("natural.").map_or_else(|| own.get(&s.name), |name| second.get(name));
            (s.name.clone(), of.unwrap().clone(), s.trainable)
        });
        let params = Weights::from_entries(entries).leaves();
        let (names, leaves): (Vec<&str>, Vec<&Var>) = params.trained().unzip();
        // The same weights.
        let net = if want["activation"] == "relu" { &rectified } else { &net };
        let mut each = |f: &mut dyn FnMut(&Batch) -> gauntlet::core::Result<()>| f(&train);
        let mut setup = Setup {
            train: &mut each,
            model: net.info(),
            seed: SEED,
            precision: Precision::F64,
            teacher: Some(teacher.clone()),
        };
        let mut memory: Memory = recipe.prepare(&mut setup).unwrap();
        let mut at = HERE;
        if recipe.replays() > 1 {
            // The first replay, without moving the weights: what is left in the memory is what the second starts from.
            let mut step = Step::new(net.clone(), &params, &batch, SEED, at, &mut memory).unwrap();
            let loss = recipe.loss(&mut step).unwrap();
            let watched = step.watched().unwrap();
            let gradient = grad(&loss.total, &[&watched], Graph::Free).unwrap().swap_remove(0);
            step.set_gradient_of_watched(gradient.tensor().clone());
            recipe.after(&mut step).unwrap();
            at.replay = 1;
        }
        let step = Step::new(net.clone(), &params, &batch, SEED, at, &mut memory).unwrap();
        let mut step = step.taught_by(Some(teacher.clone()));
        let loss = recipe.loss(&mut step).unwrap();
        let (got, published) = (loss.total.tensor().to_scalar::<f64>().unwrap(), want["loss"].as_f64().unwrap());
        assert!((got - published).abs() <= 1e-9 * published.abs(), "{what}: loss {got:e}, published {published:e}");
        let gradients = grad(&loss.total, &leaves, Graph::Free).unwrap();
        for (name, gradient) in names.iter().zip(&gradients) {
            matches(name, gradient.tensor(), &want["gradients"][name], 1e-9, &what);
        }
    }
    let built_in = registry.recipes.names().into_iter().chain(registry.penalties.names());
    let without: Vec<String> = built_in.filter(|name| !seen.contains(name.as_str())).collect();
    assert!(without.is_empty(), "no published expression for {without:?}");
}
