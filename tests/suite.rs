//! A suite from data to tables, and again from the store, from records, on other threads.

use crate::sandbox::{SUITE, Sandbox};
use gauntlet::records::{Fate, Norm, Pictures, record_file};
use std::time::Instant;

#[test]
fn a_suite_runs_to_a_table_and_the_second_time_from_the_store() {
    let sandbox = Sandbox::new();
    let begun = Instant::now();
    let first = sandbox.ok("run small.toml");
    let slow = begun.elapsed();
    assert!(first.out.contains("worst case ε = 0.05") && first.out.contains("\nkept "), "{}", first.out);
    assert!(first.out.contains("cut equals ce bit for bit"), "{}", first.out);
    assert!(first.out.contains("with the graph kept the same penalty (kept) gives"), "{}", first.out);
    assert!(first.err.contains("training ce, seed 0: epoch 2"), "{}", first.err);
    for text in [&first.out, &first.err] {
        assert!(!text.contains('\x1b') && !text.contains('\r'), "no terminal, no escapes: {text:?}");
    }
    let table = sandbox.read("reports/small/table.md");
    assert!(
        table.contains("| recipe | clean | fgsm ε = 0.05 |") && table.contains("`gauntlet run small.toml`"),
        "{table}"
    );
    let csv = sandbox.read("reports/small/table.csv");
    assert_eq!(csv.lines().count(), 1 + 3 * 5, "clean, three cells and a worst case for three rows: {csv}");

    let begun = Instant::now();
    let second = sandbox.ok("run small.toml");
    let fast = begun.elapsed();
    assert_eq!(second.out, first.out);
    assert!(second.err.contains("ce, seed 0: in the store") && !second.err.contains("epoch"), "{}", second.err);
    assert_eq!(sandbox.read("reports/small/table.md"), table);
    assert!(fast < slow, "{fast:?} after {slow:?}");

    // Every record has pictures of its first examples, and the page shows them: those that its strongest attack found.
    let pictures = |folder: &str| {
        let file =
            |what: &str| std::fs::read(sandbox.path(&format!("{folder}/records/ce-0.{what}.safetensors.gz"))).unwrap();
        [file("pictures"), file("strongest-linf")]
    };
    let first_pictures = pictures("reports/small");
    let page = sandbox.read("reports/small/index.html");
    assert!(page.contains("id=\"gallery\"") && page.contains("ε = 0.05, seed 0</h3>"), "{page}");
    assert!(!page.contains("quick attack (pgd"), "{page}");

    // The committed records are enough: without the store nothing is trained again.
    std::fs::remove_dir_all(sandbox.path("runs")).unwrap();
    let third = sandbox.ok("run small.toml");
    assert!(!third.err.contains("epoch"), "{}", third.err);
    assert_eq!(sandbox.read("reports/small/table.md"), table);
    assert_eq!(sandbox.results("reports/small").len(), 3);
    assert_eq!(pictures("reports/small"), first_pictures);

    // Unless they are not to be believed: then everything is done again, with the same results.
    let fourth = sandbox.ok("run small.toml --fresh --runs new --out mine");
    assert!(fourth.err.contains("training ce, seed 0: epoch 2"), "{}", fourth.err);
    assert_eq!(sandbox.results("mine"), sandbox.results("reports/small"));
    assert_eq!(pictures("mine"), first_pictures);

    // The terminal's width is kept to, said by COLUMNS or asked of the terminal, with colours there unless they are unwanted.
    let narrow = sandbox.shell("COLUMNS=50 \"$GAUNTLET\" report reports/small").expect(0).out;
    assert!(narrow.lines().all(|l| l.chars().count() <= 50) && narrow.contains("▁ (0)"), "{narrow}");
    let terminal = "script -qec 'stty cols 50 rows 40; \"$GAUNTLET\" report reports/small' /dev/null";
    let here = |before: &str| {
        let shown = sandbox.shell(&format!("command -v script >/dev/null || exit 7; {before} {terminal}"));
        (shown.code != 7).then(|| shown.expect(0).out.replace('\r', ""))
    };
    if let (Some(plain), Some(bold), Some(ascii)) =
        (here("LC_ALL=C.UTF-8 NO_COLOR=1"), here("LC_ALL=C.UTF-8"), here("LC_ALL=C NO_COLOR=1"))
    {
        assert_eq!(plain, narrow);
        assert!(bold.contains("\x1b[1m") && ascii.is_ascii(), "{bold}{ascii}");
    }

    // And so are they for the tables alone.
    let again = sandbox.ok("report reports/small -o again");
    assert_eq!(sandbox.read("again/table.md"), table);
    assert_eq!(sandbox.read("again/table.csv"), csv);
    assert!(
        again.out.contains("written to again: table.md") && again.out.contains("index.html, plots/"),
        "{}",
        again.out
    );
    let page = sandbox.read("again/index.html");
    assert!(page.contains("<code id=\"command\">gauntlet run small.toml</code>"), "{page}");
    assert!(sandbox.read("again/table.tex").contains("\\toprule"));
    assert_eq!(sandbox.read("again/plots/training-ce.svg"), sandbox.read("reports/small/plots/training-ce.svg"));

    // Any number of reports in one order; a folder that is none is named and the rest ranked.
    let board = sandbox.run("leaderboard reports/small mine nowhere -o board").expect(4);
    assert!(board.out.contains("L∞ ε = 0.05") && board.out.contains("nowhere"), "{}", board.out);
    let board: serde_json::Value = serde_json::from_str(&sandbox.read("board/leaderboard.json")).unwrap();
    // The same weights count once: those of both reports, and those that the cut penalty did not change.
    let standings = board["boards"][0]["standings"].as_array().unwrap();
    let named = |s: &serde_json::Value| (s["row"].as_str().unwrap().to_string(), s["also"].to_string());
    let mut named: Vec<(String, String)> = standings.iter().map(named).collect();
    named.sort();
    assert_eq!(named, [("ce".into(), "[\"small: cut\"]".into()), ("kept".to_string(), "[]".to_string())], "{board}");
    sandbox.run("leaderboard nowhere").expect(2);
    let cells = sandbox.json("report reports/small")["cells"].as_array().unwrap().clone();
    assert_eq!(cells.len(), 15);
    assert!(cells.iter().all(|c| (0.0..=1.0).contains(&c["accuracy"].as_f64().unwrap()) && c["n"] == 60));
}

