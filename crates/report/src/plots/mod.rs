//! Pictures of a report: each is drawn once, as SVG, and goes into the page, into `plots/*.svg` and into `plots/*.png`.
//!
//! Every picture brings a title, a description in words and its numbers as a table, so that nothing is said by a picture
//! alone.

mod bars;
mod canvas;
mod classes;
pub(crate) mod course;
mod culprits;
mod decided;
mod heat_map;
mod legend;
mod palette;
mod panel;
mod plot;
mod png;
mod scatter;
mod security;
pub(crate) mod strictest;
mod ticks;
pub(crate) mod training;
mod transfer;

use crate::{Folder, Report, Result};
pub use canvas::Drawing;
pub(crate) use canvas::escaped;
pub use plot::{Plot, Subject};
use std::collections::BTreeSet;

impl Plot {
    /// Every picture of a report.
    ///
    /// # Errors
    /// A picture cannot be drawn.
    pub fn all(report: &Report, folder: &Folder) -> Result<Vec<Plot>> {
        let mut plots = security::plots(report)?;
        plots.extend(scatter::plots(report)?);
        plots.extend(culprits::plots(report, &folder.records)?);
        plots.extend(decided::plots(report, &folder.records)?);
        plots.extend(classes::plots(report, &folder.records)?);
        plots.extend(transfer::plots(report)?);
        plots.extend(training::plots(report, &folder.records)?);
        tell_apart(plots.iter_mut().map(|p| &mut p.name));
        Ok(plots)
    }
}

/// Gives names that stand twice a mark more, so that no picture's file overwrites another's.
fn tell_apart<'a>(names: impl Iterator<Item = &'a mut String>) {
    let mut taken = BTreeSet::new();
    for name in names {
        while !taken.insert(name.clone()) {
            name.push('+');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_pictures_share_a_file() {
        let mut names = ["a", "b", "a", "a+", "a"].map(String::from);
        tell_apart(names.iter_mut());
        assert_eq!(names, ["a", "b", "a+", "a++", "a+++"]);
    }
}
