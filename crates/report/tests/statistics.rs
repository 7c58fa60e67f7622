//! Which rows, classes and attacks differ, in cases small enough to count by hand.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod records;

use gauntlet_records::Record;
use gauntlet_report::{Folder, Report, Screen, Standing};
use records::record;
use serde_json::json;

fn report(records: Vec<Record>) -> Report {
    Report::new(&Folder::of("tiny", "gauntlet run tiny", records)).unwrap()
}

/// A row whose only attack leaves `right` of n examples: the first ones.
fn holding(row: &str, seed: u64, n: usize, right: usize) -> Record {
    record(row, seed, json!([]), &[("pgd", "0.1", &("R".repeat(right) + &"B".repeat(n - right)))])
}

fn text(csv: Option<Vec<u8>>) -> String {
    String::from_utf8(csv.unwrap()).unwrap()
}

#[test]
fn pairs_count_what_only_one_row_gets_right() {
    let a = [("fgsm", "0.1", "WRRRRRBBBB"), ("pgd", "0.1", "WRRBBBBBBB"), ("pgd", "0.3", "WBBBCCCCCC")];
    let b = [("fgsm", "0.1", "WRRRRRRRRB"), ("pgd", "0.1", "WRRRRRRRBR"), ("pgd", "0.3", "WRRRRRRBBB")];
    let report = report(vec![record("a", 0, json!([]), &a), record("b", 0, json!([]), &b)]);
    // Neither fgsm nor pgd at 0.1: their worst case speaks for them. Six examples, one way: 2 · 2⁻⁶; five: 2 · 2⁻⁵.
    assert_eq!(
        text(report.pairs_csv().unwrap()),
        "\
suite,row_a,row_b,attack,norm,eps,seed,n,only_a_right,only_b_right,p,detectable
tiny,a,b,clean,,,0,10,0,0,1.00,61.58
tiny,a,b,pgd,linf,0.3,0,10,0,6,0.0312,61.58
tiny,a,b,worst case,linf,0.1,0,10,0,5,0.0625,61.58
"
    );
}

#[test]
fn rows_that_cannot_be_told_apart_from_the_best_are_marked() {
    let told = report(vec![holding("best", 0, 40, 38), holding("near", 0, 40, 35), holding("far", 0, 40, 10)]);
    let standings = |r: &Report, k| (0..r.rows.len()).map(|row| r.standings.of(row, k).unwrap()).collect::<Vec<_>>();
    assert_eq!(standings(&told, 1), [Standing::Best, Standing::Alike, Standing::Below]);
    let markdown = told.markdown();
    for line in ["| best | 100.0 | **95.0** |", "| near | 100.0 | 87.5 ≈ |", "| far | 100.0 | 25.0 |"] {
        assert!(markdown.contains(line), "{line}: {markdown}");
    }
    let legend = "Bold: the best of its column; ≈: cannot be told apart from it (McNemar's exact test at 5 %, paired on the \
                  same 40 images, Holm's correction over the rows of a column: the level holds within a \
                  column, not for the table as a whole). In clean no row can be told apart from the best.";
    assert!(markdown.contains(legend), "{markdown}");
    // 3, 25 and 28 of 40 images: the median is 62.5 %, and √0.625 (1.96 √40 + 0.8416 √(40 + 0.708 − 3.841)) / 40.708 of them.
    assert!(
        markdown.contains("n = 40, by column") && markdown.contains("pgd ε = 0.1: 34.0 (ψ = 62.5 %)"),
        "{markdown}"
    );
    assert!(markdown.contains("Below 15.0 points (6 images, all one way)"), "{markdown}");
    let terminal = told.terminal(&Screen::default());
    assert!(
        terminal.contains("best    100.0       95.0\nnear    100.0       87.5 ≈\nfar     100.0       25.0\n"),
        "{terminal}"
    );
    let folder = Folder::of("tiny", "gauntlet run tiny", Vec::new());
    let page = told.page(&folder, &[]).unwrap();
    assert_eq!((page.matches("<strong>").count(), page.matches(">≈</abbr>").count()), (1, 1));
    assert!(
        page.contains("<strong>95.0</strong>") && page.contains("Bold: the best of its column; ≈: cannot"),
        "{page}"
    );
}

