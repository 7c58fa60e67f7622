//! The report on screens of several widths.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod records;

use gauntlet_records::{
    Band, Expectation, Norm, Quantity, Record,
    record::{Epoch, Flag},
};
use gauntlet_report::{Folder, Leaderboard, Report, Screen};
use records::record;
use serde_json::json;
use unicode_width::UnicodeWidthStr;

const WIDTHS: [usize; 6] = [40, 60, 80, 100, 120, 200];

fn epoch(epoch: u32, robust: f64) -> Epoch {
    Epoch {
        epoch,
        terms: vec![("ce".into(), 1.0)],
        clean_accuracy: 0.9,
        robust_accuracy: robust,
        gradient_l1: 1.0,
        gradient_l2: 1.0,
        alignment: None,
        own_fgsm_accuracy: None,
        own_pgd_accuracy: None,
        monitored_on: "validation".into(),
        evaluated: false,
    }
}

/// Two seeds of rows with long names, three budgets, published numbers, a flag and a failure.
fn report() -> Report {
    let cells = |k: usize| -> Vec<(&'static str, &'static str, String)> {
        let fates = |robust: usize| {
            let one = |i: usize| {
                if i < robust {
                    'R'
                } else if i < 39 {
                    'B'
                } else {
                    'W'
                }
            };
            (0..40).map(one).collect::<String>()
        };
        let attacks = [("fgsm", 0), ("pgd-with-fifty-steps", 3), ("transfer from grad-norm-of-the-loss", 1)];
        let cell = |(a, harm): (&'static str, usize)| {
            ["0.1", "0.2", "0.3"].iter().enumerate().map(move |(e, eps)| (a, *eps, fates(37 - k - harm - 9 * e)))
        };
        attacks.into_iter().flat_map(cell).collect()
    };
    let mut records: Vec<Record> = Vec::new();
    for (r, row) in ["ce", "grad-norm-of-the-loss-with-its-graph", "grad-norm-of-the-loss-without-it", "慎重な訓練"]
        .into_iter()
        .enumerate()
    {
        for seed in 0..2 {
            let cells = cells(r + seed as usize);
            let cells: Vec<(&str, &str, &str)> = cells.iter().map(|c| (c.0, c.1, c.2.as_str())).collect();
            let mut record = record(row, seed, json!([]), &cells);
            record.result.curve = (1..=30).map(|e| epoch(e, f64::from(e) / (31.0 + r as f64))).collect();
            records.push(record);
        }
    }
    records[0].result.flags.push(Flag { name: "large-steps".into(), detail: "step size 0.1 exceeds ε / 2.".into() });
    records[5].failed =
        Some("loss is not finite: step 12 of epoch 0, and this sentence is long enough to break".into());
    let mut folder = Folder::of("tiny", "gauntlet run tiny", records);
    let expectation = Expectation {
        row: "grad-norm-of-the-loss-with-its-graph".into(),
        of: Quantity::Attack { attack: "fgsm".into(), norm: Norm::Linf, eps: "0.1".parse().unwrap() },
        minus: None,
        value: Some(97.0),
        sd: None,
        n: None,
        band: Some(Band(Some(99.0), Some(100.0))),
        or: None,
        source: Some("Someone 2020".into()),
        published_with: None,
    };
    folder.manifest.expect = vec![expectation];
    Report::new(&folder).unwrap()
}

fn screen(width: usize) -> Screen {
    Screen { width: Some(width), ..Screen::default() }
}

/// Numbers with a decimal, sorted.
fn numbers(text: &str) -> Vec<String> {
    let word = |c: char| !(c.is_ascii_digit() || c == '.');
    let mut all: Vec<String> =
        text.split(word).filter(|w| w.split('.').filter(|p| !p.is_empty()).count() == 2).map(String::from).collect();
    all.sort();
    all.dedup();
    all
}

#[test]
fn no_line_is_wider_than_the_screen_and_no_number_is_lost() {
    let report = report();
    let whole = report.terminal(&Screen::default());
    assert!(whole.lines().any(|l| l.width() > 200), "the table is wide: {whole}");
    for width in WIDTHS {
        let text = report.terminal(&screen(width));
        for line in text.lines() {
            assert!(line.width() <= width, "{} of {width}: {line}\n{text}", line.width());
        }
        assert_eq!(numbers(&text), numbers(&whole), "at {width}:\n{text}");
    }
    assert_eq!(report.terminal(&screen(1000)), whole, "a wide screen shows the same");
}

#[test]
fn a_leaderboard_fits_too() {
    let mut folder = Folder::of("tiny", "gauntlet run tiny", vec![]);
    let cells = [("fgsm", "0.1", "RRRRRRRRRB"), ("pgd-with-fifty-steps", "0.1", "RRRRRRRBBB")];
    for (seed, row) in ["ce", "grad-norm-of-the-loss-with-its-graph"].into_iter().enumerate() {
        folder.records.push(record(row, seed as u64, json!([]), &cells));
    }
    let board = Leaderboard::new(&[folder]).unwrap();
    for width in WIDTHS {
        let text = board.terminal(&screen(width));
        assert!(text.lines().all(|l| l.width() <= width), "{width}:\n{text}");
        assert!(text.contains("70.0 (39.7–89.2)") || width == 40, "{text}");
        assert_eq!(numbers(&text), numbers(&board.markdown()), "{text}");
    }
}

#[test]
fn curves_stand_under_the_table_with_a_legend() {
    let text = report().terminal(&screen(120));
    assert!(text.contains("between ▁ (0) and █ (100 %)"), "{text}");
    // Twenty letters of thirty epochs, then clean and three budgets.
    let line = text.lines().find(|l| l.starts_with("ce") && l.contains("→")).unwrap();
    let curves: Vec<&str> = line.split_whitespace().filter(|w| w.chars().any(|c| ('▁'..='█').contains(&c))).collect();
    assert_eq!(curves.iter().map(|c| c.chars().count()).collect::<Vec<_>>(), [20, 4], "{line}");
    assert!(line.contains("3.2 → 96.8") && line.contains("97.5 → "), "{line}");
}

#[test]
fn colours_and_other_letters_are_additions() {
    let report = report();
    let bare = |text: &str| {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('\x1b') {
            out += before;
            rest = after.split_once('m').unwrap().1;
        }
        out + rest
    };
    for width in WIDTHS {
        let coloured = report.terminal(&Screen { colour: true, ..screen(width) });
        assert!(coloured.contains("\x1b[31mfailed") && coloured.contains("\x1b[1m"));
        assert_eq!(bare(&coloured), report.terminal(&screen(width)));
        let ascii = report.terminal(&Screen { ascii: true, ..screen(width) });
        assert!(ascii.is_ascii(), "{ascii}");
        assert!(ascii.lines().all(|l| l.len() <= width), "{ascii}");
        let words = ascii.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains("eps = 0.1") && words.contains("between _ (0) and # (100 %)"), "{ascii}");
        assert_eq!(numbers(&ascii), numbers(&coloured));
    }
}
