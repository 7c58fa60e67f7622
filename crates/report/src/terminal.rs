//! The report as text for a terminal.

use crate::{Judged, Judgement, Report, Standing};
use std::fmt::Write;

impl Report {
    /// The table over seeds and published numbers beside ours, aligned; `colour` adds bold, and red for what failed.
    /// Readable without.
    pub fn terminal(&self, colour: bool) -> String {
        let paint = |code: &str, text: String| if colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text };
        let marked =
            |cell: String, standing| if standing == Some(Standing::Alike) { format!("{cell} ≈") } else { cell };
        let mut lines = vec![self.header()];
        lines.extend(self.grid(marked));
        // Where a number of a column is marked, the others keep its place free.
        for k in 1..lines[0].len() {
            if lines.iter().any(|l| l[k].ends_with('≈')) {
                lines[1..].iter_mut().filter(|l| !l[k].ends_with('≈')).for_each(|l| l[k] += "  ");
            }
        }
        let mut out = format!("{}: {}\n\n", self.suite, self.caption());
        for (i, line) in aligned(&lines, "lr").into_iter().enumerate() {
            let _ = writeln!(out, "{}", if i == 0 { paint("1", line) } else { line });
        }
        if lines.iter().any(|l| l.iter().any(|cell| cell.ends_with('≈'))) {
            out.push_str("\n≈: cannot be told apart from the best of its column (table.md says how that is tested)\n");
        }
        if !self.expectations.is_empty() {
            let _ = writeln!(out, "\npublished and ours: {}\n", self.verdicts());
            let mut lines = vec![Judged::HEADER.map(String::from).to_vec()];
            lines.extend(self.expectations.iter().map(|j| j.cells().to_vec()));
            lines.iter_mut().for_each(|l| l.truncate(7));
            let judged = self.expectations.iter().map(|j| matches!(j.judgement, Judgement::Outside { .. }));
            let outside: Vec<bool> = [false, false].into_iter().chain(judged).collect();
            for (i, line) in aligned(&lines, "lrrrrrl").into_iter().enumerate() {
                let _ = writeln!(
                    out,
                    "{}",
                    match i {
                        0 => paint("1", line),
                        i if outside[i] => paint("31", line),
                        _ => line,
                    }
                );
            }
        }
        if !(self.failures.is_empty() && self.problems.is_empty() && self.remarks.is_empty()) {
            out.push('\n');
        }
        for f in &self.failures {
            let _ = writeln!(out, "{}", paint("31", format!("failed: {}, seed {}: {}", f.row, f.seed, f.reason)));
        }
        for problem in &self.problems {
            let _ = writeln!(out, "{}", paint("33", format!("problem: {}", problem.replace('`', ""))));
        }
        for remark in &self.remarks {
            let _ = writeln!(out, "{}", remark.replace('`', ""));
        }
        out
    }
}

/// Lines of cells under one another, a rule below the first; `align` has one letter per column, l(eft) or r(ight), the last
/// one for all that follow.
fn aligned(lines: &[Vec<String>], align: &str) -> Vec<String> {
    let width = |k: usize| lines.iter().map(|l| l[k].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..lines[0].len()).map(width).collect();
    let letters = align.as_bytes();
    let left = |k: usize| letters.get(k).or(letters.last()) == Some(&b'l');
    let padded = |(k, cell): (usize, &String)| {
        let w = widths[k];
        if left(k) { format!("{cell:<w$}") } else { format!("{cell:>w$}") }
    };
    let line = |cells: &Vec<String>| {
        cells.iter().enumerate().map(padded).collect::<Vec<_>>().join("  ").trim_end().to_string()
    };
    let mut text: Vec<String> = lines.iter().map(line).collect();
    text.insert(1, "─".repeat(widths.iter().sum::<usize>() + 2 * (widths.len() - 1)));
    text
}
