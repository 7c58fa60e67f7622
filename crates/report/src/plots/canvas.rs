//! A sheet to draw on, and the SVG that comes of it.

use super::palette::{GRID, INK, THEMED};
use crate::{Error, Result};
use plotters::coord::Shift;
use plotters::drawing::DrawingAreaErrorKind;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::fmt::Write;

/// The backend's units per unit of the picture: it draws on whole numbers, and curves should not show it.
pub(super) const FINE: i32 = 4;

/// plotters divides every size of a font by this.
const FONT: f64 = 1.24;

/// The fonts of a picture, the reader's own first.
const FONTS: &str = "system-ui, 'Segoe UI', Helvetica, Arial, 'DejaVu Sans', sans-serif";

/// What drawing gives.
pub(super) type Drawn = std::result::Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// The sheet while it is drawn on, in units of the picture.
pub(super) struct Canvas<'a> {
    pub(super) area: DrawingArea<SVGBackend<'a>, Shift>,
}

/// Where a text stands beside its point.
#[derive(Clone, Copy)]
pub(super) enum Side {
    /// It begins there.
    Left,
    /// It is centred there.
    Centre,
    /// It ends there.
    Right,
    /// It begins there and runs upwards.
    Up,
}

impl Canvas<'_> {
    /// A text, vertically centred at its point.
    pub(super) fn text(&self, x: f64, y: f64, size: f64, side: Side, colour: RGBColor, text: &str) -> Drawn {
        let font = font(size);
        let (font, h) = match side {
            Side::Left => (font, HPos::Left),
            Side::Centre => (font, HPos::Center),
            Side::Right => (font, HPos::Right),
            Side::Up => (font.transform(FontTransform::Rotate270), HPos::Left),
        };
        let style = font.color(&colour).pos(Pos::new(h, VPos::Center));
        // The backend centres on half an x-height; capitals and digits are higher.
        let y = if matches!(side, Side::Up) { y } else { y + 0.08 * size };
        self.area.draw_text(text, &style, at(x, y))
    }

    /// A filled rectangle.
    pub(super) fn fill(&self, x: f64, y: f64, width: f64, height: f64, colour: RGBColor) -> Drawn {
        self.area.draw(&Rectangle::new([at(x, y), at(x + width, y + height)], colour.filled()))
    }

    /// A line.
    pub(super) fn line(&self, from: (f64, f64), to: (f64, f64), width: u32, colour: RGBColor) -> Drawn {
        let style = colour.stroke_width(width * FINE as u32);
        self.area.draw(&PathElement::new([at(from.0, from.1), at(to.0, to.1)], style))
    }

    /// The mark of the k-th series: every one has a shape of its own beside its colour.
    pub(super) fn mark(&self, k: usize, x: f64, y: f64, radius: f64, colour: RGBColor) -> Drawn {
        let r = radius;
        let polygon = |corners: &[(f64, f64)]| {
            let corners: Vec<_> = corners.iter().map(|(dx, dy)| at(x + dx * r, y + dy * r)).collect();
            self.area.draw(&Polygon::new(corners, colour))
        };
        match k % 7 {
            0 => self.area.draw(&Circle::new(at(x, y), (r * f64::from(FINE)) as i32, colour.filled())),
            1 => polygon(&[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)]),
            2 => polygon(&[(0.0, -1.2), (1.1, 0.8), (-1.1, 0.8)]),
            3 => polygon(&[(0.0, -1.3), (1.3, 0.0), (0.0, 1.3), (-1.3, 0.0)]),
            4 => polygon(&[(0.0, 1.2), (1.1, -0.8), (-1.1, -0.8)]),
            5 => {
                self.line((x - r, y - r), (x + r, y + r), 2, colour)?;
                self.line((x - r, y + r), (x + r, y - r), 2, colour)
            }
            _ => {
                self.line((x - 1.2 * r, y), (x + 1.2 * r, y), 2, colour)?;
                self.line((x, y - 1.2 * r), (x, y + 1.2 * r), 2, colour)
            }
        }
    }
}

/// A font of that size in units of the picture.
pub(super) fn font(size: f64) -> FontDesc<'static> {
    ("sans-serif", size * f64::from(FINE) * FONT).into_font()
}

fn at(x: f64, y: f64) -> (i32, i32) {
    ((x * f64::from(FINE)).round() as i32, (y * f64::from(FINE)).round() as i32)
}

/// A finished picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawing {
    width: u32,
    height: u32,
    elements: String,
}

impl Drawing {
    /// Draws a picture of that size.
    pub(super) fn new(width: u32, height: u32, paint: impl FnOnce(&Canvas<'_>) -> Drawn) -> Result<Drawing> {
        let mut text = String::new();
        let wrong = |e: DrawingAreaErrorKind<std::io::Error>| Error::Plot(e.to_string());
        {
            let fine = FINE as u32;
            let canvas =
                Canvas { area: SVGBackend::with_string(&mut text, (width * fine, height * fine)).into_drawing_area() };
            paint(&canvas).map_err(wrong)?;
            canvas.area.present().map_err(wrong)?;
        }
        Ok(Drawing { width, height, elements: tidy(&text) })
    }

    /// A title, as every picture has one on top.
    pub(super) fn title(canvas: &Canvas<'_>, text: &str) -> Drawn {
        canvas.text(8.0, 15.0, 13.5, Side::Left, INK, text)
    }

    /// Gives the picture's circles a text that shows when the pointer rests on them, in the order they were drawn.
    pub(super) fn explain_circles(&mut self, texts: &[String]) {
        let mut out = String::new();
        let mut texts = texts.iter();
        for line in self.elements.lines() {
            match line.strip_suffix("/>").filter(|l| l.starts_with("<circle")).and_then(|l| Some((l, texts.next()?))) {
                Some((circle, text)) => {
                    let _ = writeln!(out, "{circle}><title>{}</title></circle>", escaped(text));
                }
                None => {
                    let _ = writeln!(out, "{line}");
                }
            }
        }
        self.elements = out;
    }

    /// The picture as a file of its own, on white.
    pub(super) fn file(&self, title: &str, description: &str) -> String {
        let (w, h, fine) = (self.width, self.height, FINE as u32);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {} {}\" role=\"img\" \
             font-family=\"{FONTS}\"{COMMON} fill=\"#000000\">\n<title>{}</title>\n<desc>{}</desc>\n<rect width=\"100%\" height=\"100%\" \
             fill=\"#FFFFFF\"/>\n{}</svg>\n",
            w * fine,
            h * fine,
            escaped(title),
            escaped(description),
            self.elements
        )
    }

