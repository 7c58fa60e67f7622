//! The search on networks whose answers are known.
#![allow(clippy::unwrap_used)]

use candle_core::{Device, Tensor};
use gauntlet_core::{Activation, ModelInfo, Weights};
use gauntlet_graph::{Builder, Interpreter};
use gauntlet_vnnlib::{Answer, Limits, Property, Subject, Verdict, search};
use std::sync::Arc;

/// Keyed numbers between −1 and 1.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut stream = gauntlet_core::Key::new(seed, gauntlet_core::Purpose::Init).stream(0, 0, 0);
    (0..count).map(|_| (2.0 * stream.uniform() - 1.0) as f32).collect()
}

fn info(inputs: usize) -> ModelInfo {
    let (name, activation) = ("net".into(), Activation::Relu);
    ModelInfo { name, input: (1, 1, inputs), classes: 1, activation, mean: Vec::new(), std: Vec::new(), numerics: 1 }
}

/// Layers of (weights by rows, biases), with relu between.
fn network(inputs: usize, layers: &[(Vec<f32>, Vec<f32>)]) -> Subject {
    let classes = layers.last().unwrap().1.len();
    let mut g = Builder::new(ModelInfo { classes, ..info(inputs) });
    let x = g.input();
    let mut x = g.flatten(x).unwrap();
    let mut entries = Vec::new();
    let mut width = inputs;
    for (i, (weight, bias)) in layers.iter().enumerate() {
        if i > 0 {
            x = g.act(x).unwrap();
        }
        x = g.linear(format!("fc{i}"), bias.len()).of(x).unwrap();
        let tensor = |v: &[f32], dims: &[usize]| Tensor::from_slice(v, dims, &Device::Cpu).unwrap();
        entries.push((format!("fc{i}.weight"), tensor(weight, &[bias.len(), width]), true));
        entries.push((format!("fc{i}.bias"), tensor(bias, &[bias.len()]), true));
        width = bias.len();
    }
    Subject::of(Arc::new(Interpreter::new(g.finish(x).unwrap())), &Weights::from_entries(entries)).unwrap()
}

fn declared(inputs: usize, outputs: usize) -> String {
    let of =
        |name: &str, count: usize| (0..count).map(|i| format!("(declare-const {name}_{i} Real)\n")).collect::<String>();
    of("X", inputs) + &of("Y", outputs)
}

fn boxed(lower: &[f64], upper: &[f64]) -> String {
    let bound = |(i, (l, u)): (usize, (&f64, &f64))| format!("(assert (>= X_{i} {l}))\n(assert (<= X_{i} {u}))\n");
    lower.iter().zip(upper).enumerate().map(bound).collect()
}

/// Enough for every test here, whatever the machine does besides.
fn limits() -> Limits {
    Limits { seconds: f64::INFINITY, forwards: 20_000, ..Limits::default() }
}

/// The numbers of a witness as they are printed, read back.
fn read_back(answer: &Answer, name: &str) -> Vec<f64> {
    let text = answer.to_string();
    let number = |word: &str| word.trim_end_matches(')').parse::<f64>().unwrap();
    let named = text.split('(').filter(|part| part.starts_with(name));
    named.map(|part| number(part.split_whitespace().nth(1).unwrap())).collect()
}

fn asked(subject: &Subject, text: &str, limits: &Limits) -> Answer {
    let property = Property::parse(text, "p").unwrap();
    let answer = search(subject, &property, limits).unwrap();
    assert_eq!(answer.result == Verdict::Sat, answer.witness.is_some());
    assert_eq!(answer.attack.is_some(), answer.witness.is_some());
    if answer.witness.is_some() {
        let (x, y) = (read_back(&answer, "X_"), read_back(&answer, "Y_"));
        assert!(property.satisfied(&x, &y), "{answer}");
        assert!(answer.to_string().starts_with("sat\n((X_0 "));
    } else {
        assert_eq!(answer.to_string(), "unknown");
    }
    answer
}