#[test]
fn more_rows_need_more_evidence() {
    // Six discordant examples, all one way: p = 0.031 for one row, 0.062 for the smaller of two.
    let alone = report(vec![holding("best", 0, 40, 30), holding("a", 0, 40, 24)]);
    assert_eq!(alone.standings.of(1, 1), Some(Standing::Below));
    let two = report(vec![holding("best", 0, 40, 30), holding("a", 0, 40, 24), holding("b", 0, 40, 24)]);
    assert_eq!((two.standings.of(1, 1), two.standings.of(2, 1)), (Some(Standing::Alike), Some(Standing::Alike)));
    assert!(!two.markdown().contains("**"), "nothing is best where nothing is told apart");
    assert!(two.markdown().contains("In no column can a row be told apart from the best"), "{}", two.markdown());
}

#[test]
fn every_seed_has_to_say_so() {
    let rows = |second| {
        let best = [holding("best", 0, 40, 38), holding("best", 1, 40, 38)];
        let other = [holding("other", 0, 40, 10), holding("other", 1, 40, second)];
        report(best.into_iter().chain(other).collect())
    };
    assert_eq!(rows(20).standings.of(1, 1), Some(Standing::Below));
    assert_eq!(rows(37).standings.of(1, 1), Some(Standing::Alike));
    // Ahead with the second seed, however clearly, is no evidence of being behind.
    let mixed = report(vec![
        holding("best", 0, 40, 40),
        holding("best", 1, 40, 10),
        holding("other", 0, 40, 10),
        holding("other", 1, 40, 30),
    ]);
    assert_eq!(mixed.standings.of(1, 1), Some(Standing::Alike));
    assert!(rows(20).markdown().contains("the largest p of the seeds"));
}

#[test]
fn rows_on_other_images_or_seeds_are_not_compared() {
    let mut foreign = holding("foreign", 0, 40, 10);
    foreign.result.clean[0].id = 77;
    let report =
        report(vec![holding("best", 0, 40, 38), foreign, holding("later", 3, 40, 10), holding("far", 0, 40, 10)]);
    let standings: Vec<_> = (0..4).map(|r| report.standings.of(r, 1).unwrap()).collect();
    assert_eq!(standings, [Standing::Best, Standing::Unpaired, Standing::Unpaired, Standing::Below]);
    let text = report.markdown();
    assert!(text.contains("Not compared, for want of a common seed or images: foreign, later."), "{text}");
    assert_eq!(report.pairs.iter().filter(|p| p.column == 1).count(), 1, "best and far");
}

#[test]
fn where_every_row_is_at_zero_nothing_is_marked_or_said() {
    let report = report(vec![holding("a", 0, 40, 0), holding("b", 0, 40, 0)]);
    let text = report.markdown();
    assert!(!text.contains("**") && !text.contains("0 ≈"), "{text}");
    let lone = self::report(vec![holding("a", 0, 40, 30)]).markdown();
    assert!(!lone.contains("told apart"), "{lone}");
}

#[test]
fn many_rows_are_paired_with_the_best_alone() {
    let rows = |n: usize| report((0..n).map(|i| holding(&format!("r{i}"), 0, 40, 40 - i)).collect());
    assert_eq!(rows(30).pairs.len(), 2 * 30 * 29 / 2);
    let many = rows(31);
    assert_eq!(many.pairs.len(), 2 * 30);
    assert!(many.pairs.iter().all(|p| p.a == 0), "r0 is the best");
    assert!(many.markdown().contains("pairs.csv has every row beside the best"));
}

#[test]
fn the_worst_class_is_named_where_classes_say_something() {
    // Four classes of five; at 0.3 nobody holds more than a model that says one class always would, 25 %.
    let classes = |row: &str, low: &str, high: &str| {
        let mut r = record(row, 0, json!([]), &[("pgd", "0.1", low), ("pgd", "0.3", high)]);
        r.result.configuration["classes"] = json!(["ant", "bee", "cat", "dog"]);
        for (i, v) in r.result.clean.iter_mut().enumerate() {
            (v.label, v.predicted) = ((i / 5) as u32, (i / 5) as u32);
        }
        r
    };
    let report = report(vec![
        classes("strong", "RRRRRRRRRRRRRBBRRRRR", "RRRBBBBBBBBBBBBBBBBB"),
        classes("tied", "RRRRRRRBBBRRBBBRRRRR", "BBBBBBBBBBBBBBBBBBBB"),
        classes("weak", "RRRRRBBBBBBBBBBBBBBB", "BBBBBBBBBBBBBBBBBBBB"),
    ]);
    let text = report.markdown();
    assert!(text.contains("holds worst under pgd ε = 0.1. Looked at: in each norm the largest ε"), "{text}");
    assert!(
        text.contains(
            "\
| recipe | worst class | n | accuracy | mean of classes |
| :-- | :-- | --: | --: | --: |
| strong | cat | 5 | 60.0 (23.1–88.2) | 90.0 |
| tied | bee and 1 more | 5 | 40.0 (11.8–76.9) | 70.0 |

"
        ),
        "a row of 25 % is left out: {text}"
    );
    let csv = self::text(report.classes_csv().unwrap());
    assert!(csv.contains("\ntiny,strong,0,pgd,linf,0.1,cat,5,3,60.00,23.07,88.24\n"), "{csv}");
    assert_eq!(csv.lines().count(), 1 + 3 * 2 * 4, "clean and one column, four classes, three rows: {csv}");
}

