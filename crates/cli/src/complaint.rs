//! Complaints about a suite file, drawn with the line, a caret and the way out.

use crate::exit::{Code, Failure};
use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use gauntlet::engine::Diagnostic;

/// Complaints that are drawn; one mistake often makes many.
const SHOWN: usize = 20;

/// All complaints about `text`, which was read from `path`.
pub(crate) fn failure(path: &str, text: &str, diagnostics: &[Diagnostic], colour: bool) -> Failure {
    Failure { code: Code::User, message: render(path, text, diagnostics, colour), rendered: true }
}

fn render(path: &str, text: &str, diagnostics: &[Diagnostic], colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() }.decor_style(DecorStyle::Ascii);
    let mut out: Vec<String> = Vec::new();
    for d in diagnostics.iter().take(SHOWN) {
        let title = Level::ERROR.primary_title(d.message.clone());
        let mut group = match d.span.clone() {
            Some(span) => {
                let span = span.start.min(text.len())..span.end.min(text.len());
                title.element(Snippet::source(text).path(path).annotation(AnnotationKind::Primary.span(span)))
            }
            None => title.element(Level::NOTE.message(format!("in {path}"))),
        };
        if let Some(hint) = &d.hint {
            group = group.element(Level::HELP.message(hint.clone()));
        }
        out.push(renderer.render(&[group]).to_string());
    }
    match diagnostics.len().saturating_sub(SHOWN) {
        0 => {}
        more => out.push(format!("and {more} more; mend these first")),
    }
    out.join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_complaints_are_drawn_than_anybody_reads() {
        let all = |n: usize| render("a.toml", "", &vec![Diagnostic::whole("no"); n], false);
        assert!(!all(20).contains("more"));
        assert!(
            all(4000).matches("error: no").count() == 20 && all(4000).ends_with("\n\nand 3980 more; mend these first")
        );
    }

    #[test]
    fn a_complaint_shows_file_line_caret_and_hint() {
        let text = "format = 1\n[[attack]]\nname = \"pdg\"\n";
        let at = text.find("\"pdg\"").unwrap();
        let d =
            Diagnostic::at(at..at + 5, "unknown attack \"pdg\"").hint("did you mean \"pgd\"? gauntlet list attacks");
        let shown = render("suites/a.toml", text, &[d, Diagnostic::whole("`seeds` is empty")], false);
        assert_eq!(
            shown,
            "\
error: unknown attack \"pdg\"
 --> suites/a.toml:3:8
  |
3 | name = \"pdg\"
  |        ^^^^^
  |
  = help: did you mean \"pgd\"? gauntlet list attacks

error: `seeds` is empty
 |
 = note: in suites/a.toml"
        );
    }
}
