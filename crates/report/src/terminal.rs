//! The report as text for a terminal.

use crate::Report;
use std::fmt::Write;

impl Report {
    /// The table over seeds, aligned; `colour` adds bold and red for what failed. Readable without.
    pub fn terminal(&self, colour: bool) -> String {
        let paint = |code: &str, text: String| if colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text };
        let mut lines = vec![self.header()];
        lines.extend(self.grid());
        let width = |k: usize| lines.iter().map(|l| l[k].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..lines[0].len()).map(width).collect();
        let mut out = format!("{}: {}\n\n", self.suite, self.caption());
        for (i, line) in lines.iter().enumerate() {
            let mut text = format!("{:<w$}", line[0], w = widths[0]);
            for (cell, w) in line.iter().zip(&widths).skip(1) {
                let _ = write!(text, "  {cell:>w$}");
            }
            let text = if i == 0 { paint("1", text) } else { text };
            let _ = writeln!(out, "{}", text.trim_end());
            if i == 0 {
                let _ = writeln!(out, "{}", "─".repeat(widths.iter().sum::<usize>() + 2 * (widths.len() - 1)));
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
