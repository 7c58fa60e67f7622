//! Stacked bars, one for each row, that share a length.

use super::canvas::{Drawing, Side};
use super::legend::{self, shortened};
use super::palette::INK;
use crate::Result;
use plotters::style::RGBColor;

/// Height of a bar with the room around it.
const BAR: f64 = 22.0;

/// Draws bars of shares in percent; `parts` are the legend.
pub(super) fn draw(title: &str, parts: &[(RGBColor, String)], bars: &[(String, Vec<f64>)]) -> Result<Drawing> {
    let longest = bars.iter().map(|b| b.0.chars().count()).max().unwrap_or(0).min(26);
    let (left, width) = (16.0 + 6.7 * longest as f64, 430.0);
    let (top, length) = (32.0, width - left - 22.0);
    let below = top + BAR * bars.len() as f64 + 20.0;
    Drawing::new(width as u32, below as u32 + legend::height(parts.len()) + 4, |canvas| {
        Drawing::title(canvas, title)?;
        for (i, (row, shares)) in bars.iter().enumerate() {
            let y = top + BAR * i as f64;
            canvas.text(left - 8.0, y + BAR / 2.0, 12.0, Side::Right, INK, &shortened(row, 26))?;
            let mut x = left;
            for ((colour, _), share) in parts.iter().zip(shares) {
                let width = length * share / 100.0;
                if width > 0.0 {
                    canvas.fill(x, y + 3.0, width, BAR - 6.0, *colour)?;
                }
                x += width;
            }
        }
        for percent in [0, 25, 50, 75, 100] {
            let x = left + length * f64::from(percent) / 100.0;
            canvas.text(x, below - 12.0, 12.0, Side::Centre, INK, &format!("{percent} %"))?;
        }
        legend::draw(canvas, 14.0, below, 206.0, parts)
    })
}
