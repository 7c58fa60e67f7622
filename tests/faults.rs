//! Mistakes and bad luck: each has a message that names the cause and the way out, and an exit code.

use crate::sandbox::{SUITE, Sandbox};

/// The suite with one edit, and what must be said about it: message, place, hint.
#[test]
fn mistakes_in_a_suite_are_shown_with_their_line_and_a_hint() {
    let sandbox = Sandbox::new();
    let cases: &[(&str, &str, &[&str])] = &[
        (
            "name = \"pgd\"",
            "name = \"pdg\"",
            &["unknown attack \"pdg\"", "^", "did you mean \"pgd\"?", "gauntlet list attacks"],
        ),
        ("recipe = \"ce\"", "recipe = \"grad-nrom\"", &["unknown recipe", "^", "did you mean \"grad-norm\"?"]),
        ("model = \"lenet-small\"", "model = \"lenet\"", &["unknown model \"lenet\"", "^", "gauntlet list models"]),
        ("data = \"tiny\"", "data = \"tinny\"", &["tinny", "^", "did you mean \"tiny\"?"]),
        ("steps = 5", "stpes = 5", &["\"stpes\"", "^", "did you mean \"steps\"?"]),
        ("epochs = 2", "epoch = 2", &["epoch", "^", "did you mean \"epochs\"?"]),
        ("take = 60", "tkae = 60", &["tkae", "^", "did you mean \"take\"?"]),
        ("graph = \"cut\"", "graph = \"cutt\"", &["cutt", "^", "did you mean \"cut\"?"]),
        ("[\"0.02\", \"0.05\"]", "[\"-0.02\"]", &["must be at least 0", "^", "-0.02"]),
        ("steps = 5", "steps = \"five\"", &["pgd.steps", "^", "whole number", "five"]),
        ("id = \"kept\"", "id = \"ce\"", &["ce", "^"]),
        ("seeds = [0]", "seeds = []", &["seeds", "^"]),
        ("epochs = 2", "epochs = 2 2", &["^"]),
        ("format = 1", "format = 7", &["format 7 is not known", "^", "this version reads format 1"]),
        (
            "optimiser = { name = \"adam\", lr = 4e-3 }",
            "optimiser = { name = \"adam\", lr = -1.0 }",
            &["lr must be above 0, got -1", "^"],
        ),
    ];
    for (right, wrong, needles) in cases {
        assert!(SUITE.contains(right), "{right}");
        let text = SUITE.replacen(right, wrong, 1);
        sandbox.write("wrong.toml", &text);
        let done = sandbox.run("run wrong.toml").expect(2).says(needles);
        let differs = |(a, b): (&str, &str)| a != b;
        let line = 1 + SUITE.lines().zip(text.lines()).position(differs).unwrap();
        let place = format!("--> wrong.toml:{line}:");
        assert!(done.err.contains(&place), "{place} is not in\n{}", done.err);
        assert_eq!(done.out, "");
    }
    assert!(!sandbox.path("runs").exists(), "nothing is done before the suite is understood");
    // Several mistakes are all named at once.
    sandbox.write("wrong.toml", SUITE.replace("\"pgd\"", "\"pdg\"").replace("epochs", "epoch"));
    sandbox.run("check wrong.toml").expect(2).says(&["\"pdg\"", "epoch"]);
}

#[test]
fn a_store_that_cannot_be_written_is_noticed_before_the_work() {
    let sandbox = Sandbox::new();
    sandbox.write("plain", "a file");
    let done =
        sandbox.run("run small.toml --runs plain/store").expect(3).says(&["cannot", "plain", "choose another folder"]);
    assert!(!done.err.contains("epoch"), "{}", done.err);
    assert_eq!(sandbox.read("plain"), "a file");
    let done =
        sandbox.run("run small.toml --only row=ce --out plain/report").expect(3).says(&["cannot create plain/report"]);
    assert!(!done.err.contains("epoch"), "{}", done.err);
}

#[test]
fn a_full_disk_costs_what_was_not_written_and_no_more() {
    let sandbox = Sandbox::new();
    // No file may grow beyond 100 KiB: the suite fits, a checkpoint does not.
    let done = sandbox.shell("trap '' XFSZ; ulimit -f 100; exec \"$GAUNTLET\" run small.toml --only row=ce").expect(3);
    let done = done.says(&["cannot write", "safetensors", "what is finished is kept"]);
    assert!(!done.err.contains("panicked"), "{}", done.err);
    assert!(sandbox.find("runs", ".partial").is_empty(), "no half files");
    sandbox.ok("run small.toml --only row=ce");
    // What goes to a full stdout is lost, and said to be.
    sandbox.shell("\"$GAUNTLET\" list attacks > /dev/full").expect(3).says(&["cannot write to stdout"]);
    // A reader that has seen enough is no fault.
    let piped =
        sandbox.shell("\"$GAUNTLET\" list recipes --verbose --json | head -c 1; exit ${PIPESTATUS[0]}").expect(0);
    assert_eq!(piped.out, "[");
}

#[test]
fn records_that_were_damaged_are_named_and_the_rest_is_shown() {
    let sandbox = Sandbox::new();
    sandbox.ok("run small.toml");
    sandbox.write("reports/small/records/kept-0.verdicts.csv.gz", "cell,id\n");
    std::fs::remove_file(sandbox.path("reports/small/records/cut-0.json")).unwrap();
    let done = sandbox.run("report reports/small").expect(4);
    assert!(done.out.contains("\nce ") && !done.out.contains("\nkept "), "{}", done.out);
    for needle in
        ["kept-0.verdicts.csv.gz: it is cut off", "cut-0.json: missing; repeat the run: gauntlet run small.toml"]
    {
        assert!(done.out.contains(needle), "{needle} is not in:\n{}", done.out);
    }
}

#[test]
fn a_hub_that_cannot_be_reached_is_the_environments_fault() {
    let sandbox = Sandbox::new();
    sandbox.write("small.toml", SUITE.replace("\"tiny\"", "\"mnist\""));
    sandbox.run("run small.toml").expect(3).says(&["http://127.0.0.1:9", "--data-dir"]);
    std::fs::create_dir(sandbox.path("empty")).unwrap();
    sandbox.run("run small.toml --data-dir empty").expect(2).says(&["mnist", "empty"]);
}
