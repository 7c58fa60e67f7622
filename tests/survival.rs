//! Many processes on one store, kill -9 at any moment: the records are those of a run that nobody disturbed.

use crate::sandbox::{Done, SUITE, Sandbox, done, wait};
use gauntlet::core::{Key, Purpose};
use serde_json::Value;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::process::{Child, Command};
use std::time::{Instant, SystemTime};

type Results = Vec<(String, Value, Vec<u8>)>;

/// Three rows, each long enough to be met at work.
fn long() -> String {
    SUITE.replace("epochs = 2", "epochs = 12").replace("steps = 5", "steps = 60\nrestarts = 2")
}

fn sandbox(text: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("small.toml", text);
    sandbox
}

fn undisturbed(text: &str) -> Results {
    let sandbox = sandbox(text);
    sandbox.ok("run small.toml");
    sandbox.results("reports/small")
}

/// The processes that work on a part of which this holds, and the part's key.
fn claimed(sandbox: &Sandbox, which: impl Fn(&Value) -> bool) -> Vec<(u32, String)> {
    let status = sandbox.json("status");
    let items = status["suites"].as_array().unwrap().iter().flat_map(|s| s["items"].as_array().unwrap());
    let held = items.filter(|i| i["state"] == "claimed" && i["pid"] != 0 && which(i));
    held.map(|i| (i["pid"].as_u64().unwrap() as u32, i["key"].as_str().unwrap().to_string())).collect()
}

/// Who started a process, where `/proc` tells; 0: it has ended.
fn parent_of(pid: u32) -> Option<u32> {
    if !std::path::Path::new("/proc/self/stat").exists() {
        return None;
    }
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name may hold anything; state and parent follow it.
    let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse().ok());
    Some(parent.unwrap_or(0))
}

fn resumed(sandbox: &Sandbox) -> u64 {
    let records = sandbox.find("reports/small/records", ".json");
    let records = records.iter().filter(|f| !f.ends_with("manifest.json"));
    records
        .map(|f| serde_json::from_str::<Value>(&std::fs::read_to_string(f).unwrap()).unwrap())
        .map(|r| r["provenance"]["resumed"].as_u64().unwrap())
        .sum()
}

#[test]
fn four_processes_share_a_folder_and_two_of_them_are_killed() {
    let text = long().replace("epochs = 12", "epochs = 20").replace("seeds = [0]", "seeds = [0, 1]");
    let expected = undisturbed(&text);
    assert_eq!(expected.len(), 6);
    let sandbox = sandbox(&text);
    let mut four: Vec<Child> = (0..4).map(|_| sandbox.start("run small.toml --threads 1")).collect();
    let mut killed: Vec<(u32, String)> = Vec::new();
    let begun = Instant::now();
    while killed.len() < 2 {
        assert!(begun.elapsed().as_secs() < 60, "nobody was at work for a minute");
        // In the first half of a training, with something to go on from.
        let early = |i: &Value| (1..10).any(|k| i["saved"] == format!("{k} epochs and 0 steps"));
        // Not the one that took up what the first was killed at: it may not have saved that it did.
        let fresh = |(pid, key): &(u32, String)| killed.iter().all(|(p, k)| p != pid && k != key);
        if let Some(victim) = claimed(&sandbox, early).into_iter().find(fresh)
            && let Some(child) = four.iter_mut().find(|c| c.id() == victim.0)
        {
            child.kill().unwrap();
            killed.push(victim);
        }
    }
    let ended: Vec<Done> = four.into_iter().map(|c| done(c.wait_with_output().unwrap())).collect();
    let codes: Vec<i32> = ended.iter().map(|d| d.code).collect();
    assert_eq!(codes.iter().filter(|c| **c == -9).count(), 2, "{codes:?}");
    assert_eq!(codes.iter().filter(|c| **c == 0).count(), 2, "{codes:?}");
    assert_eq!(sandbox.results("reports/small"), expected);
    // No epoch is trained twice but those that the two killed ones were in.
    let mut epochs: BTreeMap<String, usize> = BTreeMap::new();
    let mut trained: BTreeMap<String, usize> = BTreeMap::new();
    for line in ended.iter().flat_map(|d| d.err.lines()) {
        let Some((training, rest)) = line.strip_prefix("training ").and_then(|l| l.split_once(": ")) else { continue };
        if rest.starts_with("epoch") {
            *epochs.entry(format!("{training} {}", rest.split(',').next().unwrap())).or_default() += 1;
        } else if rest.starts_with("done") {
            *trained.entry(training.to_string()).or_default() += 1;
        }
    }
    assert_eq!(epochs.len(), 6 * 20);
    let twice: usize = epochs.values().map(|n| n - 1).sum();
    assert!(twice <= 2, "{epochs:?}");
    assert!(trained.values().all(|n| *n == 1) && trained.len() >= 4, "{trained:?}");
    assert_eq!(resumed(&sandbox), 2, "what was killed was taken up where it was");
    println!("{twice} of 120 epochs were trained twice");
}

