//! A program behind a pipe as a model. The program is this file's own: [`program`], started by the others.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use candle_core::{Device, Tensor};
use gauntlet_core::{Answers, Compute, Frozen, Key, Mode, Pass, Precision, Purpose, Registry, Target};
use gauntlet_evaluate::{AttackEntry, Evaluated, Evaluator, Examples, Origin, Subject, evaluate};
use gauntlet_records::{Fate, Norm};
use serde_json::{Map, Value, json};
use std::io::{BufRead, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Runs this test program with its output where libtest does not write: the third file is the pipe.
const START: &str = "exec 3>&1 1>/dev/null; MODE=$1 exec \"$0\" program --exact --nocapture --ignored";

/// The scores of an image: how bright its left half is, and its right.
fn scores(pixels: &[f64]) -> [f64; 2] {
    let half = |first: usize| (0..8).map(|i| pixels[4 * (i / 2) + first + i % 2]).sum::<f64>() / 8.0;
    [half(0), half(2)]
}

/// The program: a classifier of images of 4×4 pixels that fails as `MODE` says.
#[test]
#[ignore = "is no test but what the tests start"]
fn program() {
    let mode = std::env::var("MODE").unwrap();
    let mut out = std::fs::OpenOptions::new().write(true).open("/dev/fd/3").unwrap();
    for line in std::io::stdin().lock().lines() {
        let question: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let id = &question["id"];
        let rows = question["images"].as_array().unwrap();
        assert_eq!(question["shape"], json!([rows.len(), 1, 4, 4]));
        let row = |r: &Value| scores(&r.as_array().unwrap().iter().map(|p| p.as_f64().unwrap()).collect::<Vec<_>>());
        let logits: Vec<[f64; 2]> = rows.iter().map(row).collect();
        let labels: Vec<usize> = logits.iter().map(|z| usize::from(z[1] > z[0])).collect();
        let first = id.as_u64() == Some(0);
        let answer = match mode.as_str() {
            "labels" => json!({ "id": id, "labels": labels }).to_string(),
            "logits" => json!({ "id": id, "logits": logits }).to_string(),
            "crash" if first => json!({ "id": id, "labels": labels }).to_string(),
            "crash" => {
                eprintln!("the GPU is on fire");
                std::process::exit(3)
            }
            "hang" => loop {
                std::thread::sleep(std::time::Duration::from_secs(1));
            },
            "nan" => format!("{{\"id\": {id}, \"logits\": [[NaN, 1.0]]}}"),
            "few" => json!({ "id": id, "labels": labels[1..] }).to_string(),
            "late" => json!({ "id": 77, "labels": labels }).to_string(),
            "class" => json!({ "id": id, "labels": vec![2; labels.len()] }).to_string(),
            "narrow" => json!({ "id": id, "logits": vec![[0.5]; labels.len()] }).to_string(),
            "prose" => "loading weights ...".to_string(),
            "sorry" => json!({ "id": id, "error": "no such model" }).to_string(),
            "endless" => "x".repeat(1 << 20),
            other => panic!("no mode {other}"),
        };
        out.write_all(answer.as_bytes()).unwrap();
        out.write_all(b"\n").unwrap();
    }
}

fn registry() -> Registry {
    let mut registry = Registry::default();
    gauntlet_models::register(&mut registry).unwrap();
    gauntlet_attacks::register(&mut registry).unwrap();
    registry
}

fn given(mode: &str, more: &[(&str, Value)]) -> Map<String, Value> {
    let exe = std::env::current_exe().unwrap();
    let mut given = Map::from_iter([
        ("name".to_string(), json!("command")),
        ("command".to_string(), json!(["sh", "-c", START, exe.to_str().unwrap(), mode])),
        ("timeout".to_string(), json!(20)),
    ]);
    given.extend(more.iter().map(|(key, value)| (key.to_string(), value.clone())));
    given
}

fn subject(mode: &str, more: &[(&str, Value)]) -> Subject {
    let (network, _) = registry().model(&given(mode, more), (1, 4, 4), 2).unwrap();
    Subject::open(network, Origin::Own, Precision::F32).unwrap()
}

fn target(mode: &str, more: &[(&str, Value)]) -> Frozen {
    subject(mode, more).target(&Compute::default()).unwrap()
}

/// Six images whose left half is brighter than the right one by 0.05, 0.1, …, 0.3.
fn images() -> Tensor {
    let rows: Vec<f32> =
        (1..=6).flat_map(|i| (0..16).map(move |p| if p % 4 < 2 { 0.4 + 0.05 * i as f32 } else { 0.4 })).collect();
    Tensor::from_vec(rows, (6, 1, 4, 4), &Device::Cpu).unwrap()
}

fn logits(target: &dyn Target) -> Vec<Vec<f64>> {
    let z = target.logits(&images()).unwrap().to_dtype(candle_core::DType::F64).unwrap();
    z.to_vec2().unwrap()
}

#[test]
fn answers_are_the_programs() {
    let pixels: Vec<Vec<f32>> = images().flatten_from(1).unwrap().to_vec2().unwrap();
    let own: Vec<[f64; 2]> =
        pixels.iter().map(|row| scores(&row.iter().map(|p| f64::from(*p)).collect::<Vec<_>>())).collect();
    let told = logits(&target("logits", &[("answers", json!("logits")), ("batch", json!(4))]));
    for (own, told) in own.iter().zip(&told) {
        // Pixels arrive as they are; the answer is rounded to the images' precision.
        assert_eq!([own[0] as f32, own[1] as f32], [told[0] as f32, told[1] as f32]);
    }
    let labels = target("labels", &[]);
    assert_eq!(labels.answers(), Answers::Labels);
    assert_eq!(logits(&labels), vec![vec![1.0, 0.0]; 6]);
    // The same program goes on answering.
    assert_eq!(logits(&labels), vec![vec![1.0, 0.0]; 6]);
}

fn attacked(
    target: &dyn Target,
    attack: &Value,
    norm: Norm,
    eps: &[&str],
) -> gauntlet_evaluate::Result<Vec<Vec<Fate>>> {
    let found = attacked_with(target, attack, norm, eps)?;
    assert!(found.flags.iter().any(|f| f.name == "no-gradient"));
    assert!(!found.flags.iter().any(|f| f.name == "probabilities"), "one 1 in a row is a class, no softmax");
    Ok(found.attacked.iter().map(|cell| cell.verdicts.iter().map(|v| v.fate).collect()).collect())
}

fn attacked_with(
    target: &dyn Target,
    attack: &Value,
    norm: Norm,
    eps: &[&str],
) -> gauntlet_evaluate::Result<Evaluated> {
    let registry = registry();
    let examples = Examples::new(images(), vec![0; 6], (0..6).collect())?;
    let stop = AtomicBool::new(false);
    let given = attack.as_object().unwrap();
    let mut entry = AttackEntry::new(&registry, given["name"].as_str().unwrap(), norm, eps)?;
    entry.attack = gauntlet_evaluate::Component::resolve(gauntlet_evaluate::Kind::Attack, &registry, given)?;
    evaluate(&Evaluator::new(target, &examples, &stop), &[entry], &registry, &mut ())
}

#[test]
fn attacks_by_decisions_find_the_distance_that_there_is() {
    // ε darkens one half and brightens the other: a difference of 2 ε at most is turned round in L∞. Budgets lie between the images.
    let broken = |fates: &[Fate]| fates.iter().filter(|f| **f == Fate::Broken).count();
    let fates =
        attacked(&target("labels", &[]), &json!({ "name": "rays" }), Norm::Linf, &["0.04", "0.09", "0.14"]).unwrap();
    assert_eq!(fates.iter().map(|f| broken(f)).collect::<Vec<_>>(), [1, 3, 5]);
    // In L2 the way across is difference / √2 · √8 = 2 · difference.
    let fates =
        attacked(&target("labels", &[]), &json!({ "name": "hopskipjump" }), Norm::L2, &["0.15", "0.35", "0.55"])
            .unwrap();
    assert_eq!(fates.iter().map(|f| broken(f)).collect::<Vec<_>>(), [1, 3, 5]);
}

#[test]
fn attacks_by_scores_are_those_on_the_same_function_here() {
    let own = gauntlet_models::CandleModule::new("own", (1, 4, 4), 2, |x| {
        let rows: Vec<Vec<f32>> = x.flatten_from(1)?.to_vec2()?;
        let z: Vec<f32> = rows
            .iter()
            .flat_map(|row| scores(&row.iter().map(|p| f64::from(*p)).collect::<Vec<_>>()).map(|z| z as f32))
            .collect();
        Tensor::from_vec(z, (rows.len(), 2), &Device::Cpu)
    });
    let square = json!({ "name": "square", "queries": 300 });
    let eps = ["0.06", "0.2"];
    let there = attacked(&target("logits", &[("answers", json!("logits"))]), &square, Norm::Linf, &eps).unwrap();
    let here = attacked_with(&own, &square, Norm::Linf, &eps).unwrap().attacked;
    assert_eq!(there, here.iter().map(|cell| cell.verdicts.iter().map(|v| v.fate).collect()).collect::<Vec<Vec<_>>>());
    assert!(there[0].contains(&Fate::Robust) && there[1].contains(&Fate::Broken));
}

#[test]
fn what_goes_by_more_than_the_program_tells_is_refused() {
    let refused = |mode: &str, answers: &str, attack: Value| {
        attacked(&target(mode, &[("answers", json!(answers))]), &attack, Norm::Linf, &["0.1"]).unwrap_err().to_string()
    };
    let text = refused("labels", "labels", json!({ "name": "pgd" }));
    assert!(text.contains("pgd goes by gradients") && text.contains("hopskipjump"), "{text}");
    let text = refused("labels", "labels", json!({ "name": "square" }));
    assert!(text.contains("square goes by logits, and command tells classes alone; attacks that can: "), "{text}");
    let text = refused("logits", "logits", json!({ "name": "autoattack" }));
    assert!(text.contains("goes by gradients, and command tells no gradients"), "{text}");
}

#[test]
fn every_way_to_fail_is_told_with_its_reason() {
    for (mode, answers, said) in [
        ("hang", "labels", "did not answer within 0.5 s (`timeout`)"),
        ("nan", "logits", "answered with numbers that are not finite"),
        ("few", "labels", "answered 5 labels to 6 images"),
        ("late", "labels", "answered another question than the one with \"id\": 0"),
        ("class", "labels", "answered 2 to image 0 of the batch: a label is a whole number from 0 to 1"),
        ("narrow", "logits", "answered no row of 2 logits to image 0"),
        ("prose", "labels", "answered with what is no JSON"),
        ("sorry", "labels", "answered with an error: no such model"),
        ("endless", "labels", "answered with a line of more than"),
        ("labels", "logits", "it has \"labels\": write answers = \"labels\""),
        ("logits", "labels", "it has \"logits\": write answers = \"logits\""),
    ] {
        let timeout = if mode == "hang" { 0.5 } else { 20.0 };
        let target = target(mode, &[("answers", json!(answers)), ("timeout", json!(timeout))]);
        let text = target.logits(&images()).unwrap_err().to_string();
        assert!(text.contains(said), "{mode}: {text}");
    }
    let crash = target("crash", &[]);
    crash.logits(&images()).unwrap();
    let text = crash.logits(&images()).unwrap_err().to_string();
    assert!(text.contains("exit status: 3) before it answered; it wrote: the GPU is on fire"), "{text}");
    // Whoever goes on gets a new program.
    assert_eq!(logits(&crash), vec![vec![1.0, 0.0]; 6]);
}

#[test]
fn arguments_outside_their_domain_are_named() {
    let built = |more: &[(&str, Value)]| registry().model(&given("labels", more), (1, 4, 4), 2).map(|_| ());
    for (key, value, said) in [
        ("command", json!([]), "names no program"),
        ("command", json!("python3 model.py"), "must be a list of texts"),
        ("command", json!(["a", 1]), "must be a list of texts"),
        ("answers", json!("gradients"), "answers"),
        ("batch", json!(0), "batch"),
        ("timeout", json!(0), "must be above 0, got 0"),
        ("timeout", json!(1e300), "must be at most 1000000"),
    ] {
        let text = built(&[(key, value.clone())]).unwrap_err().to_string();
        assert!(text.contains(said), "{key} = {value}: {text}");
    }
    let nobody = target("labels", &[("command", json!(["/no/such/program"]))]);
    assert!(nobody.logits(&images()).unwrap_err().to_string().contains("`/no/such/program` cannot be started"));
}

#[test]
fn it_is_not_trained_and_has_no_gradients() {
    let subject = subject("labels", &[]);
    let x = gauntlet_autograd::Var::constant(images());
    let mut pass = Pass::train(&[0, 1, 2, 3, 4, 5], Key::new(0, Purpose::Dropout));
    assert_eq!(pass.mode, Mode::Train);
    let error = subject.network.forward(&subject.weights.constants(), &x, &mut pass).unwrap_err();
    assert!(error.to_string().contains("cannot be trained"));
    let target = subject.target(&Compute::default()).unwrap();
    assert!(target.linearise(&images()).err().unwrap().to_string().contains("has no gradients"));
}

#[test]
fn a_file_that_changes_is_another_model() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.py");
    let sum = |bytes: &str| {
        std::fs::write(&file, bytes).unwrap();
        subject("labels", &[("command", json!(["python3", file.to_str().unwrap()]))]).sha256
    };
    let (one, two) = (sum("print(1)"), sum("print(2)"));
    assert_ne!(one, two);
    assert_eq!(one, sum("print(1)"));
    // One registry tells them apart as well, and still builds a network of layers once.
    let registry = registry();
    let named = |given: &Map<String, Value>| registry.model(given, (1, 4, 4), 2).unwrap().0;
    let given = given("labels", &[("command", json!(["python3", file.to_str().unwrap()]))]);
    let opened = |given| Subject::open(named(given), Origin::Own, Precision::F32).unwrap().sha256;
    let one = opened(&given);
    std::fs::write(&file, "print(2)").unwrap();
    assert_ne!(one, opened(&given));
    let layers = Map::from_iter([("name".to_string(), json!("linear"))]);
    assert!(Arc::ptr_eq(&named(&layers), &named(&layers)));
    let other = registry.model(&layers, (1, 4, 4), 3).unwrap().0;
    assert_eq!((other.info().classes, named(&layers).info().classes), (3, 2));
}
