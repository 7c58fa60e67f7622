//! `gauntlet train` and `gauntlet attack`: the commands that other programs call.

use crate::sandbox::{self, Sandbox};
use serde_json::Value;

const ATTACK: &str = "attack --model lenet-small --checkpoint m.safetensors --data tiny --take 80 --seed 0 --threads 2";

fn trained() -> Sandbox {
    let sandbox = Sandbox::new();
    let train = "train --model lenet-small --recipe ce --data tiny --epochs 3 --batch 50 --lr 0.004 --validation 50";
    let curve = sandbox.json(&format!("{train} --out m.safetensors"));
    assert_eq!(curve["curve"].as_array().unwrap().len(), 3);
    assert!(curve["checkpoint_sha256"].as_str().unwrap().starts_with("sha256:"));
    sandbox
}

fn number(object: &Value, key: &str) -> f64 {
    object[key].as_f64().unwrap_or_else(|| panic!("{key} of {object}"))
}

/// A training and an attack, whatever vectors the CPU has.
#[test]
fn every_instruction_set_trains_the_same_weights_and_breaks_the_same_images() {
    let sandbox = Sandbox::new();
    let on = |isa: &str, line: &str| {
        let done = sandbox::done(sandbox.command(&format!("{line} --json")).env("GAUNTLET_ISA", isa).output().unwrap());
        serde_json::from_str::<Value>(&done.expect(0).out).unwrap()
    };
    let refused = sandbox.command("list models").env("GAUNTLET_ISA", "mmx").output().unwrap();
    let sets = sandbox::done(refused).expect(2).says(&["GAUNTLET_ISA is \"mmx\"; this CPU has"]).err;
    let sets: Vec<&str> = sets.split("this CPU has ").nth(1).unwrap().trim().split(", ").collect();
    let runs: Vec<_> = sets
        .iter()
        .map(|isa| {
            let recipe = r#"{name="grad-norm",weight=1.0}"#;
            let train = format!("train --model lenet-small --recipe {recipe} --data tiny --epochs 1 --batch 50");
            let trained = on(isa, &format!("{train} --validation 50 --out {isa}.safetensors"));
            let attack = ATTACK.replace("m.safetensors", &format!("{isa}.safetensors"));
            on(isa, &format!("{attack} --attack apgd-ce --steps 5 --eps 0.05 --verdicts {isa}.csv"));
            assert_eq!(on(isa, "doctor")["kernels"], *isa);
            (trained["checkpoint_sha256"].clone(), sandbox.read(&format!("{isa}.csv")))
        })
        .collect();
    assert!(runs.iter().all(|run| *run == runs[0]), "{sets:?}");
}

#[test]
fn an_attack_prints_one_object_with_the_promised_keys() {
    let sandbox = trained();
    let pgd = sandbox.json(&format!("{ATTACK} --attack pgd --eps 0.05 --alpha 0.01 --steps 10"));
    for key in ["clean_accuracy", "robust_accuracy", "n", "seconds", "forwards", "backwards"] {
        assert!(pgd[key].is_number(), "{key} of {pgd}");
    }
    assert_eq!(number(&pgd, "n"), 80.0);
    let (clean, robust) = (number(&pgd, "clean_accuracy"), number(&pgd, "robust_accuracy"));
    assert!(clean > 0.3 && robust < clean, "{pgd}");
    // At most a clean forward, ten steps, a last look and the referee's for each example.
    assert!(number(&pgd, "forwards") >= 80.0 && number(&pgd, "backwards") <= 10.0 * 256.0 * 2.0, "{pgd}");
    let again = sandbox.json(&format!("{ATTACK} --attack pgd --eps 0.05 --alpha 0.01 --steps 10"));
    assert_eq!(again["robust_accuracy"], pgd["robust_accuracy"]);

    // The smallest ε is no attack; fgsm is pgd with one step of ε from the clean image.
    let nothing = sandbox.json(&format!("{ATTACK} --attack pgd --eps 1e-6 --steps 5"));
    assert_eq!(nothing["robust_accuracy"], nothing["clean_accuracy"]);
    let fgsm = sandbox.json(&format!("{ATTACK} --attack fgsm --eps 0.02,0.05"));
    let budgets: Vec<f64> = fgsm["by_eps"].as_array().unwrap().iter().map(|e| number(e, "robust_accuracy")).collect();
    assert!(budgets.len() == 2 && budgets[1] <= budgets[0] && budgets[0] <= clean, "{fgsm}");
    let text = sandbox.ok(&format!("{ATTACK} --attack fgsm --eps 0.05")).out;
    assert!(text.contains("n = 80 test examples of tiny") && text.contains("fgsm L∞ ε = 0.05"), "{text}");
}