#[test]
fn who_broke_what_first_is_told_stage_by_stage() {
    let cells = [("fgsm", "0.1", "WRRRRRBBBB"), ("auto", "0.1", "WRRBBBBBBR"), ("pgd", "0.3", "WRRBBBBBBB")];
    let mut records = vec![record("a", 0, json!([]), &cells), record("a", 1, json!([]), &cells)];
    let stages = ["apgd", "apgd", "fab", "apgd", "apgd", "apgd"];
    for (v, stage) in records[0].result.attacked[1].verdicts[3..9].iter_mut().zip(stages) {
        v.broken_by = stage.into();
    }
    for v in &mut records[1].result.attacked[1].verdicts[3..9] {
        v.broken_by = "apgd".into();
    }
    let report = report(records);
    // fgsm breaks 6 to 9, auto 3 to 8, with seed 0 one of them by fab: half an image a seed. pgd at 0.3 stands alone.
    let lines: Vec<String> = report.markdown().lines().map(str::to_string).collect();
    let at = lines.iter().position(|l| l == "## Broken by").unwrap();
    assert!(lines[at + 2].starts_with("Images, means over seeds: out of n,"), "{}", lines[at + 2]);
    assert_eq!(
        lines[at + 4..at + 8],
        [
            "| recipe | ε | n | clean | broken first by | broken only by | withstand all |",
            "| :-- | --: | --: | --: | :-- | :-- | --: |",
            "| a | 0.1 | 10 | 9 | fgsm 4, auto 3 (apgd 2.5, fab 0.5) | fgsm 1, auto 3 | 2 |",
            ""
        ]
    );
    assert_eq!(
        text(report.broken_csv().unwrap()),
        "\
suite,row,seed,norm,eps,attack,stage,n,clean_right,broken,first,alone
tiny,a,0,linf,0.1,fgsm,,10,9,4,4,1
tiny,a,0,linf,0.1,auto,,10,9,6,3,3
tiny,a,0,linf,0.1,auto,apgd,10,9,5,2,2
tiny,a,0,linf,0.1,auto,fab,10,9,1,1,1
tiny,a,0,linf,0.3,pgd,,10,9,7,7,7
tiny,a,1,linf,0.1,fgsm,,10,9,4,4,1
tiny,a,1,linf,0.1,auto,,10,9,6,3,3
tiny,a,1,linf,0.1,auto,apgd,10,9,6,3,3
tiny,a,1,linf,0.3,pgd,,10,9,7,7,7
"
    );
}

/// `right` images of 40 right under a search for the smallest perturbation, which broke the first `unbroken` of them at no size.
fn searched(row: &str, right: usize, unbroken: usize) -> Record {
    let fates = "R".repeat(right) + &"B".repeat(40 - right);
    let mut record = record(row, 0, json!([]), &[("fmn", "1", &fates), ("ddn", "1", &fates), ("fmn", "2", &fates)]);
    for cell in record.result.attacked.iter_mut().filter(|c| c.attack == "fmn") {
        cell.verdicts.iter_mut().enumerate().for_each(|(i, v)| v.size = if i < unbroken { 0.0 } else { 1.5 });
    }
    record
}

