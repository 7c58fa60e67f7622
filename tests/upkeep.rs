//! Looking after a store: what has to be done again and why, status, clean, verify, submit.

use crate::sandbox::{SUITE, Sandbox};
use gauntlet::records::{Fate, record_file};

#[test]
fn a_suite_that_changed_does_again_what_changed_and_says_why() {
    let sandbox = Sandbox::new();
    let first = sandbox.ok("run small.toml");
    assert!(!first.err.contains("since"), "{}", first.err);
    let text = SUITE.replacen("weight = 1.0 }", "weight = 0.5 }", 1).replace("steps = 5", "steps = 6");
    sandbox.write("small.toml", [&text, "\n[[attack]]\nname = \"noise\"\neps = \"0.05\"\n"].concat());
    let planned = sandbox.ok("check small.toml").out;
    for say in [
        "train   kept, seed 0  to do   14 steps  (again, since weight of grad-norm was 1.0 and is 0.5)",
        "train   ce, seed 0    stored  14 steps\n",
        "attack  ce, seed 0    stored  fgsm L∞ ε = 0.05\n",
        "attack  ce, seed 0    to do   pgd L∞ ε = 0.02, 0.05  (since steps of pgd was 5 and is 6)",
        "attack  ce, seed 0    to do   noise L∞ ε = 0.05  (since the suite did not have it before)",
    ] {
        assert!(planned.contains(say), "{say:?} is not in:\n{planned}");
    }
    // An interruption does not make it forget: one row first, then the rest.
    let one = sandbox.ok("run small.toml --only row=ce").err;
    assert!(one.contains("note: pgd on ce, seed 0: attacked, since steps of pgd was 5 and is 6"), "{one}");
    assert!(!one.contains("epoch") && one.contains("fgsm on ce, seed 0: in the store"), "{one}");
    let rest = sandbox.ok("run small.toml").err;
    for say in [
        "note: kept, seed 0: trained again, since weight of grad-norm was 1.0 and is 0.5",
        "note: pgd on kept, seed 0: attacked, since steps of pgd was 5 and is 6",
        "training kept, seed 0: epoch 2",
    ] {
        assert!(rest.contains(say), "{say:?} is not in:\n{rest}");
    }
    assert!(!rest.contains("training ce") && !rest.contains("training cut"), "{rest}");
    // Done is done.
    let third = sandbox.ok("run small.toml").err;
    assert!(!third.contains("since") && !third.contains("epoch"), "{third}");
    // What the store lost is another reason.
    std::fs::remove_dir_all(sandbox.path("runs/trainings")).unwrap();
    let lost = sandbox.ok("run small.toml --fresh").err;
    assert!(lost.contains("ce, seed 0: trained again, since the store no longer has it"), "{lost}");
    // Other examples, another training.
    let text = text.replace("take = 60", "take = 50");
    sandbox.write("small.toml", text.replace("epochs = 2", "epochs = 1"));
    let planned = sandbox.ok("check small.toml").out;
    assert!(planned.contains("(again, since epochs was 2 and is 1)"), "{planned}");
    sandbox.write("small.toml", text);
    let planned = sandbox.ok("check small.toml").out;
    assert!(planned.contains("(since take was 60 and is 50)"), "{planned}");
}

