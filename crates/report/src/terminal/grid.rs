//! A table that fits its screen.

use super::screen::{Screen, wide};
use std::collections::HashSet;

/// Columns between two columns.
const GAP: usize = 2;

/// Names are not cut below so many columns.
const SHORTEST: usize = 10;

/// A word of so many columns is one.
const LONG: usize = 12;

/// What a printed line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Head,
    Rule,
    /// Of that line of the table.
    Line(usize),
    /// Between two blocks.
    Blank,
}

/// A table: in every line a name and numbers; `align` has one letter per column, l(eft) or r(ight), the last one for all that
/// follow.
pub(crate) struct Grid<'a> {
    pub(crate) header: Vec<String>,
    pub(crate) lines: Vec<Vec<String>>,
    pub(crate) align: &'a str,
    /// Names are broken over several lines rather than cut.
    pub(crate) whole: bool,
}

impl Grid<'_> {
    /// The printed lines. What is too wide has its headings broken over several lines, then its names shortened, then stands in
    /// several blocks, each with the names; no number is left out.
    pub(crate) fn printed(&self, screen: &Screen) -> Vec<(Kind, String)> {
        let (header, mut lines) = self.said(screen);
        let columns = 1..header.len();
        let cells = |k: usize| lines.iter().map(|l| wide(&l[k])).max().unwrap_or(0);
        let natural: Vec<usize> = (0..header.len()).map(|k| cells(k).max(wide(&header[k]))).collect();
        let Some(most) = screen.most().filter(|most| total(natural.iter().copied()) > *most) else {
            return self.block(screen, &header, &lines, &natural, &columns.collect::<Vec<_>>());
        };
        // A column is as wide as its numbers and the longest word above them.
        let longest = |k: usize| words(&header[k]).iter().map(|w| wide(w)).max().unwrap_or(0);
        let mut widths: Vec<usize> = (0..header.len()).map(|k| cells(k).max(longest(k))).collect();
        let others: usize = widths[1..].iter().map(|w| GAP + w).sum();
        // All columns in one block, if names can leave room for them; else names of a quarter of the screen.
        let least = if self.whole { 2 * SHORTEST } else { SHORTEST };
        let goal = match most.checked_sub(others) {
            Some(room) if room >= least => room,
            _ => least.max(most / 4).min(most / 2),
        };
        if self.whole {
            let parts = lines.iter().flat_map(|l| broken(screen, &l[0], goal));
            widths[0] = parts.map(|part| wide(&part)).max().unwrap_or(0).max(longest(0));
        } else if widths[0] > goal {
            let names: Vec<String> = lines.iter().map(|l| l[0].clone()).collect();
            let widest = widths[1..].iter().max().copied().unwrap_or(0);
            let room = most.saturating_sub(GAP + widest).max(goal);
            for (line, name) in lines.iter_mut().zip(shortened(screen, &names, goal..=room)) {
                line[0] = name;
            }
            widths[0] = lines.iter().map(|l| wide(&l[0])).max().unwrap_or(0).max(longest(0));
        }
        let room = most.saturating_sub(widths[0] + GAP).max(1);
        widths[1..].iter_mut().for_each(|w| *w = (*w).min(room));
        let mut blocks: Vec<Vec<usize>> = Vec::new();
        let mut taken = most;
        for k in columns {
            if taken + GAP + widths[k] > most {
                blocks.push(Vec::new());
                taken = widths[0];
            }
            taken += GAP + widths[k];
            if let Some(block) = blocks.last_mut() {
                block.push(k);
            }
        }
        let blocks: Vec<_> = blocks.iter().map(|b| self.block(screen, &header, &lines, &widths, b)).collect();
        blocks.join(&(Kind::Blank, String::new()))
    }

    /// Headings and cells in characters that the screen has.
    fn said(&self, screen: &Screen) -> (Vec<String>, Vec<Vec<String>>) {
        let all = |cells: &Vec<String>| cells.iter().map(|c| screen.said(c)).collect();
        (all(&self.header), self.lines.iter().map(all).collect())
    }

    /// Names and some columns.
    fn block(
        &self,
        screen: &Screen,
        header: &[String],
        lines: &[Vec<String>],
        widths: &[usize],
        columns: &[usize],
    ) -> Vec<(Kind, String)> {
        let columns: Vec<usize> = std::iter::once(0).chain(columns.iter().copied()).collect();
        let letters = self.align.as_bytes();
        let left = |k: usize| letters.get(k).or(letters.last()) == Some(&b'l');
        let printed = |kind: Kind, cells: &[String]| -> Vec<(Kind, String)> {
            let broken: Vec<Vec<String>> = columns.iter().map(|k| broken(screen, &cells[*k], widths[*k])).collect();
            let high = broken.iter().map(Vec::len).max().unwrap_or(0);
            let line = |i: usize| {
                let part = |(parts, k): (&Vec<String>, &usize)| {
                    // Headings stand on the rule, cells begin together.
                    let skipped = if kind == Kind::Head { high - parts.len() } else { 0 };
                    let text = i.checked_sub(skipped).and_then(|i| parts.get(i)).map_or("", String::as_str);
                    let room = " ".repeat(widths[*k].saturating_sub(wide(text)));
                    if left(*k) { format!("{text}{room}") } else { format!("{room}{text}") }
                };
                broken.iter().zip(&columns).map(part).collect::<Vec<_>>().join(&" ".repeat(GAP))
            };
            (0..high).map(|i| (kind, line(i).trim_end().to_string())).collect()
        };
        let mut out = printed(Kind::Head, header);
        out.push((Kind::Rule, screen.said(&"─".repeat(total(columns.iter().map(|k| widths[*k]))))));
        out.extend(lines.iter().enumerate().flat_map(|(i, l)| printed(Kind::Line(i), l)));
        out
    }
}

