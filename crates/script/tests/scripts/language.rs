//! What scripts can say.

use crate::bench::{Bench, HERE, script};
use candle_core::{DType, Device, Tensor};
use gauntlet_autograd::Var;
use gauntlet_core::{Frozen, Memory, Recipe, Step};
use std::path::Path;
use std::sync::Arc;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/scripts.md");

#[test]
fn the_documentation_lists_exactly_what_is_bound() {
    let document = std::fs::read_to_string(DOCUMENT).unwrap();
    let listed = document.split("<!-- bound -->\n").nth(1).unwrap().split("<!-- /bound -->").next().unwrap();
    let bound: String = gauntlet_script::bound().iter().map(|b| format!("- `{}`: {}\n", b.signature, b.doc)).collect();
    assert_eq!(listed, bound, "the list should read:\n{bound}");
}

#[test]
fn the_examples_of_the_documentation_run() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut ran = 0;
    for file in ["docs/scripts.md", "docs/plug-ins.md"] {
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        for block in text.split("```rhai\n").skip(1) {
            let script = block.split("```").next().unwrap();
            let terms = Bench::new(2).terms(script).unwrap_or_else(|e| panic!("{file}: {e}"));
            assert_eq!(terms.iter().map(|t| &*t.name).collect::<Vec<_>>(), ["ce", "grad_norm"]);
            ran += 1;
        }
    }
    assert_eq!(ran, 2);
}

/// A new differentiable operation is bound too, or stands here with the reason why not.
#[test]
fn every_operation_of_a_variable_is_bound_under_its_own_name() {
    // Layers with statistics of their own belong to models.
    let exceptions = ["batch_norm_train", "batch_norm_eval", "batch_norm_relu_train", "batch_norm_relu_eval"];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../autograd/src/ops");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for line in text.lines().filter_map(|l| l.strip_prefix("    pub fn ")) {
            let name = line.split('(').next().unwrap();
            seen += 1;
            let bound = gauntlet_script::bound().iter().any(|b| b.name() == name);
            assert!(bound || exceptions.contains(&name), "{name} is not bound");
        }
    }
    assert!(seen > 40, "only {seen} operations were found");
}

