//! A leaderboard as Markdown, CSV, JSON and HTML.

use super::{Board, Leaderboard, Ranked};
use crate::Result;
use gauntlet_core::checkpoint::write_atomically;
use minijinja::Environment;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use serde::Serialize;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// What every form says first.
pub(super) const CAPTION: &str = "Accuracy in percent under the worst case of the attacks named, mean over seeds, with the envelope of \
                       the seeds' 95 % intervals. A rank is one more than the number of entries whose interval lies above: \
                       entries with one rank cannot be told apart, and more examples would.";

impl Board {
    /// `mnist, linf ε = 0.3`.
    pub fn title(&self) -> String {
        format!("{}, {} ε = {}", self.data, self.norm, self.eps)
    }
}

/// One line of the page.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    standing: &'a Ranked,
    robust_text: String,
    clean_text: String,
}

/// One table of the page.
#[derive(Serialize)]
struct Table<'a> {
    title: String,
    lines: Vec<Line<'a>>,
}

#[derive(Serialize)]
struct Page<'a> {
    style: &'static str,
    caption: &'static str,
    tables: Vec<Table<'a>>,
    problems: &'a [String],
}

pub(super) fn robust(s: &Ranked) -> String {
    let sd = if s.seeds > 1 { format!(" ± {:.1}", s.sd) } else { String::new() };
    format!("{:.1}{sd} ({:.1}–{:.1})", s.robust, s.low, s.high)
}

impl Leaderboard {
    /// A table for every board.
    pub fn markdown(&self) -> String {
        let mut out = format!("# Leaderboard\n\n{CAPTION}\n");
        for board in &self.boards {
            let _ = writeln!(out, "\n## {}\n", board.title());
            out.push_str("| rank | recipe | suite | model | robust | clean | seeds | n | attacks | flags |\n");
            out.push_str("| --: | :-- | :-- | :-- | --: | --: | --: | --: | :-- | :-- |\n");
            for s in &board.standings {
                let cells = [
                    s.rank.to_string(),
                    s.row.clone(),
                    s.suite.clone(),
                    s.model.clone(),
                    robust(s),
                    format!("{:.1}", s.clean),
                    s.seeds.to_string(),
                    s.n.to_string(),
                    s.attacks.join(", "),
                    s.flags.join(", "),
                ];
                let _ = writeln!(out, "| {} |", cells.map(|c| c.replace('|', "\\|")).join(" | "));
            }
        }
        if !self.problems.is_empty() {
            out.push_str("\n## Problems\n\n");
            self.problems.iter().for_each(|p| out.push_str(&format!("- {}\n", p.replace('\n', " "))));
        }
        out
    }

    /// One line for every entry of every board.
    ///
    /// # Errors
    /// CSV cannot be written.
    pub fn csv(&self) -> Result<Vec<u8>> {
        let mut out = csv::Writer::from_writer(Vec::new());
        out.write_record([
            "data", "norm", "eps", "rank", "row", "suite", "model", "robust", "sd", "low", "high", "clean", "seeds",
            "n", "attacks", "flags",
        ])?;
        for board in &self.boards {
            for s in &board.standings {
                let number = |x: f64| format!("{x:.2}");
                out.write_record([
                    &board.data,
                    &board.norm.to_string(),
                    &board.eps.to_string(),
                    &s.rank.to_string(),
                    &s.row,
                    &s.suite,
                    &s.model,
                    &number(s.robust),
                    &number(s.sd),
                    &number(s.low),
                    &number(s.high),
                    &number(s.clean),
                    &s.seeds.to_string(),
                    &s.n.to_string(),
                    &s.attacks.join(" "),
                    &s.flags.join(" "),
                ])?;
            }
        }
        Ok(out.into_inner().map_err(|e| csv::Error::from(e.into_error()))?)
    }

    /// Boards and problems.
    ///
    /// # Errors
    /// It cannot be put into JSON.
    pub fn json(&self) -> Result<Vec<u8>> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        Ok(json)
    }

    /// A page that needs nothing else.
    ///
    /// # Errors
    /// The template refuses what it is given.
    pub fn html(&self) -> Result<String> {
        let line =
            |standing| Line { standing, robust_text: robust(standing), clean_text: format!("{:.1}", standing.clean) };
        let mut tables = Vec::new();
        for board in &self.boards {
            tables.push(Table { title: board.title(), lines: board.standings.iter().map(line).collect() });
        }
        let style = include_str!("../page/style.css");
        let page = Page { style, caption: CAPTION, tables, problems: &self.problems };
        let mut environment = Environment::new();
        environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
        environment.add_filter("marked", crate::page::marked);
        environment.add_template("leaderboard.html", include_str!("template.html"))?;
        Ok(environment.get_template("leaderboard.html")?.render(Serde(&page))?)
    }

    /// Writes `leaderboard.html`, `.md`, `.csv` and `.json` into `folder`. Returns their paths.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        let files = [
            ("leaderboard.html", self.html()?.into_bytes()),
            ("leaderboard.md", self.markdown().into_bytes()),
            ("leaderboard.csv", self.csv()?),
            ("leaderboard.json", self.json()?),
        ];
        let mut written = Vec::new();
        for (name, bytes) in files {
            let path = folder.join(name);
            write_atomically(&path, &bytes)?;
            written.push(path);
        }
        Ok(written)
    }
}