#[test]
fn status_tells_what_is_there_and_clean_removes_what_nobody_needs() {
    let sandbox = Sandbox::new();
    assert_eq!(
        sandbox.ok("status").out,
        "the store holds 0 trainings and 0 evaluations, of attacks and of clean images\n"
    );
    sandbox.run("status quickstart").expect(2).says(&["no run of quickstart", "gauntlet check quickstart"]);
    sandbox.ok("run small.toml --only row=ce");
    assert!(sandbox.ok("status small.toml").out.contains("small: 1 of 1 trainings and 2 of 2 attacks are done"));
    sandbox.ok("run small.toml");
    assert_eq!(sandbox.ok("clean").out, "nothing to clean\n");
    let (before, table) = (sandbox.find("runs", ""), sandbox.read("reports/small/table.md"));

    // Two rows change: their trainings and evaluations are nobody's. One of them is somebody's work still.
    sandbox.write("small.toml", SUITE.replace("weight = 1.0", "weight = 0.5"));
    sandbox.ok("run small.toml");
    let listed = sandbox.json("clean");
    let paths = |list: &serde_json::Value| -> Vec<String> {
        let of = |l: &serde_json::Value| l.get("path").unwrap_or(l).as_str().unwrap().to_string();
        list.as_array().unwrap().iter().map(of).collect()
    };
    let nobodys = paths(&listed["litter"]);
    let trainings: Vec<&String> = nobodys.iter().filter(|p| p.contains("trainings")).collect();
    assert_eq!(trainings.len(), 2, "{nobodys:?}");
    assert!(before.iter().all(|f| f.exists()), "without --yes nothing is touched");
    let held = std::fs::File::open(sandbox.path(trainings[0]).join("lock")).unwrap();
    held.lock().unwrap();
    // What a cut-off write and a state that is not needed any more look like.
    let key = sandbox.json("status")["suites"][0]["items"][0]["key"].as_str().unwrap().to_string();
    sandbox.write(&format!("runs/trainings/{key}/checkpoint.safetensors.1-2-3.partial"), "half");
    sandbox.write(&format!("runs/trainings/{key}/state.safetensors"), "old");
    let swept = sandbox.json("clean --yes");
    assert_eq!(paths(&swept["claimed"]), [trainings[0].clone()]);
    assert!(sandbox.path(trainings[0]).exists() && !sandbox.path(trainings[1]).exists());
    let left = sandbox.find(&format!("runs/trainings/{key}"), "");
    assert_eq!(left.len(), 5, "checkpoint, curve, entry, metrics and lock: {left:?}");
    drop(held);
    sandbox.ok("clean --yes");
    assert!(!sandbox.path(trainings[0]).exists());
    // Nothing that the suite needs is gone.
    let again = sandbox.ok("run small.toml --fresh --out apart");
    assert!(!again.err.contains("epoch") && !again.err.contains("robust"), "{}", again.err);
    assert_ne!(sandbox.read("reports/small/table.md"), table);
    // A store of another version is not emptied by mistake.
    sandbox.write("runs/suites/old.json", "{\"suite\": {}, \"trainings\": []}");
    sandbox.run("clean --yes").expect(3).says(&["old.json", "of another version", "run the suite once more"]);
    assert!(sandbox.path(&format!("runs/trainings/{key}/training.json")).exists());
}

#[test]
fn trainings_are_followed_on_a_page_and_in_tensorboard() {
    let sandbox = Sandbox::new();
    sandbox.write("small.toml", SUITE);
    sandbox.run("watch small.toml --once").expect(2).says(&["no run of small has left anything"]);
    let none = sandbox.json("watch --once");
    assert_eq!(none["trainings"].as_array().map(Vec::len), Some(0));
    sandbox.ok("run small.toml");
    // All of the suite is done: it ends of itself.
    let told = sandbox.json("watch small.toml --tensorboard events --every 1");
    let trainings = told["trainings"].as_array().unwrap();
    assert!(!trainings.is_empty() && trainings.iter().all(|t| t["state"] == "done" && t["steps"] == t["of"]), "{told}");
    let page = sandbox.read("watch.html");
    let (row, seed) = (trainings[0]["row"].as_str().unwrap(), &trainings[0]["seed"]);
    assert!(page.contains(&format!("{row}, seed {seed}</h2>")) && page.contains("<svg") && page.contains("loss terms"));
    assert!(!page.contains("http-equiv=\"refresh\""), "nothing more will come");
    assert_eq!(sandbox.find("events", "events.out.tfevents.0.gauntlet").len(), trainings.len());
    // A line that nobody wrote like that is named, with the file.
    let metrics = sandbox.find("runs/trainings", "metrics.jsonl").remove(0);
    std::fs::write(&metrics, "{}\n").unwrap();
    sandbox.run("watch --once").expect(3).says(&["metrics.jsonl is not readable: line 1", "kind"]);
}

