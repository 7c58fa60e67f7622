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
    threats: Vec<Threat>,
}

/// The rows under one threat model.
#[derive(Serialize)]
struct Threat {
    /// `L∞`, `L2`; none for the quick attack's.
    norm: Option<&'static str>,
    /// Rows behind a title.
    folded: bool,
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
    pub(super) fn of(threats: &[Vec<Exhibit<'_>>]) -> Result<Option<Gallery>> {
        if threats.is_empty() {
            return Ok(None);
        }
        let all = || threats.iter().flatten();
        let (strongest, quick) = (all().any(|e| e.strongest), all().any(|e| !e.strongest));
        let threats = threats.iter().enumerate().map(|(i, exhibits)| threat(exhibits, i > 0)).collect::<Result<_>>()?;
        Ok(Some(Gallery { strongest, quick, threats }))
    }

    /// What its images add to the page.
    pub(super) fn bytes(&self) -> usize {
        self.threats
            .iter()
            .flat_map(|t| &t.rows)
            .flat_map(|r| &r.lines)
            .flat_map(|l| &l.images)
            .map(|i| i.uri.len())
            .sum()
    }
}

fn threat(exhibits: &[Exhibit<'_>], folded: bool) -> Result<Threat> {
    // Three images of every example.
    let extent = Extent::of(exhibits, MOST, |p| 3 * p.bytes(3));
    let shown = exhibits[..extent.rows].iter().enumerate();
    Ok(Threat {
        norm: exhibits.first().filter(|e| e.strongest).map(|e| e.pictures.norm.symbol()),
        folded,
        said: extent.said,
        rows: shown.map(|(r, exhibit)| row(exhibit, r >= OPEN, extent.examples)).collect::<Result<_>>()?,
    })
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
