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
        ("--model linear --methods ibp,milp", "--methods \"milp\" is none of ibp, kw, crown, bab"),
        ("--model linear --eps -1", "--eps"),
        ("--model linear --norm l3", "--norm"),
        ("--model linear --attack apgd", "unknown attack \"apgd\""),
        ("--model lenet-small", "m.safetensors"),
        ("--model lenet-smal", "did you mean \"lenet-small\""),
        (
            "--model linear --norm l2 --eps 1 --methods ibp --attack noise --export-open out",
            "--export-open writes boxes",
        ),
        ("--model linear --property p.vnnlib", "cannot be used with"),
    ] {
        let certify = if arguments.contains("--eps") { certify.replace(" --eps 0.1", "") } else { certify.to_string() };
        let done = sandbox.run(&format!("{certify} {arguments}"));
        assert_eq!(done.code, 2, "{arguments}: {}", done.err);
        assert!(done.err.contains(words), "{arguments}: {}", done.err);
    }
}

#[test]
fn what_stays_open_is_written_for_others_and_answered_in_their_format() {
    let sandbox = trained("lenet-small");
    let open = |eps: &str, folder: &str| {
        let certify =
            "certify --model lenet-small --checkpoint m.safetensors --data tiny --take 12 --methods ibp --attack noise";
        let found = sandbox.json(&format!("{certify} --eps {eps} --export-open {folder}"));
        let instances = sandbox.read(&format!("{folder}/instances.csv"));
        assert_eq!(instances.lines().count() as u64, found["open"].as_u64().unwrap(), "{instances}");
        let property = |line: &str| line.split(',').nth(1).unwrap().to_string();
        instances.lines().map(property).collect::<Vec<_>>()
    };
    let answer = |folder: &str, property: &str| {
        sandbox.ok(&format!("certify --model onnx:{folder}/net.onnx --property {folder}/{property} --nodes 60")).out
    };
    // Intervals leave open what better bounds prove.
    let narrow = open("0.003", "narrow");
    let proved = narrow.iter().filter(|p| answer("narrow", p).trim() == "unsat").count();
    assert!(proved > 0, "none of {}", narrow.len());
    // Of such a ball there are counterexamples, and the witness is one.
    let wide = open("0.4", "wide");
    let told = answer("wide", &wide[0]);
    assert!(told.starts_with("sat\n((X_0 ") && told.contains("(Y_9 "), "{}", &told[..told.len().min(200)]);
    let object = sandbox.json(&format!("certify --model onnx:wide/net.onnx --property wide/{}", wide[0]));
    assert!(object["result"] == "sat" && object["witness"]["slack"].as_f64().unwrap() >= 0.0, "{}", object["result"]);
    for (arguments, words) in [
        ("--model lenet-small --property wide/instances.csv", "--model onnx:net.onnx"),
        ("--model onnx:wide/net.onnx --property none.vnnlib", "none.vnnlib"),
        ("--model onnx:wide/net.onnx", "--data"),
    ] {
        let done = sandbox.run(&format!("certify {arguments}"));
        assert!(done.code == 2 && done.err.contains(words), "{arguments}: {}", done.err);
    }
}

#[test]
fn a_suite_shows_both_ends_and_goes_on_where_it_was() {
    let sandbox = Sandbox::new();
    let suite = r#"
format = 1
name = "ends"
data = "tiny"
model = { name = "mlp", hidden = [16] }
take = 30
train = { epochs = 3, batch = 50, optimiser = { name = "adam", lr = 4e-3 }, validation = 50 }
[[row]]
recipe = "ce"
[[row]]
recipe = { name = "ibp", eps = "0.05", warm_up = 1.0, ramp = 1.0 }
[[attack]]
name = "pgd"
eps = ["0.01", "0.05"]
steps = 10
[[certify]]
eps = ["0.01", "0.05"]
methods = ["ibp", "crown", "bab"]
nodes = 40
[[expect]]
row = "ibp"
attack = "bounds"
eps = "0.05"
minus = { row = "ce" }
at_least = -100
"#;
    sandbox.write("ends.toml", suite);
    let told = sandbox.ok("run ends.toml").out;
    assert!(told.contains("bounds ε = 0.01") && told.contains("worst case ε = 0.05"), "{told}");
    let digest = sandbox.ok("report reports/ends --json").out;
    let markdown = sandbox.read("reports/ends/table.md");
    assert!(markdown.contains("(exact)") || markdown.contains('–'), "{markdown}");
    let csv = sandbox.read("reports/ends/summary.csv");
    let value = |attack: &str, row: &str| -> f64 {
        let line = csv.lines().find(|l| l.starts_with(&format!("ends,{row},{attack},linf,0.05,"))).unwrap();
        line.split(',').nth(7).unwrap().parse().unwrap()
    };
    for row in ["ce", "ibp"] {
        assert!(
            value("bounds", row) <= value("worst case", row) && value("worst case", row) <= value("pgd", row),
            "{csv}"
        );
    }
    assert!(!digest.is_empty());
    // Once more: nothing is left to do, and the files are the same.
    let before = sandbox.read("reports/ends/summary.csv");
    let plan = sandbox.ok("run ends.toml").err;
    assert!(!plan.contains("failed"), "{plan}");
    assert_eq!(sandbox.read("reports/ends/summary.csv"), before);
    // Proofs are repeated from the record alone.
    let verified = sandbox.json("verify reports/ends --sample 6");
    for record in verified.as_array().unwrap() {
        let cells = record["cells"].as_array().unwrap();
        let bounds: Vec<_> = cells.iter().filter(|c| c["attack"] == "bounds").collect();
        assert!(bounds.len() == 2 && bounds.iter().all(|c| c["compared"] == 6 && c["holds"] == true), "{record}");
    }
    for (text, words) in [
        ("methods = [\"milp\"]", "unknown method"),
        ("methods = []", "there is no method"),
        ("methods = [\"ibp\", \"ibp\"]", "listed twice"),
        ("label = \"pgd\"", "heads the columns of another"),
        ("executed = \"f16\"", "`executed` is"),
        ("norm = \"l3\"", "unknown norm"),
        ("node = 3", "did you mean \"nodes\""),
    ] {
        let odd = format!("{suite}\n[[certify]]\nlabel = \"odd\"\neps = \"0.1\"\n{text}\n");
        let odd = if text.starts_with("label") { odd.replace("label = \"odd\"\n", "") } else { odd };
        sandbox.write("odd.toml", &odd);
        let done = sandbox.run("check odd.toml");
        assert!(done.code == 2 && done.err.contains(words), "{text}: {}", done.err);
    }
}
