//! Published numbers beside ours: what is inside, outside, not run, and not judged.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod records;

use gauntlet_core::record::{Epoch, Flag};
use gauntlet_core::{Alternative, Expectation, Norm, Operand, Quantity};
use gauntlet_report::{Folder, Judgement, Outcome, Report, Screen};
use records::record;
use serde_json::json;

fn attack(name: &str, eps: &str) -> Quantity {
    Quantity::Attack { attack: name.into(), norm: Norm::Linf, eps: eps.parse().unwrap() }
}

fn expect(row: &str, of: Quantity, value: f64, band: (f64, f64)) -> Expectation {
    let source = "Someone 2018, table 3".into();
    Expectation { row: row.into(), of, minus: None, value: Some(value), band, or: None, source, published_with: None }
}

/// Two rows: `at` with two seeds (pgd 80 and 60 %, fgsm at 0.3 90 and 20 %), `theirs` with one (pgd 20 %).
fn folder(expectations: Vec<Expectation>) -> Folder {
    let at = |seed, pgd: &str, fgsm: &str| record("at", seed, json!([]), &[("pgd", "0.1", pgd), ("fgsm", "0.3", fgsm)]);
    let mut records = vec![
        at(0, "RRRRRRRRBB", "RRRRRRRRRB"),
        at(1, "RRRRRRBBBB", "RRBBBBBBBB"),
        record("theirs", 0, json!([]), &[("pgd", "0.1", "RRBBBBBBBB")]),
    ];
    for (r, alignment) in records.iter_mut().zip([0.91, 0.93]) {
        r.result.configuration["training"]["train"] = json!({"validation": 50});
        r.result.curve.push(Epoch {
            epoch: 3,
            terms: vec![("jac_sq".into(), 0.125)],
            clean_accuracy: 1.0,
            robust_accuracy: 0.5,
            gradient_l1: 1.0,
            gradient_l2: 0.1,
            alignment: Some(alignment),
            own_fgsm_accuracy: None,
            own_pgd_accuracy: None,
            monitored_on: "validation".into(),
        });
    }
    let mut folder = Folder::of("tiny", "gauntlet run tiny", records);
    folder.manifest.expect = expectations;
    folder
}

fn judged(expectation: Expectation) -> gauntlet_report::Judged {
    Report::new(&folder(vec![expectation])).unwrap().expectations.remove(0)
}

#[test]
fn each_is_printed_with_its_n_its_difference_and_its_verdict() {
    let worst = Quantity::Worst { norm: Norm::Linf, eps: "0.1".parse().unwrap() };
    let mut gap = expect("at", attack("pgd", "0.1"), 45.0, (40.0, 60.0));
    gap.minus = Some(Operand { row: "theirs".into(), of: attack("pgd", "0.1") });
    gap.published_with = Some("100 epochs".into());
    let mut outside = expect("at", attack("pgd", "0.1"), 75.0, (72.5, 80.0));
    outside.published_with = Some("100 epochs".into());
    let curve = |curve: &str, scale| Quantity::Curve { curve: curve.into(), epoch: 3, scale };
    let report = Report::new(&folder(vec![
        expect("theirs", attack("pgd", "0.1"), 20.0, (15.0, 25.0)),
        outside,
        gap,
        expect("theirs", worst, 5.0, (0.0, 10.0)),
        expect("at", curve("alignment", 1.0), 0.9, (0.5, 1.0)),
        expect("at", curve("jac_sq", 8.0), 0.5, (0.2, 0.75)),
        expect("theirs", attack("pgd", "0.2"), 1.0, (0.0, 2.0)),
        expect("at", curve("alignment", 1.0), 0.9, (0.5, 1.0)),
    ]))
    .unwrap();
    assert_eq!(report.unmet(), 3);
    let text = report.markdown();
    let section = text.split("## Published and ours\n\n").nth(1).unwrap().split("\n## ").next().unwrap();
    assert_eq!(
        section,
        "\
4 inside, 3 outside, 1 not run. Accuracies in percent, mean ± standard deviation over seeds or one training with Wilson's 95 % \
interval; difference: ours − published.

| what | published | band | ours | n | difference | verdict | source |
| :-- | --: | --: | --: | --: | --: | :-- | :-- |
| theirs: pgd ε = 0.1 | 20 | 15 to 25 | 20.0 (5.7–51.0) | 10 | +0.0 | inside | Someone 2018, table 3 |
| at: pgd ε = 0.1 | 75 | 72.5 to 80 | 70.0 ± 14.1 (2 seeds) | 10 | -5.0 | outside by 2.50 | Someone 2018, table 3 |
| at − theirs: pgd ε = 0.1 | 45 | 40 to 60 | 50.0 ± 14.1 (2 seeds) | 10 | +5.0 | inside | Someone 2018, table 3 |
| theirs: worst case ε = 0.1 | 5 | 0 to 10 | 20.0 (5.7–51.0) | 10 | +15.0 | outside by 10.0 | Someone 2018, table 3 |
| at: alignment, epoch 3 | 0.9 | 0.5 to 1 | 0.920 ± 0.0141 (2 seeds) | 50 held out | +0.0200 | inside | Someone 2018, table 3 |
| at: 8 · jac_sq, epoch 3 | 0.5 | 0.2 to 0.75 | 1.00 ± 0 (2 seeds) | the epoch | +0.500 | outside by 0.250 | Someone 2018, table 3 |
| theirs: pgd ε = 0.2 | 1 | 0 to 2 | – | – | – | not run | Someone 2018, table 3 |
| at: alignment, epoch 3 | 0.9 | 0.5 to 1 | 0.920 ± 0.0141 (2 seeds) | 50 held out | +0.0200 | inside | Someone 2018, table 3 |

Published with another setting than ours:

- 100 epochs (at: pgd ε = 0.1; at − theirs: pgd ε = 0.1)
"
    );
    let csv = String::from_utf8(report.expectations_csv().unwrap().unwrap()).unwrap();
    assert_eq!(csv.lines().count(), 9);
    let line = csv.lines().nth(2).unwrap();
    assert!(line.starts_with("tiny,at: pgd ε = 0.1,75,72.5,80,70,14.14"), "{line}");
    assert!(line.ends_with(",,,2,10,10,-5,outside,2.5,\"Someone 2018, table 3\",100 epochs"), "{line}");
    let terminal = report.terminal(&Screen { colour: true, ..Screen::default() });
    assert!(terminal.contains("published and ours: 4 inside, 3 outside, 1 not run."), "{terminal}");
    let red: Vec<&str> = terminal.lines().filter(|l| l.starts_with("\x1b[31m")).collect();
    assert_eq!(red.len(), 3, "{terminal}");
    assert!(
        red.iter().all(|l| l.contains("outside by")) && red[0].contains("70.0 ± 14.1 (2 seeds)           10  "),
        "{red:?}"
    );
    assert!(!report.terminal(&Screen::default()).contains("Someone"), "sources stand in the files");
    let page = report.page(&folder(vec![]), &[]).unwrap();
    for (badge, times) in
        [("inside\"><span aria-hidden=\"true\">✓</span> inside", 4), ("outside\"><span", 3), ("not-run\"><span", 1)]
    {
        assert_eq!(page.matches(&format!("<span class=\"badge {badge}")).count(), times, "{badge}");
    }
    let line = "<tr><th scope=\"row\">at: pgd ε = 0.1</th>\
                <td><span class=\"badge outside\"><span aria-hidden=\"true\">✗</span> outside by 2.50</span></td>\
                <td class=\"number\">75</td><td>72.5 to 80</td>\
                <td class=\"number\">70.0 ± 14.1 (2 seeds)</td><td class=\"number\">10</td><td class=\"number\">-5.0</td>\
                <td class=\"text\">Someone 2018, table 3</td><td class=\"text\">100 epochs</td></tr>";
    assert!(page.contains(line), "{page}");
}