#[test]
fn linear_networks_are_decided_at_their_exact_margins() {
    let (inputs, outputs) = (12, 4);
    let mut by = std::collections::BTreeMap::new();
    for seed in 0..12 {
        let (w, b) = (numbers(inputs * outputs, seed), numbers(outputs, 100 + seed));
        let subject = network(inputs, &[(w.clone(), b.clone())]);
        // Widths from 0 to 1, some of them none.
        let (middle, width) = (numbers(inputs, 200 + seed), numbers(inputs, 300 + seed));
        let half: Vec<f64> = width.iter().map(|v| f64::from(v.max(0.0)) / 2.0).collect();
        let lower: Vec<f64> = middle.iter().zip(&half).map(|(m, h)| f64::from(*m) - h).collect();
        let upper: Vec<f64> = middle.iter().zip(&half).map(|(m, h)| f64::from(*m) + h).collect();
        // max over the box of Y_j − Y_0.
        let most = |j: usize| -> f64 {
            let c = |i: usize| f64::from(w[j * inputs + i]) - f64::from(w[i]);
            let inside = |i: usize| (c(i) * lower[i]).max(c(i) * upper[i]);
            f64::from(b[j]) - f64::from(b[0]) + (0..inputs).map(inside).sum::<f64>()
        };
        let beyond = |by: f64| -> String {
            let any: String = (1..outputs).map(|j| format!("(and (>= (- Y_{j} Y_0) {}))", most(j) + by)).collect();
            declared(inputs, outputs) + &boxed(&lower, &upper) + &format!("(assert (or {any}))")
        };
        let answer = asked(&subject, &beyond(-1e-3), &limits());
        assert_eq!(answer.result, Verdict::Sat);
        *by.entry(answer.attack.unwrap()).or_insert(0) += 1;
        assert_eq!(asked(&subject, &beyond(1e-3), &Limits { forwards: 3000, ..limits() }).result, Verdict::Unknown);
        // Only one of the three can be met.
        let one: String = (1..outputs)
            .map(|j| format!("(and (>= (- Y_{j} Y_0) {}))", most(j) + if j == 2 { -1e-3 } else { 1e-3 }))
            .collect();
        let text = declared(inputs, outputs) + &boxed(&lower, &upper) + &format!("(assert (or {one}))");
        assert_eq!(asked(&subject, &text, &limits()).result, Verdict::Sat);
        // All of them at once: never, where one cannot.
        let text = text.replace("(assert (or", "(assert (and");
        assert_eq!(asked(&subject, &text, &Limits { forwards: 3000, ..limits() }).result, Verdict::Unknown);
    }
    assert_eq!(by, [("corner", 12)].into(), "one signed step decides a linear network");
}

#[test]
fn conjunctions_are_met_between_the_corners() {
    // Y = (X_0, X_1, X_0 + X_1): 0.4 ≤ Y_0 ≤ 0.41, Y_1 ≥ 0.7 and Y_2 ≤ 1.12 are met in a small corner inside.
    let subject = network(2, &[(vec![1.0, 0.0, 0.0, 1.0, 1.0, 1.0], vec![0.0; 3])]);
    let text = |most: f64| {
        declared(2, 3)
            + &boxed(&[-1.0, -3.0], &[2.0, 1.0])
            + &format!("(assert (>= Y_0 0.4)) (assert (<= Y_0 0.41)) (assert (and (>= Y_1 0.7) (<= Y_2 {most})))")
    };
    let answer = asked(&subject, &text(1.12), &limits());
    assert_eq!(answer.result, Verdict::Sat);
    assert_eq!(asked(&subject, &text(1.09), &Limits { forwards: 4000, ..limits() }).result, Verdict::Unknown);
}

#[test]
fn disjuncts_have_boxes_of_their_own() {
    // Y_0 = X_0: at least 0.9 in the second box only.
    let subject = network(1, &[(vec![1.0], vec![0.0])]);
    let text = declared(1, 1)
        + "(assert (or (and (>= X_0 0) (<= X_0 0.5) (>= Y_0 0.9)) (and (>= X_0 0.6) (<= X_0 0.95) (>= Y_0 0.9))
          (and (>= X_0 -5) (<= X_0 -4) (>= Y_0 0.9))))";
    let answer = asked(&subject, &text, &limits());
    assert!(answer.witness.unwrap().x[0] >= 0.9);
    assert_eq!(asked(&subject, &text.replace("0.95", "0.85"), &limits()).result, Verdict::Unknown);
}

