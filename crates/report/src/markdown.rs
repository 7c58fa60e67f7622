//! The report as Markdown.

use crate::digits::range;
use crate::failing::MARK;
use crate::sections::Section;
use crate::{Column, Count, Judged, Report, Standing, expectation_line};
use std::collections::HashMap;
use std::fmt::Write;

impl Report {
    /// The table over seeds, published numbers and ours, intervals per training, worst classes, which attack broke what,
    /// failures, remarks and provenance.
    pub fn markdown(&self) -> String {
        let mut out = format!("# {}\n\n{}\n\n", self.suite, self.caption());
        let marked = |cell: String, standing| match standing {
            Some(Standing::Best) => format!("**{cell}**"),
            Some(Standing::Alike) => format!("{cell} ≈"),
            _ => cell,
        };
        table(&mut out, "lr", &self.header(), &self.grid(marked));
        for sentence in self.failing_sentence().into_iter().chain(self.legend()) {
            let _ = writeln!(out, "\n{sentence}");
        }
        if self.rows.iter().any(|r| self.failed(r)) {
            out.push_str("\n† a part of this row failed; see below.\n");
        }
        self.published(&mut out);
        let _ = writeln!(out, "\n## Every training\n\nAccuracy in percent with {}.\n", self.interval_name());
        if !self.costs.is_empty() {
            out.push_str("Cost: multiplications of a training step, relative to one of `ce` on the same batch.\n\n");
        }
        let mut header = vec!["recipe".to_string(), "seed".into(), "n".into()];
        header.extend((!self.costs.is_empty()).then(|| "cost".to_string()));
        header.extend((0..self.columns.len()).map(|k| self.marked_heading(k)));
        table(&mut out, "lr", &header, &self.intervals());
        tabulated(&mut out, "Worst class", self.class_section());
        tabulated(&mut out, "Broken by", self.broken_section());
        section(
            &mut out,
            "Failed",
            self.failures.iter().map(|f| format!("`{}`, seed {}: {}", f.row, f.seed, f.reason)),
        );
        section(&mut out, "Problems with the records", self.problems.iter().cloned());
        section(&mut out, "Notes", self.notes.iter().cloned());
        section(&mut out, "Remarks", self.remarks.iter().cloned());
        section(&mut out, "Provenance", self.provenance.iter().map(|(k, v)| format!("{k}: {v}")));
        out
    }

    /// One sentence on what the numbers are.
    pub(crate) fn caption(&self) -> String {
        if self.counts.is_empty() {
            return "Nothing was measured.".into();
        }
        let n = match range(self.counts.iter().map(|c| c.n)).as_str() {
            "1" => "n = 1 example".to_string(),
            n => format!("n = {n} examples"),
        };
        let seeds = self.seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
        let mut text = match self.seeds.len() {
            0 | 1 => format!("Accuracy in percent, {n}, seed {seeds}."),
            _ => format!("Accuracy in percent, mean ± standard deviation over seeds {seeds}, {n} each."),
        };
        for told in [self.images.told.clone(), self.mixed()].iter().filter(|t| !t.is_empty()) {
            text += &format!(" {told}");
        }
        text
    }

    /// Worst cases over fewer images than one of their attacks was run on.
    fn mixed(&self) -> String {
        let most = |k: usize| self.sizes.get(k).map_or(0, |s| s.1);
        let fewer = |k: &usize| {
            let budget = self.columns[*k].budget();
            let attacks = (0..self.columns.len()).filter(|c| self.columns[*c].budget() == budget);
            matches!(self.columns[*k], Column::Worst { .. }) && attacks.map(most).max() > Some(most(*k))
        };
        let columns: Vec<String> = (0..self.columns.len()).filter(fewer).map(|k| self.columns[k].to_string()).collect();
        match columns.len() {
            0 => String::new(),
            _ => format!(
                "Of attacks on different images, worst cases are over the images that all of them were run on: {}.",
                columns.join(", ")
            ),
        }
    }

