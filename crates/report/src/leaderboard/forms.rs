//! A leaderboard as Markdown, CSV, JSON and HTML.

use super::{Board, Leaderboard, Ranked};
use crate::Result;
use gauntlet_records::file::write_atomically;
use minijinja::Environment;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use serde::Serialize;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// What every form says first.
pub(super) const CAPTION: &str = "Accuracy in percent, mean over trainings, with a 95 % interval: over training seeds (Student's t) or over images (Wilson's), \
     whichever reaches farther. A board holds what was attacked in the same way on the same images. A rank is one more than the \
     number of entries above that differ at 5 %, and never less than the entry above has: entries with one rank cannot be told \
     apart. Two single trainings are compared by McNemar's exact test; where either has several, both a paired test over the \
     images and Welch's t over the seeds must say so. Each pair is tested at 5 %, the board as a whole is not. Entries at chance \
     have no rank. The same weights count once.";

impl Board {
    /// `mnist, L∞ ε = 0.3: autoattack, 1000 images`; of another board also that it is an upper bound.
    pub fn title(&self) -> String {
        let weaker = if self.autoattack { "" } else { "; not AutoAttack: an upper bound" };
        let weaker = if self.by_proof { format!("{weaker}; ranked by what is proved") } else { weaker.to_string() };
        let (data, norm, eps, n) = (&self.data, self.norm.symbol(), &self.eps, self.n);
        format!("{data}, {norm} ε = {eps}: {}, {n} images{weaker}", self.names.join(", "))
    }

    /// `mnist L∞ 0.3, autoattack, 1000`.
    fn short(&self) -> String {
        let names = if self.autoattack { "autoattack".to_string() } else { self.names.join(", ") };
        format!("{} {} {}, {names}, {}", self.data, self.norm.symbol(), self.eps, self.n)
    }

    /// Who stands first, with what stands beside it; `None`: all are at chance.
    fn first(&self) -> Option<String> {
        let mut ranked = self.standings.iter().filter(|s| s.rank.is_some());
        let best = ranked.next()?;
        let alike = ranked.filter(|s| s.rank == best.rank).count();
        let beside = match alike {
            0 => String::new(),
            1 => " (one other cannot be told apart from it)".to_string(),
            several => format!(" ({several} others cannot be told apart from it)"),
        };
        let (by, bound) = if self.autoattack { ("autoattack", "") } else { ("weaker attacks", ", an upper bound") };
        Some(format!(
            "{}, {} ε = {}, {by} on {} images: {} of {} keeps {:.1} %, of {:.1} % clean{bound}{beside}.",
            self.data,
            self.norm.symbol(),
            self.eps,
            self.n,
            best.row,
            best.suite,
            best.robust,
            best.clean
        ))
    }

    /// Attacks with their parameters, images, and what chance gives.
    pub(super) fn protocol(&self) -> String {
        format!(
            "Attacks: {}. Images: {}. Chance, one class for all images: {:.1} %.",
            self.attacks.join("; "),
            self.examples,
            self.chance
        )
    }
}

/// `1`; an entry at chance has none.
pub(super) fn ranked(s: &Ranked) -> String {
    s.rank.map_or("–".into(), |rank| rank.to_string())
}

/// Suites and rows that it stands for, and the folders of their records.
pub(super) fn origin(s: &Ranked) -> String {
    let mut told = s.suite.clone();
    if !s.reports.is_empty() {
        told += &format!(" in {}", s.reports.join(", "));
    }
    if !s.also.is_empty() {
        told += &format!(" (also {})", s.also.join(", "));
    }
    told
}

/// Flags, and that it is at chance.
pub(super) fn remarks(s: &Ranked) -> String {
    s.at_chance
        .then_some("at chance")
        .into_iter()
        .chain(s.flags.iter().map(String::as_str))
        .collect::<Vec<_>>()
        .join(", ")
}

/// One line of the page.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    standing: &'a Ranked,
    rank_text: String,
    robust_text: String,
    clean_text: String,
    all_text: String,
    origin: String,
    remarks: String,
}

/// One table of the page.
#[derive(Serialize)]
struct Table<'a> {
    title: String,
    /// The title in the navigation.
    short: String,
    protocol: String,
    lines: Vec<Line<'a>>,
}

#[derive(Serialize)]
struct Page<'a> {
    style: &'static str,
    theme: &'static str,
    caption: &'static str,
    /// What each of AutoAttack's boards says, in a sentence; where there is none, the first board.
    found: Vec<String>,
    facts: Vec<(&'static str, String)>,
    tables: Vec<Table<'a>>,
    problems: &'a [String],
}