#[test]
fn killed_at_twenty_random_moments() {
    let text = SUITE.replace("epochs = 2", "epochs = 4").replace("steps = 5", "steps = 30");
    let expected = undisturbed(&text);
    let sandbox = sandbox(&text);
    let begun = Instant::now();
    sandbox.ok("run small.toml");
    let whole = begun.elapsed();
    let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().subsec_nanos().into();
    println!("moments are drawn with seed {seed}");
    let mut moments = Key::new(seed, Purpose::Sample).stream(0, 0, 0);
    let again = || {
        for folder in ["runs", "reports"] {
            std::fs::remove_dir_all(sandbox.path(folder)).unwrap();
        }
    };
    again();
    let (mut kills, mut finished) = (0, 0);
    while kills < 20 {
        let mut child = sandbox.start("run small.toml");
        let moment = whole.mul_f64(0.6 * f64::from(moments.next_u32()) / f64::from(u32::MAX));
        std::thread::sleep(moment);
        child.kill().unwrap();
        let ended = done(child.wait_with_output().unwrap());
        match ended.code {
            -9 => kills += 1,
            0 => {
                finished += 1;
                assert!(finished < 100, "it is done too soon to be killed");
                assert_eq!(sandbox.results("reports/small"), expected, "seed {seed}, after {kills} kills");
                again();
            }
            code => panic!("exit code {code}: {}", ended.err),
        }
    }
    sandbox.ok("run small.toml");
    assert_eq!(sandbox.results("reports/small"), expected, "seed {seed}");
    assert!(sandbox.ok("status").out.contains("3 of 3 trainings and 6 of 6 attacks are done"));
    // What writes were cut off goes with the rest of the litter, and then there is none.
    sandbox.ok("clean --yes");
    assert!(sandbox.find("runs", ".partial").is_empty());
    assert_eq!(sandbox.ok("clean").out, "nothing to clean\n");
    println!("20 kills, {finished} runs came to their end in between");
}

#[test]
fn workers_share_the_work_and_end_with_who_started_them() {
    let expected = undisturbed(&long());
    let sandbox = sandbox(&long());
    let start = || sandbox.start("run small.toml --jobs 3 --threads 3");
    let at_work = |parent: &Child| {
        claimed(&sandbox, |_| true).into_iter().map(|c| c.0).filter(|pid| *pid != parent.id()).collect::<Vec<u32>>()
    };

    // Ctrl-C, to the parent alone as a scheduler does it: everybody saves what he has.
    let parent = start();
    wait("a worker", || !at_work(&parent).is_empty());
    Command::new("kill").args(["-INT", &parent.id().to_string()]).status().unwrap();
    let interrupted = done(parent.wait_with_output().unwrap()).expect(130);
    assert!(interrupted.err.contains("run the same command again"), "{}", interrupted.err);
    assert!(claimed(&sandbox, |_| true).is_empty(), "no worker outlives the run");
    assert!(!sandbox.path("reports/small/table.md").exists());

    // A parent that is killed takes its workers along.
    let mut parent = start();
    wait("a worker", || !at_work(&parent).is_empty());
    parent.kill().unwrap();
    wait("the end of the workers", || at_work(&parent).is_empty());
    parent.wait().unwrap();
    assert!(!sandbox.path("reports/small/table.md").exists());

    // A worker that is killed costs its step, and is told. One that had not begun when its own parent was killed may be about to
    // notice: it is none of this run's.
    let parent = start();
    let own = |pid: &u32| parent_of(*pid).is_none_or(|p| p == parent.id());
    let victim = Cell::new(0);
    wait("a worker", || at_work(&parent).iter().find(|pid| own(pid)).map(|pid| victim.set(*pid)).is_some());
    let victim = victim.get();
    Command::new("kill").args(["-KILL", &victim.to_string()]).status().unwrap();
    let ended = done(parent.wait_with_output().unwrap()).expect(0);
    assert!(ended.err.contains(&format!("(pid {victim}) ended with signal: 9")), "{}", ended.err);
    assert!(ended.err.contains("[1] ") && ended.out.contains("\nkept "), "{}{}", ended.err, ended.out);
    assert_eq!(sandbox.results("reports/small"), expected);
}

#[test]
fn a_part_that_fails_is_tried_by_one_worker() {
    let text = SUITE.replace("id = \"kept\"", "id = \"boom\"").replace("weight = 1.0 }", "weight = 1e60 }");
    let sandbox = sandbox(&text);
    let ended = sandbox.run("run small.toml --jobs 2").expect(4);
    assert!(ended.out.contains("boom †") && ended.out.contains("\nce "), "{}", ended.out);
    let status = sandbox.ok("status small");
    assert!(
        status.out.contains("training boom, seed 0: failed at") && status.out.contains("is not finite"),
        "{}",
        status.out
    );
}

#[test]
fn parts_of_one_report_may_be_written_at_once() {
    let expected = undisturbed(SUITE);
    let sandbox = sandbox(SUITE);
    let rows = ["ce", "kept", "cut"];
    let three: Vec<Child> = rows.iter().map(|r| sandbox.start(&format!("run small.toml --only row={r}"))).collect();
    for child in three {
        done(child.wait_with_output().unwrap()).expect(0);
    }
    assert_eq!(sandbox.results("reports/small"), expected);
    let table = sandbox.ok("report reports/small").out;
    assert!(rows.iter().all(|r| table.contains(&format!("\n{r} "))), "{table}");
}
