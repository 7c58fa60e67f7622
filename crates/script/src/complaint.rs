//! What is wrong with a script, and where.

use gauntlet_core::Error;
use rhai::Position;
use std::fmt;

/// A complaint about a script, shown with its line and a caret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// The script's file, as it was named.
    pub path: String,
    /// What is wrong, with the way out.
    pub message: String,
    /// Line and column from 1; `None`: the script as a whole.
    pub place: Option<(usize, usize)>,
    /// That line.
    pub line: String,
}

impl Complaint {
    /// A complaint about a place in the script's text.
    pub(crate) fn at(path: &str, text: &str, position: Position, message: impl Into<String>) -> Self {
        let place = position.line().map(|line| (line, position.position().unwrap_or(1)));
        let line = place.and_then(|(line, _)| text.lines().nth(line - 1)).unwrap_or_default();
        Complaint { path: path.to_string(), message: message.into(), place, line: line.to_string() }
    }
    /// A complaint about the script as a whole.
    pub(crate) fn whole(path: &str, message: impl Into<String>) -> Self {
        Self::at(path, "", Position::NONE, message)
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((line, column)) = self.place else {
            return write!(f, "{}: {}", self.path, self.message);
        };
        let number = line.to_string();
        // Tabs stay tabs, so that the caret stands below its character.
        let before: String = self.line.chars().take(column - 1).map(|c| if c == '\t' { c } else { ' ' }).collect();
        let margin = " ".repeat(number.len());
        write!(f, "{}:{line}:{column}: {}\n  {number} | {}\n  {margin} | {before}^", self.path, self.message, self.line)
    }
}

impl std::error::Error for Complaint {}

impl From<Complaint> for Error {
    fn from(complaint: Complaint) -> Self {
        Error::Message(complaint.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_shows_its_line_and_a_caret() {
        let text = "fn loss(step) {\n    stap.input()\n}\n";
        let shown = Complaint::at("a.rhai", text, Position::new(2, 5), "no such variable").to_string();
        assert_eq!(shown, "a.rhai:2:5: no such variable\n  2 |     stap.input()\n    |     ^");
        assert_eq!(Complaint::whole("a.rhai", "it is empty").to_string(), "a.rhai: it is empty");
    }
}
