//! Published numbers beside ours: what is reproduced, compatible, outside, not run, and not judged.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod records;

use gauntlet_records::{
    Alternative, Band, Expectation, Norm, Operand, Quantity,
    record::{Epoch, Flag, Registered},
};
use gauntlet_report::{Folder, Judgement, Outcome, Report, Screen};
use records::record;
use serde_json::json;

fn attack(name: &str, eps: &str) -> Quantity {
    Quantity::Attack { attack: name.into(), norm: Norm::Linf, eps: eps.parse().unwrap() }
}

fn expect(row: &str, of: Quantity, value: f64, band: (f64, f64)) -> Expectation {
    Expectation {
        row: row.into(),
        of,
        minus: None,
        value: Some(value),
        sd: None,
        n: None,
        band: Some(Band(Some(band.0), Some(band.1))),
        or: None,
        source: Some("Someone 2018, table 3".into()),
        published_with: None,
    }
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
            evaluated: false,
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
    let mut outside = expect("at", attack("pgd", "0.1"), 85.0, (72.5, 80.0));
    outside.published_with = Some("100 epochs".into());
    let curve = |curve: &str, scale| Quantity::Curve { curve: curve.into(), epoch: 3, scale };
    let mut folder = folder(vec![
        expect("theirs", attack("pgd", "0.1"), 20.0, (15.0, 25.0)),
        outside,
        gap,
        expect("theirs", worst, 5.0, (0.0, 10.0)),
        expect("at", curve("alignment", 1.0), 0.94, (0.5, 1.0)),
        expect("at", curve("jac_sq", 8.0), 0.5, (0.2, 1.75)),
        expect("theirs", attack("pgd", "0.2"), 1.0, (0.0, 2.0)),
        Expectation { value: None, ..expect("at", curve("alignment", 1.0), 0.0, (0.5, 1.0)) },
    ]);
    let set = |expectation: &Expectation, commit: Option<&str>| Registered {
        expectation: expectation.clone(),
        set_in: commit.map(Into::into),
    };
    folder.records[2].expectations = vec![set(&folder.manifest.expect[0], Some("0123456789abcdef"))];
    // Of two seeds one knows nothing.
    folder.records[0].expectations = vec![set(&folder.manifest.expect[1], Some("0123456789abcdef"))];
    folder.records[1].expectations = vec![set(&folder.manifest.expect[1], None)];
    let report = Report::new(&folder).unwrap();
    assert_eq!(report.unmet(), 2);
    let text = report.markdown();
    let section = text.split("## Published and ours\n\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let lines: Vec<&str> = section.lines().collect();
    assert!(
        lines[0].starts_with(
            "2 reproduced, 2 compatible, 2 outside, 1 not run; not counted, since no number was published: 1 compatible; \
             1 of 7 set before the run. Accuracies in percent."
        ),
        "{section}"
    );
    assert_eq!(
        lines[2..].join("\n"),
        "\
| what | published | band | ours | n | difference | verdict | others pass | set | source |
| :-- | --: | --: | --: | --: | --: | :-- | --: | :-- | :-- |
| theirs: pgd ε = 0.1 | 20 | 15 to 25 | 20.0 (5.7–51.0) | 10 | +0.0 | reproduced | 0 of 1 | before the run (0123456) | Someone 2018, table 3 |
| at: pgd ε = 0.1 | 85 | 72.5 to 80 | 70.0 ± 14.1 (2 seeds; 60.0–80.0) | 10 | -15.0 | outside by 2.50 | 0 of 1 | after the run | Someone 2018, table 3 |
| at − theirs: pgd ε = 0.1 | 45 | 40 to 60 | 50.0 ± 14.1 (2 seeds; 40.0 to 60.0) | 10 | +5.0 | reproduced | – | after the run | Someone 2018, table 3 |
| theirs: worst case ε = 0.1 | 5 | 0 to 10 | 20.0 (5.7–51.0) | 10 | +15.0 | outside by 0.668 | 0 of 1 | after the run | Someone 2018, table 3 |
| at: alignment, epoch 3 | 0.94 | 0.5 to 1 | 0.920 ± 0.0141 (2 seeds; 0.910–0.930) | 50 held out | -0.0200 | compatible | – | after the run | Someone 2018, table 3 |
| at: 8 · jac_sq, epoch 3 | 0.5 | 0.2 to 1.75 | 1.00 ± 0 (2 seeds; 1.00–1.00) | the epoch | +0.500 | compatible | – | after the run | Someone 2018, table 3 |
| theirs: pgd ε = 0.2 | 1 | 0 to 2 | – | – | – | not run | – | – | Someone 2018, table 3 |
| at: alignment, epoch 3 | – | 0.5 to 1 | 0.920 ± 0.0141 (2 seeds; 0.910–0.930) | 50 held out | – | compatible (not counted) | – | after the run | Someone 2018, table 3 |

Published with another setting than ours:

- 100 epochs (at: pgd ε = 0.1; at − theirs: pgd ε = 0.1)"
    );
    let csv = String::from_utf8(report.expectations_csv().unwrap().unwrap()).unwrap();
    assert_eq!(csv.lines().count(), 9);
    let line = csv.lines().nth(2).unwrap();
    assert!(line.starts_with("tiny,at: pgd ε = 0.1,85,,,72.5,80,70,14.14"), "{line}");
    let rest = ",60,80,2,10,10,-15,outside,true,2.5,,0,1,after,,\"Someone 2018, table 3\",100 epochs";
    assert!(line.ends_with(rest), "{line}");
    assert!(csv.lines().nth(1).unwrap().contains(",before,0123456789abcdef,"), "{csv}");
    let terminal = report.terminal(&Screen { colour: true, ..Screen::default() });
    assert!(terminal.contains("published and ours: 2 reproduced, 2 compatible, 2 outside, 1 not run;"), "{terminal}");
    let red: Vec<&str> = terminal.lines().filter(|l| l.starts_with("\x1b[31m")).collect();
    assert_eq!(red.len(), 2, "{terminal}");
    assert!(
        red.iter().all(|l| l.contains("outside by")) && red[0].contains("70.0 ± 14.1 (2 seeds; 60.0–80.0)"),
        "{red:?}"
    );
    assert!(!report.terminal(&Screen::default()).contains("Someone"), "sources stand in the files");
    let page = report.page(&folder, &[]).unwrap();
    for (badge, times) in [
        ("reproduced\"><span aria-hidden=\"true\">✓</span> reproduced", 2),
        ("compatible\"><span aria-hidden=\"true\">≈</span> compatible", 3),
        ("outside\"><span", 2),
        ("not-run\"><span", 1),
    ] {
        assert_eq!(page.matches(&format!("<span class=\"badge {badge}")).count(), times, "{badge}");
    }
    let line = "<tr><th scope=\"row\">at: pgd ε = 0.1</th>\
                <td><span class=\"badge outside\"><span aria-hidden=\"true\">✗</span> outside by 2.50</span></td>\
                <td class=\"number\">85</td><td>72.5 to 80</td>\
                <td class=\"number\">70.0 ± 14.1 (2 seeds; 60.0–80.0)</td><td class=\"number\">10</td><td class=\"number\">-15.0</td>\
                <td class=\"number\">0 of 1</td><td>after the run</td>\
                <td class=\"text\">Someone 2018, table 3</td><td class=\"text\">100 epochs</td></tr>";
    assert!(page.contains(line), "{page}");
}

#[test]
fn a_dead_network_reproduces_nothing() {
    // Ten classes, one answer: what it holds under attack is chance, and so is every ordering against it.
    let digits = json!(["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    let mut constant = record("dead", 0, json!([]), &[("pgd", "0.1", "RWWWWWWWWW".repeat(10).as_str())]);
    for (i, v) in constant.result.clean.iter_mut().enumerate() {
        (v.label, v.predicted) = (i as u32 % 10, 0);
    }
    let mut plain = record("plain", 0, json!([]), &[("pgd", "0.1", "B".repeat(100).as_str())]);
    // Right about 40 of 100.
    let mut weak = record("weak", 0, json!([]), &[("pgd", "0.1", "BBBBWWWWWW".repeat(10).as_str())]);
    for r in [&mut plain, &mut weak] {
        for (i, v) in r.result.clean.iter_mut().enumerate() {
            let right = v.predicted == v.label;
            v.label = i as u32 % 10;
            v.predicted = if right { v.label } else { (v.label + 1) % 10 };
        }
    }
    let mut records = vec![constant, plain, weak];
    records.iter_mut().for_each(|r| r.result.configuration["classes"] = digits.clone());
    let clean = |row, value| Expectation { band: None, ..expect(row, Quantity::Clean, value, (0.0, 0.0)) };
    let mut gap = expect("dead", attack("pgd", "0.1"), 10.0, (0.0, 100.0));
    gap.minus = Some(Operand { row: "plain".into(), of: attack("pgd", "0.1") });
    let mut back = gap.clone();
    (back.row, back.minus.as_mut().unwrap().row) = ("plain".into(), "dead".into());
    (back.value, back.band) = (Some(-10.0), Some(Band(None, None)));
    let mut folder = Folder::of("tiny", "gauntlet run tiny", records);
    folder.manifest.expect = vec![
        expect("dead", attack("pgd", "0.1"), 10.0, (0.0, 100.0)),
        gap,
        back,
        expect("plain", attack("pgd", "0.1"), 0.0, (0.0, 5.0)),
        expect("weak", attack("pgd", "0.1"), 0.0, (0.0, 5.0)),
    ];
    let report = Report::new(&folder).unwrap();
    let said = |report: &Report| -> Vec<String> {
        report.expectations.iter().map(|j| j.why.clone().unwrap_or_else(|| j.judgement.to_string())).collect()
    };
    let dead = "dead, seed 0: 10.0 % clean, a constant answer";
    assert_eq!(said(&report), [dead, dead, dead, "reproduced", "reproduced"]);
    assert_eq!(report.expectations[0].others, Some((2, 2)), "0 % lies in the band of the first");
    assert_eq!(report.expectations[3].others, Some((1, 2)), "the dead row does not pass");
    assert!(report.markdown().contains(&format!("| outside: {dead} |")), "{}", report.markdown());
    // Half-way from chance to what was published of a row's clean accuracy is the least.
    folder.manifest.expect.push(clean("weak", 99.0));
    let report = Report::new(&folder).unwrap();
    let why = "weak, seed 0: 40.0 % clean, nearer to chance than to what was published (half-way: 54.5 %)";
    assert_eq!(said(&report)[4..], [why, why]);
    // A network that spreads its answers and is right about one in ten is not above chance.
    for v in &mut folder.records[0].result.clean {
        v.predicted = (v.id / 10 % 10) as u32;
    }
    let report = Report::new(&folder).unwrap();
    assert_eq!(said(&report)[0], "dead, seed 0: 10.0 % clean, not above chance");
}

#[test]
fn of_two_published_outcomes_every_seed_may_have_its_own() {
    // 90 and 20 % under fgsm; the second outcome is known by its flag.
    let mut e = expect("at", attack("fgsm", "0.3"), 88.0, (85.0, 95.0));
    e.or = Some(Alternative { band: Band(None, Some(25.0)), flag: Some("catastrophic-overfitting".into()) });
    let mut folder = folder(vec![e.clone()]);
    let report = Report::new(&folder).unwrap();
    // Without the flag it is no second outcome, and far from the first: 20 % of 10 reach up to 51.0 %.
    let Judgement::Outside { by } = report.expectations[0].judgement else { panic!("{:?}", report.expectations[0]) };
    assert!((by - 37.0).abs() < 0.1, "{by}");
    folder.records[1].result.flags.push(Flag { name: "catastrophic-overfitting".into(), detail: "so".into() });
    let report = Report::new(&folder).unwrap();
    let judged = &report.expectations[0];
    assert_eq!((judged.judgement, report.unmet()), (Judgement::Compatible, 0));
    assert_eq!(judged.seen.iter().map(|s| s.outcome).collect::<Vec<_>>(), [Outcome::Value, Outcome::Alternative]);
    let text = report.markdown();
    assert!(
        text.contains(
            "| 88 | 85 to 95 or at most 25 (catastrophic-overfitting) | 90.0 (seed 0), 20.0 (seed 1) | 10 | – |"
        ),
        "{text}"
    );
    // Outside of both, it misses the nearer one.
    e.or = Some(Alternative { band: Band(None, Some(18.0)), flag: None });
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
    assert!(
        text.contains("1 not run, 1 not judged; 0 of 1 set before the run. This run is shortened (2 of 30 epochs)"),
        "{text}"
    );
    assert!(text.contains("| 70.0 ± 14.1 (2 seeds; 60.0–80.0) | 10 | -25.0 | shortened: not judged | – |"), "{text}");
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
