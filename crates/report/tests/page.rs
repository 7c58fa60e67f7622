//! Pages, pictures, LaTeX and JSON from small hand-made records.
//!
//! What they should look like stands in `tests/golden`; `UPDATE_GOLDEN=1 cargo test --release --workspace --test page` writes it anew,
//! to be read in the diff.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod pictures;

use gauntlet_records::{
    CleanVerdict, Fate, Norm, Record, Verdict,
    record::{Attacked, Epoch, Flag, Outcome, Provenance, RECORD_FORMAT},
};
use gauntlet_report::{Entry, Folder, Leaderboard, Plot, Report, Subject};
use pictures::pictures;
use serde_json::json;
use std::path::Path;

const CLASSES: [&str; 3] = ["cat", "dog & co", "fish"];

/// An example's fate: wrong clean for one in ten, and ever more broken with strength.
fn fate(i: usize, strength: usize) -> Fate {
    match (i * 7 + 3) % 10 {
        0 => Fate::Wrong,
        k if k <= strength => Fate::Broken,
        _ => Fate::Robust,
    }
}

fn attacked(attack: &str, norm: Norm, eps: &str, n: usize, strength: usize) -> Attacked {
    let verdict = |i: usize| {
        let fate = fate(i, strength);
        Verdict {
            id: i as u64,
            fate,
            restart: 0,
            steps: 10,
            size: 0.1,
            margin: Verdict::margin(fate, 0.5),
            forwards: 11,
            backwards: 10,
            broken_by: match (attack, fate) {
                ("autoattack", Fate::Broken) if i.is_multiple_of(2) => "apgd-ce".into(),
                ("autoattack", Fate::Broken) => "square".into(),
                _ => String::new(),
            },
            blind: 0,
            rounded: true,
            fooled: None,
        }
    };
    Attacked {
        attack: attack.into(),
        parameters: json!({"name": attack}),
        family: None,
        norm,
        eps: eps.parse().unwrap(),
        examples: None,
        verdicts: (0..n).map(verdict).collect(),
    }
}

fn epoch(epoch: u32, row: usize) -> Epoch {
    let t = f64::from(epoch);
    Epoch {
        epoch,
        terms: vec![("ce".into(), 2.0 / t), ("grad_norm".into(), 0.01 * t)],
        clean_accuracy: 1.0 - 0.5 / t,
        robust_accuracy: 0.5 - 0.3 / t,
        gradient_l1: 3.0 + row as f64,
        gradient_l2: 0.125,
        alignment: Some(1.0 - 0.1 / t),
        own_fgsm_accuracy: None,
        own_pgd_accuracy: None,
        monitored_on: "validation".into(),
        evaluated: false,
    }
}

/// A record of `n` examples; `harm` is what the weakest attack breaks of ten.
fn record(row: &str, seed: u64, n: usize, harm: usize, epochs: u32) -> Record {
    let label = |i: usize| (i % CLASSES.len()) as u32;
    let predicted = |i: usize| if fate(i, 0) == Fate::Wrong { label(i) + 1 } else { label(i) };
    let attack = |attack: &str, eps: &str, more: usize| attacked(attack, Norm::Linf, eps, n, harm + more);
    Record {
        format: RECORD_FORMAT,
        suite: "tiny".into(),
        row: row.into(),
        seed,
        failed: None,
        result: Outcome {
            configuration: json!({
                "data": "mnist",
                "classes": CLASSES,
                "training": {
                    "model": {"name": "mlp", "args": {}},
                    "recipe": {"base": {"name": "ce", "args": {}}, "penalties": []},
                },
            }),
            data_sha256: "sha256:aa".into(),
            checkpoint_sha256: format!("sha256:{row}-{seed}"),
            curve: (1..=epochs).map(|e| epoch(e, harm)).collect(),
            clean: (0..n)
                .map(|i| CleanVerdict { id: i as u64, label: label(i), predicted: predicted(i), margin: 0.5 })
                .collect(),
            certified: vec![],
            attacked: vec![
                attack("fgsm", "8/255", 0),
                attack("fgsm", "0.1", 2),
                attack("autoattack", "8/255", 1),
                attack("autoattack", "0.1", 4),
                attack("transfer from ce", "0.1", 0),
                attack("transfer from other", "0.1", 1),
                attacked("ddn", Norm::L2, "1", n, harm),
            ],
            flags: vec![],
        },
        provenance: Provenance {
            version: "0.1.0".into(),
            commit: "abc".into(),
            versions: vec![("rustc".into(), "1.95.0".into())],
            cpu: "A CPU".into(),
            device: "cpu".into(),
            threads: 2,
            started: "2026-01-01T00:00:00Z".into(),
            train_seconds: 1.25,
            evaluate_seconds: 2.5,
            ..Provenance::default()
        },
        expectations: vec![],
    }
}

