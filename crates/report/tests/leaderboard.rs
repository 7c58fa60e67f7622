//! What may stand on one board, and in which order.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod records;

use gauntlet_records::{Fate, Norm, Record};
use gauntlet_report::{Board, Folder, Leaderboard, Ranked};
use records::record;
use serde_json::json;

const N: usize = 1000;

/// Ten classes in turn, `clean` of a thousand right, of which `robust` withstand; the ones from `from` on, round the end.
fn trained(suite: &str, row: &str, seed: u64, attack: &str, (clean, robust, from): (usize, usize, usize)) -> Record {
    let fates: String = (0..N)
        .map(|i| match (i + N - from) % N {
            k if k < robust => 'R',
            k if k < clean => 'B',
            _ => 'W',
        })
        .collect();
    let mut record = record(row, seed, json!([]), &[(attack, "0.3", &fates)]);
    record.suite = suite.into();
    record.result.checkpoint_sha256 = format!("sha256:{suite}-{row}-{seed}");
    for (i, verdict) in record.result.clean.iter_mut().enumerate() {
        let right = verdict.label == verdict.predicted;
        verdict.label = (i % 10) as u32;
        verdict.predicted = if right { verdict.label } else { (verdict.label + 1) % 10 };
    }
    record
}

/// A network that answers 3 whatever it sees.
fn constant(suite: &str, row: &str, attack: &str) -> Record {
    let mut record = trained(suite, row, 0, attack, (N, 0, 0));
    for (i, verdict) in record.result.clean.iter_mut().enumerate() {
        verdict.predicted = 3;
        record.result.attacked[0].verdicts[i].fate = if verdict.label == 3 { Fate::Robust } else { Fate::Wrong };
    }
    record
}

fn boards(suites: &[(&str, Vec<Record>)]) -> Leaderboard {
    let folder = |(suite, records): &(&str, Vec<Record>)| Folder::of(suite, "gauntlet run", records.clone());
    Leaderboard::new(&suites.iter().map(folder).collect::<Vec<_>>()).unwrap()
}

fn ranks(board: &Board) -> Vec<(Option<usize>, &str)> {
    board.standings.iter().map(|s| (s.rank, s.row.as_str())).collect()
}

#[test]
fn the_wider_a_row_scatters_over_seeds_the_higher_it_does_not_stand() {
    // 40.8 ± 36.3 over three seeds: its highest end is above everything.
    let wong = [(126, 60), (980, 379), (980, 785)]
        .iter()
        .enumerate()
        .map(|(seed, (clean, robust))| trained("wong", "fgsm-rs", seed as u64, "pgd", (*clean, *robust, 0)))
        .collect();
    let ours = vec![
        trained("ours", "pgd-at", 0, "pgd", (980, 785, 0)),
        trained("ours", "trades", 0, "pgd", (980, 684, 0)),
        trained("ours", "weak", 0, "pgd", (990, 50, 0)),
        constant("ours", "free-at", "pgd"),
    ];
    let board = boards(&[("wong", wong), ("ours", ours)]);
    assert_eq!(board.boards.len(), 1);
    let board = &board.boards[0];
    // Not told from trades, so it shares its rank; never that of pgd-at, which is told from trades. The constant network has none.
    let expected =
        [(Some(1), "pgd-at"), (Some(2), "trades"), (Some(2), "fgsm-rs"), (Some(3), "weak"), (None, "free-at")];
    assert_eq!(ranks(board), expected);
    let rs = &board.standings[2];
    assert!((rs.robust - 40.8).abs() < 0.01 && (rs.sd - 36.3).abs() < 0.1 && rs.seeds == 3, "{rs:?}");
    assert_eq!((rs.low, rs.high), (0.0, 100.0), "{rs:?}");
    let last = &board.standings[4];
    assert!(last.at_chance && last.flags == ["constant-answer"] && last.robust == 10.0, "{last:?}");
    assert_eq!(board.chance, 10.0);
    assert!(board.title().ends_with("pgd, 1000 images; not AutoAttack: an upper bound"), "{}", board.title());
}

#[test]
fn seeds_that_agree_tell_rows_apart_and_images_must_agree_too() {
    let row = |row: &str, robust: [usize; 3], from: usize| -> Vec<Record> {
        let one = |(seed, robust): (usize, &usize)| trained("s", row, seed as u64, "pgd", (980, *robust, from));
        robust.iter().enumerate().map(one).collect()
    };
    // Seven points, and a deviation of half a point.
    let clear = boards(&[("s", [row("high", [780, 785, 790], 0), row("low", [710, 715, 720], 0)].concat())]);
    assert_eq!(ranks(&clear.boards[0]), [(Some(1), "high"), (Some(2), "low")]);
    // One point at the same deviation, and other images: the seeds tell, the images do not.
    let other = boards(&[("s", [row("high", [785, 785, 785], 0), row("low", [775, 775, 775], 500)].concat())]);
    assert_eq!(ranks(&other.boards[0]), [(Some(1), "high"), (Some(1), "low")]);
    // Single trainings on the same images: six images, all one way, and five.
    let single = |low| {
        boards(&[("s", vec![trained("s", "a", 0, "pgd", (980, 700, 0)), trained("s", "b", 0, "pgd", (980, low, 0))])])
    };
    assert_eq!(ranks(&single(694).boards[0]), [(Some(1), "a"), (Some(2), "b")]);
    assert_eq!(ranks(&single(695).boards[0]), [(Some(1), "a"), (Some(1), "b")]);
}

