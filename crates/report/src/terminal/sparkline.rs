//! Curves of percentages as a line of letters.

use super::screen::Screen;

/// From nothing to everything.
const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// The same where there is nothing but ASCII.
const PLAIN: [char; 8] = ['_', '.', ':', '-', '=', '+', '*', '#'];

/// Letters of a curve; of a longer one they are evenly picked.
const LONGEST: usize = 20;

/// What the lowest and the highest letter are.
pub(super) fn ends(screen: &Screen) -> (char, char) {
    let levels = if screen.ascii { PLAIN } else { LEVELS };
    (levels[0], levels[7])
}

/// A letter for each value between 0 and 100, then the first and the last of them as numbers; nothing where there is no
/// course.
pub(super) fn sparkline(screen: &Screen, values: &[f64]) -> String {
    let (Some(first), Some(last), true) = (values.first(), values.last(), values.len() > 1) else {
        return "–".into();
    };
    let levels = if screen.ascii { PLAIN } else { LEVELS };
    let letter = |v: f64| if v.is_finite() { levels[((v / 12.5) as usize).min(7)] } else { ' ' };
    let shown = values.len().min(LONGEST);
    let picked = (0..shown).map(|i| letter(values[i * (values.len() - 1) / (shown - 1)]));
    format!("{} {first:.1} → {last:.1}", picked.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_stands_for_an_eighth() {
        let screen = Screen::default();
        assert_eq!(sparkline(&screen, &[0.0, 12.4, 12.6, 50.0, 87.6, 100.0]), "▁▁▂▅██ 0.0 → 100.0");
        assert_eq!(sparkline(&Screen { ascii: true, ..screen }, &[100.0, f64::NAN, 0.0]), "# _ 100.0 → 0.0");
        assert_eq!([sparkline(&screen, &[]), sparkline(&screen, &[3.0])], ["–", "–"]);
    }

    #[test]
    fn a_long_course_keeps_its_ends() {
        let values: Vec<f64> = (0..200).map(|i| f64::from(i) / 1.99).collect();
        let line = sparkline(&Screen::default(), &values);
        assert_eq!(line.chars().take_while(|c| *c != ' ').count(), LONGEST);
        assert!(line.starts_with('▁') && line.contains("█ 0.0 → 100.0"), "{line}");
    }
}