#[test]
fn operations_compute_what_they_compute_in_rust() {
    let bench = Bench::new(3);
    let rust = |f: &dyn Fn(&mut Step<'_>) -> Var| -> Vec<f64> { bench.step(|s| f(s).tensor().to_vec1().unwrap()) };
    type Rust<'a> = &'a dyn Fn(&mut Step<'_>) -> Var;
    let cases: &[(&str, Rust<'_>)] = &[
        ("step.forward(step.input()).cross_entropy(step.labels())", &|s| {
            let x = s.input();
            s.cross_entropy(&x).unwrap()
        }),
        (
            "let z = step.forward(step.input()); (2 * z - 1) / (z + 3.5) / 2 * 0.5 + 1 - z.sum_keepdim([1]).broadcast_to(z.dims()); z.log_softmax().gather_labels(step.labels())",
            &|s| {
                let x = s.input();
                let labels = s.labels().clone();
                s.forward(&x).unwrap().log_softmax().unwrap().gather_labels(&labels).unwrap()
            },
        ),
        ("((2 - step.input() * 3) / 4 + 1).mean_per_example()", &|s| {
            let x = s.input().affine(3.0, 0.0).unwrap().affine(-1.0, 2.0).unwrap();
            x.affine(0.25, 0.0).unwrap().affine(1.0, 1.0).unwrap().mean_per_example().unwrap()
        }),
        ("(1 / (step.input() + 0.5)).sqr().sum_per_example()", &|s| {
            let x = s.input().affine(1.0, 0.5).unwrap().recip().unwrap().affine(1.0, 0.0).unwrap();
            x.sqr().unwrap().sum_per_example().unwrap()
        }),
        ("let x = step.input(); x += x; (-x).neg().narrow(2, 1, 3).sum([1, 2, 3])", &|s| {
            let x = s.input();
            x.add(&x).unwrap().narrow(2, 1, 3).unwrap().sum(&[1, 2, 3]).unwrap()
        }),
        ("let x = step.input(); cat([x, x.transpose(2, 3)], 1).norm_l2_per_example()", &|s| {
            let x = s.input();
            Var::cat(&[&x, &x.transpose(2, 3).unwrap()], 1).unwrap().norm_l2_per_example().unwrap()
        }),
        // A second difference along rows, as a penalty on rough gradients would take it.
        (
            "let k = step.constant([0, 1, 0, 1, -4, 1, 0, 1, 0], [1, 1, 3, 3]); step.input().conv2d(k, 1, 1).norm_l1_per_example()",
            &|s| {
                let k = vec![0.0, 1.0, 0.0, 1.0, -4.0, 1.0, 0.0, 1.0, 0.0];
                let k = Var::constant(Tensor::from_vec(k, (1, 1, 3, 3), &Device::Cpu).unwrap());
                s.input().conv2d(&k, None, 1, 1).unwrap().norm_l1_per_example().unwrap()
            },
        ),
        ("step.normal_pixels(\"a\").mean_per_example()", &|s| {
            s.normal_pixels("a").unwrap().mean_per_example().unwrap()
        }),
        ("step.uniform_pixels(\"a\", -0.1, 1).mean_per_example()", &|s| {
            s.uniform_pixels("a", (-0.1, 1.0)).unwrap().mean_per_example().unwrap()
        }),
        ("(step.normal(\"b\", [2]) + step.uniform(\"c\", [2], 0, 2)).sum_per_example()", &|s| {
            let both = s.normal("b", &[2]).unwrap().add(&s.uniform("c", &[2], (0.0, 2.0)).unwrap()).unwrap();
            both.sum_per_example().unwrap()
        }),
        ("step.input_gradient(step.cross_entropy(step.input()), step.input()).norm_l2_per_example()", &|s| {
            let x = s.input();
            let ce = s.cross_entropy(&x).unwrap();
            let g = s.input_gradient(&ce, &x, gauntlet_autograd::Graph::Keep).unwrap();
            g.norm_l2_per_example().unwrap()
        }),
        (
            "let x = step.input().max_pool2d(2, 2); x.full_like(0.5).mul(x).flatten().softmax().gather_labels(step.labels())",
            &|s| {
                let x = s.input().max_pool2d(2, 2).unwrap().affine(0.5, 0.0).unwrap();
                x.flatten().unwrap().softmax().unwrap().gather_labels(s.labels()).unwrap()
            },
        ),
        ("let z = step.forward_in(step.input(), \"eval\"); z.tanh().abs().sigmoid().mean_per_example()", &|s| {
            let x = s.input();
            let z = s.forward_in(&x, gauntlet_core::Mode::Eval).unwrap();
            z.tanh().unwrap().abs().unwrap().sigmoid().unwrap().mean_per_example().unwrap()
        }),
    ];
    for (body, f) in cases {
        assert_eq!(bench.value(body), rust(*f), "{body}");
    }
}

#[test]
fn control_flow_and_numbers_work() {
    let bench = Bench::new(2);
    let ones = |number: &str| bench.value(&format!("{number}\n step.input().mean_per_example().full_like(it)"))[0];
    assert_eq!(ones("let it = 0.0; for i in 0..5 { it += i; }"), 10.0);
    assert_eq!(ones("let it = 0; for v in [1, 2.5] { it += v }"), 3.5);
    assert_eq!(ones("let it = if step.epoch() == 1 && step.epochs() == 3 { min(1, 2.5) } else { 7 };"), 1.0);
    assert_eq!(ones("let it = step.epochs_done();"), 1.2);
    assert_eq!(ones("let it = exp(0.0) + sqrt(4.0) + abs(-1.0) + floor(2.7) + log(1.0) + max(1, 0.5);"), 7.0);
    assert_eq!(ones("let it = pixels(\"51/255\");"), 0.2);
    assert_eq!(ones("let list = []; list.push(1); list.push(2); let it = list.len() + step.classes();"), 6.0);
    assert_eq!(ones("let it = step.input().dims()[2] + step.input().dim(3);"), 16.0);
}

#[test]
fn ten_steps_of_pgd_can_be_written_as_a_script() {
    let text = r#"
const EPS = 0.1;
const STEPS = 10;
fn loss(step) {
    let x = step.input().detach();
    let x_adv = x + step.uniform_pixels("start", -EPS, EPS);
    for i in 0..STEPS {
        let at = leaf(x_adv);
        let g = step.input_gradient(step.cross_entropy(at), at, "cut");
        let moved = at.detach() + g.sign() * (2.5 * EPS / STEPS);
        x_adv = (x + (moved - x).clamp(-EPS, EPS)).clamp(0, 1);
    }
    [term("adv_ce", 1.0, step.cross_entropy(leaf(x_adv))), logged("ce", step.cross_entropy(x))]
}
"#;
    let bench = Bench::new(4);
    let terms = bench.terms(text).unwrap();
    let mean = |i: usize| terms[i].values.tensor().mean_all().unwrap().to_scalar::<f64>().unwrap();
    assert_eq!((&*terms[0].name, &*terms[1].name, terms[1].weight), ("adv_ce", "ce", 0.0));
    assert!(mean(0) > mean(1), "{} is not above {}", mean(0), mean(1));
}

#[test]
fn a_fixed_direction_stays_the_same_from_step_to_step() {
    let bench = Bench::new(2);
    let recipe = script("fn loss(step) { [term(\"it\", 1.0, step.fixed_normal(\"d\").mean_per_example())] }");
    let mut memory = Memory::new();
    let mut value = || {
        let terms = bench.step_with(&mut memory, |s| recipe.terms(s).unwrap());
        terms[0].values.tensor().to_vec1::<f64>().unwrap()
    };
    let (first, second) = (value(), value());
    assert_eq!(first, second);
    assert_eq!(first[0], first[1], "the same for every example");
    assert_eq!(memory.keys().collect::<Vec<_>>(), ["fixed_normal.d"], "and it is saved with the training");
}

#[test]
fn a_teacher_is_asked_where_the_row_has_one() {
    let bench = Bench::new(3);
    let text = "fn loss(step) { let z = step.teacher_logits(step.input()); [term(\"it\", 1.0, z.mean_per_example())] }";
    let recipe = script(text);
    let teacher = Frozen::new(bench.network.clone(), bench.params.clone());
    let mut memory = Memory::new();
    let step = Step::new(bench.network.clone(), &bench.params, &bench.batch, 5, HERE, &mut memory).unwrap();
    let terms = recipe.terms(&mut step.taught_by(Some(Arc::new(teacher)))).unwrap();
    let z = bench.value("step.forward_in(step.input(), \"eval\").mean_per_example()");
    let taught: Vec<f64> = terms[0].values.tensor().to_dtype(DType::F64).unwrap().to_vec1().unwrap();
    assert!(taught.iter().zip(&z).all(|(a, b)| (a - b).abs() < 1e-12), "{taught:?} {z:?}");
    assert!(bench.terms(text).err().unwrap().contains("teacher"));
}
