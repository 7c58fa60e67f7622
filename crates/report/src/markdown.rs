//! The report as Markdown.

use crate::Report;
use std::fmt::Write;

impl Report {
    /// The table over seeds, intervals per training, failures, remarks and provenance.
    pub fn markdown(&self) -> String {
        let mut out = format!("# {}\n\n{}\n\n", self.suite, self.caption());
        table(&mut out, 1, &self.header(), &self.grid());
        if self.rows.iter().any(|r| self.failed(r)) {
            out.push_str("\n† a part of this row failed; see below.\n");
        }
        out.push_str("\n## Every training\n\nAccuracy in percent with Wilson's 95 % interval.\n\n");
        if !self.costs.is_empty() {
            out.push_str("Cost: multiplications of a training step, relative to one of `ce` on the same batch.\n\n");
        }
        let mut header = vec!["recipe".to_string(), "seed".into(), "n".into()];
        header.extend((!self.costs.is_empty()).then(|| "cost".to_string()));
        header.extend(self.columns.iter().map(ToString::to_string));
        table(&mut out, 1, &header, &self.intervals());
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
        let (few, many) = self.counts.iter().fold((u64::MAX, 0), |(a, b), c| (a.min(c.n), b.max(c.n)));
        let n = match (few, many) {
            (_, 0) => return "Nothing was measured.".into(),
            (1, 1) => "n = 1 example".to_string(),
            (a, b) if a == b => format!("n = {a} examples"),
            (a, b) => format!("n = {a} to {b} examples"),
        };
        let seeds = self.seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
        match self.seeds.len() {
            0 | 1 => format!("Accuracy in percent, {n}, seed {seeds}."),
            _ => format!("Accuracy in percent, mean ± standard deviation over seeds {seeds}, {n} each."),
        }
    }

    pub(crate) fn header(&self) -> Vec<String> {
        std::iter::once("recipe".to_string()).chain(self.columns.iter().map(ToString::to_string)).collect()
    }

    /// The cells of the table over seeds.
    pub(crate) fn grid(&self) -> Vec<Vec<String>> {
        let line = |(r, row): (usize, &String)| {
            let failed = self.failed(row);
            let name = if failed { format!("{row} †") } else { row.clone() };
            let cell = |k| match self.summary.value(r, k) {
                Some(v) if v.seeds > 1 => format!("{:.1} ± {:.1}", v.mean, v.sd),
                Some(v) => format!("{:.1}", v.mean),
                None if failed => "failed".into(),
                None => "–".into(),
            };
            std::iter::once(name).chain((0..self.columns.len()).map(cell)).collect()
        };
        self.rows.iter().enumerate().map(line).collect()
    }

    fn intervals(&self) -> Vec<Vec<String>> {
        let mut lines = Vec::new();
        for row in &self.rows {
            for &seed in &self.seeds {
                let failed = self.failures.iter().any(|f| f.row == *row && f.seed == seed);
                let any = self.counts.iter().find(|c| c.row == *row && c.seed == seed);
                if any.is_none() && !failed {
                    continue;
                }
                let n = any.map_or("–".into(), |c| c.n.to_string());
                let mut line = vec![if failed { format!("{row} †") } else { row.clone() }, seed.to_string(), n];
                if !self.costs.is_empty() {
                    let cost = self.costs.iter().find(|c| c.row == *row && c.seed == seed);
                    line.push(cost.map_or("–".into(), |c| format!("{:.2}", c.relative_to_ce)));
                }
                line.extend(self.columns.iter().map(|column| match self.count(row, seed, column) {
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

/// A table whose first `left` columns are aligned to the left, the others to the right.
fn table(out: &mut String, left: usize, header: &[String], lines: &[Vec<String>]) {
    let mut line = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|c| c.replace('|', "\\|")).collect();
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    };
    line(header);
    let rule: Vec<String> = (0..header.len()).map(|k| if k < left { ":--".into() } else { "--:".into() }).collect();
    line(&rule);
    lines.iter().for_each(|l| line(l));
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
