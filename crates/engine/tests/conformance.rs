//! The conformance suite over every registered recipe, and over recipes that break one promise each.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use candle_core::Tensor;
use gauntlet_autograd::{Graph, Op, Saved, Var};
use gauntlet_core::{Loss, Recipe, Registry, Result, Spec, Step, Term};
use gauntlet_engine::{Outcome, completed, conformance, documented_choices, short_kind, step_cost};
use gauntlet_evaluate::Kind;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

fn registry() -> Registry {
    let mut registry = Registry::default();
    gauntlet_attacks::register(&mut registry).unwrap();
    gauntlet_models::register(&mut registry).unwrap();
    gauntlet_recipes::register(&mut registry).unwrap();
    gauntlet_script::register(&mut registry);
    registry
}

fn named(name: &str) -> Map<String, Value> {
    Map::from_iter([("name".to_string(), name.into())])
}

#[test]
fn every_built_in_recipe_keeps_every_promise_with_every_documented_choice() {
    let registry = registry();
    let recipes = registry.recipes.iter().map(|s| (Kind::Recipe, s.name.to_string()));
    let all: Vec<(Kind, String)> =
        recipes.chain(registry.penalties.iter().map(|s| (Kind::Penalty, s.name.to_string()))).collect();
    let mut broken = Vec::new();
    for (kind, name) in all {
        let mut compared = false;
        for given in documented_choices(&registry, kind, &name).unwrap() {
            let found = conformance(&registry, kind, &given).unwrap_or_else(|e| panic!("{}: {e}", json!(given)));
            println!("{}\n{found}", json!(given));
            if !found.passed() {
                broken.push(format!("{}\n{found}", json!(given)));
            }
            compared |= found.check("gradient").unwrap().outcome == Outcome::Passed;
        }
        // What is held constant on purpose cannot be compared; in some form it always can, but for a loss that is published with
        // a constant in every form: its gradient is held to PyTorch's in tests/recipe_parity.rs.
        assert!(compared || ["ikl", "adr"].contains(&&*name), "{name}: no choice has its gradient compared");
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// What is wrong with a recipe of this test.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    Cut,
    HalfCut,
    SecondOrder,
    BatchSum,
    BatchPlace,
    Unkeyed,
    NotANumber,
    UnguardedRoot,
    ModelUnits,
    NeverZero,
    LaterSteps,
    OwnTotal,
    OnePerBatch,
    MissesABias,
}
use Fault::*;

struct Faulty(Fault);

/// x³ whose derivative carries no graph: right to first order, zero beyond.
struct Cube;

impl Op for Cube {
    fn name(&self) -> &'static str {
        "cube"
    }
    fn forward(&self, inputs: &[&Tensor]) -> gauntlet_autograd::Result<(Tensor, Vec<Tensor>)> {
        Ok((((inputs[0] * inputs[0])? * inputs[0])?, Vec::new()))
    }
    fn vjp(&self, saved: &Saved<'_>, grad: &Var, _: &[bool]) -> gauntlet_autograd::Result<Vec<Option<Var>>> {
        let slope = saved.input(0)?.sqr()?.affine(3.0, 0.0)?.detach();
        Ok(vec![Some(grad.mul(&slope)?)])
    }
}

impl Faulty {
    fn values(&self, step: &mut Step<'_>) -> Result<Var> {
        let x = step.input();
        let z = step.forward(&x)?;
        let ce = step.cross_entropy(&x)?;
        let n = step.ids().len();
        let column = |v: Vec<f64>| {
            Ok::<_, gauntlet_core::Error>(Var::constant(Tensor::new(v, z.device())?.to_dtype(z.dtype())?))
        };
        let squares = |step: &Step<'_>, graph| -> Result<Var> {
            Ok(step.input_gradient(&ce, &x, graph)?.sqr()?.sum_per_example()?)
        };
        Ok(match self.0 {
            Cut => squares(step, Graph::Free)?,
            HalfCut => ce.mul(&squares(step, Graph::Keep)?.detach())?,
            SecondOrder => Var::apply(Cube, &[&ce])?,
            BatchSum => ce.affine(n as f64, 0.0)?,
            BatchPlace => ce.mul(&column((0..n).map(|i| i as f64).collect())?)?,
            Unkeyed => {
                static CALLS: AtomicU32 = AtomicU32::new(0);
                ce.affine(f64::from(CALLS.fetch_add(1, Ordering::Relaxed)), 0.0)?
            }
            NotANumber => ce.affine(0.0, -1.0)?.log()?,
            UnguardedRoot => squares(step, Graph::Keep)?.sqrt()?,
            ModelUnits => {
                let std = step.model().std.first().copied().unwrap_or(1.0);
                squares(step, Graph::Keep)?.affine(std * std, 0.0)?
            }
            NeverZero => ce.affine(0.1, 0.0)?,
            LaterSteps if step.position().step == 1 => step.remembered("nothing").map(|_| ce)?,
            OnePerBatch => ce.mean_all()?.reshape(&[1])?,
            MissesABias => {
                let logit = z.gather_labels(step.labels())?;
                step.input_gradient(&logit, &x, Graph::Keep)?.sqr()?.sum_per_example()?
            }
            LaterSteps | OwnTotal => ce,
        })
    }
}