#[test]
fn slots_and_threads_change_no_verdict() {
    let sandbox = trained();
    let list = r#"{name="worst-case",attacks=[{name="apgd-ce",steps=20},{name="apgd-t",steps=10},{name="fab-t",steps=10},{name="square",queries=100}]}"#;
    let run = |slots: usize, threads: usize, file: &str| {
        let line = ATTACK.replace("--threads 2", &format!("--threads {threads}"));
        sandbox.ok(&format!("{line} --eps 0.04 --attack {list} --slots {slots} --verdicts {file}"));
        sandbox.read(file)
    };
    let wide = run(1000, 2, "wide.csv");
    assert!(wide.contains(",robust,") && wide.contains(",broken,"), "{wide}");
    for (slots, threads) in [(32, 1), (256, 2), (7, 2)] {
        assert_eq!(run(slots, threads, "other.csv"), wide, "{slots} slots, {threads} threads");
    }
}

#[test]
fn examples_are_saved_and_transferred() {
    let sandbox = trained();
    let pgd = "--attack pgd --eps 0.05,0.1 --steps 10";
    let whole = sandbox.json(&format!("{ATTACK} {pgd} --save kept --eight-bit --verdicts v.csv"));
    assert_eq!(whole["saved"].as_array().unwrap().len(), 4, "{whole}");
    for name in ["adversarial-0.05.safetensors", "adversarial-0.1.png"] {
        assert!(sandbox.path("kept").join(name).exists(), "{name}");
    }
    assert!(whole["notes"].to_string().contains("stay broken in 8 bits"), "{whole}");
    let table = sandbox.read("v.csv");
    assert!(
        table.starts_with("eps,index,label,predicted,id,fate,restart,steps,size,margin,")
            && table.lines().count() == 161
    );
    let broken = table.lines().filter(|l| l.starts_with("0.1,") && l.contains(",broken,")).count();
    let robust = number(&whole["by_eps"][1], "robust_accuracy") * 80.0;
    let clean = number(&whole, "clean_accuracy") * 80.0;
    assert_eq!(broken as f64, clean - robust);

    let own = sandbox.json(&format!("{ATTACK} --attack fgsm --eps 0.05 --surrogate m.safetensors"));
    let fgsm = sandbox.json(&format!("{ATTACK} --attack fgsm --eps 0.05"));
    assert_eq!(own["robust_accuracy"], fgsm["robust_accuracy"]);
    assert_eq!(own["attack"]["args"]["surrogate"], "m.safetensors");
    sandbox.ok("train --model linear --recipe ce --data tiny --epochs 1 --validation 50 --out l.safetensors");
    let other = sandbox.json(&format!("{ATTACK} {pgd} --surrogate l.safetensors --surrogate-model linear"));
    let transferred: Vec<f64> =
        other["by_eps"].as_array().unwrap().iter().map(|e| number(e, "robust_accuracy")).collect();
    assert!(transferred[1] <= transferred[0] && transferred[0] <= number(&other, "clean_accuracy"), "{other}");
    let says = |line: &str, needles: &[&str]| sandbox.run(line).expect(2).says(needles);
    says(&format!("{ATTACK} {pgd} --surrogate l.safetensors"), &["l.safetensors", "says it is a linear"]);
    says(&format!("{ATTACK} --attack fab --eps 0.1 --surrogate m.safetensors"), &["an attack with a budget"]);
    says(&format!("{ATTACK} {pgd} --eight-bit"), &["--save"]);
    says(&format!("{ATTACK} {pgd} --save kept --journal j"), &["--journal", "--save"]);
    sandbox.run(&format!("{ATTACK} {pgd} --save m.safetensors/below")).expect(3).says(&["m.safetensors/below"]);
}

