//! The report as text for a terminal.

pub(crate) mod grid;
mod screen;
mod sparkline;

use crate::plots::strictest;
use crate::{Column, Judged, Judgement, Report, Standing};
use grid::{Grid, Kind};
pub use screen::Screen;
use sparkline::{ends, sparkline};
use std::fmt::Write;

impl Report {
    /// The table over seeds, curves in miniature and published numbers beside ours, as wide as the screen.
    pub fn terminal(&self, screen: &Screen) -> String {
        let mut out = screen.wrapped(&format!("{}: {}\n\n", self.suite, self.caption()));
        let marked =
            |cell: String, standing| if standing == Some(Standing::Alike) { format!("{cell} ≈") } else { cell };
        let (header, mut lines) = (self.header(), self.grid(marked));
        let alike = lines.iter().flatten().any(|cell| cell.ends_with('≈'));
        // Where a number of a column is marked, the others keep its place free.
        let mark = ['≈', '‡'];
        for k in 1..header.len() {
            if lines.iter().any(|l| l[k].ends_with(mark)) {
                lines.iter_mut().filter(|l| !l[k].ends_with(mark)).for_each(|l| l[k] += "  ");
            }
        }
        print(&mut out, screen, &Grid { header, lines, align: "lr", whole: false }, |_| false);
        if alike {
            let told = "≈: cannot be told apart from the best of its column (table.md says how that is tested)";
            let _ = writeln!(out, "\n{}", screen.wrapped(told));
        }
        if let Some(told) = self.failing_sentence() {
            let _ = writeln!(out, "\n{}", screen.wrapped(&told.replace('`', "")));
        }
        self.curves(&mut out, screen);
        if !self.expectations.is_empty() {
            let _ = writeln!(out, "\n{}\n", screen.wrapped(&format!("published and ours: {}", self.verdicts())));
            let all_but_source = |cells: &[String]| cells[..cells.len() - 1].to_vec();
            let header = all_but_source(&Judged::HEADER.map(String::from));
            let lines = self.expectations.iter().map(|j| all_but_source(&j.cells())).collect();
            let outside = |i: usize| matches!(self.expectations[i].judgement, Judgement::Outside { .. });
            print(&mut out, screen, &Grid { header, lines, align: "lrrrrrlrl", whole: true }, outside);
        }
        if !(self.failures.is_empty() && self.problems.is_empty() && self.told.is_empty()) {
            out.push('\n');
        }
        let mut told = |code: &str, text: &str| {
            let text = screen.wrapped(&text.replace('`', ""));
            let _ = writeln!(out, "{}", if code.is_empty() { text } else { screen.paint(code, &text) });
        };
        for f in &self.failures {
            told("31", &format!("failed: {}, seed {}: {}", f.row, f.seed, f.reason));
        }
        self.problems.iter().for_each(|problem| told("33", &format!("problem: {problem}")));
        self.told.iter().for_each(|remark| told("", remark));
        out
    }

    /// Of every row the course of its training, and what it holds as budgets grow; nothing where no row has either.
    fn curves(&self, out: &mut String, screen: &Screen) {
        let sweeps = self.sweeps();
        let trained = self.courses.iter().any(|c| c.len() > 1);
        if !trained && sweeps.is_empty() {
            return;
        }
        let mut header = vec!["recipe".to_string()];
        header.extend(trained.then(|| "training".to_string()));
        header.extend(sweeps.iter().map(|s| s.0.clone()));
        let line = |(r, row): (usize, &String)| {
            let mut line = vec![row.clone()];
            line.extend(trained.then(|| sparkline(screen, self.courses.get(r).map_or(&[], Vec::as_slice))));
            let held = |columns: &[usize]| -> Vec<f64> {
                columns.iter().filter_map(|k| Some(self.summary.value(r, *k)?.mean)).collect()
            };
            line.extend(sweeps.iter().map(|s| sparkline(screen, &held(&s.1))));
            line
        };
        let lines = self.rows.iter().enumerate().map(line).collect();
        let (low, high) = ends(screen);
        let mut told = format!("Curves: accuracy between {low} (0) and {high} (100 %), first → last.");
        if trained {
            told += " Training: under the quick attack, after every epoch.";
        }
        if !sweeps.is_empty() {
            told += " ε: clean, then under the column that is strictest at each ε.";
        }
        let _ = writeln!(out, "\n{}\n", screen.wrapped(&told));
        print(out, screen, &Grid { header, lines, align: "l", whole: false }, |_| false);
    }

    /// Norms with several budgets: a title, and the columns that speak for them, clean first.
    fn sweeps(&self) -> Vec<(String, Vec<usize>)> {
        let strictest = strictest::columns(self);
        let clean = self.columns.iter().position(|c| *c == Column::Clean);
        let sweep = |of_norm: &[(usize, gauntlet_records::Norm, gauntlet_records::Eps)]| {
            let (_, norm, last) = of_norm.last().filter(|_| of_norm.len() > 1)?;
            Some((
                format!("{} ε = 0 to {last}", norm.symbol()),
                clean.into_iter().chain(of_norm.iter().map(|c| c.0)).collect(),
            ))
        };
        strictest.chunk_by(|a, b| a.1 == b.1).filter_map(sweep).collect()
    }
}

/// Writes a table, headings bold and some lines red.
pub(crate) fn print(out: &mut String, screen: &Screen, grid: &Grid<'_>, red: impl Fn(usize) -> bool) {
    for (kind, line) in grid.printed(screen) {
        let line = match kind {
            Kind::Head => screen.paint("1", &line),
            Kind::Line(i) if red(i) => screen.paint("31", &line),
            _ => line,
        };
        let _ = writeln!(out, "{line}");
    }
}