/// Two rows of two seeds, and a third that failed; with what a careless template would let through as HTML.
fn tiny() -> Folder {
    let mut records = vec![
        record("ce", 0, 30, 3, 3),
        record("ce", 1, 30, 4, 3),
        record("grad_norm", 0, 30, 1, 3),
        record("grad_norm", 1, 30, 1, 3),
        record("other", 0, 30, 2, 0),
    ];
    let flag = |name: &str, detail: &str| Flag { name: name.into(), detail: detail.into() };
    records[2].result.flags.push(flag("gradient-vanishes", "2 % of pgd's gradients are zero & \"lost\""));
    records[3].result.flags.push(flag("gradient-vanishes", "3 % of pgd's gradients are zero"));
    records[4].failed = Some("autoattack: a <full> disk".into());
    records[4].result.attacked[3].verdicts.truncate(4);
    let mut folder = Folder::of("tiny", "gauntlet run tiny --take 30", records);
    folder.manifest.notes.push("Thirty examples are <script>alert(1)</script> no evaluation, says `a < b`.".into());
    for (row, slope) in [("ce", 3.0), ("grad_norm", 0.125)] {
        folder.pictures.push((Entry { row: row.into(), seed: 0 }, pictures((1, 4, 4), 2, slope)));
    }
    folder
}

fn report(folder: &Folder) -> Report {
    Report::new(folder).unwrap()
}

/// Compares with a file of `tests/golden`.
fn golden(name: &str, text: &str) {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden")).join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    let line = expected.lines().zip(text.lines()).position(|(a, b)| a != b).unwrap_or(0);
    assert!(
        expected == text,
        "{name} differs from line {}:\n{}\n{}",
        line + 1,
        expected.lines().nth(line).unwrap_or_default(),
        text.lines().nth(line).unwrap_or_default()
    );
}

/// The text with everything between two marks, and the marks, left out.
fn without(text: &str, from: &str, to: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(from) {
        out += before;
        rest = after.split_once(to).unwrap().1;
    }
    out + rest
}

#[test]
fn the_latex_is_exactly_this() {
    golden("table.tex", &report(&tiny()).latex());
}

#[test]
fn the_json_is_exactly_this() {
    let folder = tiny();
    let value: serde_json::Value = serde_json::from_slice(&report(&folder).digest(&folder).unwrap()).unwrap();
    golden("records.json", &(serde_json::to_string_pretty(&value).unwrap() + "\n"));
    let reported = |row: &str| value["model_info"]["linf-0.1"][row]["reported"].as_str().unwrap().to_string();
    // Seven of ten fall to fgsm or autoattack, and one was wrong before.
    assert_eq!([reported("ce-0"), reported("grad_norm-0")], ["20.00", "40.00"]);
    assert_eq!(value["model_info"]["linf-0.1"]["ce-0"]["autoattack_acc"], "20.00");
    assert_eq!(value["model_info"]["l2-1"]["ce-0"].get("autoattack_acc"), None);
}

#[test]
fn the_page_is_this_but_for_its_style_its_script_and_its_drawings() {
    let folder = tiny();
    let report = report(&folder);
    let page = report.page(&folder, &Plot::all(&report, &folder).unwrap()).unwrap();
    let shape = without(&without(&without(&page, "<style>", "</style>"), "<script>", "</script>"), "\n<path", "/>");
    // The pixels are compared one by one elsewhere.
    let mut shape = without(&shape, "data:image/png;base64,", "\"");
    for element in ["polyline", "polygon", "line", "rect", "circle"] {
        shape = without(&shape, &format!("\n<{element} "), ">");
    }
    let shape: String =
        without(&shape, "\n<text", "</text>").lines().map(|l| l.trim_end().to_string() + "\n").collect();
    golden("index.html", &shape);
}

#[test]
fn the_drawings_are_exactly_these() {
    let folder = tiny();
    let plots = Plot::all(&report(&folder), &folder).unwrap();
    for subject in Subject::ALL {
        let plot = plots.iter().find(|p| p.subject == subject).unwrap();
        golden(&format!("{}.svg", plot.name), &plot.svg());
    }
    let names: Vec<&str> = plots.iter().map(|p| p.name.as_str()).collect();
    let unique: std::collections::BTreeSet<&&str> = names.iter().collect();
    assert_eq!(unique.len(), names.len(), "{names:?}");
}