    /// `Wilson's 95 % interval`, and of what where that is not the test set.
    pub(crate) fn interval_name(&self) -> &'static str {
        if self.images.alone { "Wilson's 95 % interval of these images" } else { "Wilson's 95 % interval" }
    }

    pub(crate) fn header(&self) -> Vec<String> {
        std::iter::once("recipe".to_string()).chain((0..self.columns.len()).map(|k| self.marked_heading(k))).collect()
    }

    /// What was published, ours, and what became of it.
    fn published(&self, out: &mut String) {
        if self.expectations.is_empty() {
            return;
        }
        let _ = writeln!(out, "\n## Published and ours\n\n{}\n", self.verdicts());
        let lines: Vec<Vec<String>> = self.expectations.iter().map(|j| j.cells().to_vec()).collect();
        table(out, "lrrrrrlrll", &Judged::HEADER.map(String::from), &lines);
        // Many numbers of one paper have one setting.
        let mut settings: Vec<(&str, Vec<String>)> = Vec::new();
        for e in self.expectations.iter().map(|j| &j.expectation) {
            let Some(with) = &e.published_with else { continue };
            match settings.iter_mut().find(|s| s.0 == with) {
                Some((_, whose)) => whose.push(e.to_string()),
                None => settings.push((with, vec![e.to_string()])),
            }
        }
        if !settings.is_empty() {
            out.push_str("\nPublished with another setting than ours:\n\n");
        }
        for (with, whose) in settings {
            let _ = writeln!(out, "- {with} ({})", whose.join("; "));
        }
    }

    /// How many published numbers were reproduced, and how the numbers beside them are to be read.
    pub(crate) fn verdicts(&self) -> String {
        let mut text = format!("{}.", expectation_line::tally(&self.expectations));
        if let Some(how) = &self.shortened {
            text += &format!(" This run is shortened ({how}), so its numbers are shown and not judged.");
        }
        text + " Accuracies in percent. Reproduced: the published value, with its stated error (half a 95 % interval), lies within our \
                95 % interval: Wilson's of one training, Student's of the mean over seeds (of two, both), of a difference that of the \
                pairs. Compatible: the published ordering or bound holds. A network near chance has neither. Others pass: so many \
                other rows would be reproduced or compatible in its place. Difference: ours − published."
    }

    /// The cells of the table over seeds; `mark` is told how a number stands in a column that tells its rows apart.
    pub(crate) fn grid(&self, mark: impl Fn(String, Option<Standing>) -> String) -> Vec<Vec<String>> {
        let line = |(r, row): (usize, &String)| {
            let failed = self.failed(row);
            let name = self.row_name(row) + if failed { " †" } else { "" };
            let cell = |k| match self.summary.value(r, k) {
                Some(v) => {
                    let alone =
                        || if v.seeds > 1 { format!("{:.1} ± {:.1}", v.mean, v.sd) } else { format!("{:.1}", v.mean) };
                    let number = self.between(r, k).unwrap_or_else(alone);
                    match self.failing(r, k) {
                        Some(_) => format!("{number} {MARK}"),
                        None => mark(number, self.standings.of(r, k).filter(|_| self.standings.tells_apart(k))),
                    }
                }
                None if failed => "failed".into(),
                None => "–".into(),
            };
            std::iter::once(name).chain((0..self.columns.len()).map(cell)).collect()
        };
        self.rows.iter().enumerate().map(line).collect()
    }

    fn intervals(&self) -> Vec<Vec<String>> {
        let mut lines = Vec::new();
        let mut counts: HashMap<(&str, u64), Vec<&Count>> = HashMap::new();
        for c in &self.counts {
            counts.entry((&c.row, c.seed)).or_default().push(c);
        }
        for row in &self.rows {
            for &seed in &self.seeds {
                let failed = self.failures.iter().any(|f| f.row == *row && f.seed == seed);
                let own = counts.get(&(row.as_str(), seed)).map_or(&[][..], Vec::as_slice);
                if own.is_empty() && !failed {
                    continue;
                }
                let n = own.first().map_or("–".into(), |c| c.n.to_string());
                let mut line = vec![if failed { format!("{row} †") } else { row.clone() }, seed.to_string(), n];
                if !self.costs.is_empty() {
                    let cost = self.costs.iter().find(|c| c.row == *row && c.seed == seed);
                    line.push(cost.map_or("–".into(), |c| format!("{:.2}", c.relative_to_ce)));
                }
                line.extend(self.columns.iter().map(|column| match own.iter().find(|c| c.column == *column) {
                    Some(c) => {
                        let (low, high) = c.interval();
                        format!("{:.1} ({low:.1}–{high:.1})", c.percent())
                    }
                    None if failed => "failed".into(),
                    None => "–".into(),
                }));
                lines.push(line);
            }
        }
        lines
    }
}

/// A table; `align` has one letter per column, l(eft) or r(ight), the last one for all that follow.
fn table(out: &mut String, align: &str, header: &[String], lines: &[Vec<String>]) {
    let mut line = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|c| c.replace('|', "\\|").replace('\n', " ")).collect();
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    };
    line(header);
    let letters = align.as_bytes();
    let side = |k: usize| if letters.get(k).or(letters.last()) == Some(&b'l') { ":--" } else { "--:" };
    line(&(0..header.len()).map(|k| side(k).to_string()).collect::<Vec<_>>());
    lines.iter().for_each(|l| line(l));
}

fn tabulated(out: &mut String, title: &str, section: Option<Section>) {
    if let Some(Section { caption, align, header, lines }) = section {
        let _ = writeln!(out, "\n## {title}\n\n{caption}\n");
        table(out, align, &header, &lines);
    }
}

fn section(out: &mut String, title: &str, lines: impl Iterator<Item = String>) {
    let mut lines = lines.peekable();
    if lines.peek().is_some() {
        let _ = writeln!(out, "\n## {title}\n");
        lines.for_each(|l| {
            let _ = writeln!(out, "- {}", l.replace('\n', " "));
        });
    }
}
