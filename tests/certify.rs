//! `gauntlet certify`: what is proved beside what is broken.

use crate::sandbox::Sandbox;

fn trained(model: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.ok(&format!("train --model {model} --recipe ce --data tiny --epochs 8 --out m.safetensors"));
    sandbox
}

#[test]
fn of_a_linear_model_nothing_stays_open_in_any_norm() {
    let sandbox = trained("linear");
    for (norm, eps) in [("linf", "0.004"), ("l2", "0.06"), ("l1", "0.2")] {
        let found = sandbox.json(&format!(
            "certify --model linear --checkpoint m.safetensors --data tiny --take 60 --norm {norm} --eps {eps} --attack fgsm"
        ));
        let (n, open) = (found["n"].as_u64(), found["open"].as_u64());
        assert_eq!((n, open), (Some(60), Some(0)), "{found}");
        // Bounds are exact: what FGSM, which knows one direction, does not break is broken where the bound is attained.
        assert_eq!(found["certified_accuracy"], found["attacked_accuracy"], "{found}");
        let certified = found["certified_accuracy"].as_f64().unwrap();
        assert!(certified > 0.0 && certified <= found["clean_accuracy"].as_f64().unwrap(), "{found}");
        let by: u64 = ["ibp", "crown", "bab"].iter().map(|m| found["certified"][m].as_u64().unwrap()).sum();
        assert_eq!(by as f64 / 60.0, certified);
        assert!(found["seconds"].as_f64().unwrap() > 0.0);
    }
}

#[test]
fn a_network_is_certified_in_words_and_image_by_image() {
    let sandbox = trained("lenet-small");
    let command = "certify --model lenet-small --checkpoint m.safetensors --data tiny --take 40 --eps 0.005 --nodes 30";
    let text = sandbox.ok(&format!("{command} --verdicts v.csv")).out;
    for words in [
        "n = 40 test examples of tiny, L∞ ε = 0.005",
        "\ncertified by ibp ",
        "are classified right by the network of real numbers with these weights, whatever perturbation inside [0, 1] moves no pixel by more than 0.005",
    ] {
        assert!(text.contains(words), "{words:?}: {text}");
    }
    let table = sandbox.read("v.csv");
    assert_eq!(table.lines().count(), 41);
    assert!(table.starts_with("index,fate,method,bound,nodes,undecided,why\n"), "{table}");
    // The same for any number of threads, and in f32 no more than for real numbers.
    let one = sandbox.json(&format!("{command} --threads 1"));
    let two = sandbox.json(&format!("{command} --threads 2"));
    assert_eq!((&one["certified"], &one["open"], &one["broken"]), (&two["certified"], &two["open"], &two["broken"]));
    let single = sandbox.json(&format!("{command} --executed f32"));
    assert!(single["certified_accuracy"].as_f64() <= one["certified_accuracy"].as_f64(), "{single} {one}");
    assert!(single["certified_accuracy"].as_f64() > Some(0.0), "{single}");
}

#[test]
fn what_cannot_be_certified_is_said_before_anything_is_attacked() {
    let sandbox = trained("linear");
    let certify = "certify --checkpoint m.safetensors --data tiny --eps 0.1";
    for (arguments, words) in [
        ("--model linear --methods ibp,milp", "--methods \"milp\" is none of ibp, crown, bab"),
        ("--model linear --eps -1", "--eps"),
        ("--model linear --norm l3", "--norm"),
        ("--model linear --attack apgd", "unknown attack \"apgd\""),
        ("--model lenet-small", "m.safetensors"),
        ("--model lenet-smal", "did you mean \"lenet-small\""),
    ] {
        let certify = if arguments.contains("--eps") { certify.replace(" --eps 0.1", "") } else { certify.to_string() };
        let done = sandbox.run(&format!("{certify} {arguments}"));
        assert_eq!(done.code, 2, "{arguments}: {}", done.err);
        assert!(done.err.contains(words), "{arguments}: {}", done.err);
    }
}
