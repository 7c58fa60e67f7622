//! What an attack does to the first examples, row by row.

use super::exhibit::{Exhibit, Extent};
use crate::Result;
use crate::digits::significant;
use gauntlet_records::Picture;
use serde::Serialize;

/// Examples of a row.
const MOST: usize = 8;

/// Rows beyond so many wait behind their titles.
const OPEN: usize = 4;

/// The examples of every row.
#[derive(Serialize)]
pub(super) struct Gallery {
    /// Whether some rows show adversarial examples of the suite, and some what the quick attack does.
    strongest: bool,
    quick: bool,
    said: String,
    rows: Vec<Row>,
}

/// One training's examples.
#[derive(Serialize)]
struct Row {
    row: String,
    /// Behind its title.
    folded: bool,
    attack: String,
    width: usize,
    height: usize,
    labels: Vec<String>,
    /// Images, perturbations, images with them.
    lines: Vec<Line>,
}

/// One kind of picture of each example.
#[derive(Serialize)]
struct Line {
    title: &'static str,
    images: Vec<Image>,
}

/// An image with its words.
#[derive(Serialize)]
pub(super) struct Image {
    pub(super) uri: String,
    /// What is seen.
    pub(super) alt: String,
    /// What stands under it.
    pub(super) text: String,
    /// Whether the prediction is not the label.
    pub(super) wrong: bool,
}

impl Gallery {
    /// `None`: no row has pictures.
    pub(super) fn of(exhibits: &[Exhibit<'_>]) -> Result<Option<Gallery>> {
        if exhibits.is_empty() {
            return Ok(None);
        }
        // Three images of every example.
        let extent = Extent::of(exhibits, MOST, |p| 3 * p.bytes(3));
        let shown = &exhibits[..extent.rows];
        let (strongest, quick) = (shown.iter().any(|e| e.strongest), shown.iter().any(|e| !e.strongest));
        let rows = shown.iter().enumerate();
        let rows = rows.map(|(r, exhibit)| row(exhibit, r >= OPEN, extent.examples)).collect::<Result<_>>()?;
        Ok(Some(Gallery { strongest, quick, said: extent.said, rows }))
    }

    /// What its images add to the page.
    pub(super) fn bytes(&self) -> usize {
        self.rows.iter().flat_map(|r| &r.lines).flat_map(|l| &l.images).map(|i| i.uri.len()).sum()
    }
}

fn row(exhibit: &Exhibit<'_>, folded: bool, examples: usize) -> Result<Row> {
    let (width, height) = exhibit.pixels.screen();
    let shown: Vec<&Picture> = exhibit.pictures.shown.iter().take(examples).collect();
    let line = |title, of: &dyn Fn(&Exhibit<'_>, &Picture) -> Result<Image>| -> Result<Line> {
        Ok(Line { title, images: shown.iter().map(|p| of(exhibit, p)).collect::<Result<_>>()? })
    };
    Ok(Row {
        row: exhibit.row.into(),
        folded,
        attack: exhibit.attack(),
        width,
        height,
        labels: shown.iter().map(|p| exhibit.class(p.label)).collect(),
        lines: vec![line("image", &clean)?, line("perturbation", &perturbation)?, line("attacked", &attacked)?],
    })
}

fn clean(exhibit: &Exhibit<'_>, picture: &Picture) -> Result<Image> {
    let label = exhibit.class(picture.label);
    Ok(Image {
        uri: exhibit.pixels.image(picture)?,
        alt: format!(
            "class {label}, predicted {}; after the attack {}",
            exhibit.predicted(picture.clean, " with "),
            exhibit.predicted(picture.attacked, " with ")
        ),
        text: format!("{label} → {}", exhibit.predicted(picture.clean, ", ")),
        wrong: picture.clean.0 != picture.label,
    })
}

fn perturbation(exhibit: &Exhibit<'_>, picture: &Picture) -> Result<Image> {
    let largest = f64::from(picture.delta_scale);
    let (alt, text) = if largest > 0.0 {
        let times = significant(1.0 / largest);
        (
            format!("its perturbation, {times} times as large: at most {} a pixel", significant(largest)),
            format!("× {times}"),
        )
    } else {
        let why = match exhibit.strongest {
            true if picture.clean.0 != picture.label => "wrong already",
            true => "withstands",
            false => "none",
        };
        (
            format!("no perturbation{}", if exhibit.strongest { format!(": {why}") } else { String::new() }),
            why.to_string(),
        )
    };
    Ok(Image { uri: exhibit.pixels.perturbation(picture)?, alt, text, wrong: false })
}

fn attacked(exhibit: &Exhibit<'_>, picture: &Picture) -> Result<Image> {
    let label = exhibit.class(picture.label);
    Ok(Image {
        uri: exhibit.pixels.perturbed(picture)?,
        alt: format!("class {label} after the attack, predicted {}", exhibit.predicted(picture.attacked, " with ")),
        text: format!("{label} → {}", exhibit.predicted(picture.attacked, ", ")),
        wrong: picture.attacked.0 != picture.label,
    })
}