#[test]
fn the_gallery_shows_the_examples_that_the_table_counts() {
    let sandbox = Sandbox::new();
    let pgd = "name = \"pgd\"\neps = [\"0.02\", \"0.05\"]\nsteps = 5\n";
    let (fgsm, mine) =
        ("[[attack]]\nname = \"fgsm\"\neps = [\"0.05\"]\n", SUITE.replace("take = 60", "take = 60\ncarry = true"));
    let transfer =
        "name = \"transfer\"\nsurrogates = [\"kept\"]\nattack = { name = \"pgd\", steps = 5 }\neps = [\"0.1\"]\n";
    let smallest = "name = \"ddn\"\nnorm = \"l2\"\neps = [\"0.5\", \"1\"]\nsteps = 20\n";
    let suites = [
        SUITE.to_string(),
        mine,
        SUITE.replace(fgsm, "").replace(pgd, transfer),
        SUITE.replace(fgsm, "").replace(pgd, smallest),
    ];
    let mut attacked = 0;
    for (k, suite) in suites.iter().enumerate() {
        sandbox.write("small.toml", suite);
        sandbox.ok(&format!("run small.toml --fresh --out r{k}"));
        for row in ["ce", "kept", "cut"] {
            let records = sandbox.path(&format!("r{k}/records"));
            let result = record_file::read(&records.join(format!("{row}-0.json"))).unwrap().result;
            let cell = result.strongest()[0];
            let shown = Pictures::read(&Pictures::path_of_strongest(&records, &format!("{row}-0"), cell.norm))
                .unwrap()
                .unwrap();
            assert!(shown.shows(cell) && shown.shown.len() == 8, "{} for {}", shown.attack, cell.attack);
            // Attacked by themselves, these few examples fared as they did among all.
            for (picture, verdict) in shown.shown.iter().zip(&cell.verdicts) {
                assert_eq!(picture.id, verdict.id);
                let broken = matches!(verdict.fate, Fate::Broken | Fate::Carried);
                attacked += usize::from(broken);
                assert_eq!(broken, picture.delta_scale > 0.0, "{k} {row}: {verdict:?}");
                let wrong = broken || verdict.fate == Fate::Wrong;
                assert_eq!(wrong, picture.attacked.0 != picture.label, "{k} {row}: {verdict:?}");
                if broken && cell.norm == Norm::Linf {
                    let size = f64::from(picture.delta_scale);
                    assert!((size - verdict.size).abs() < 1e-6, "{k} {row}: {size} {verdict:?}");
                }
            }
        }
    }
    assert!(attacked > 10, "{attacked}");
}

