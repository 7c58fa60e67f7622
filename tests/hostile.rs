//! What a user's mistake or an attacker's file must not do: hang, abort, take the memory, or be found too late.

use crate::sandbox::{SUITE, Sandbox};
use std::time::Instant;

const WIDE: &str = "'{ name = \"mlp\", hidden = [65536, 65536] }'";

fn trained(sandbox: &Sandbox, file: &str) {
    let train = "train --model linear --recipe ce --data tiny --epochs 1 --batch 50 --validation 50 --out";
    sandbox.ok(&format!("{train} {file}"));
}

#[test]
fn files_that_are_none_are_refused_at_once() {
    let sandbox = Sandbox::new();
    sandbox.shell("mkfifo pipe").expect(0);
    let start = Instant::now();
    let attack = "attack --model linear --data tiny --attack fgsm --eps 0.1 --checkpoint";
    sandbox
        .run(&format!("{attack} pipe"))
        .expect(2)
        .says(&["checkpoint pipe: it is a pipe, and a regular file is needed"]);
    sandbox.run(&format!("{attack} /dev/zero")).expect(2).says(&["/dev/zero: it is a device"]);
    sandbox.run("check pipe.toml").expect(2);
    sandbox.shell("mkfifo s.toml").expect(0);
    sandbox.run("check s.toml").expect(2).says(&["cannot read suite s.toml: it is a pipe"]);
    assert!(start.elapsed().as_secs() < 10);
}

#[test]
fn a_suite_has_a_size_and_its_complaints_a_number() {
    let sandbox = Sandbox::new();
    let head = SUITE.split("[[row]]").next().unwrap();
    let rows = "[[row]]\nid = \"same\"\nrecipe = \"ce\"\n".repeat(20_000);
    sandbox.write("many.toml", format!("{head}{rows}[[attack]]\nname = \"fgsm\"\neps = [\"0.1\"]\n"));
    let start = Instant::now();
    let done = sandbox
        .run("check many.toml")
        .expect(2)
        .says(&["two rows are called \"same\"", "and 19979 more; mend these first"]);
    assert_eq!(done.err.matches("two rows are called").count(), 20);
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
    sandbox.write("long.toml", "#".repeat(2 << 20));
    sandbox.run("check long.toml").expect(2).says(&["it has 2097152 bytes, and a suite has at most 1048576"]);
}

#[test]
fn what_no_page_can_show_and_what_no_file_can_be_called_is_refused_by_check() {
    let sandbox = Sandbox::new();
    let check = |from: &str, to: &str, words: &[&str]| {
        assert!(SUITE.contains(from), "{from}");
        sandbox.write("wrong.toml", SUITE.replacen(from, to, 1));
        sandbox.run("check wrong.toml").expect(2).says(words);
    };
    let control = "this text has the control character '\\u{1b}', which no page or picture can show";
    check("id = \"ce\"", "id = \"ce\"\nnote = \"\\u001b[2J\"", &[control, "wrong.toml:18:8"]);
    check("format = 1", "format = 1\nnotes = [\"fine\", \"\\u001b\"]", &[control]);
    check("id = \"kept\"", &format!("id = \"{}\"", "a".repeat(300)), &["it may have at most 128 bytes, got 300"]);
    check("name = \"small\"", &format!("name = \"{}\"", "a".repeat(300)), &["cannot name a folder", "128 at most"]);
    let manifest = sandbox.read("datasets/tiny.toml");
    sandbox.write("datasets/tiny.toml", manifest.replace("\"3\"", "\"\\u001b\""));
    sandbox.run("check small.toml").expect(2).says(&["has the control character '\\u{1b}'"]);
    sandbox.write("datasets/tiny.toml", manifest);
    let script = "fn loss(step) { [term(\"a\\x1b\", 1.0, step.cross_entropy(step.input()))] }\n";
    sandbox.write("e.rhai", script);
    sandbox.write("wrong.toml", SUITE.replacen("recipe = \"ce\"", "recipe = \"script:e.rhai\"", 1));
    sandbox.run("check wrong.toml").expect(2).says(&["e.rhai:1:23: this text has the control character"]);
    // A mark that some editors put before a text is none.
    sandbox.write("e.rhai", format!("\u{feff}{}", script.replace("\\x1b", "")));
    sandbox.ok("check wrong.toml");
}

#[test]
fn options_out_of_range_are_told_with_their_value() {
    let sandbox = Sandbox::new();
    let start = Instant::now();
    sandbox.run("doctor --threads 5000").expect(2).says(&["--threads 5000: this machine has", "at most"]);
    assert!(start.elapsed().as_secs() < 5);
    let train = "train --model linear --recipe ce --data tiny --out a.safetensors";
    sandbox.run(&format!("{train} --seed -1")).expect(2).says(&["invalid value '-1' for '--seed"]);
    sandbox.run(&format!("{train} --epochs -3")).expect(2).says(&["invalid value '-3' for '--epochs"]);
    sandbox.run(&format!("{train} --lr -0.1")).expect(2).says(&["lr must be above 0, got -0.1"]);
}

