//! A leaderboard as text for a terminal.

use super::Leaderboard;
use super::forms::{CAPTION, robust};
use crate::Screen;
use crate::terminal::grid::Grid;
use crate::terminal::print;
use std::fmt::Write;

impl Leaderboard {
    /// A table for every board, as wide as the screen.
    pub fn terminal(&self, screen: &Screen) -> String {
        let mut out = screen.wrapped(CAPTION) + "\n";
        for board in &self.boards {
            let _ = writeln!(out, "\n{}\n", screen.wrapped(&board.title()));
            let header = ["recipe", "rank", "robust", "clean", "seeds", "n", "suite", "model", "attacks", "flags"];
            let line = |s: &super::Ranked| {
                vec![
                    s.row.clone(),
                    s.rank.to_string(),
                    robust(s),
                    format!("{:.1}", s.clean),
                    s.seeds.to_string(),
                    s.n.to_string(),
                    s.suite.clone(),
                    s.model.clone(),
                    s.attacks.join(", "),
                    s.flags.join(", "),
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