#[test]
fn records_do_not_depend_on_threads() {
    let sandbox = Sandbox::new();
    sandbox.ok("run small.toml --threads 1 --runs one --out one-report --only row=kept");
    sandbox.ok("run small.toml --threads 2 --runs two --out two-report --only row=kept");
    let (one, two) = (sandbox.results("one-report"), sandbox.results("two-report"));
    assert_eq!(one.len(), 1);
    assert_eq!(one, two);
}

#[test]
fn parts_of_a_suite_add_up_to_its_table() {
    let sandbox = Sandbox::new();
    let first = sandbox.ok("run small.toml --only row=ce --quiet");
    assert_eq!(first.err, "", "--quiet is silent");
    assert!(!first.out.contains("kept"), "{}", first.out);
    let both = sandbox.ok("run small.toml --only recipe=grad-norm");
    assert!(both.out.contains("\nce ") && both.out.contains("\nkept ") && both.out.contains("\ncut "), "{}", both.out);
    // Parts of two versions of a suite are not one table, and said not to be.
    sandbox.write("small.toml", SUITE.replace("epochs = 2", "epochs = 1"));
    let mixed = sandbox.ok("run small.toml --only row=ce").out;
    assert!(mixed.contains("problem: kept, seed 0 and ce, seed 0 were trained with different settings"), "{mixed}");
    sandbox.run("run small.toml --only row=ec").expect(2).says(&["unknown row \"ec\"", "did you mean \"ce\"?"]);
    sandbox.run("run small.toml --only seed=7").expect(2).says(&["seeds [0]"]);
    sandbox.run("run small.toml --only colour=red").expect(2).says(&["row, recipe or seed"]);
}

#[test]
fn a_part_that_fails_is_reported_and_the_rest_goes_on() {
    let sandbox = Sandbox::new();
    let broken = SUITE.replace("id = \"kept\"", "id = \"boom\"").replace("weight = 1.0 }", "weight = 1e60 }");
    sandbox.write("broken.toml", broken);
    let done = sandbox.run("run broken.toml").expect(4).says(&["failed: boom, seed 0", "is not finite", "step"]);
    assert!(done.out.contains("boom †") && done.out.contains("failed: boom, seed 0"), "{}", done.out);
    assert!(done.out.contains("\nce "), "{}", done.out);
    let table = sandbox.read("reports/small/table.md");
    assert!(table.contains("| boom † | failed |") && table.contains("## Failed"), "{table}");
}

