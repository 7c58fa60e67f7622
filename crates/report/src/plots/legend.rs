//! The legend below a picture.

use super::canvas::{Canvas, Drawn, Side};
use super::palette::INK;
use plotters::style::RGBColor;

/// Height of a line.
const LINE: f64 = 17.0;

/// The height that so many entries take in two columns.
pub(super) fn height(entries: usize) -> u32 {
    (entries.div_ceil(2) as f64 * LINE) as u32 + 6
}

/// Draws entries in two columns below `y`.
pub(super) fn draw(canvas: &Canvas<'_>, x: f64, y: f64, column: f64, entries: &[(RGBColor, String)]) -> Drawn {
    let lines = entries.len().div_ceil(2);
    for (i, (colour, label)) in entries.iter().enumerate() {
        let (left, middle) = (x + column * (i / lines.max(1)) as f64, y + LINE * ((i % lines.max(1)) as f64 + 0.5));
        canvas.fill(left + 4.0, middle - 5.0, 12.0, 10.0, *colour)?;
        let fits = ((column - 26.0) / 6.6) as usize;
        canvas.text(left + 25.0, middle, 12.0, Side::Left, INK, &shortened(label, fits))?;
    }
    Ok(())
}

/// A text of at most so many characters.
pub(super) fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_string();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}