#[test]
fn a_training_takes_every_key_of_a_suite() {
    let sandbox = Sandbox::new();
    let train = "train --model mlp --recipe ce --data glyphs --epochs 1 --out a.safetensors";
    let with = |set: &str| sandbox.run(&format!("{train} {set}"));
    with("--set clipp=1").expect(2).says(&["clipp", "clip"]);
    with("--set epochs=3").expect(2).says(&["--set epochs: it has a flag of its own, --epochs"]);
    with("--set clip=0").expect(2).says(&["clip", "--set:"]);
    let averaged = sandbox.json(&format!("{train} --set ema={{decay=0.9}} --set evaluate=\"ema\""));
    let plain = sandbox.json(train);
    assert_ne!(averaged["checkpoint_sha256"], plain["checkpoint_sha256"]);
}

#[test]
fn an_attack_on_images_of_its_own_is_verified_on_those() {
    let sandbox = Sandbox::new();
    sandbox.write("small.toml", SUITE.replace("name = \"pgd\"", "name = \"pgd\"\nsample = 30"));
    sandbox.ok("run small.toml");
    let table = sandbox.read("reports/small/table.md");
    let images = "Images: 7";
    assert!(table.contains(images) && table.contains("all that some attack was run on"), "{table}");
    assert!(table.contains("pgd: a class-stratified sample of 30 of 100 test images (keyed, seed 0)"), "{table}");
    assert!(table.contains("| fgsm ε = 0.05 (n = 60) | pgd ε = 0.02 (n = 30) |"), "{table}");
    let held = sandbox.ok("verify reports/small --sample 40 --no-retrain").out;
    assert_eq!(
        (held.matches("40 compared, 40 equal").count(), held.matches("30 compared, 30 equal").count()),
        (6, 6),
        "{held}"
    );
    // The same images for all, by the command line.
    sandbox.ok("run small.toml --take 20 --out few");
    assert!(sandbox.read("few/table.md").contains("n = 20 examples, seed 0. Images: the first 20 of 100 test images."));
}