#[test]
fn check_tells_what_is_to_be_done() {
    let sandbox = Sandbox::new();
    let before = sandbox.ok("check small.toml");
    assert!(before.out.contains("3 of 3 trainings and 6 of 6 evaluations are still to be done"), "{}", before.out);
    assert!(before.out.contains("400 training images, 50 of them held out, 60 test images"), "{}", before.out);
    assert!(!sandbox.path("reports").exists(), "check writes no report");
    sandbox.ok("run small.toml --only row=ce");
    let after = sandbox.json("check small.toml");
    let states: Vec<&str> =
        after["trainings"].as_array().unwrap().iter().map(|t| t["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["stored", "missing", "missing"]);
    assert_eq!(after["suite"]["name"], "small");
}

/// A mean and a deviation beside the weights are the model's: under an attack by itself, in a suite, in the store, when it is verified.
#[test]
fn a_published_normalisation_goes_with_its_checkpoint() {
    let sandbox = Sandbox::new();
    sandbox.ok("train --model mlp --recipe ce --data tiny --epochs 1 --batch 50 --validation 50 --out t.safetensors");
    let whole = std::fs::read(sandbox.path("t.safetensors")).unwrap();
    let (mut tensors, _) = gauntlet::core::checkpoint::from_bytes("t.safetensors", &whole).unwrap();
    for (name, value) in [("mu", 0.25f32), ("sigma", 0.5)] {
        let one = gauntlet::candle::Tensor::new(&[value], &gauntlet::candle::Device::Cpu).unwrap();
        tensors.insert(name.into(), one.reshape((1, 1, 1, 1)).unwrap());
    }
    let named = tensors.iter().map(|(name, t)| (name.as_str(), t));
    sandbox.write("own.safetensors", gauntlet::core::checkpoint::to_bytes(named, Default::default()).unwrap());
    let attacked = |model: &str, file: &str| {
        let line = format!(
            "\"$GAUNTLET\" attack --model '{model}' --checkpoint {file} --data tiny --all --attack fgsm --eps 0.05 --json"
        );
        let done = sandbox.shell(&line).expect(0);
        let found: serde_json::Value = serde_json::from_str(&done.out).unwrap();
        (
            found["clean_accuracy"].clone(),
            found["robust_accuracy"].clone(),
            found["checkpoint_sha256"].clone(),
            done.err,
        )
    };
    let built = attacked(r#"{ name = "mlp", mean = [0.25], std = [0.5] }"#, "own.safetensors");
    let (plain, own) = (attacked("mlp", "t.safetensors"), attacked("mlp", "own.safetensors"));
    assert_eq!((&own.0, &own.1), (&built.0, &built.1));
    assert!(own.2 != plain.2 && built.2 == plain.2, "{own:?} {plain:?} {built:?}");
    let more = "\n[[row]]\nid = \"theirs\"\nmodel = \"mlp\"\ncheckpoint = \"own.safetensors\"\n";
    sandbox.write("small.toml", [SUITE, more].concat());
    let done = sandbox.ok("run small.toml --only row=theirs");
    let note = "the model normalises its images as the file says: mean = [0.25], std = [0.5]";
    assert!(done.err.contains(note), "{}", done.err);
    let records = sandbox.results("reports/small");
    sandbox.ok("run small.toml --only row=theirs --fresh");
    assert_eq!(sandbox.results("reports/small"), records);
    sandbox.ok("verify reports/small --sample 20");
}

#[test]
fn somebodys_checkpoint_stands_in_the_table_and_lends_its_examples() {
    let sandbox = Sandbox::new();
    let trained =
        sandbox.ok("train --model mlp --recipe ce --data tiny --epochs 2 --batch 50 --validation 50 --out t.pt");
    assert!(trained.out.contains("a step costs 1.00 × the multiplications of a step of ce"), "{}", trained.out);
    let more = r#"
[[row]]
id = "theirs"
model = "mlp"
checkpoint = "t.pt"

[[attack]]
name = "transfer"
surrogate = "theirs"
attack = "fgsm"
eps = "0.05"
"#;
    sandbox.write("small.toml", [SUITE, more].concat());
    // A row that is left out of the table is still there for those that need it.
    let done = sandbox.ok("run small.toml --only row=ce");
    assert!(
        done.err.contains("transfer on ce, seed 0 ε = 0.05") && !done.out.contains("theirs"),
        "{}{}",
        done.err,
        done.out
    );
    let done = sandbox.ok("run small.toml --only row=theirs");
    assert!(done.out.contains("\ntheirs ") && !done.err.contains("epoch"), "{}{}", done.out, done.err);
    let table = sandbox.read("reports/small/table.md");
    for say in [
        "- `theirs`: not trained here, its weights are t.pt\n",
        "- `theirs`: its model is mlp",
        "| theirs | 0 | 60 | – |",
    ] {
        assert!(table.contains(say), "{say}: {table}");
    }
    std::fs::remove_file(sandbox.path("t.pt")).unwrap();
    sandbox.run("run small.toml").expect(2).says(&["there is no file t.pt", "hf:owner/repo"]);
}

#[test]
fn a_checkpoint_that_is_the_users_to_bring_is_asked_for_and_fails_its_row_alone() {
    let sandbox = Sandbox::new();
    sandbox.ok("train --model lenet-small --recipe ce --data tiny --epochs 1 --batch 50 --validation 50 --out t.pt");
    let row = "\n[[row]]\nid = \"theirs\"\ncheckpoint = \"kept/t.pt\"\noptional = true\n";
    sandbox.write("small.toml", [SUITE, row].concat());
    let checked = sandbox.ok("check small.toml");
    assert!(checked.out.contains("absent  theirs: bring kept/t.pt, here or beside the suite"), "{}", checked.out);
    let run = sandbox.run("run small.toml --only row=ce --only row=theirs --only seed=0").expect(4);
    assert!(run.out.contains("\nce ") && run.out.contains("kept/t.pt: No such file"), "{}{}", run.out, run.err);
    std::fs::create_dir(sandbox.path("kept")).unwrap();
    std::fs::rename(sandbox.path("t.pt"), sandbox.path("kept/t.pt")).unwrap();
    assert!(!sandbox.ok("check small.toml").out.contains("absent"));
    let run = sandbox.ok("run small.toml --only row=ce --only row=theirs --only seed=0");
    assert!(run.out.contains("\ntheirs "), "{}", run.out);
}

#[test]
fn a_finished_report_is_not_overwritten_by_something_else() {
    let sandbox = Sandbox::new();
    sandbox.ok("run small.toml");
    let finished = sandbox.results("reports/small");
    let few = sandbox.ok("run small.toml --take 20 --only row=ce");
    assert!(few.out.contains("small-take20: ") && few.out.contains("written to reports/small-take20"), "{}", few.out);
    assert_eq!(
        (sandbox.results("reports/small"), sandbox.results("reports/small-take20").len()),
        (finished.clone(), 1)
    );
    // On the suite's own images it is the suite.
    assert!(sandbox.ok("run small.toml --take 60").out.contains("written to reports/small: "));
    assert!(sandbox.ok("check small.toml --all").out.starts_with("small-all: "));
    // Another suite of the name, and another of the folder.
    sandbox.write("other/small.toml", SUITE.replace("epochs = 2", "epochs = 1"));
    let way = ["which would be overwritten", "--out", "another `name`", "move reports/small away"];
    let refused = sandbox.run("run other/small.toml").expect(2).says(&way);
    assert!(refused.err.contains("holds the report of small.toml, another suite file of that name"), "{}", refused.err);
    let needles = ["suite \"small\", this is \"small-take20\"", "--out"];
    sandbox.run("run small.toml --take 20 --out reports/small").expect(2).says(&needles);
    assert_eq!(sandbox.results("reports/small"), finished);
    sandbox.ok("run ./small.toml");
    sandbox.ok("run other/small.toml --only row=ce --out elsewhere");
    // Rows of an edited suite on other images say how many.
    sandbox.write("small.toml", SUITE.replace("take = 60", "take = 50"));
    let mixed = sandbox.ok("run small.toml --only row=ce").out;
    assert!(mixed.contains("\nce (n = 50) ") && mixed.contains("\nkept (n = 60) "), "{mixed}");
    assert!(sandbox.read("reports/small/table.md").contains("| ce (n = 50) |"));
}

#[test]
fn a_tenth_is_held_out_where_nothing_is_said() {
    let sandbox = Sandbox::new();
    sandbox.write("small.toml", SUITE.replace("validation = 50\n", ""));
    let planned = sandbox.ok("check small.toml").out;
    let told = "400 training images, 40 of them held out (`validation` is not set: a tenth, and 1000 at most)";
    assert!(planned.contains(told) && planned.contains("16 steps"), "{planned}");
    let run = sandbox.ok("run small.toml --only row=ce");
    assert!(run.err.contains("data tiny: 400 training (40 held out) and 100 test images"), "{}", run.err);
    let (_, result, _) = &sandbox.results("reports/small")[0];
    assert_eq!(result["configuration"]["training"]["train"]["validation"], 40);
    // Nothing to train on is found before anything is done.
    sandbox.write("small.toml", SUITE.replace("validation = 50", "validation = 400"));
    for command in ["check", "run"] {
        let needles =
            ["nothing is left to train on", "400 training images, and 400 are held out", "lower `validation`"];
        sandbox.run(&format!("{command} small.toml")).expect(2).says(&needles);
    }
    sandbox.ok("train --model linear --recipe ce --data tiny --epochs 1 --out l.safetensors");
    sandbox
        .run("train --model linear --recipe ce --data tiny --epochs 1 --out l.safetensors --validation 1000")
        .expect(2)
        .says(&["nothing is left to train on"]);
}
