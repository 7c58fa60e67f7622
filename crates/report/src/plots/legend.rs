//! The legend below a picture.

use super::canvas::{Canvas, Drawn, Side};
use super::palette::{INK, SERIES};
use plotters::style::RGBColor;

/// Height of a line.
const LINE: f64 = 17.0;

/// How a series is marked in a legend.
pub(super) enum Key {
    /// By the line and the mark of the k-th series.
    Series(usize),
    /// By a filled square.
    Colour(RGBColor),
}

/// The height that so many entries take in two columns.
pub(super) fn height(entries: usize) -> u32 {
    (entries.div_ceil(2) as f64 * LINE) as u32 + 6
}

/// Draws entries in two columns below `y`.
pub(super) fn draw(canvas: &Canvas<'_>, x: f64, y: f64, column: f64, entries: &[(Key, String)]) -> Drawn {
    let lines = entries.len().div_ceil(2);
    for (i, (key, label)) in entries.iter().enumerate() {
        let (left, middle) = (x + column * (i / lines.max(1)) as f64, y + LINE * ((i % lines.max(1)) as f64 + 0.5));
        match key {
            Key::Series(k) => {
                let colour = SERIES[k % SERIES.len()];
                canvas.line((left, middle), (left + 20.0, middle), 2, colour)?;
                canvas.mark(*k, left + 10.0, middle, 3.5, colour)?;
            }
            Key::Colour(colour) => canvas.fill(left + 4.0, middle - 5.0, 12.0, 10.0, *colour)?,
        }
        let fits = ((column - 26.0) / 6.3) as usize;
        canvas.text(left + 25.0, middle, 11.5, Side::Left, INK, &shortened(label, fits))?;
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