impl Recipe for Faulty {
    fn name(&self) -> &str {
        "faulty"
    }
    fn terms(&self, step: &mut Step<'_>) -> Result<Vec<Term>> {
        Ok(vec![Term::new("faulty", 1.0, self.values(step)?)])
    }
    fn loss(&self, step: &mut Step<'_>) -> Result<Loss> {
        let mut loss = Loss::sum(self.terms(step)?)?;
        if self.0 == OwnTotal {
            loss.total = loss.total.affine(step.ids().len() as f64, 0.0)?;
        }
        Ok(loss)
    }
}

const FAULTS: [(&str, Fault); 14] = [
    ("cut", Cut),
    ("half-cut", HalfCut),
    ("second-order", SecondOrder),
    ("batch-sum", BatchSum),
    ("batch-place", BatchPlace),
    ("unkeyed", Unkeyed),
    ("not-a-number", NotANumber),
    ("unguarded-root", UnguardedRoot),
    ("model-units", ModelUnits),
    ("never-zero", NeverZero),
    ("later-steps", LaterSteps),
    ("own-total", OwnTotal),
    ("one-per-batch", OnePerBatch),
    ("misses-a-bias", MissesABias),
];

/// `ce` plus the fault, with a `weight` that it ignores; the last three are recipes of their own.
fn with_faults() -> Registry {
    use gauntlet_core::registry::BuildRecipe;
    use gauntlet_core::{ParamDoc, ParamKind};
    const WEIGHT: &[ParamDoc] =
        &[ParamDoc { name: "weight", kind: ParamKind::FLOAT, default: "1.0", unit: "", doc: "weight of the penalty" }];
    macro_rules! spec {
        ($name:expr, $params:expr, $fault:expr) => {
            Spec::<BuildRecipe> {
                name: $name,
                summary: "broken",
                formula: "",
                paper: "-",
                params: $params,
                numerics: 1,
                origin: "test",
                build: |_, _| Ok(Arc::new(Faulty($fault))),
            }
        };
    }
    macro_rules! add {
        ($registry:ident.$table:ident, $params:expr, $($at:literal),*) => {
            $($registry.$table.add(spec!(FAULTS[$at].0, $params, FAULTS[$at].1)).unwrap();)*
        };
    }
    let mut registry = registry();
    add!(registry.penalties, &[], 0, 1, 2, 3, 4, 5, 6, 7, 8, 10);
    add!(registry.penalties, WEIGHT, 9);
    add!(registry.recipes, &[], 11, 12, 13);
    registry
}