#[test]
fn records_hold_in_another_clone_and_forged_ones_do_not() {
    let sandbox = Sandbox::new();
    sandbox.write("small.toml", SUITE.replace("name = \"pgd\"", "name = \"pgd\"\nrestarts = 2"));
    sandbox.ok("run small.toml");
    let stored = sandbox.ok("verify reports/small --sample 20");
    assert!(
        stored.out.contains("ce, seed 0: weights from the store are the record's; compared bit for bit"),
        "{}",
        stored.out
    );
    assert!(stored.out.contains("20 compared, 20 equal") && stored.out.contains("3 records hold"), "{}", stored.out);
    // Another clone has the records alone.
    let absent = sandbox.run("verify reports/small --runs clone --no-retrain").expect(4);
    assert!(
        absent.out.contains("not verified: its checkpoint is not in clone; without --no-retrain"),
        "{}",
        absent.out
    );
    let again = sandbox.ok("verify reports/small --runs clone");
    assert!(again.out.contains("weights trained again are the record's"), "{}", again.out);
    assert!(!again.out.contains("49 equal") && again.out.contains("3 records hold"), "{}", again.out);

    // One verdict is forged, with everything that makes it a whole record.
    let path = sandbox.path("reports/small/records/kept-0.json");
    let honest = record_file::read(&path).unwrap();
    let mut forged = honest.clone();
    let verdicts = &mut forged.result.attacked[1].verdicts;
    let one = verdicts.iter().position(|v| v.fate == Fate::Broken).unwrap();
    verdicts[one].fate = Fate::Robust;
    let id = verdicts[one].id;
    record_file::write(path.parent().unwrap(), &forged).unwrap();
    let found = sandbox.run("verify reports/small --sample 60").expect(1);
    let line = format!("    example {id}: recorded robust, ");
    assert!(found.out.contains(&line) && found.out.contains("; now broken, "), "{}", found.out);
    assert!(found.out.contains("60 compared, 59 equal") && found.out.contains("1 are contradicted"), "{}", found.out);

    // A CPU of another make must give the same bits.
    let mut elsewhere = honest.clone();
    elsewhere.provenance.cpu = "another".into();
    record_file::write(path.parent().unwrap(), &elsewhere).unwrap();
    let equal = sandbox.ok("verify reports/small --sample 60");
    assert!(!equal.out.contains("with a tolerance") && equal.out.contains("3 records hold"), "{}", equal.out);
    // Of another kind of machine last bits are forgiven, and that is said; weights that are others are told.
    let mathematics = elsewhere.provenance.versions.iter_mut().find(|(name, _)| name == "mathematics").unwrap();
    mathematics.1 = "0123456789abcdef".into();
    elsewhere.result.attacked[1].verdicts[one].size *= 1.0 + 1e-9;
    record_file::write(path.parent().unwrap(), &elsewhere).unwrap();
    let near = sandbox.ok("verify reports/small --sample 60");
    let told = "compared with a tolerance, the machine is of another kind than the record's: what computes exp and its like is ";
    assert!(near.out.contains(told) && near.out.contains(", not 0123456789abcdef"), "{}", near.out);
    let mut weights = honest.clone();
    weights.result.checkpoint_sha256 = "sha256:00".into();
    record_file::write(path.parent().unwrap(), &weights).unwrap();
    let other = sandbox.run("verify reports/small").expect(1);
    assert!(other.out.contains("kept, seed 0: weights from the store are others than the record's"), "{}", other.out);
    // A record that this version would compute otherwise is not compared.
    let mut older = honest;
    older.result.configuration["attacks"][1]["attack"]["numerics"]["attack pgd"] = 0.into();
    record_file::write(path.parent().unwrap(), &older).unwrap();
    let older = sandbox.run("verify reports/small").expect(4);
    let said =
        "not compared: pgd: this version of gauntlet computes something else: numerics of attack pgd rose from 0 to ";
    assert!(older.out.contains(said), "{}", older.out);
    assert_eq!(
        older.out.matches("fgsm L∞ ε = 0.05                     50 compared, 50 equal").count(),
        3,
        "{}",
        older.out
    );
}

#[test]
fn provenance_tells_what_it_took_and_what_made_it() {
    let sandbox = Sandbox::new();
    sandbox.ok("run small.toml --only row=ce");
    let record = record_file::read(&sandbox.path("reports/small/records/ce-0.json")).unwrap();
    let p = record.provenance;
    for (cpu, wall) in [(p.train_cpu_seconds, p.train_seconds), (p.evaluate_cpu_seconds, p.evaluate_seconds)] {
        assert!(cpu.is_some_and(|cpu| cpu > 0.0 && cpu <= 0.05 + 1.1 * wall * p.threads as f64), "{cpu:?} in {wall} s");
    }
    let version = |name: &str| p.versions.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str()).unwrap_or_default();
    assert!(version("rustc").starts_with("1.") && version("candle").starts_with("0."), "{:?}", p.versions);
    // A record that was written before there were such numbers is read.
    let path = "reports/small/records/ce-0.json";
    let text = sandbox.read(path);
    let kept: Vec<&str> = text.lines().filter(|l| !l.contains("cpu_seconds")).collect();
    assert!(kept.len() + 2 == text.lines().count());
    sandbox.write(path, kept.join("\n"));
    assert_eq!(record_file::read(&sandbox.path(path)).unwrap().provenance.train_cpu_seconds, None);
}