#[test]
fn another_attack_other_parameters_or_other_images_are_another_board() {
    let pgd = trained("quick", "pgd-at", 0, "pgd", (980, 919, 0));
    let mut longer = trained("longer", "pgd-at", 1, "pgd", (980, 915, 0));
    longer.result.attacked[0].parameters =
        json!({ "name": "pgd", "args": { "steps": 40 }, "numerics": { "attack pgd": 2 } });
    let mut few = trained("few", "pgd-at", 2, "pgd", (980, 955, 0));
    few.result.clean.truncate(200);
    few.result.attacked[0].verdicts.truncate(200);
    // AutoAttack beside PGD and noise: it ranks alone.
    let mut strict = trained("strict", "pgd-at", 3, "autoattack", (980, 900, 0));
    let mut beside = trained("strict", "pgd-at", 3, "pgd", (980, 890, 0)).result.attacked;
    strict.result.attacked.append(&mut beside);
    let alone = trained("alone", "trades", 4, "autoattack", (980, 880, 0));
    let all = [("quick", pgd), ("longer", longer), ("few", few), ("strict", strict), ("alone", alone)];
    let board = boards(&all.map(|(suite, record)| (suite, vec![record])));
    let found: Vec<(String, usize)> = board.boards.iter().map(|b| (b.title(), b.standings.len())).collect();
    let weak = "; not AutoAttack: an upper bound";
    let expected = [
        ("unknown, L∞ ε = 0.3: autoattack, 1000 images".to_string(), 2),
        (format!("unknown, L∞ ε = 0.3: pgd, 1000 images{weak}"), 1),
        (format!("unknown, L∞ ε = 0.3: pgd, 1000 images{weak}"), 1),
        (format!("unknown, L∞ ε = 0.3: pgd, 200 images{weak}"), 1),
    ];
    assert_eq!(found, expected);
    let first = &board.boards[0].standings[0];
    assert_eq!((first.row.as_str(), first.robust, first.under_all), ("pgd-at", 90.0, 89.0));
    assert_eq!(board.boards[2].attacks, ["pgd (steps 40; numerics 2)"]);
    for form in [board.markdown(), board.html().unwrap()] {
        assert!(
            form.contains("pgd (steps 40; numerics 2)") && form.contains("Chance, one class for all images: 10.0 %"),
            "{form}"
        );
    }
}

#[test]
fn the_same_training_in_two_reports_counts_once() {
    let ours = trained("ours", "pgd-at", 0, "autoattack", (980, 900, 0));
    let mut theirs = ours.clone();
    (theirs.suite, theirs.row) = ("theirs".into(), "at".into());
    let more = trained("theirs", "at", 1, "autoattack", (980, 910, 0));
    let board = boards(&[("ours", vec![ours]), ("theirs", vec![theirs, more])]);
    let standings: &[Ranked] = &board.boards[0].standings;
    assert_eq!(standings.len(), 1, "{standings:?}");
    let one = &standings[0];
    assert_eq!((one.suite.as_str(), one.row.as_str(), one.seeds, one.robust), ("ours", "pgd-at", 2, 90.5));
    assert_eq!(one.also, ["theirs: at"]);
    assert!(board.markdown().contains("ours (also theirs: at)"), "{}", board.markdown());
}

#[test]
fn a_search_that_failed_and_stands_alone_ranks_nothing() {
    let search = |row: &str, unbroken: usize| {
        let mut record = trained("s", row, 0, "fmn", (980, 600, 0));
        let cell = &mut record.result.attacked[0];
        cell.norm = Norm::L2;
        cell.verdicts.iter_mut().enumerate().for_each(|(i, v)| v.size = if i < unbroken { 0.0 } else { 3.0 });
        record
    };
    let board = boards(&[("s", vec![search("ce", 590), search("pgd-at", 15)])]);
    assert_eq!(ranks(&board.boards[0]), [(Some(1), "pgd-at")]);
    let told = "s: `ce`, seed 0, is left out at L2 ε = 0.3: the search for the smallest perturbation failed there, and nothing \
                else was tried";
    assert_eq!(board.problems, [told]);
}

/// An attack on some of a record's images has a board of those images, and the clean accuracy there is that of the same images.
#[test]
fn an_attack_on_some_images_is_beside_the_clean_accuracy_of_the_same() {
    // The last 200 images are wrong clean; attacked are the last 400, of which 150 withstand.
    let mut record = trained("mixed", "at", 0, "autoattack", (800, 750, 0));
    let cell = &mut record.result.attacked[0];
    cell.verdicts.drain(..600);
    cell.examples = Some(400);
    record.result.configuration["evaluation"] =
        json!({ "examples": [{ "take": 1000 }, { "stratified": 400 }], "attack_seed": 3 });
    record.result.configuration["attacks"] = json!([{ "eps": ["0.3"], "examples": { "stratified": 400 } }]);
    let found = boards(&[("mixed", vec![record])]);
    let [board] = &found.boards[..] else { panic!("{found:?}") };
    let at = &board.standings[0];
    assert_eq!((board.n, at.clean, at.robust, at.under_all), (400, 50.0, 37.5, 37.5));
    assert_eq!(board.examples, "a class-stratified sample of 400 test images (keyed, seed 3)");
}
