//! The report as a page: one file that needs nothing else, neither a network nor a server.

mod exhibit;
mod figure;
mod flags;
mod gallery;
mod gradients;
mod marks;
mod masthead;
mod pixels;
mod published;
mod table;

use crate::{Folder, Plot, Report, Result};
use figure::{Figure, Section};
use flags::Raised;
use gallery::Gallery;
use gradients::Gradients;
pub(crate) use marks::marked;
use masthead::Fact;
use minijinja::Environment;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use published::Published;
use serde::Serialize;
use table::{Group, Head, Line, Training};

/// The switch between light and dark.
pub(crate) const THEME: &str = include_str!("theme.js");

/// Everything that the template shows.
#[derive(Serialize)]
struct Page<'a> {
    style: &'a str,
    theme: &'a str,
    script: &'a str,
    suite: &'a str,
    caption: String,
    facts: Vec<Fact>,
    /// What was found, in one sentence.
    found: Option<String>,
    /// Whether intervals are of the images alone, and not of the test set.
    alone: bool,
    several_seeds: bool,
    heads: Vec<Head>,
    /// Norms, each over its columns.
    groups: Vec<Group>,
    attacks: Vec<String>,
    /// Attacks with their parameters.
    methods: Vec<String>,
    budgets: Vec<String>,
    lines: Vec<Line>,
    trainings: Vec<Training>,
    costs: bool,
    failures: Vec<String>,
    problems: &'a [String],
    notes: &'a [String],
    remarks: Vec<&'a String>,
    flags: Vec<Raised>,
    published: Option<Published>,
    failing: Option<String>,
    legend: Vec<String>,
    /// Up to three pictures to look at first.
    leading: Vec<Figure>,
    sections: Vec<Section>,
    gallery: Option<Gallery>,
    gradients: Option<Gradients>,
    command: &'a str,
    provenance: Vec<&'a (String, String)>,
}

impl Report {
    /// The page, with these pictures in it.
    ///
    /// # Errors
    /// An image cannot be encoded, the template refuses what it is given.
    pub fn page(&self, folder: &Folder, plots: &[Plot]) -> Result<String> {
        let flags = flags::raised(&folder.records);
        let gallery = Gallery::of(&exhibit::attacked(self, folder))?;
        let gradients = Gradients::of(&exhibit::gradients(self, folder))?;
        let taken = gallery.as_ref().map_or(0, Gallery::bytes) + gradients.as_ref().map_or(0, Gradients::bytes);
        let pictures = figure::pictures(plots, taken);
        let page = Page {
            style: include_str!("style.css"),
            theme: THEME,
            script: include_str!("script.js"),
            suite: &self.suite,
            caption: self.caption(),
            facts: masthead::facts(self, &folder.records),
            found: masthead::found(self),
            alone: self.images.alone,
            several_seeds: self.seeds.len() > 1,
            heads: table::heads(self, &folder.records),
            groups: table::groups(self),
            attacks: table::distinct(self.columns.iter().map(|c| c.attack().to_string())),
            methods: table::methods(self, &folder.records),
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
            published: Published::of(self),
            failing: self.failing_sentence(),
            legend: self.legend(),
            leading: pictures.leading,
            sections: pictures.sections,
            gallery,
            gradients,
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