pub(super) fn robust(s: &Ranked) -> String {
    let sd = if s.seeds > 1 { format!(" ± {:.1}", s.sd) } else { String::new() };
    // From what is proved to what no attack breaks.
    let proved = match s.certified {
        Some(proved) if proved < s.robust => format!("{proved:.1}–"),
        _ => String::new(),
    };
    let exact = if s.certified == Some(s.robust) { ", exact" } else { "" };
    format!("{proved}{:.1}{sd} ({:.1}–{:.1}{exact})", s.robust, s.low, s.high)
}

impl Leaderboard {
    fn found(&self) -> Vec<String> {
        let first: Vec<String> = self.boards.iter().filter(|b| b.autoattack).filter_map(Board::first).take(3).collect();
        if first.is_empty() { self.boards.iter().find_map(Board::first).into_iter().collect() } else { first }
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let standings = || self.boards.iter().flat_map(|b| &b.standings);
        let mut data: Vec<&str> = self.boards.iter().map(|b| b.data.as_str()).collect();
        let mut suites: Vec<&str> = standings().map(|s| s.suite.as_str()).collect();
        for list in [&mut data, &mut suites] {
            list.sort_unstable();
            list.dedup();
        }
        vec![
            (
                "boards",
                format!("{}, {} of AutoAttack", self.boards.len(), self.boards.iter().filter(|b| b.autoattack).count()),
            ),
            ("entries", standings().count().to_string()),
            ("data", data.join(", ")),
            ("suites", suites.join(", ")),
        ]
    }

    /// A table for every board.
    pub fn markdown(&self) -> String {
        let mut out = format!("# Leaderboard\n\n{CAPTION}\n");
        for board in &self.boards {
            let _ = writeln!(out, "\n## {}\n\n{}\n", board.title(), board.protocol());
            out.push_str("| rank | recipe | robust | clean | under all attacks | seeds | model | suite | flags |\n");
            out.push_str("| --: | :-- | --: | --: | --: | --: | :-- | :-- | :-- |\n");
            for s in &board.standings {
                let cells = [
                    ranked(s),
                    s.row.clone(),
                    robust(s),
                    format!("{:.1}", s.clean),
                    format!("{:.1}", s.under_all),
                    s.seeds.to_string(),
                    s.model.clone(),
                    origin(s),
                    remarks(s),
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
            "data",
            "norm",
            "eps",
            "autoattack",
            "attacks",
            "n",
            "examples",
            "chance",
            "rank",
            "row",
            "suite",
            "reports",
            "also",
            "model",
            "robust",
            "sd",
            "low",
            "high",
            "under_all",
            "certified",
            "clean",
            "seeds",
            "at_chance",
            "flags",
        ])?;
        for board in &self.boards {
            for s in &board.standings {
                let number = |x: f64| format!("{x:.2}");
                out.write_record([
                    &board.data,
                    &board.norm.to_string(),
                    &board.eps.to_string(),
                    &board.autoattack.to_string(),
                    &board.attacks.join("; "),
                    &board.n.to_string(),
                    &board.examples,
                    &number(board.chance),
                    &s.rank.map_or_else(String::new, |rank| rank.to_string()),
                    &s.row,
                    &s.suite,
                    &s.reports.join("; "),
                    &s.also.join("; "),
                    &s.model,
                    &number(s.robust),
                    &number(s.sd),
                    &number(s.low),
                    &number(s.high),
                    &number(s.under_all),
                    &s.certified.map_or_else(String::new, number),
                    &number(s.clean),
                    &s.seeds.to_string(),
                    &s.at_chance.to_string(),
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
        let line = |standing| Line {
            standing,
            rank_text: ranked(standing),
            robust_text: robust(standing),
            clean_text: format!("{:.1}", standing.clean),
            all_text: format!("{:.1}", standing.under_all),
            origin: origin(standing),
            remarks: remarks(standing),
        };
        let mut tables = Vec::new();
        for board in &self.boards {
            let lines = board.standings.iter().map(line).collect();
            tables.push(Table { title: board.title(), short: board.short(), protocol: board.protocol(), lines });
        }
        let style = include_str!("../page/style.css");
        let page = Page {
            style,
            theme: crate::page::THEME,
            caption: CAPTION,
            found: self.found(),
            facts: self.facts(),
            tables,
            problems: &self.problems,
        };
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
