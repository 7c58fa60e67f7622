//! One picture, with its words and its numbers.

use super::canvas::Drawing;
use super::png;
use crate::Result;

/// What a picture is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// Robust accuracy against ε.
    Security,
    /// Clean against robust accuracy.
    Scatter,
    /// Which attack broke how much.
    Culprits,
    /// Accuracy per class.
    Classes,
    /// What was crafted on one model, tried on another.
    Transfer,
    /// The course of a training.
    Training,
}

impl Subject {
    /// Every subject, in the page's order.
    pub const ALL: [Subject; 6] = [
        Subject::Security,
        Subject::Scatter,
        Subject::Culprits,
        Subject::Classes,
        Subject::Transfer,
        Subject::Training,
    ];
}

/// One picture, with its words and its numbers.
#[derive(Debug, Clone)]
pub struct Plot {
    /// Stem of its files.
    pub name: String,
    /// What it is about.
    pub subject: Subject,
    /// Whether it is the one of its subject to look at first.
    pub leads: bool,
    /// What it shows.
    pub title: String,
    /// What can be seen in it, in words.
    pub description: String,
    /// The picture.
    pub drawing: Drawing,
    /// Headings of its numbers.
    pub header: Vec<String>,
    /// Its numbers, a line for each name in the first cell.
    pub lines: Vec<Vec<String>>,
}

impl Plot {
    /// The picture as a file of its own, on white.
    pub fn svg(&self) -> String {
        self.drawing.file(&self.title, &self.description)
    }

    /// The picture as pixels, two for each unit of the drawing.
    ///
    /// # Errors
    /// The renderer refuses the drawing.
    pub fn png(&self) -> Result<Vec<u8>> {
        png::render(&self.svg())
    }
}

/// A name as a part of a file's name: letters, digits, dots and what rows may have beside them; all else is a hyphen.
pub(super) fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.chars() {
        let c = if c.is_alphanumeric() || "._+=".contains(c) { c } else { '-' };
        if !(c == '-' && (slug.is_empty() || slug.ends_with('-'))) {
            slug.push(c);
        }
    }
    slug.trim_end_matches('-').to_string()
}

/// Names of the parts of something that is drawn `most` rows at a time: the part's rows, and what follows its file name
/// and its title.
pub(super) fn parts(rows: usize, most: usize) -> Vec<(std::ops::Range<usize>, String, String)> {
    let count = rows.div_ceil(most).max(1);
    let size = rows.div_ceil(count).max(1);
    let of = |part: usize| {
        let (file, title) = if count == 1 {
            Default::default()
        } else {
            (format!("-{}", part + 1), format!(" ({} of {count})", part + 1))
        };
        (part * size..((part + 1) * size).min(rows), file, title)
    };
    (0..count).map(of).filter(|(range, ..)| !range.is_empty()).collect()
}

/// One decimal, and a minus that is one.
pub(super) fn one(value: f64) -> String {
    format!("{value:.1}").replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_picture_leaves_its_folder() {
        assert_eq!(slug("../../pgd (l2) ε=0.3"), "..-..-pgd-l2-ε=0.3");
        assert_ne!(slug("a+b"), slug("a_b"));
    }

    #[test]
    fn parts_are_about_equal_and_leave_nothing_out() {
        let ranges = |rows, most| parts(rows, most).into_iter().map(|p| (p.0.start, p.0.end)).collect::<Vec<_>>();
        assert_eq!(ranges(7, 7), [(0, 7)]);
        assert_eq!(ranges(8, 7), [(0, 4), (4, 8)]);
        assert_eq!(ranges(28, 7), [(0, 7), (7, 14), (14, 21), (21, 28)]);
        assert!(ranges(0, 7).is_empty());
        assert_eq!(parts(8, 7)[1].1, "-2");
        assert_eq!(parts(8, 7)[1].2, " (2 of 2)");
    }
}