#[test]
fn a_column_of_a_search_that_failed_is_marked_and_never_bold() {
    // As in mnist-gauntlet, where fmn made the undefended row the best.
    let report = report(vec![searched("ce", 38, 24), searched("pgd-at", 10, 0)]);
    let markdown = report.markdown();
    for line in [
        "| recipe | clean | fmn ε = 1 ‡ | ddn ε = 1 | fmn ε = 2 ‡ | worst case ε = 1 |",
        "| ce | 100.0 | 95.0 ‡ | **95.0** | 95.0 ‡ | **95.0** |",
        "| pgd-at | 100.0 | 25.0 | 25.0 | 25.0 | 25.0 |",
    ] {
        assert!(markdown.contains(line), "{line}: {markdown}");
    }
    let told = "‡: the search for the smallest perturbation found none of any size for over 2 % of the correct images (fmn L∞: \
                `ce` 60.0 %). What it leaves is its own failure and no robustness: nothing is marked as the best of such a column, \
                and it makes no worst case alone.";
    assert!(markdown.contains(told), "{markdown}");
    let plain = told.replace('`', "");
    let terminal = report.terminal(&Screen::default());
    assert!(terminal.contains(&plain) && terminal.contains("95.0 ‡"), "{terminal}");
    let page = report.page(&Folder::of("tiny", "gauntlet run tiny", Vec::new()), &[]).unwrap();
    assert!(
        page.contains("‡: the search for the smallest perturbation")
            && page.contains("for 60.0 % of the correct images\">‡")
    );
    assert_eq!(page.matches("<strong>").count(), 2, "{page}");
    let latex = report.latex();
    assert!(
        latex.contains("$\\varepsilon = 1^\\ddagger$ &") && latex.contains("ce & $100.0$ & $95.0^\\ddagger$ &"),
        "{latex}"
    );
    assert!(latex.contains("{\\footnotesize $^\\ddagger$: the search for the smallest perturbation"), "{latex}");
    let csv = String::from_utf8(report.table_csv().unwrap()).unwrap();
    assert!(csv.contains("tiny,ce,0,fmn,linf,2,40,38,95.00,83.50,98.62,60.00,\n"), "{csv}");
    assert!(csv.contains("tiny,pgd-at,0,ddn,linf,1,40,10,25.00,14.19,40.19,0.00,\n"), "{csv}");
    let summary = String::from_utf8(report.summary_csv().unwrap()).unwrap();
    assert!(summary.contains("tiny,ce,fmn,linf,1,1,40,95.00,0.00,83.50,98.62,60.00\n"), "{summary}");
    // At ε = 2 nothing but the failed search was tried: no pairs, no class that it holds worst.
    assert!(!text(report.pairs_csv().unwrap()).contains("fmn"), "{markdown}");

    // A worst case that is made of failed searches alone says so, too.
    let both = |row: &str| {
        let mut record = searched(row, 38, 24);
        let ddn = &mut record.result.attacked[1].verdicts;
        ddn.iter_mut().for_each(|v| v.size = 0.0);
        record
    };
    let markdown = self::report(vec![both("ce"), searched("pgd-at", 10, 0)]).markdown();
    assert!(markdown.contains("fmn ε = 2 ‡ | worst case ε = 1 ‡ |"), "{markdown}");
    assert!(markdown.contains("| ce | 100.0 | 95.0 ‡ | 95.0 ‡ | 95.0 ‡ | 95.0 ‡ |"), "{markdown}");
    // Two in a hundred may stay.
    let fine = self::report(vec![searched("ce", 38, 0), searched("pgd-at", 10, 0)]).markdown();
    assert!(!fine.contains('‡') && fine.contains("| ce | 100.0 | **95.0** |"), "{fine}");
}

#[test]
fn what_passed_during_the_training_is_told_and_marks_no_row() {
    let mut record = holding("pgd-at", 0, 40, 36);
    let flag = |name: &str| gauntlet_records::Flag {
        name: name.into(),
        detail: "at the end of epoch 1, own PGD 0.8 %".into(),
    };
    record.result.flags = vec![flag("catastrophic-overfitting-transient"), flag("gradient-vanishes")];
    let folder = Folder::of("tiny", "gauntlet run tiny", vec![record]);
    let page = Report::new(&folder).unwrap().page(&folder, &[]).unwrap();
    let marks = |name: &str| page.matches(&format!("href=\"#flag-{name}\"")).count();
    assert_eq!((marks("catastrophic-overfitting-transient"), marks("gradient-vanishes")), (0, 1), "{page}");
    assert!(
        page.contains("id=\"flag-catastrophic-overfitting-transient\"") && page.contains("epoch 1, own PGD 0.8 %"),
        "{page}"
    );
    assert!(page.contains("Raised when some epoch ended as for"), "{page}");
}
