//! The pictures that the page shows: of every row one training's, the first that has some.
//!
//! What the strongest attacks do stands before what the quick one does: those examples are in the table.

use super::pixels::Pixels;
use crate::{Entry, Folder, Report};
use gauntlet_records::{Norm, Picture, Pictures};

/// Rows of a table of images.
const ROWS: usize = 12;

/// Bytes of a table of images.
const MOST: usize = 1_200_000;

/// One training's pictures.
pub(super) struct Exhibit<'a> {
    pub(super) row: &'a str,
    pub(super) seed: u64,
    pub(super) pictures: &'a Pictures,
    pub(super) pixels: Pixels,
    /// Whether they are the adversarial examples of an attack of the suite, not the quick attack's.
    pub(super) strongest: bool,
    classes: Vec<String>,
}

/// What the rows' attacks do, in the report's order: for every norm the adversarial examples of the suite's attacks; where there are
/// none of any norm the quick attack's.
pub(super) fn attacked<'a>(report: &'a Report, folder: &'a Folder) -> Vec<Vec<Exhibit<'a>>> {
    let mut threats: Vec<Norm> = Vec::new();
    for (_, pictures) in &folder.strongest {
        if !threats.contains(&pictures.norm) {
            threats.push(pictures.norm);
        }
    }
    let of_norm = |norm: Norm| exhibits(report, folder, &folder.strongest, &|p| p.norm == norm);
    let mut all: Vec<Vec<Exhibit<'a>>> = threats.into_iter().map(of_norm).collect();
    let mut quick = exhibits(report, folder, &folder.pictures, &|_| true);
    quick.retain(|q| !all.iter().flatten().any(|e| e.row == q.row));
    all.push(quick);
    all.retain(|exhibits| !exhibits.is_empty());
    all
}

/// The rows that have input gradients.
pub(super) fn gradients<'a>(report: &'a Report, folder: &'a Folder) -> Vec<Exhibit<'a>> {
    exhibits(report, folder, &folder.pictures, &|_| true)
}

fn exhibits<'a>(
    report: &'a Report,
    folder: &'a Folder,
    from: &'a [(Entry, Pictures)],
    wanted: &dyn Fn(&Pictures) -> bool,
) -> Vec<Exhibit<'a>> {
    let of = |row: &'a String| {
        let drawable = |p: &Pictures| !p.shown.is_empty() && p.shape.0 * p.shape.1 * p.shape.2 > 0;
        let (entry, pictures) = from.iter().find(|(e, p)| e.row == *row && wanted(p) && drawable(p))?;
        let record = folder.records.iter().find(|r| (&r.row, r.seed) == (&entry.row, entry.seed));
        let told = record.and_then(|r| r.result.configuration.get("classes")?.as_array());
        let name = |v: &serde_json::Value| v.as_str().map_or_else(|| v.to_string(), str::to_string);
        let classes = told.into_iter().flatten().map(name).collect();
        let strongest = folder.strongest.iter().any(|(_, p)| std::ptr::eq(p, pictures));
        Some(Exhibit { row, seed: entry.seed, pictures, pixels: Pixels::of(pictures), strongest, classes })
    };
    report.rows.iter().filter_map(of).collect()
}

impl Exhibit<'_> {
    /// The class as the data set names it.
    pub(super) fn class(&self, k: u32) -> String {
        self.classes.get(k as usize).cloned().unwrap_or_else(|| k.to_string())
    }

    /// `8 with 76 %`; logits that are not numbers name no class.
    pub(super) fn predicted(&self, (class, probability): (u32, f32), with: &str) -> String {
        if probability.is_nan() {
            return "no class".into();
        }
        format!("{}{with}{:.0} %", self.class(class), 100.0 * probability)
    }

    /// `autoattack, L∞ ε = 0.3, seed 0`, `quick attack (pgd, 10 steps), L∞ ε = 0.3, seed 0`.
    pub(super) fn attack(&self) -> String {
        let Pictures { attack, norm, eps, .. } = self.pictures;
        let attack = if self.strongest { attack.clone() } else { format!("quick attack ({attack})") };
        format!("{attack}, {} ε = {eps}, seed {}", norm.symbol(), self.seed)
    }

    /// That example, where this row has it.
    pub(super) fn example(&self, id: u64) -> Option<&Picture> {
        self.pictures.shown.iter().find(|p| p.id == id)
    }
}

/// How much of the exhibits a table shows.
pub(super) struct Extent {
    pub(super) rows: usize,
    pub(super) examples: usize,
    /// What was left out, as a sentence; empty: nothing.
    pub(super) said: String,
}

impl Extent {
    /// Up to twelve rows and `most` examples of each, which have `bytes` each: fewer where they would make the page too large.
    pub(super) fn of(exhibits: &[Exhibit<'_>], most: usize, bytes: impl Fn(Pixels) -> usize) -> Extent {
        let each = exhibits.iter().map(|e| bytes(e.pixels)).max().unwrap_or(0).max(1);
        let all = exhibits.iter().map(|e| e.pictures.shown.len()).max().unwrap_or(0);
        let rows = exhibits.len().min(ROWS).min(MOST / each);
        let examples = all.min(most).min(MOST / (each * rows.max(1)));
        let mut cut = Vec::new();
        if rows < exhibits.len() {
            cut.push(format!("{rows} of {} rows", exhibits.len()));
        }
        if examples < all {
            cut.push(format!("{examples} of {all} examples"));
        }
        let said = if cut.is_empty() {
            String::new()
        } else {
            format!("Shown here are {}; the others are in records/.", cut.join(" and "))
        };
        Extent { rows, examples, said }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(rows: usize, (height, width): (usize, usize)) -> (usize, usize, String) {
        let zero = Picture {
            id: 0,
            label: 0,
            x: vec![],
            delta: vec![],
            delta_scale: 0.0,
            gradient: vec![],
            gradient_scale: 0.0,
            clean: (0, 1.0),
            attacked: (0, 1.0),
        };
        let (attack, eps) = ("pgd".to_string(), "0.1".parse().unwrap());
        let shape = (3, height, width);
        let pictures = Pictures { shape, attack, norm: gauntlet_records::Norm::Linf, eps, shown: vec![zero; 8] };
        let one = || Exhibit {
            row: "ce",
            seed: 0,
            pictures: &pictures,
            pixels: Pixels::of(&pictures),
            strongest: false,
            classes: Vec::new(),
        };
        let all: Vec<Exhibit<'_>> = (0..rows).map(|_| one()).collect();
        let Extent { rows, examples, said } = Extent::of(&all, 8, |p| 3 * p.bytes(3));
        assert!(rows * examples * 3 * Pixels::of(&pictures).bytes(3) <= MOST);
        (rows, examples, said)
    }

    #[test]
    fn large_images_are_fewer_and_what_is_left_out_is_said() {
        assert_eq!(extent(5, (32, 32)), (5, 8, String::new()));
        let (rows, examples, said) = extent(20, (32, 32));
        assert_eq!((rows, examples), (12, 7));
        assert_eq!(said, "Shown here are 12 of 20 rows and 7 of 8 examples; the others are in records/.");
        assert_eq!(extent(20, (224, 224)).0, 1);
        assert_eq!(extent(1, (1000, 1000)).0, 0);
    }
}