fn total(widths: impl Iterator<Item = usize>) -> usize {
    widths.map(|w| w + GAP).sum::<usize>().saturating_sub(GAP)
}

/// The words of a cell; `ε = 0.1` is one, and a long one with hyphens is several.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in text.replace(" = ", "\u{a0}=\u{a0}").split(' ').filter(|w| !w.is_empty()) {
        let word = word.replace('\u{a0}', " ");
        if wide(&word) <= LONG {
            words.push(word);
            continue;
        }
        let mut part = String::new();
        for piece in word.split_inclusive('-') {
            if !part.is_empty() && wide(&part) + wide(piece) > LONG {
                words.push(std::mem::take(&mut part));
            }
            part += piece;
        }
        words.push(part);
    }
    words
}

/// A cell in lines of at most so many columns, broken between words; a longer word loses its middle.
fn broken(screen: &Screen, text: &str, most: usize) -> Vec<String> {
    if wide(text) <= most {
        return vec![text.to_string()];
    }
    let mut lines: Vec<String> = Vec::new();
    for word in words(text) {
        match lines.last_mut().filter(|l| wide(l) + 1 + wide(&word) <= most) {
            // What a word was broken into is one again on one line.
            Some(line) => *line = format!("{line}{}{word}", if line.ends_with('-') { "" } else { " " }),
            None => lines.push(screen.cut(&word, most)),
        }
    }
    lines
}