#[test]
fn every_broken_promise_is_found_by_the_check_that_is_meant_to_find_it() {
    let registry = with_faults();
    let failed = |name: &str| -> Vec<(String, String)> {
        let found = conformance(&registry, short_kind(&registry, name).unwrap(), &named(name)).unwrap();
        println!("{name}\n{found}");
        assert!(!found.passed());
        let failed = found.checks.into_iter().filter(|c| c.outcome == Outcome::Failed);
        failed.map(|c| (c.name.to_string(), c.detail)).collect()
    };
    // The checks that fail, and a word of the one that is meant to.
    let wanted: [(&str, &[&str], &str); 14] = [
        ("cut", &["reach", "gradient"], "the terms faulty reach no parameter"),
        ("half-cut", &["gradient", "second order"], "the gradient of faulty is not the derivative"),
        ("second-order", &["second order"], "Second derivative"),
        ("batch-sum", &["batch"], "term faulty of an example depends on the rest of its batch"),
        ("batch-place", &["batch"], "no place in it"),
        ("unkeyed", &["repeats"], "keyed by seed"),
        ("not-a-number", &["terms"], "term faulty is NaN for example 0"),
        ("unguarded-root", &["saturation"], "guarded forms"),
        ("model-units", &["pixels"], "in pixels of images"),
        ("never-zero", &["zero"], "with weight = 0 the gradient is not that of `ce`"),
        ("later-steps", &["training"], "the recipe's memory has no \"nothing\""),
        ("own-total", &["terms"], "the weighted means of its terms add up to"),
        ("one-per-batch", &["terms"], "has 1 values for 8 examples"),
        ("misses-a-bias", &["reach", "training"], "the loss does not reach out.bias"),
    ];
    for (name, checks, words) in wanted {
        let found = failed(name);
        for check in checks {
            assert!(found.iter().any(|(c, _)| c == check), "{name}: {check} passed; failed: {found:?}");
        }
        assert!(found.iter().any(|(c, d)| c == checks[0] && d.contains(words)), "{name}: {words:?} not in {found:?}");
    }
    // What is wrong in one way alone fails in one check alone.
    for name in [
        "cut",
        "half-cut",
        "second-order",
        "batch-sum",
        "batch-place",
        "unguarded-root",
        "model-units",
        "never-zero",
        "later-steps",
        "misses-a-bias",
    ] {
        let checks: Vec<String> = failed(name).into_iter().map(|(c, _)| c).collect();
        let wanted = wanted.iter().find(|w| w.0 == name).unwrap().1;
        assert_eq!(checks, wanted, "{name}");
    }
}

#[test]
fn a_cut_penalty_is_found_even_beside_the_whole_loss() {
    // The popular snippet, which prints the right loss and trains nothing.
    let found = conformance(&with_faults(), Kind::Penalty, &named("cut")).unwrap();
    let detail = |check: &str| found.check(check).unwrap().detail.clone();
    assert!(detail("reach").contains("Graph::Keep"), "{}", detail("reach"));
    // Declared, it is held to what it declares.
    let given = json!({ "name": "grad-norm", "weight": 3.0, "graph": "cut" }).as_object().unwrap().clone();
    let found = conformance(&registry(), Kind::Penalty, &given).unwrap();
    assert!(found.passed(), "{found}");
    assert!(found.check("gradient").unwrap().detail.contains("trains what `ce` trains, bit for bit"), "{found}");
    // So is a script.
    let (registry, mut given) = (registry(), named("script:grad-norm.rhai"));
    let script = registry.recipes.get("script:grad-norm.rhai").unwrap();
    let graph = script.params.iter().find(|p| p.name.eq_ignore_ascii_case("graph")).unwrap().name.clone();
    given.insert(graph, "cut".into());
    let found = conformance(&registry, Kind::Recipe, &given).unwrap();
    assert!(found.passed(), "{found}");
    assert!(found.check("gradient").unwrap().detail.contains("trains what `ce` trains, bit for bit"), "{found}");
}

#[test]
fn what_is_required_gets_a_probe_value_and_mistakes_are_named() {
    let registry = registry();
    let (given, probed) = completed(&registry, Kind::Recipe, &named("pgd-at")).unwrap();
    assert_eq!(given["eps"], "0.1");
    assert_eq!(probed, ["eps = \"0.1\""]);
    let weighted = json!({ "name": "grad-norm", "weight": 2.0 }).as_object().unwrap().clone();
    assert_eq!(completed(&registry, Kind::Penalty, &weighted).unwrap(), (weighted, vec![]));
    let error = short_kind(&registry, "grad-nrom").unwrap_err().to_string();
    assert!(error.contains("did you mean \"grad-norm\""), "{error}");
    let wrong = json!({ "name": "grad-norm", "wieght": 2.0 }).as_object().unwrap().clone();
    let error = conformance(&registry, Kind::Penalty, &wrong).unwrap_err().to_string();
    assert!(error.contains("did you mean \"weight\""), "{error}");
}

#[test]
fn a_step_of_double_backpropagation_costs_more_than_a_plain_one() {
    let registry = registry();
    let (network, _) = registry.model(&named("linear"), (1, 8, 8), 4).unwrap();
    let plain = step_cost(&registry, Kind::Recipe, &named("ce"), &network, 16).unwrap();
    // Times never repeat: of them only that they were taken.
    assert!(plain.ms > 0.0 && plain.ratio.is_finite());
    let (network, _) = registry.model(&named("lenet-small"), (1, 12, 12), 4).unwrap();
    let twice = step_cost(&registry, Kind::Penalty, &named("grad-norm"), &network, 8).unwrap();
    assert!(twice.ms > 0.0 && twice.steps == 7 && twice.model == "lenet-small");
}
