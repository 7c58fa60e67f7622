//! Lines over a pair of axes.

use super::canvas::{Canvas, Drawn, FINE, Side, font};
use super::palette::{GRID, INK, SERIES, SOFT};
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
        canvas.text(left + 4.0, top + 7.0, 11.5, Side::Left, SOFT, self.measure)?;
        canvas.text(left + width - 8.0, top + height - 8.0, 11.5, Side::Right, SOFT, self.along)?;
        let to_pixel = axes(canvas, (left, top + 16.0, width, height - 32.0), &self.x, &self.y)?;
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
        Ok(())
    }
}

/// Draws a pair of axes with their labels into a place; gives the way from values to the backend's units.
pub(super) fn axes(
    canvas: &Canvas<'_>,
    (left, top, width, height): Place,
    x: &Axis,
    y: &Axis,
) -> Result<impl Fn(f64, f64) -> (i32, i32) + use<>, DrawingAreaErrorKind<std::io::Error>> {
    let units = |v: f64| (v * f64::from(FINE)).round() as i32;
    let area = canvas.area.clone().shrink((units(left), units(top)), (units(width), units(height)));
    let mut chart = ChartBuilder::on(&area)
        .margin_right(units(14.0))
        .margin_top(units(4.0))
        .x_label_area_size(units(20.0))
        .y_label_area_size(units(42.0))
        .build_cartesian_2d(x.clone(), y.clone())?;
    let font = font(11.0).color(&INK);
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