#[test]
fn of_two_published_outcomes_every_seed_may_have_its_own() {
    // 90 and 20 % under fgsm; the second outcome is known by its flag.
    let mut e = expect("at", attack("fgsm", "0.3"), 88.0, (85.0, 95.0));
    e.or = Some(Alternative { band: (0.0, 25.0), flag: Some("catastrophic-overfitting".into()) });
    let mut folder = folder(vec![e.clone()]);
    let report = Report::new(&folder).unwrap();
    // Without the flag it is no second outcome, and far from the first.
    assert_eq!(report.expectations[0].judgement, Judgement::Outside { by: 65.0 });
    folder.records[1].result.flags.push(Flag { name: "catastrophic-overfitting".into(), detail: "so".into() });
    let report = Report::new(&folder).unwrap();
    let judged = &report.expectations[0];
    assert_eq!((judged.judgement, report.unmet()), (Judgement::Inside, 0));
    assert_eq!(judged.seen.iter().map(|s| s.outcome).collect::<Vec<_>>(), [Outcome::Band, Outcome::Alternative]);
    let text = report.markdown();
    assert!(
        text.contains(
            "| 88 | 85 to 95 or 0 to 25 (catastrophic-overfitting) | 90.0 (seed 0), 20.0 (seed 1) | 10 | – |"
        ),
        "{text}"
    );
    // Outside of both, it misses the nearer one.
    e.or = Some(Alternative { band: (0.0, 18.0), flag: None });
    assert_eq!(self::judged(e).judgement, Judgement::Outside { by: 2.0 });
}

#[test]
fn a_shortened_run_is_shown_and_not_judged() {
    let mut folder = folder(vec![
        expect("at", attack("pgd", "0.1"), 95.0, (94.0, 96.0)),
        expect("gone", Quantity::Clean, 95.0, (94.0, 96.0)),
    ]);
    folder.manifest.shortened = Some("2 of 30 epochs".into());
    let report = Report::new(&folder).unwrap();
    assert_eq!(report.unmet(), 0);
    let text = report.markdown();
    assert!(text.contains("1 not run, 1 not judged. This run is shortened (2 of 30 epochs)"), "{text}");
    assert!(text.contains("| 70.0 ± 14.1 (2 seeds) | 10 | -25.0 | shortened: not judged |"), "{text}");
    let page = report.page(&folder, &[]).unwrap();
    assert!(page.contains("○</span> shortened: not judged") && !page.contains("badge outside"), "{page}");
    assert!(page.contains("This run is shortened (2 of 30 epochs)"), "{page}");
}

#[test]
fn a_report_without_published_numbers_has_none_of_their_files() {
    let folder = folder(vec![expect("at", Quantity::Clean, 99.0, (90.0, 100.0))]);
    let out = tempfile::tempdir().unwrap();
    let names = |report: &Report| -> Vec<String> {
        let written = report.write(out.path()).unwrap();
        written.iter().map(|p| p.file_name().unwrap().to_string_lossy().into_owned()).collect()
    };
    let all = ["table.md", "table.csv", "summary.csv", "expectations.csv", "pairs.csv", "classes.csv", "broken.csv"];
    assert_eq!(names(&Report::new(&folder).unwrap()), all);
    let plain = Report::new(&Folder::of("tiny", "gauntlet run tiny", folder.records)).unwrap();
    assert!(!names(&plain).contains(&"expectations.csv".to_string()));
    assert!(!out.path().join("expectations.csv").exists(), "one from before would be taken for this report's");
    assert!(!plain.markdown().contains("Published"));
}
