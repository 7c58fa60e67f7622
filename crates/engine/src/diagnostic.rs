//! One complaint about a suite file.

use std::fmt;
use std::ops::Range;

/// What is wrong, where in the file, and the way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong, a lower-case fragment.
    pub message: String,
    /// Byte range in the suite file (`None`: the file as a whole).
    pub span: Option<Range<usize>>,
    /// The way out, e.g. `did you mean "pgd"?`.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// A complaint about a place in the file.
    pub fn at(span: Range<usize>, message: impl Into<String>) -> Self {
        Diagnostic { message: message.into(), span: Some(span), hint: None }
    }
    /// A complaint about the file as a whole.
    pub fn whole(message: impl Into<String>) -> Self {
        Diagnostic { message: message.into(), span: None, hint: None }
    }
    /// The same with a way out.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
    /// Line (from 1) and column (from 1) of the span's start in `text`.
    pub fn line_column(&self, text: &str) -> Option<(usize, usize)> {
        let start = self.span.as_ref()?.start.min(text.len());
        let before = text.get(..start)?;
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Some((line, column))
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one() {
        let text = "a = 1\nβ = 22\n";
        let at = text.find("22").unwrap();
        assert_eq!(Diagnostic::at(at..at + 2, "no").line_column(text), Some((2, 5)));
        assert_eq!(Diagnostic::whole("no").line_column(text), None);
    }
}