/// Names cut to the first width at which those that differ still do; to the last one where there is none.
fn shortened(screen: &Screen, names: &[String], mut widths: std::ops::RangeInclusive<usize>) -> Vec<String> {
    let cut = |most: usize| -> Vec<String> { names.iter().map(|n| screen.cut(n, most)).collect() };
    let kinds = |names: &[String]| names.iter().collect::<HashSet<_>>().len();
    let (all, last) = (kinds(names), *widths.end());
    cut(widths.find(|w| kinds(&cut(*w)) == all).unwrap_or(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(names: &[&str]) -> Grid<'static> {
        let header = ["recipe", "clean", "pgd ε = 0.1", "transfer from pgd-at ε = 0.1", "worst case ε = 0.1"];
        let line = |(i, name): (usize, &&str)| {
            let number = |k: usize| format!("{i}{k}.5 ± 0.{k}");
            std::iter::once(name.to_string()).chain((1..5).map(number)).collect()
        };
        let lines = names.iter().enumerate().map(line).collect();
        Grid { header: header.map(String::from).to_vec(), lines, align: "lr", whole: false }
    }

    fn printed(names: &[&str], width: usize) -> Vec<String> {
        let screen = Screen { width: Some(width), ..Screen::default() };
        grid(names).printed(&screen).into_iter().map(|l| l.1).collect()
    }

    #[test]
    fn headings_are_broken_first_then_names_cut_then_the_table() {
        let names = ["direction-matching", "direction-matching-cut"];
        assert_eq!(printed(&names, 200).len(), 4);
        assert_eq!(
            printed(&names, 76),
            [
                "                                                  transfer",
                "                                                      from",
                "                                           pgd      pgd-at  worst case",
                "recipe                       clean     ε = 0.1     ε = 0.1     ε = 0.1",
                "──────────────────────────────────────────────────────────────────────",
                "direction-matching      01.5 ± 0.1  02.5 ± 0.2  03.5 ± 0.3  04.5 ± 0.4",
                "direction-matching-cut  11.5 ± 0.1  12.5 ± 0.2  13.5 ± 0.3  14.5 ± 0.4",
            ]
            .map(|l| l.to_string())
        );
        let narrow = printed(&names, 66);
        assert!(narrow.iter().any(|l| l.starts_with("direction-matching  01.5")), "{narrow:#?}");
        assert!(narrow.iter().any(|l| l.starts_with("direction…hing-cut  11.5")), "{narrow:#?}");
        let blocks = printed(&names, 40);
        assert_eq!(blocks.iter().filter(|l| l.is_empty()).count(), 1, "{blocks:#?}");
        assert_eq!(blocks.iter().filter(|l| l.starts_with("direc…-cut")).count(), 2, "{blocks:#?}");
    }

    #[test]
    fn long_words_are_broken_at_their_hyphens_and_joined_where_there_is_room() {
        let screen = Screen::default();
        let label = "pgd-with-fifty-steps ε = 8/255";
        assert_eq!(words(label), ["pgd-with-", "fifty-steps", "ε = 8/255"]);
        assert_eq!(broken(&screen, label, 22), ["pgd-with-fifty-steps", "ε = 8/255"]);
        assert_eq!(broken(&screen, "transfer from apgd-ce", 8), ["transfer", "from", "apgd-ce"]);
        assert_eq!(broken(&screen, "incomprehensibilities", 12), ["incomp…ities"]);
    }

    #[test]
    fn names_that_are_sentences_stay_whole() {
        let header = ["what", "ours", "verdict"].map(String::from).to_vec();
        let lines = vec![["grad-norm − ce: pgd ε = 0.1", "78.7", "outside by 16.1"].map(String::from).to_vec()];
        let screen = Screen { width: Some(44), ..Screen::default() };
        let printed = Grid { header, lines, align: "lrl", whole: true }.printed(&screen);
        assert_eq!(
            printed.iter().map(|l| l.1.as_str()).collect::<Vec<_>>(),
            [
                "what                 ours  verdict",
                "──────────────────────────────────────────",
                "grad-norm − ce: pgd  78.7  outside by 16.1",
                "ε = 0.1",
            ]
        );
    }

    #[test]
    fn no_line_is_wider_than_the_screen_no_number_is_lost_and_names_stay_apart() {
        let long: Vec<String> = (0..12).map(|i| format!("grad-norm-of-the-loss-{i:02}-with-the-graph-kept")).collect();
        let odd = ["敵対的訓練", "敵対的訓練-正則化された損失-長い名前", "ce †"];
        for names in [long.iter().map(String::as_str).collect::<Vec<_>>(), odd.to_vec()] {
            for width in [20, 40, 60, 80, 100, 120, 200] {
                let lines = printed(&names, width);
                let text = lines.join("\n");
                assert!(lines.iter().all(|l| wide(l) <= width), "{width}:\n{text}");
                for cell in grid(&names).lines.iter().flat_map(|l| &l[1..]) {
                    let number = cell.split(' ').next().unwrap();
                    let found = text.split_whitespace().filter(|w| *w == number).count();
                    assert_eq!(found, 1, "{number} at {width}:\n{text}");
                }
                if width >= 60 {
                    assert_eq!(text.matches("± ").count(), 4 * names.len(), "{text}");
                    let first: HashSet<&str> =
                        lines.iter().filter(|l| l.contains('±')).map(|l| &l[..l.find("  ").unwrap()]).collect();
                    assert_eq!(first.len(), names.len(), "{text}");
                }
            }
        }
    }
}
