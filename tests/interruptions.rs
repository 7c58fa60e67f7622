//! Kills and Ctrl-C: what was done is kept, and the records are those of a run that nobody disturbed.

use crate::sandbox::{SUITE, Sandbox, done, wait};
use std::path::Path;
use std::process::{Child, Command};

/// One row, longer: there is time to stop it in the middle.
fn slow() -> Sandbox {
    let sandbox = Sandbox::new();
    let (head, rest) = SUITE.split_once("[[row]]").unwrap();
    let (_, attacks) = rest.split_once("[[attack]]").unwrap();
    let row = "[[row]]\nbase = \"ce\"\npenalties = [{ name = \"grad-norm\", weight = 1.0 }]\n\n[[attack]]";
    let text = format!("{head}{row}{attacks}")
        .replace("epochs = 2", "epochs = 6")
        .replace("steps = 5", "steps = 400\nrestarts = 3");
    sandbox.write("slow.toml", text.replace("take = 60", "take = 100"));
    sandbox
}

fn undisturbed() -> Vec<(String, serde_json::Value, Vec<u8>)> {
    let sandbox = slow();
    sandbox.ok("run slow.toml");
    sandbox.results("reports/small")
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

fn lines(path: &Path) -> usize {
    std::fs::read_to_string(path).map_or(0, |t| t.lines().count())
}

#[test]
fn kills_and_interruptions_leave_no_trace_in_the_records() {
    let expected = undisturbed();
    assert_eq!(expected.len(), 1);

    let sandbox = slow();
    // Killed during the training, after its first saved state.
    let mut child = sandbox.start("run slow.toml");
    wait("a saved state", || !sandbox.find("runs/trainings", "state.safetensors").is_empty());
    child.kill().unwrap();
    let killed = done(child.wait_with_output().unwrap());
    assert_eq!(killed.code, -9, "{}", killed.err);
    assert!(sandbox.find("runs/trainings", "training.json").is_empty(), "it was killed too late to show anything");

    // Interrupted during the rest of the training.
    let child = sandbox.start("run slow.toml");
    let interrupted = at(&sandbox, child, |err| err.contains("goes on at epoch"), "INT");
    assert_eq!(interrupted.code, 130, "{}", interrupted.err);
    assert!(interrupted.err.contains("run the same command again"), "{}", interrupted.err);

    // Killed during the attack, after its first written verdicts.
    let journal = || sandbox.find("runs/evaluations", "partial.jsonl");
    let mut child = sandbox.start("run slow.toml");
    wait("a verdict", || journal().iter().any(|p| lines(p) > 0));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!sandbox.path("reports/small/table.md").exists(), "it was killed too late to show anything");

    // Ended once more, as a scheduler does it, then left in peace.
    let child = sandbox.start("run slow.toml");
    let ended = at(&sandbox, child, |err| err.contains("100 test images"), "TERM");
    assert_eq!(ended.code, 130, "{}", ended.err);
    assert!(!sandbox.path("reports/small/table.md").exists(), "it ended too late to show anything");
    sandbox.ok("run slow.toml");
    assert_eq!(sandbox.results("reports/small"), expected);
}

/// Sends a signal as soon as what the process wrote to stderr satisfies `when`.
fn at(sandbox: &Sandbox, mut child: Child, when: impl Fn(&str) -> bool, name: &str) -> crate::sandbox::Done {
    use std::io::{BufRead, BufReader, Read};
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let mut seen = String::new();
    while !when(&seen) {
        let read = err.read_line(&mut seen).unwrap();
        assert!(read > 0, "ended before the signal, in {}:\n{seen}", sandbox.path("").display());
    }
    signal(&child, name);
    err.read_to_string(&mut seen).unwrap();
    let mut ended = done(child.wait_with_output().unwrap());
    ended.err = seen;
    ended
}

#[test]
fn a_single_attack_that_is_interrupted_says_that_it_keeps_nothing() {
    let sandbox = Sandbox::new();
    sandbox.ok("train --model linear --recipe ce --data tiny --epochs 1 --validation 50 --out m.safetensors");
    let child = sandbox.start(
        "attack --model linear --checkpoint m.safetensors --data tiny --attack pgd --steps 1000000 --eps 0.0001 --take 100",
    );
    let ended = at(&sandbox, child, |err| err.contains("100 test images"), "INT");
    assert_eq!(ended.code, 130, "{}", ended.err);
    assert!(ended.err.contains("keeps no state"), "{}", ended.err);
}

#[test]
fn an_attack_with_a_journal_goes_on_where_it_was_killed() {
    let sandbox = Sandbox::new();
    sandbox.ok("train --model linear --recipe ce --data tiny --epochs 1 --validation 50 --out m.safetensors");
    let line = |more: &str| {
        format!(
            "attack --model linear --checkpoint m.safetensors --data tiny --attack square --eps 0.02 --take 100 \
             --threads 1 {more}"
        )
    };
    let child = sandbox.start(&line("--journal j.jsonl"));
    let started = std::time::Instant::now();
    while lines(&sandbox.path("j.jsonl")) < 3 && started.elapsed().as_secs() < 60 {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    signal(&child, "KILL");
    at(&sandbox, child, |_| true, "KILL");
    let known = lines(&sandbox.path("j.jsonl"));
    assert!(known >= 3, "only {known} lines");
    sandbox.ok(&line("--journal j.jsonl --verdicts resumed.csv"));
    sandbox.ok(&line("--verdicts whole.csv"));
    assert_eq!(sandbox.read("resumed.csv"), sandbox.read("whole.csv"));
    assert_eq!(sandbox.read("whole.csv").lines().count(), 101);
    sandbox.run(&line("--journal j.jsonl --seed 1")).expect(3).says(&["j.jsonl", "not the journal of this attack"]);
}
