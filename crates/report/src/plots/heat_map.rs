//! Tables of numbers with a colour for each.

use super::canvas::{Drawing, Side};
use super::legend::shortened;
use super::palette::{INK, shade};
use crate::Result;

/// Width and height of a cell.
const CELL: (f64, f64) = (32.0, 22.0);

/// Draws percentages; `None` stays empty.
pub(super) fn draw(title: &str, columns: &[String], lines: &[(String, Vec<Option<f64>>)]) -> Result<Drawing> {
    let longest = |texts: &mut dyn Iterator<Item = &String>| texts.map(|t| t.chars().count()).max().unwrap_or(0);
    let left = 16.0 + 6.4 * longest(&mut lines.iter().map(|l| &l.0)).min(26) as f64;
    let head = longest(&mut columns.iter()).min(22);
    let upright = head > 5;
    let above = if upright { 12.0 + 6.3 * head as f64 } else { 20.0 };
    let top = 28.0 + above;
    let width = (left + CELL.0 * columns.len() as f64 + 12.0).max(20.0 + 7.4 * title.chars().count() as f64);
    let height = top + CELL.1 * lines.len() as f64 + 10.0;
    Drawing::new(width as u32, height as u32, |canvas| {
        Drawing::title(canvas, title)?;
        for (k, column) in columns.iter().enumerate() {
            let x = left + CELL.0 * (k as f64 + 0.5);
            let side = if upright { Side::Up } else { Side::Centre };
            canvas.text(x, top - 8.0, 11.0, side, INK, &shortened(column, 22))?;
        }
        for (i, (row, values)) in lines.iter().enumerate() {
            let y = top + CELL.1 * i as f64;
            canvas.text(left - 8.0, y + CELL.1 / 2.0, 11.5, Side::Right, INK, &shortened(row, 26))?;
            for (k, value) in values.iter().enumerate().filter_map(|(k, v)| Some((k, (*v)?))) {
                let x = left + CELL.0 * k as f64;
                let (colour, ink) = shade(value / 100.0);
                canvas.fill(x, y, CELL.0 - 1.0, CELL.1 - 1.0, colour)?;
                canvas.text(x + CELL.0 / 2.0, y + CELL.1 / 2.0, 11.0, Side::Centre, ink, &format!("{value:.0}"))?;
            }
        }
        Ok(())
    })
}
