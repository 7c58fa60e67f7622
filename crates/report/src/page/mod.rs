//! The report as a page: one file that needs nothing else, neither a network nor a server.

mod figure;
mod flags;
mod marks;
mod table;

use crate::{Folder, Plot, Report, Result};
use figure::Section;
use flags::Raised;
pub(crate) use marks::marked;
use minijinja::Environment;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use serde::Serialize;
use table::{Head, Line, Training};

/// Everything that the template shows.
#[derive(Serialize)]
struct Page<'a> {
    style: &'a str,
    script: &'a str,
    suite: &'a str,
    caption: String,
    several_seeds: bool,
    heads: Vec<Head>,
    attacks: Vec<String>,
    budgets: Vec<String>,
    lines: Vec<Line>,
    trainings: Vec<Training>,
    costs: bool,
    failures: Vec<String>,
    problems: &'a [String],
    notes: &'a [String],
    remarks: Vec<&'a String>,
    flags: Vec<Raised>,
    expectations: Vec<Expected>,
    shortened: &'a Option<String>,
    sections: Vec<Section>,
    command: &'a str,
    provenance: Vec<&'a (String, String)>,
}

/// A published number, as the suite states it.
#[derive(Serialize)]
struct Expected {
    what: String,
    value: String,
    band: String,
    source: String,
    with: String,
}

impl Report {
    /// The page, with these pictures in it.
    ///
    /// # Errors
    /// The template refuses what it is given.
    pub fn page(&self, folder: &Folder, plots: &[Plot]) -> Result<String> {
        let flags = flags::raised(&folder.records);
        let page = Page {
            style: include_str!("style.css"),
            script: include_str!("script.js"),
            suite: &self.suite,
            caption: self.caption(),
            several_seeds: self.seeds.len() > 1,
            heads: table::heads(self),
            attacks: table::distinct(self.columns.iter().map(|c| c.attack().to_string())),
            budgets: table::distinct(self.columns.iter().filter_map(table::budget)),
            lines: table::lines(self, &folder.records, &flags),
            trainings: table::trainings(self),
            costs: !self.costs.is_empty(),
            failures: self.failures.iter().map(|f| format!("`{}`, seed {}: {}", f.row, f.seed, f.reason)).collect(),
            problems: &self.problems,
            notes: &self.notes,
            // Flags have a section of their own.
            remarks: self
                .remarks
                .iter()
                .filter(|r| !flags.iter().any(|f| r.ends_with(&format!("({}).", f.name))))
                .collect(),
            flags,
            expectations: expectations(folder),
            shortened: &folder.manifest.shortened,
            sections: figure::sections(plots),
            command: &folder.manifest.command,
            provenance: self.provenance.iter().filter(|(label, _)| label != "repeat with").collect(),
        };
        let mut environment = Environment::new();
        environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
        environment.add_filter("marked", marked);
        environment.add_template("page.html", include_str!("template.html"))?;
        Ok(environment.get_template("page.html")?.render(Serde(&page))?)
    }
}

fn expectations(folder: &Folder) -> Vec<Expected> {
    let expected = |e: &gauntlet_core::Expectation| Expected {
        what: e.to_string(),
        value: e.value.map_or("–".into(), |v| v.to_string()),
        band: format!("{} to {}", e.band.0, e.band.1),
        source: e.source.clone(),
        with: e.published_with.clone().unwrap_or_default(),
    };
    folder.manifest.expect.iter().map(expected).collect()
}
