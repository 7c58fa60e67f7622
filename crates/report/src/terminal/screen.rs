//! What a report is printed on.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Narrower than this nothing is made to fit.
const NARROWEST: usize = 20;

/// A terminal, or a file: by default one that takes lines of any width and has no colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Screen {
    /// Bold, and red for what failed. Everything can be read without.
    pub colour: bool,
    /// Columns that no line may exceed; `None`: lines are as wide as they need to be.
    pub width: Option<usize>,
    /// It shows nothing but ASCII.
    pub ascii: bool,
}

impl Screen {
    /// Text as lines that fit, broken at spaces, those after the first indented; a word that is wider than a line stays
    /// whole, since it may be a path.
    pub fn wrapped(&self, text: &str) -> String {
        let text = self.said(text);
        let Some(most) = self.most() else { return text };
        let line = |line: &str| if wide(line) <= most { line.to_string() } else { filled(line, most) };
        text.split('\n').map(line).collect::<Vec<_>>().join("\n")
    }

    /// Columns of a line at most.
    pub(super) fn most(&self) -> Option<usize> {
        self.width.map(|w| w.max(NARROWEST))
    }

    /// The text in characters that the screen has.
    pub(super) fn said(&self, text: &str) -> String {
        if !self.ascii {
            return text.to_string();
        }
        let mut said = String::new();
        for c in text.chars() {
            match c {
                c if c.is_ascii() => said.push(c),
                'ε' => said.push_str("eps"),
                '±' => said.push_str("+-"),
                '≈' => said.push('~'),
                '–' | '−' | '─' => said.push('-'),
                '†' => said.push('+'),
                '…' => said.push_str(".."),
                '→' => said.push_str("->"),
                '≤' => said.push_str("<="),
                '×' => said.push('x'),
                '∞' => said.push_str("inf"),
                _ => said.push('?'),
            }
        }
        said
    }

    /// The text with a colour or weight around it.
    pub(super) fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }

    /// The text in at most so many columns: what does not fit is left out in the middle, since names differ at their ends.
    pub(super) fn cut(&self, text: &str, most: usize) -> String {
        let dots = self.said("…");
        if wide(text) <= most || most <= wide(&dots) {
            return text.to_string();
        }
        let (mut head, mut tail) = (String::new(), Vec::new());
        let room = most - wide(&dots);
        let fits = |taken: &mut usize, most: usize, c: char| {
            *taken += c.width().unwrap_or(0);
            *taken <= most
        };
        let mut taken = 0;
        head.extend(text.chars().take_while(|c| fits(&mut taken, room.div_ceil(2), *c)));
        let mut taken = 0;
        tail.extend(text.chars().rev().take_while(|c| fits(&mut taken, room / 2, *c)));
        head + &dots + &tail.iter().rev().collect::<String>()
    }
}

/// Columns that a line takes.
pub(super) fn wide(text: &str) -> usize {
    text.width()
}

/// A line in several.
fn filled(line: &str, most: usize) -> String {
    let (mut out, mut taken) = (String::new(), 0);
    for word in line.split_inclusive(' ') {
        let needed = wide(word.trim_end());
        if taken > 2 && taken + needed > most {
            out.truncate(out.trim_end().len());
            out.push_str("\n  ");
            taken = 2;
        }
        out.push_str(word);
        taken += wide(word);
    }
    out.truncate(out.trim_end().len());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_loses_its_middle() {
        let screen = Screen::default();
        assert_eq!(screen.cut("direction-matching-cut", 12), "direct…g-cut");
        assert_eq!(screen.cut("ce", 12), "ce");
        // Two columns a letter.
        assert_eq!((screen.cut("敵対的訓練敵対的訓練", 9), wide("敵対…訓練")), ("敵対…訓練".into(), 9));
        assert_eq!(Screen { ascii: true, ..screen }.cut("direction-matching-cut", 12), "direc..g-cut");
    }

    #[test]
    fn lines_are_broken_at_spaces() {
        let screen = Screen { width: Some(20), ..Screen::default() };
        assert_eq!(screen.wrapped("one two three four five six"), "one two three four\n  five six");
        assert_eq!(screen.wrapped("a\n\na-word-that-is-wider-than-all b"), "a\n\na-word-that-is-wider-than-all\n  b");
        assert_eq!(Screen::default().wrapped("ε ± 1 two"), "ε ± 1 two");
        assert_eq!(Screen { ascii: true, ..Screen::default() }.wrapped("ε ± 1 ∇"), "eps +- 1 ?");
    }
}
