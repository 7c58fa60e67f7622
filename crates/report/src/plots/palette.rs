//! Colours that are told apart with any kind of colour vision, and what they become on a dark page.

use plotters::style::RGBColor;

/// Text and outlines.
pub(super) const INK: RGBColor = RGBColor(0, 0, 0);
/// Text of less weight.
pub(super) const SOFT: RGBColor = RGBColor(0x59, 0x59, 0x5a);
/// Lines behind the data.
pub(super) const GRID: RGBColor = RGBColor(0xdd, 0xdd, 0xde);
/// Points in the background.
pub(super) const PALE: RGBColor = RGBColor(0x9a, 0x9a, 0x9b);
/// What is left over: the survivors in a bar.
pub(super) const REST: RGBColor = RGBColor(0xee, 0xee, 0xef);

/// The colours above with the custom properties of the page that replace them there.
pub(super) const THEMED: [(&str, &str); 7] = [
    ("#000000", "currentColor"),
    ("#59595A", "var(--soft)"),
    ("#DDDDDE", "var(--grid)"),
    ("#9A9A9B", "var(--pale)"),
    ("#EEEEEF", "var(--rest)"),
    // The two blues, which are dim on a dark ground, and still are told apart there.
    ("#0072B2", "var(--blue)"),
    ("#56B4E9", "var(--sky)"),
];

/// Okabe & Ito 2008, without its yellow, which no white paper shows.
pub(super) const SERIES: [RGBColor; 7] = [
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0xe6, 0x9f, 0x00),
    RGBColor(0x56, 0xb4, 0xe9),
    INK,
];

/// Cividis (Nuñez, Anderton & Renslow 2018) at five points: dark for 0, light for 1, the same to every eye.
const CIVIDIS: [(f64, f64, f64); 5] =
    [(0.0, 34.0, 78.0), (65.0, 77.0, 107.0), (124.0, 123.0, 120.0), (187.0, 173.0, 108.0), (254.0, 232.0, 56.0)];

/// The colour of a share in `[0, 1]`, and that of a text on it.
pub(super) fn shade(share: f64) -> (RGBColor, RGBColor) {
    let last = CIVIDIS.len() - 1;
    let place = share.clamp(0.0, 1.0) * last as f64;
    let k = (place as usize).min(last - 1);
    let (a, b, t) = (CIVIDIS[k], CIVIDIS[k + 1], place - k as f64);
    let mix = |a: f64, b: f64| (a + (b - a) * t).round() as u8;
    let colour = RGBColor(mix(a.0, b.0), mix(a.1, b.1), mix(a.2, b.2));
    // Neither is one of the themed colours: a cell looks the same on either page.
    (colour, if share < 0.55 { RGBColor(255, 255, 255) } else { RGBColor(0x11, 0x11, 0x11) })
}