#[test]
fn what_cannot_be_attacked_is_refused_with_the_way_out() {
    let sandbox = trained();
    let says = |line: &str, code: i32, needles: &[&str]| {
        sandbox.run(line).expect(code).says(needles);
    };
    let with =
        |model: &str, rest: &str| format!("attack --model {model} --checkpoint m.safetensors --data tiny {rest}");
    says(&with("lenet-small", "--attack pgd --eps -0.1"), 2, &["--eps", "must be at least 0", "\"-0.1\""]);
    says(&with("lenet-small", "--attack pgd --eps eight"), 2, &["must be a number or a fraction", "\"8/255\""]);
    for (eps, needles) in [
        ("0", ["must be above 0, got \"0\"", "clean accuracy"]),
        ("8", ["must be at most 1 in L∞, got \"8\"", "write \"8/255\""]),
        ("0.1,0.1", ["\"0.1\" is listed twice", "remove one"]),
        ("1e-30", ["at least 0.000001", "8/255"]),
    ] {
        says(&with("lenet-small", &format!("--attack pgd --eps {eps}")), 2, &needles);
    }
    let short = "--attack bim --eps 0.3 --steps 5 --alpha";
    says(&with("lenet-small", &format!("{short} 0")), 2, &["bim.alpha", "must be above 0"]);
    let needles = ["5 steps of 0.001 get 0.005 far", "never to ε = 0.3 in L∞", "take 300 steps or more"];
    says(&with("lenet-small", &format!("{short} 0.001")), 2, &needles);
    says(
        "train --model linear --recipe ce --data tiny --out l.safetensors --monitor-eps 8",
        2,
        &["--monitor-eps", "at most 1 in L∞", "\"8/255\""],
    );
    says(
        "train --model linear --recipe {name=\"pgd-at\",eps=\"8\"} --data tiny --out l.safetensors",
        2,
        &["pgd-at.eps", "at most 1 in L∞"],
    );
    says(&with("lenet-small", "--attack pdg --eps 0.1"), 2, &["unknown attack \"pdg\"", "did you mean \"pgd\"?"]);
    says(&with("lenet-smal", "--attack pgd --eps 0.1"), 2, &["unknown model", "did you mean \"lenet-small\"?"]);
    says(&with("lenet-small", "--attack fgsm --steps 3 --eps 0.1"), 2, &["parameter of fgsm", "\"steps\""]);
    says(&with("lenet-small", "--attack pgd --steps 0 --eps 0.1"), 2, &["pgd.steps", "at least 1"]);
    says(&with("lenet-small", "--attack pgd --alpha -1 --eps 0.1"), 2, &["must be at least 0", "\"-1\""]);
    says(&with("lenet-small", "--attack pgd --norm l3 --eps 0.1"), 2, &["--norm", "unknown norm \"l3\""]);
    says(
        &with("mlp", "--attack pgd --eps 0.1"),
        2,
        &["m.safetensors", "it does not fit mlp", "says it is a lenet-small"],
    );
    let elsewhere = with("lenet-small", "--attack pgd --eps 0.1");
    says(&elsewhere.replace("m.safe", "no.safe"), 2, &["cannot read no.safetensors", "No such file"]);
    says(&elsewhere.replace("tiny", "tyni"), 2, &["tyni", "did you mean \"tiny\"?"]);

    let whole = std::fs::read(sandbox.path("m.safetensors")).unwrap();
    sandbox.write("m.safetensors", &whole[..whole.len() / 2]);
    says(&elsewhere, 2, &["not a whole safetensors file", "copy or train it again"]);
    sandbox.write("m.safetensors", poisoned(&sandbox, &whole));
    says(&elsewhere, 2, &["contains NaN", "nothing can be measured"]);

    let json = sandbox.run(&format!("{elsewhere} --json")).expect(2);
    let object: Value = serde_json::from_str(&json.out).unwrap();
    assert!(object["error"].as_str().unwrap().contains("contains NaN") && object["exit_code"] == 2, "{object}");
}

