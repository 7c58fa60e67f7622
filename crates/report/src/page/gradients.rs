//! Input gradients of all rows side by side: what penalties do to them is seen here.

use super::exhibit::{Exhibit, Extent};
use super::gallery::Image;
use crate::Result;
use crate::digits::significant;
use gauntlet_records::Picture;
use serde::Serialize;

/// Examples side by side.
const MOST: usize = 6;

/// A table with an example in every column.
#[derive(Serialize)]
pub(super) struct Gradients {
    said: String,
    width: usize,
    height: usize,
    /// Whether channels were summed.
    coloured: bool,
    labels: Vec<String>,
    originals: Vec<Image>,
    lines: Vec<Line>,
}

/// One row's gradients; `None`: it has no picture of that example.
#[derive(Serialize)]
struct Line {
    row: String,
    seed: u64,
    images: Vec<Option<Image>>,
}

impl Gradients {
    /// `None`: no row has pictures.
    pub(super) fn of(exhibits: &[Exhibit<'_>]) -> Result<Option<Gradients>> {
        let Some(first) = exhibits.first() else { return Ok(None) };
        let extent = Extent::of(exhibits, MOST, |p| p.bytes(3));
        let shown: Vec<&Picture> = first.pictures.shown.iter().take(extent.examples).collect();
        let (width, height) = first.pixels.screen();
        let original = |p: &&Picture| -> Result<Image> {
            let label = first.class(p.label);
            let alt = format!("image of class {label}");
            Ok(Image { uri: first.pixels.image(p)?, alt, text: String::new(), wrong: false })
        };
        let line = |exhibit: &Exhibit<'_>| -> Result<Line> {
            let images = shown.iter().map(|p| exhibit.example(p.id).map(|p| gradient(exhibit, p)).transpose());
            Ok(Line { row: exhibit.row.into(), seed: exhibit.seed, images: images.collect::<Result<_>>()? })
        };
        Ok(Some(Gradients {
            width,
            height,
            coloured: first.pictures.shape.0 > 1,
            labels: shown.iter().map(|p| first.class(p.label)).collect(),
            originals: shown.iter().map(original).collect::<Result<_>>()?,
            lines: exhibits.iter().take(extent.rows).map(line).collect::<Result<_>>()?,
            said: extent.said,
        }))
    }

    /// What its images add to the page.
    pub(super) fn bytes(&self) -> usize {
        let lines = self.lines.iter().flat_map(|l| &l.images).flatten();
        lines.chain(&self.originals).map(|i| i.uri.len()).sum()
    }
}

fn gradient(exhibit: &Exhibit<'_>, picture: &Picture) -> Result<Image> {
    let (uri, largest) = exhibit.pixels.gradient(picture)?;
    let largest = significant(largest);
    let alt = format!("input gradient of {} at class {}, at most {largest}", exhibit.row, exhibit.class(picture.label));
    Ok(Image { uri, alt, text: largest, wrong: false })
}
