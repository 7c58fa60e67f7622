//! Lines over a pair of axes.

use super::canvas::{Canvas, Drawn, FINE, Side, font};
use super::legend::shortened;
use super::palette::{GRID, INK, PALE, SERIES, SOFT};
use plotters::coord::CoordTranslate;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, ValueFormatter};
use plotters::drawing::DrawingAreaErrorKind;
use plotters::prelude::*;

/// One value of a line, with the band around it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// One line; its place in the panel gives its colour and its mark.
pub(super) struct Line {
    pub(super) series: usize,
    /// What stands at its end; empty: nothing.
    pub(super) name: String,
    pub(super) points: Vec<Point>,
}

/// An axis from end to end, with texts at some of its values.
#[derive(Clone)]
pub(super) struct Axis {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) ticks: Vec<(f64, String)>,
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let share = (value - self.low) / (self.high - self.low);
        limit.0 + (share * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<H: KeyPointHint>(&self, hint: H) -> Vec<f64> {
        if hint.weight().allow_light_points() { Vec::new() } else { self.ticks.iter().map(|t| t.0).collect() }
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        let tick = self.ticks.iter().find(|t| (t.0 - value).abs() < 1e-9);
        tick.map_or_else(String::new, |t| t.1.clone())
    }
}

/// Where a panel lies: left, top, width, height, labels of the axes included.
pub(super) type Place = (f64, f64, f64, f64);

/// Axes, what they measure, and lines.
pub(super) struct Panel<'a> {
    pub(super) place: Place,
    /// Above the vertical axis.
    pub(super) measure: &'a str,
    /// Below the horizontal axis.
    pub(super) along: &'a str,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) lines: Vec<Line>,
}

impl Panel<'_> {
    /// Axes, bands, lines, marks.
    pub(super) fn draw(&self, canvas: &Canvas<'_>) -> Drawn {
        let (left, top, width, height) = self.place;
        let room = self.room();
        canvas.text(left + 4.0, top + 7.0, 12.0, Side::Left, SOFT, self.measure)?;
        canvas.text(left + width - room, top + height - 8.0, 12.0, Side::Right, SOFT, self.along)?;
        let to_pixel = axes(canvas, (left, top + 16.0, width, height - 32.0), (&self.x, &self.y), room)?;
        let mut ends = Vec::new();
        for line in &self.lines {
            let colour = SERIES[line.series % SERIES.len()];
            let points: Vec<Point> = line.points.iter().copied().filter(|p| p.y.is_finite()).collect();
            if points.iter().any(|p| p.high > p.low) {
                let upper = points.iter().map(|p| to_pixel(p.x, p.high));
                let lower = points.iter().rev().map(|p| to_pixel(p.x, p.low));
                canvas.area.draw(&Polygon::new(upper.chain(lower).collect::<Vec<_>>(), colour.mix(0.16)))?;
            }
            let path: Vec<(i32, i32)> = points.iter().map(|p| to_pixel(p.x, p.y)).collect();
            canvas.area.draw(&PathElement::new(path.clone(), colour.stroke_width(2 * FINE as u32)))?;
            if let Some((_, y)) = path.last().filter(|_| !line.name.is_empty()) {
                ends.push((f64::from(*y) / f64::from(FINE), line));
            }
            // Marks on every point hide a long curve.
            let every = points.len().div_ceil(8).max(1);
            for (x, y) in path.iter().step_by(every) {
                canvas.mark(
                    line.series,
                    f64::from(*x) / f64::from(FINE),
                    f64::from(*y) / f64::from(FINE),
                    3.2,
                    colour,
                )?;
            }
        }
        self.label(canvas, ends)
    }

    /// What the names at the ends take at the right.
    fn room(&self) -> f64 {
        let longest = self.lines.iter().map(|l| l.name.chars().count().min(LONGEST)).max().unwrap_or(0);
        if longest == 0 { 14.0 } else { 28.0 + 6.2 * longest as f64 }
    }

    /// Names of lines beside their ends, from top to bottom as those lie, moved apart where they would touch.
    fn label(&self, canvas: &Canvas<'_>, mut ends: Vec<(f64, &Line)>) -> Drawn {
        let (left, top, width, height) = self.place;
        let edge = left + width - self.room();
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        let places = apart(&ends.iter().map(|e| e.0).collect::<Vec<_>>(), top + 24.0, top + height - 34.0);
        for ((y, line), place) in ends.into_iter().zip(places) {
            let colour = SERIES[line.series % SERIES.len()];
            if (place - y).abs() > 3.0 {
                canvas.line((edge + 4.0, y), (edge + 9.0, place), 1, PALE)?;
            }
            canvas.mark(line.series, edge + 14.0, place, 3.2, colour)?;
            canvas.text(edge + 21.0, place, 11.5, Side::Left, INK, &shortened(&line.name, LONGEST))?;
        }
        Ok(())
    }
}

/// Letters of a name at the end of a line.
const LONGEST: usize = 20;

/// Height of such a name.
const NAME: f64 = 13.5;

/// Ascending places within `[low, high]`, each as near to its wish as leaves room for the others.
fn apart(wishes: &[f64], low: f64, high: f64) -> Vec<f64> {
    let mut places: Vec<f64> = wishes.to_vec();
    let mut free = low;
    for place in &mut places {
        *place = place.max(free);
        free = *place + NAME;
    }
    let mut free = high;
    for place in places.iter_mut().rev() {
        *place = place.min(free);
        free = *place - NAME;
    }
    places
}

/// Draws a pair of axes with their labels into a place, with so much room at the right; gives the way from values to the backend's units.
pub(super) fn axes(
    canvas: &Canvas<'_>,
    (left, top, width, height): Place,
    (x, y): (&Axis, &Axis),
    right: f64,
) -> Result<impl Fn(f64, f64) -> (i32, i32) + use<>, DrawingAreaErrorKind<std::io::Error>> {
    let units = |v: f64| (v * f64::from(FINE)).round() as i32;
    let area = canvas.area.clone().shrink((units(left), units(top)), (units(width), units(height)));
    let mut chart = ChartBuilder::on(&area)
        .margin_right(units(right))
        .margin_top(units(4.0))
        .x_label_area_size(units(20.0))
        .y_label_area_size(units(42.0))
        .build_cartesian_2d(x.clone(), y.clone())?;
    let font = font(12.0).color(&INK);
    chart
        .configure_mesh()
        .max_light_lines(0)
        .set_all_tick_mark_size(units(4.0))
        .bold_line_style(GRID.stroke_width(FINE as u32))
        .axis_style(GRID.stroke_width(FINE as u32))
        .label_style(font)
        .draw()?;
    let coordinates = chart.as_coord_spec().clone();
    Ok(move |x: f64, y: f64| coordinates.translate(&(x, y)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_apart_in_order_and_inside() {
        assert_eq!(apart(&[10.0, 50.0], 0.0, 100.0), [10.0, 50.0]);
        assert_eq!(apart(&[10.0, 12.0], 0.0, 100.0), [10.0, 23.5]);
        assert_eq!(apart(&[99.0, 100.0, 100.0], 0.0, 100.0), [73.0, 86.5, 100.0]);
        assert_eq!(apart(&[-5.0], 0.0, 100.0), [0.0]);
    }
}