#[test]
fn nothing_in_a_page_comes_from_elsewhere_or_runs_that_should_not() {
    let folder = tiny();
    let report = report(&folder);
    let page = report.page(&folder, &Plot::all(&report, &folder).unwrap()).unwrap();
    let page = page.replace("<img src=\"data:image/png;base64,", "<img \"");
    for forbidden in [" src=", "href=\"http", "href=\"//", "url(", "@import", "<script>alert", "<full>", "xlink"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    assert_eq!(page.matches("<script").count(), 1);
    for escaped in
        ["&lt;script&gt;alert(1)", "<code>a &lt; b</code>", "a &lt;full&gt; disk", "zero &amp; &quot;lost&quot;"]
    {
        assert!(page.contains(escaped), "{escaped}");
    }
    // Every picture is described, and its numbers are there.
    let drawn = page.matches("<svg ").count();
    assert!(drawn > 10);
    for needed in ["role=\"img\"", "</desc>", "<figcaption>", "Numbers<span"] {
        assert_eq!(page.matches(needed).count(), drawn, "{needed}");
    }
}

#[test]
fn everything_is_written_twice_the_same_and_old_pictures_go() {
    let place = tempfile::tempdir().unwrap();
    let (folder, out) = (tiny(), place.path());
    let bytes = || -> Vec<(std::path::PathBuf, Vec<u8>)> {
        let written = report(&folder).publish(&folder, out).unwrap();
        written.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
    };
    let first = bytes();
    std::fs::write(out.join("plots/training-gone.svg"), "an older report's").unwrap();
    std::fs::write(out.join("plots/mine.txt"), "not a picture").unwrap();
    assert!(first == bytes(), "a second time it is different");
    assert!(!out.join("plots/training-gone.svg").exists() && out.join("plots/mine.txt").exists());
    let named = |name: &str| first.iter().any(|(path, bytes)| path.ends_with(name) && !bytes.is_empty());
    for name in [
        "table.csv",
        "summary.csv",
        "table.md",
        "table.tex",
        "records.json",
        "index.html",
        "plots/security-worst-case.svg",
        "plots/security-worst-case.png",
        "plots/broken-within-autoattack-linf-0.1.svg",
        "plots/transfer-linf-0.1.png",
        "plots/training-ce.svg",
    ] {
        assert!(named(name), "{name}");
    }
}

#[test]
fn a_png_shows_lines_and_letters() {
    let folder = tiny();
    let plots = Plot::all(&report(&folder), &folder).unwrap();
    let png = plots.iter().find(|p| p.subject == Subject::Security).unwrap().png().unwrap();
    let pixels = resvg::tiny_skia::Pixmap::decode_png(&png).unwrap();
    let is =
        |r: u8, g: u8, b: u8| pixels.pixels().iter().filter(|p| (p.red(), p.green(), p.blue()) == (r, g, b)).count();
    assert_eq!(pixels.width(), 860);
    // The first two series; black of the title and the labels.
    assert!(is(0x00, 0x72, 0xb2) > 500 && is(0xd5, 0x5e, 0x00) > 500, "no lines");
    assert!(is(0, 0, 0) > 500, "no letters");
    assert!(is(255, 255, 255) > pixels.pixels().len() / 2, "not on white");
}

#[test]
fn a_leaderboard_joins_reports_and_leaves_out_what_failed() {
    let mut theirs =
        Folder::of("theirs", "gauntlet run theirs", vec![record("sturdy", 0, 30, 0, 0), record("many", 0, 300, 0, 0)]);
    theirs.records.iter_mut().for_each(|r| r.suite = "theirs".into());
    let board = Leaderboard::new(&[tiny(), theirs]).unwrap();
    let titles: Vec<String> = board.boards.iter().map(gauntlet_report::Board::title).collect();
    let weaker = "; not AutoAttack: an upper bound";
    let expected = [
        "mnist, L∞ ε = 8/255: autoattack, 300 images".to_string(),
        "mnist, L∞ ε = 8/255: autoattack, 30 images".into(),
        "mnist, L∞ ε = 0.1: autoattack, 300 images".into(),
        "mnist, L∞ ε = 0.1: autoattack, 30 images".into(),
        format!("mnist, L2 ε = 1: ddn, 300 images{weaker}"),
        format!("mnist, L2 ε = 1: ddn, 30 images{weaker}"),
    ];
    assert_eq!(titles, expected);
    golden("leaderboard.md", &board.markdown());
    let ranks: Vec<(Option<usize>, &str)> =
        board.boards[3].standings.iter().map(|s| (s.rank, s.row.as_str())).collect();
    // Two seeds of 20 and 10 are no reason to rank anything below another.
    assert_eq!(ranks, [(Some(1), "sturdy"), (Some(1), "grad_norm"), (Some(1), "ce")]);
    assert!(
        board.problems.iter().any(|p| p.contains("`other` is left out, seed 0 of it failed")),
        "{:?}",
        board.problems
    );
    let page = board.html().unwrap();
    assert_eq!(page.matches("<table").count(), 6);
    assert!(page.contains("autoattack: a &lt;full&gt; disk") && page.matches("<script").count() == 1, "{page}");
    let csv = String::from_utf8(board.csv().unwrap()).unwrap();
    assert_eq!(csv.lines().count(), 1 + 3 * (3 + 1), "{csv}");
    let json: serde_json::Value = serde_json::from_slice(&board.json().unwrap()).unwrap();
    assert_eq!(json["boards"][4]["norm"], "l2");
}

#[test]
fn a_folder_without_trainings_or_attacks_has_a_page_too() {
    let mut bare = record("ce", 0, 10, 1, 0);
    bare.result.attacked.clear();
    let mut failed = record("late", 0, 10, 1, 0);
    failed.result.attacked.clear();
    failed.result.clean.clear();
    failed.failed = Some("loss is not finite".into());
    let folder = Folder::of("tiny", "gauntlet run tiny", vec![bare, failed]);
    let report = report(&folder);
    let plots = Plot::all(&report, &folder).unwrap();
    assert!(plots.iter().all(|p| p.subject == Subject::Classes), "{plots:?}");
    let page = report.page(&folder, &plots).unwrap();
    assert!(page.contains("<code>late</code>, seed 0: loss is not finite"), "{page}");
    assert!(report.latex().contains("late$^\\dagger$ & failed \\\\"), "{}", report.latex());
    report.digest(&folder).unwrap();
}

#[test]
fn numbers_that_are_none_are_drawn_as_gaps() {
    let mut broken = record("ce", 0, 30, 1, 4);
    broken.result.curve[2].gradient_l1 = f64::NAN;
    broken.result.curve[3].terms[0].1 = f64::INFINITY;
    broken.result.curve[3].gradient_l2 = 0.0;
    let folder = Folder::of("tiny", "gauntlet run tiny", vec![broken]);
    let report = report(&folder);
    for plot in Plot::all(&report, &folder).unwrap() {
        let svg = plot.svg();
        let svg = svg.split_once("</desc>").unwrap().1;
        assert!(!svg.contains("NaN") && !svg.contains("inf,") && !svg.contains("2147483647"), "{svg}");
        plot.png().unwrap();
    }
    report.digest(&folder).unwrap();
}

/// 200 rows of 5 seeds. With `GAUNTLET_THOUSAND=FOLDER` the records and the report stay there, to be looked at and timed.
#[test]
fn a_thousand_records_stay_under_five_megabytes() {
    let rows: Vec<String> = (0..200).map(|r| format!("recipe-{r:03}")).collect();
    let records = rows.iter().enumerate().flat_map(|(r, row)| (0..5).map(move |s| record(row, s, 100, r % 6, 10)));
    let mut folder = Folder::of("tiny", "gauntlet run tiny", records.collect());
    // Colours that no compression makes smaller.
    let noise = |i: usize| {
        let z = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        ((z ^ (z >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
    };
    for (r, row) in rows.iter().enumerate() {
        let mut shown = pictures((3, 32, 32), 8, 1.0);
        for (k, picture) in shown.shown.iter_mut().enumerate() {
            let any = (0..3072).map(|i| noise(i + 3072 * (8 * r + k)));
            picture.x = any.clone().collect();
            picture.delta = any.clone().map(|v| (v >> 1).cast_signed()).collect();
            picture.gradient = any.map(u8::cast_signed).collect();
        }
        folder.pictures.push((Entry { row: row.clone(), seed: 0 }, shown));
    }
    let place = tempfile::tempdir().unwrap();
    let kept = std::env::var_os("GAUNTLET_THOUSAND").map(std::path::PathBuf::from);
    let out = kept.clone().unwrap_or(place.path().to_path_buf());
    if kept.is_some() {
        folder.write(&out.join("records")).unwrap();
    }
    let report = report(&folder);
    let plots = Plot::all(&report, &folder).unwrap();
    let page = report.page(&folder, &plots).unwrap();
    assert!(page.len() < 5_000_000, "{} bytes", page.len());
    assert!(page.contains("Shown here are 12 of 200 rows and 7 of 8 examples"));
    assert_eq!(plots.iter().filter(|p| p.subject == Subject::Training).count(), 200);
    if kept.is_some() {
        let started = std::time::Instant::now();
        Report::new(&folder).unwrap().publish(&folder, &out).unwrap();
        println!("{:.2} s, {} bytes", started.elapsed().as_secs_f64(), page.len());
    }
}