#[test]
fn a_start_without_a_slope_is_left_by_random_ones() {
    // Y_0 = relu(X_0 − ½) + relu(−X_0 − ½) + the same of X_1: 0 and flat around the middle, at most 1 in the corners of [−1, 1]².
    let hidden = (vec![1.0, 0.0, -1.0, 0.0, 0.0, 1.0, 0.0, -1.0], vec![-0.5; 4]);
    let subject = network(2, &[hidden, (vec![1.0; 4], vec![0.0])]);
    let text = |least: f64| declared(2, 1) + &boxed(&[-1.0; 2], &[1.0; 2]) + &format!("(assert (>= Y_0 {least}))");
    let answer = asked(&subject, &text(0.999), &limits());
    assert!(!["centre", "corner"].contains(&answer.attack.unwrap()), "{answer:?}");
    assert_eq!(answer, Answer { seconds: answer.seconds, ..asked(&subject, &text(0.999), &limits()) });
    assert_eq!(asked(&subject, &text(1.001), &Limits { forwards: 3000, ..limits() }).result, Verdict::Unknown);
}

#[test]
fn boxes_without_a_float32_are_searched_and_their_witness_lies_inside() {
    let subject = network(2, &[(vec![1.0, 1.0], vec![0.0])]);
    // Neither 0.1 nor what lies between these two is a float32 number.
    let (low, high) = (0.300_000_001, 0.300_000_002);
    let text = |least: f64| declared(2, 1) + &boxed(&[0.1, low], &[0.1, high]) + &format!("(assert (>= Y_0 {least}))");
    let answer = asked(&subject, &text(0.399), &limits());
    let x = read_back(&answer, "X_");
    assert!(x[0] == 0.1 && low <= x[1] && x[1] <= high, "{answer}");
    assert_eq!((answer.attack, answer.forwards), (Some("centre"), 2));
    assert_eq!(asked(&subject, &text(0.401), &limits()).result, Verdict::Unknown);
}

#[test]
fn what_holds_exactly_at_a_border_is_found() {
    // Y_1 ≥ Y_0 holds with equality at X = 1 alone.
    let subject = network(1, &[(vec![0.0, 1.0], vec![1.0, 0.0])]);
    let text = declared(1, 2) + &boxed(&[-3.0], &[1.0]) + "(assert (>= Y_1 Y_0))";
    let answer = asked(&subject, &text, &limits());
    let witness = answer.witness.unwrap();
    assert_eq!((witness.x, witness.slack), (vec![1.0], 0.0));
}

#[test]
fn limits_end_a_search_and_counts_are_those_of_inputs() {
    let subject = network(2, &[(vec![1.0, 1.0], vec![0.0])]);
    let never = declared(2, 1) + &boxed(&[0.0; 2], &[1.0; 2]) + "(assert (>= Y_0 3))";
    let answer = asked(&subject, &never, &Limits { forwards: 1, ..limits() });
    assert_eq!((answer.forwards, answer.backwards), (1, 0));
    // The middle, the corner and 101 points of one ascent.
    let answer = asked(&subject, &never, &Limits { forwards: 103, ..limits() });
    assert_eq!((answer.forwards, answer.backwards), (103, 101));
    let answer = asked(&subject, &never, &Limits { seconds: 0.2, forwards: u64::MAX, ..limits() });
    assert!(answer.seconds >= 0.2 && answer.seconds < 20.0, "{}", answer.seconds);
    let json = answer.json().unwrap();
    assert!(
        json.starts_with(r#"{"result":"unknown","attack":null,"seconds":0."#) && json.ends_with(r#""witness":null}"#),
        "{json}"
    );
}

#[test]
fn an_empty_box_and_an_empty_condition_have_their_answers() {
    let subject = network(1, &[(vec![1.0], vec![0.0])]);
    let text = |rest: &str| declared(1, 1) + &boxed(&[0.0], &[1.0]) + rest;
    assert_eq!(asked(&subject, &text("(assert (>= X_0 2))"), &limits()).forwards, 0);
    let answer = asked(&subject, &text(""), &limits());
    assert_eq!((answer.result, answer.attack, answer.witness.unwrap().x), (Verdict::Sat, Some("centre"), vec![0.5]));
}

#[test]
fn a_property_of_another_network_is_refused() {
    let subject = network(1, &[(vec![1.0], vec![0.0])]);
    let property = Property::parse(&(declared(2, 1) + &boxed(&[0.0; 2], &[1.0; 2])), "p").unwrap();
    assert_eq!(
        search(&subject, &property, &limits()).unwrap_err().to_string(),
        "bad value for property: is of a network with 2 inputs and 1 outputs, and net has 1 and 1"
    );
}