#[test]
fn a_model_is_priced_before_it_is_built() {
    let sandbox = Sandbox::new();
    trained(&sandbox, "m.safetensors");
    let start = Instant::now();
    let shell = |line: &str| sandbox.shell(&format!("ulimit -v 8000000; \"$GAUNTLET\" {line}"));
    let train = format!("train --model {WIDE} --recipe ce --data tiny --out a.safetensors");
    let words = |images: usize, size: &str| {
        let priced = "mlp has 4347133962 parameters: 4 copies (weights, gradients, optimiser)";
        [format!("{priced} and the outputs of its layers for {images} images would take {size}, and"), "--force".into()]
    };
    // A step of 128 images keeps 128 numbers of every output: 0.1 GB more than for 1.
    let said = words(128, "69.7 GB");
    shell(&train).expect(2).says(&said.each_ref().map(String::as_str));
    let attack = format!("attack --model {WIDE} --checkpoint m.safetensors --data tiny --attack fgsm --eps 0.1");
    shell(&attack).expect(2).says(&["2 copies (weights, gradients, optimiser) would take 34.8 GB"]);
    sandbox.write("wide.toml", SUITE.replace("\"lenet-small\"", &WIDE.replace('\'', "")));
    let said = words(50, "69.6 GB");
    shell("run wide.toml").expect(2).says(&said.each_ref().map(String::as_str));
    // With --force it goes on, here to a checkpoint of another model.
    shell(&format!("{attack} --force")).expect(2).says(&["it does not fit mlp"]);
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}

#[cfg(target_os = "linux")]
#[test]
fn full_devices_and_file_limits_have_an_exit_code_and_words() {
    let sandbox = Sandbox::new();
    let line = "\"$GAUNTLET\" report nowhere --json > /dev/full";
    sandbox.shell(line).expect(3).says(&["nowhere", "cannot write to stdout: No space left on device"]);
    sandbox.shell("\"$GAUNTLET\" list models --json > /dev/full").expect(3).says(&["cannot write to stdout"]);
    sandbox.shell("\"$GAUNTLET\" report nowhere 2> /dev/full").expect(2);
    let done = sandbox.shell("ulimit -f 4; \"$GAUNTLET\" run small.toml").expect(3);
    done.says(&["File too large", "free some space or choose another folder for the store; what is finished is kept"]);
    sandbox.ok("run small.toml");
}

#[test]
fn a_list_of_names_says_what_a_foreign_file_holds() {
    use gauntlet::core::checkpoint::{from_bytes, to_bytes};
    let sandbox = Sandbox::new();
    trained(&sandbox, "m.safetensors");
    let bytes = std::fs::read(sandbox.path("m.safetensors")).unwrap();
    let (tensors, _) = from_bytes("m", &bytes).unwrap();
    let attack = "attack --model linear --data tiny --attack fgsm --eps 0.1 --checkpoint";
    let accuracy = |line: &str| sandbox.json(&format!("{attack} {line}"))["clean_accuracy"].clone();
    let own = accuracy("m.safetensors");
    // Shapes that come once need no order, whatever the names.
    let renamed = |names: [&str; 2], more: Option<&str>| {
        let mut all = vec![(names[0], &tensors["1.weight"]), (names[1], &tensors["1.bias"])];
        all.extend(more.map(|name| (name, &tensors["1.bias"])));
        sandbox.write("foreign.safetensors", to_bytes(all.into_iter(), Default::default()).unwrap());
    };
    renamed(["z", "a"], None);
    let done = sandbox.run(&format!("{attack} foreign.safetensors --json")).expect(0);
    assert!(done.out.contains("by shape, since no two are alike"), "{}", done.out);
    assert_eq!(accuracy("foreign.safetensors"), own);
    // Two alike: the list of names decides.
    renamed(["z", "a"], Some("mean"));
    let said = [
        "by order and shape neither",
        "z [10, 784]",
        "in the order of the model's (1.weight [10, 784], 1.bias [10])",
        "--names FILE",
    ];
    sandbox.run(&format!("{attack} foreign.safetensors")).expect(2).says(&said);
    sandbox.write("names.txt", "z\na\n");
    assert_eq!(accuracy("foreign.safetensors --names names.txt"), own);
    sandbox.write("names.txt", "z\nb\n");
    sandbox.run(&format!("{attack} foreign.safetensors --names names.txt")).expect(2).says(&["line 2 names \"b\""]);
}