#[test]
fn checkpoints_come_from_pytorch_and_from_the_hub() {
    let sandbox = Sandbox::new();
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/checkpoints");
    let says = |checkpoint: &str, code: i32, needles: &[&str]| {
        let line = format!("attack --model linear --data tiny --attack fgsm --eps 0.1 --checkpoint {checkpoint}");
        sandbox.run(&line).expect(code).says(needles);
    };
    // PyTorch's file is read as such: it is another network's.
    says(&format!("{golden}/plain.pt"), 2, &["plain.pt: it does not fit linear", "1.weight is [3, 4], the model's is"]);
    says(&format!("{golden}/legacy.pt"), 2, &["legacy.pt: it does not fit linear", "1.weight is [3, 4]"]);
    says(&format!("{golden}/module.pt"), 2, &["module.pt: holds a whole object", "torch.save(torch.load("]);
    says(
        "hf:me/net",
        2,
        &["--checkpoint \"hf:me/net\" names no file", "write hf:owner/repo/file.safetensors@revision"],
    );
    says("hf:me/net/m.pt@v1", 3, &["cannot fetch m.pt of me/net from http://127.0.0.1:9", "give its path"]);
}

/// The checkpoint with one weight that is not a number.
fn poisoned(sandbox: &Sandbox, whole: &[u8]) -> Vec<u8> {
    let path = sandbox.path("m.safetensors").display().to_string();
    let (mut tensors, metadata) = gauntlet::core::checkpoint::from_bytes(&path, whole).unwrap();
    let bias = tensors.keys().find(|n| n.ends_with("bias")).unwrap().clone();
    let nan = tensors[&bias].affine(0.0, f64::NAN).unwrap();
    tensors.insert(bias, nan);
    gauntlet::core::checkpoint::to_bytes(tensors.iter().map(|(n, t)| (n.as_str(), t)), metadata).unwrap()
}

#[test]
fn a_training_that_is_done_is_found_again() {
    let sandbox = Sandbox::new();
    let line = "train --model linear --recipe grad-norm --data tiny --epochs 1 --validation 50 --out a.safetensors";
    sandbox.run(line).expect(2).says(&["grad-norm.weight", "is required"]);
    let table = r#""$GAUNTLET" train --model linear --data tiny --epochs 1 --validation 50 --out a.safetensors \
        --recipe '{ name = "grad-norm", weight = 0.5 }' --optimiser '{ name = "sgd", lr = 0.1, momentum = 0.9 }'"#;
    let first = sandbox.shell(table).expect(0);
    let second = sandbox.shell(table).expect(0);
    assert_eq!(first.out, second.out);
    assert!(first.err.contains("epoch 1") && second.err.contains("in the store"), "{}", second.err);
    let wrong = |flag: &str, needles: &[&str]| {
        let line = format!("train --model linear --recipe ce --data tiny --out a.safetensors {flag}");
        sandbox.run(&line).expect(2).says(needles);
    };
    wrong("--epochs 0", &["--epochs must be at least 1"]);
    wrong("--lr -1", &["lr must be above 0, got -1"]);
    wrong("--optimiser sdg", &["--optimiser", "unknown variant `sdg`"]);
    wrong("--validation 4000", &["validation", "400"]);
    wrong("--recipe {", &["--recipe"]);
}

#[test]
fn several_draws_are_told_beside_the_first() {
    let sandbox = trained();
    let found = sandbox.json(&format!("{ATTACK} --attack fgsm --eps 0.05 --draws 3 --verdicts v.csv"));
    // This model is not random: every draw says what the first said.
    let cell = &found["by_eps"][0];
    assert_eq!(cell["over_draws"], cell["robust_accuracy"], "{cell}");
    let rates = cell["success_rates"].as_array().unwrap();
    assert!(rates.len() == 80 && rates.iter().all(|r| r.is_null() || *r == 0.0 || *r == 1.0), "{cell}");
    let csv = sandbox.read("v.csv");
    assert!(csv.lines().all(|l| [",fooled", ",", ",0", ",3"].iter().any(|end| l.ends_with(end))), "{csv}");
    let text = sandbox.ok(&format!("{ATTACK} --attack fgsm --eps 0.05 --draws 3")).out;
    assert!(text.contains("fgsm L∞ ε = 0.05, mean of 3 draws"), "{text}");
    assert!(sandbox.json(&format!("{ATTACK} --attack fgsm --eps 0.05"))["by_eps"][0].get("over_draws").is_none());
    sandbox.run(&format!("{ATTACK} --attack fgsm --eps 0.05 --draws 0")).expect(2).says(&["--draws"]);
}
