//! A leaderboard as text for a terminal.

use super::Leaderboard;
use super::forms::{CAPTION, origin, ranked, remarks, robust};
use crate::Screen;
use crate::terminal::grid::Grid;
use crate::terminal::print;
use std::fmt::Write;

impl Leaderboard {
    /// A table for every board, as wide as the screen.
    pub fn terminal(&self, screen: &Screen) -> String {
        let mut out = screen.wrapped(CAPTION) + "\n";
        for board in &self.boards {
            let _ = writeln!(out, "\n{}\n{}\n", screen.wrapped(&board.title()), screen.wrapped(&board.protocol()));
            let header = ["recipe", "rank", "robust", "clean", "under all", "seeds", "suite", "model", "flags"];
            let line = |s: &super::Ranked| {
                vec![
                    s.row.clone(),
                    ranked(s),
                    robust(s),
                    format!("{:.1}", s.clean),
                    format!("{:.1}", s.under_all),
                    s.seeds.to_string(),
                    origin(s),
                    s.model.clone(),
                    remarks(s),
                ]
            };
            let lines = board.standings.iter().map(line).collect();
            print(
                &mut out,
                screen,
                &Grid { header: header.map(String::from).into(), lines, align: "lrrrrrl", whole: false },
                |_| false,
            );
        }
        if !self.problems.is_empty() {
            out.push('\n');
        }
        self.problems.iter().for_each(|p| out += &(screen.wrapped(&format!("problem: {p}")) + "\n"));
        out
    }
}
