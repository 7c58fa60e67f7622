//! A small network, a batch in f64, and what a recipe makes of them.

use candle_core::{Device, Tensor};
use gauntlet_autograd::{Graph, Var, grad};
use gauntlet_core::position::Position;
use gauntlet_core::recipe::Composed;
use gauntlet_core::{
    Batch, Key, Memory, Network, Params, Precision, Purpose, Recipe, Registry, Setup, Step, Term, Weights,
};
use gauntlet_script::{Script, ScriptRecipe};
use serde_json::{Map, Value};
use std::sync::Arc;

pub fn registry() -> Registry {
    let mut registry = Registry::default();
    gauntlet_models::register(&mut registry).unwrap();
    gauntlet_recipes::register(&mut registry).unwrap();
    gauntlet_script::register(&mut registry);
    registry
}

pub fn table(v: Value) -> Map<String, Value> {
    v.as_object().unwrap().clone()
}

/// A base recipe or, by its name, `ce` plus a penalty.
pub fn recipe(registry: &Registry, v: Value) -> Arc<dyn Recipe> {
    let given = table(v);
    let name = given["name"].as_str().unwrap();
    if registry.recipes.contains(name) {
        return registry.recipe(&given).unwrap().0;
    }
    let base = registry.recipe(&table(serde_json::json!({ "name": "ce" }))).unwrap().0;
    let penalties = vec![registry.penalty(&given).unwrap().0];
    Arc::new(Composed { base, penalties, name: name.to_string() })
}

/// A script's text as a recipe with its defaults.
pub fn script(text: &str) -> ScriptRecipe {
    let script = Script::parse("mine.rhai", text).unwrap_or_else(|e| panic!("{e}"));
    let values: Vec<Value> = script.constants.iter().map(|c| c.value.clone()).collect();
    ScriptRecipe::new("script:mine.rhai", script, &values).unwrap()
}

/// Five examples on lenet-small with a smooth activation, weights as leaves.
pub struct Bench {
    pub network: Arc<dyn Network>,
    pub params: Params,
    pub batch: Batch,
}

pub const HERE: Position = Position { epoch: 1, epochs: 3, step: 2, steps: 10, replay: 0 };

impl Bench {
    pub fn new(n: usize) -> Bench {
        let given = table(serde_json::json!({ "name": "lenet-small", "activation": "softplus" }));
        let (network, _) = registry().model(&given, (1, 8, 8), 4).unwrap();
        let key = Key::new(2, Purpose::Init);
        let params = Weights::init(&network.specs(), key, Precision::F64, &Device::Cpu).unwrap().leaves();
        let pixels: Vec<f64> = (0..n as u64)
            .flat_map(|i| {
                let mut stream = Key::new(11, Purpose::Sample).stream(i, 0, 0);
                (0..64).map(move |_| stream.uniform()).collect::<Vec<_>>()
            })
            .collect();
        let batch = Batch {
            x: Tensor::from_vec(pixels, (n, 1, 8, 8), &Device::Cpu).unwrap(),
            y: Tensor::from_vec((0..n as u32).map(|i| i % 4).collect(), n, &Device::Cpu).unwrap(),
            ids: (0..n as u64).map(|i| 10 + i).collect(),
        };
        Bench { network, params, batch }
    }

    pub fn step<R>(&self, run: impl FnOnce(&mut Step<'_>) -> R) -> R {
        let mut memory = Memory::new();
        self.step_with(&mut memory, run)
    }

    pub fn step_with<R>(&self, memory: &mut Memory, run: impl FnOnce(&mut Step<'_>) -> R) -> R {
        run(&mut Step::new(self.network.clone(), &self.params, &self.batch, 5, HERE, memory).unwrap())
    }

    pub fn prepared(&self, recipe: &dyn Recipe) -> Memory {
        let mut each = |f: &mut dyn FnMut(&Batch) -> gauntlet_core::Result<()>| f(&self.batch);
        let model = self.network.info();
        recipe
            .prepare(&mut Setup { train: &mut each, model, seed: 5, precision: Precision::F64, teacher: None })
            .unwrap()
    }

    /// Terms of a script, or what is said about it.
    pub fn terms(&self, text: &str) -> Result<Vec<Term>, String> {
        let recipe = script(text);
        self.step(|step| recipe.terms(step)).map_err(|e| e.to_string())
    }

    /// The values of the only term of `fn loss(step) { <body> }`, which ends with a Var per example.
    pub fn value(&self, body: &str) -> Vec<f64> {
        let text = format!("fn value(step) {{ {body} }}\nfn loss(step) {{ [term(\"it\", 1.0, value(step))] }}");
        let terms = self.terms(&text).unwrap_or_else(|e| panic!("{body}: {e}"));
        terms[0].values.tensor().to_vec1().unwrap()
    }

    /// What is said about `fn loss(step) { <body> }`.
    pub fn fails(&self, body: &str) -> String {
        self.terms(&format!("fn loss(step) {{\n    {body}\n}}\n")).err().unwrap_or_else(|| panic!("{body} is fine"))
    }

    /// Name, weight and values of every term, the loss, and its gradient by every parameter.
    pub fn everything(&self, recipe: &dyn Recipe) -> Everything {
        let mut memory = self.prepared(recipe);
        self.step_with(&mut memory, |step| {
            let loss = recipe.loss(step).unwrap_or_else(|e| panic!("{e}"));
            let leaves: Vec<&Var> = self.params.trained().map(|(_, v)| v).collect();
            let gradients = grad(&loss.total, &leaves, Graph::Free).unwrap();
            let bits = |t: &Tensor| -> Vec<u64> {
                t.flatten_all().unwrap().to_vec1::<f64>().unwrap().iter().map(|v| v.to_bits()).collect()
            };
            Everything {
                terms: loss.terms.iter().map(|(name, weight, t)| (name.to_string(), *weight, bits(t))).collect(),
                total: bits(loss.total.tensor()),
                gradients: gradients.iter().map(|g| bits(g.tensor())).collect(),
            }
        })
    }
}

#[derive(Debug, PartialEq)]
pub struct Everything {
    pub terms: Vec<(String, f64, Vec<u64>)>,
    pub total: Vec<u64>,
    pub gradients: Vec<Vec<u64>>,
}