#[test]
fn a_cluster_gets_one_element_per_open_part_and_then_the_report() {
    let sandbox = Sandbox::new();
    sandbox.ok("run small.toml --only row=kept");
    let line = "submit small.toml --slurm --partition short --time 4:00:00 --cpus 8 --array-limit 5 --take 60";
    let dry = sandbox.ok(&format!("{line} --dry-run -- --account=mine")).out;
    for say in [
        "#SBATCH --array=0-1%5",
        "#SBATCH --cpus-per-task=8",
        "#SBATCH --partition=short",
        "#SBATCH --time=4:00:00",
        "rows=(ce cut)\nseeds=(0 0)",
        "run small.toml --runs runs --take 60 --threads \"${SLURM_CPUS_PER_TASK:-1}\" --no-report --only \"row=${rows[",
        "sbatch --parsable --account=mine ",
        "sbatch --parsable --dependency=afterany:ARRAY --account=mine ",
        "2 open parts would be elements of an array",
    ] {
        assert!(dry.contains(say), "{say:?} is not in:\n{dry}");
    }
    assert!(!sandbox.path("runs/slurm").exists(), "a dry run writes nothing");
    let none = sandbox.shell(&format!("PATH=/nowhere \"$GAUNTLET\" {line}")).expect(3);
    none.says(&["cannot start sbatch", "on a machine of the cluster", "--dry-run"]);
    sandbox.run("submit small.toml --slurm --jobs 2").expect(2).says(&["--array-limit"]);
    sandbox.run("submit small.toml").expect(2).says(&["--slurm"]);
    // An element of the array, as Slurm would start it.
    let script = dry.split_once("#!/bin/bash").unwrap().1.split("\nsbatch").next().unwrap();
    sandbox.write("array.sh", script);
    for element in 0..2 {
        let ended =
            sandbox.shell(&format!("SLURM_ARRAY_TASK_ID={element} SLURM_CPUS_PER_TASK=1 bash array.sh")).expect(0);
        assert_eq!(ended.out, "small: 1 of 1 parts are in the store\n");
    }
    assert_eq!(sandbox.results("reports/small").len(), 1, "elements write no report");
    let rest = sandbox.json(&format!("{line} --dry-run"));
    assert_eq!((rest["cells"].as_array().unwrap().len(), rest["jobs"].as_array().unwrap().len()), (0, 1));
    let whole = sandbox.ok("run small.toml");
    assert!(!whole.err.contains("epoch") && whole.out.contains("\ncut "), "{}", whole.err);
}

/// Two elements for each of two parts; what they leave in the store gives the record of an undivided run, byte for byte.
#[test]
fn an_array_can_have_an_element_for_each_shard() {
    let sandbox = Sandbox::new();
    let line = "submit small.toml --slurm --shards 2 --only row=ce --only row=cut";
    let dry = sandbox.ok(&format!("{line} --dry-run")).out;
    for say in [
        "#SBATCH --array=0-3\n",
        "# One element per shard, row and seed",
        "rows=(ce cut)\nseeds=(0 0)",
        "--only \"row=${rows[SLURM_ARRAY_TASK_ID % 2]}\"",
        "--shard \"$((SLURM_ARRAY_TASK_ID / 2 + 1))/2\"",
        "2 open parts would be elements of an array, 2 each",
    ] {
        assert!(dry.contains(say), "{say:?} is not in:\n{dry}");
    }
    sandbox.run("submit small.toml --slurm --shard 1/2").expect(2).says(&["--shards N"]);
    let script = dry.split_once("#!/bin/bash").unwrap().1.split("\nsbatch").next().unwrap();
    sandbox.write("array.sh", script);
    for (element, share) in [(0, "1/2"), (1, "1/2"), (2, "2/2"), (3, "2/2")] {
        let ended =
            sandbox.shell(&format!("SLURM_ARRAY_TASK_ID={element} SLURM_CPUS_PER_TASK=1 bash array.sh")).expect(0);
        assert!(ended.out.contains(&format!("shard {share} of 1 of 1 parts")), "{}", ended.out);
    }
    let together = sandbox.ok("run small.toml --only row=ce --only row=cut");
    assert!(!together.err.contains("epoch"), "{}", together.err);
    sandbox.ok("run small.toml --only row=ce --only row=cut --runs apart --out undivided");
    assert_eq!(sandbox.results("reports/small"), sandbox.results("undivided"));
}
