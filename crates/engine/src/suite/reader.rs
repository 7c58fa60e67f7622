//! Reading a suite: what all its sections share.

use super::section::{Complaints, Section, Table, json};
use crate::Diagnostic;
use gauntlet_core::Registry;
use gauntlet_data::Catalogue;
use gauntlet_evaluate::{Component, Kind, Selection};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::DeValue;

/// `take` or `sample`, where one is given.
pub(crate) fn selection(section: &Section<'_>, c: &mut Complaints) -> Option<Selection> {
    let take = section.whole("take", 1, c).map(|n| Selection::Take(n as usize));
    let sample = section.whole("sample", 1, c).map(|n| Selection::Sample(n as usize));
    if section.get("take").is_some() && section.get("sample").is_some() {
        c.push(Diagnostic::at(section.span_of("sample"), "`take` and `sample` exclude each other").hint("keep one"));
    }
    take.or(sample)
}

/// Shape (C, H, W) and number of classes of the data set, where it is known.
pub(crate) type Shape = Option<((usize, usize, usize), usize)>;

pub(crate) struct Reader<'a> {
    pub(crate) registry: &'a Registry,
    pub(crate) catalogue: &'a Catalogue,
    /// Where the suite's file is.
    pub(crate) folder: PathBuf,
    pub(crate) complaints: Complaints,
}

impl Reader<'_> {
    /// A name, or a table with a `name`.
    pub(crate) fn named(&mut self, value: &Spanned<DeValue<'_>>, what: &str) -> Option<Map<String, Value>> {
        let wrong = match value.get_ref() {
            DeValue::String(name) => return Some(Map::from_iter([("name".to_string(), name.to_string().into())])),
            DeValue::Table(table) => match Table::get(table, "name").map(|(_, v)| v.get_ref()) {
                Some(DeValue::String(_)) => {
                    return Some(table.iter().map(|(k, v)| (k.get_ref().to_string(), json(v.get_ref()))).collect());
                }
                _ => "a table without a `name`",
            },
            other => other.type_str(),
        };
        self.complaints
            .push(Diagnostic::at(value.span(), format!("{what} must be a name or a table with a `name`, got {wrong}")));
        None
    }

    pub(crate) fn resolve(
        &mut self,
        kind: Kind,
        value: &Spanned<DeValue<'_>>,
        given: &Map<String, Value>,
    ) -> Option<Component> {
        let list = match kind {
            Kind::Model => "gauntlet list models",
            Kind::Augmentation => "gauntlet list augmentations",
            _ => "gauntlet list recipes",
        };
        // Building it too: a value outside its domain is a mistake of the file, not of the run.
        let resolved = Component::resolve(kind, self.registry, given).and_then(|component| {
            match kind {
                Kind::Recipe => drop(self.registry.recipe(&component.given())?),
                Kind::Penalty => drop(self.registry.penalty(&component.given())?),
                Kind::Augmentation => drop(self.registry.augmentation(&component.given())?),
                _ => {}
            }
            Ok(component)
        });
        resolved.map_err(|error| self.complaints.blame(value, &error, list)).ok()
    }
}

/// A component's name without what a row's id cannot hold: `script:mine/steep.rhai` is called `steep`.
pub(crate) fn plain_name(name: &str) -> String {
    let file = name.split_once(':').map_or(name, |(_, file)| file);
    Path::new(file).file_stem().map_or_else(|| name.to_string(), |stem| stem.to_string_lossy().into_owned())
}