    /// The picture inside a page: no ground of its own, colours from the page, named and described for those who cannot
    /// see it.
    pub fn inline(&self, id: &str, title: &str, description: &str) -> String {
        let mut elements = self.elements.clone();
        for (colour, property) in THEMED {
            for attribute in ["fill", "stroke"] {
                elements = elements
                    .replace(&format!("{attribute}=\"{colour}\""), &format!("style=\"{attribute}:{property}\""));
            }
        }
        let fine = FINE as u32;
        format!(
            "<svg viewBox=\"0 0 {} {}\" width=\"{w}\" height=\"{h}\" style=\"--w:{w}px\"{COMMON} fill=\"currentColor\" role=\"img\" aria-labelledby=\"{id}-t\" \
             aria-describedby=\"{id}-d\"><title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>\n{elements}</svg>",
            self.width * fine,
            self.height * fine,
            escaped(title),
            escaped(description),
            w = self.width,
            h = self.height,
        )
    }
}

/// What every text has that says nothing else, and stands once at the top instead.
const COMMON: &str = " font-size=\"48\"";

/// The elements between plotters' opening and closing tag, one a line, without what goes without saying; lines of the grid,
/// which are many and lie behind everything else, as one path.
fn tidy(svg: &str) -> String {
    let (mut out, mut grid) = (String::new(), String::new());
    let mut text = false;
    for line in svg.lines().skip(1).filter(|l| *l != "</svg>") {
        if text || line == "</text>" {
            out.push_str(line);
            text = line != "</text>";
            if !text {
                out.push('\n');
            }
            continue;
        }
        if let Some(((x, y), (to_x, to_y))) = grid_line(line) {
            let _ = match (x == to_x, y == to_y) {
                (true, true) => Ok(()),
                (true, false) => write!(grid, "M{x} {y}V{to_y}"),
                (false, true) => write!(grid, "M{x} {y}H{to_x}"),
                (false, false) => write!(grid, "M{x} {y}L{to_x} {to_y}"),
            };
            continue;
        }
        text = line.starts_with("<text");
        let mut line = line.replace(" \"/>", "\"/>");
        for needless in [" opacity=\"1\"", " opacity=\"0\"", " font-family=\"sans-serif\"", " stroke=\"none\""] {
            line = line.replace(needless, "");
        }
        if text {
            line = whole_font_size(&line)
                .replace(COMMON, "")
                .replace(" text-anchor=\"start\"", "")
                .replace(" fill=\"#000000\"", "");
        } else if line.starts_with("<circle") || line.starts_with("<polygon") {
            line = line.replace(" stroke-width=\"1\"", "");
        }
        out.push_str(&line);
        if !text {
            out.push('\n');
        }
    }
    if grid.is_empty() {
        return out;
    }
    let [r, g, b] = [GRID.0, GRID.1, GRID.2];
    format!("<path fill=\"none\" stroke=\"#{r:02X}{g:02X}{b:02X}\" stroke-width=\"{FINE}\" d=\"{grid}\"/>\n{out}")
}

/// The ends of a straight line in the grid's colour.
fn grid_line(element: &str) -> Option<((i32, i32), (i32, i32))> {
    let value = |name: &str| {
        let start = element.find(&format!(" {name}=\""))? + name.len() + 3;
        Some(&element[start..start + element[start..].find('"')?])
    };
    let [r, g, b] = [GRID.0, GRID.1, GRID.2];
    if value("stroke")? != format!("#{r:02X}{g:02X}{b:02X}") {
        return None;
    }
    if element.starts_with("<line ") {
        let number = |name: &str| value(name)?.parse().ok();
        return Some(((number("x1")?, number("y1")?), (number("x2")?, number("y2")?)));
    }
    let mut points = value("points")?.split_whitespace().map(|point| {
        let (x, y) = point.split_once(',')?;
        Some((x.parse().ok()?, y.parse().ok()?))
    });
    let ends = (points.next()??, points.next()??);
    points.next().is_none().then_some(ends)
}

/// `font-size="47.99999"` as `font-size="48"`.
fn whole_font_size(line: &str) -> String {
    let key = "font-size=\"";
    let Some(at) = line.find(key).map(|i| i + key.len()) else { return line.to_string() };
    let Some(end) = line[at..].find('"').map(|i| i + at) else { return line.to_string() };
    match line[at..end].parse::<f64>() {
        Ok(size) => format!("{}{:.0}{}", &line[..at], size, &line[end..]),
        Err(_) => line.to_string(),
    }
}

/// A text inside XML.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
