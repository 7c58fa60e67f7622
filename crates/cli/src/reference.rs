//! The reference of keys, in Markdown: docs/suites.md and docs/datasets.md have it between two marks.

use gauntlet::core::key_doc::{Form, KeyDoc, Omitted, Part};
use gauntlet::core::optimiser::Optimiser;
use gauntlet::core::schedule::Schedule;
use gauntlet::core::{About, Param, Registry, Table};
use gauntlet::data::manifest_keys::MANIFEST;
use gauntlet::engine::keys::SUITE;
use gauntlet::engine::{Augmentation, Perturb};
use std::fmt::Write;

/// Of suites, and of what they can name but recipes, which have a page.
pub(crate) fn suite(registry: &Registry) -> String {
    let mut out = String::new();
    sections(&mut out, "Top level", SUITE, "");
    out += "\nRecipes and penalties have [a page of their own](recipes.md). A length is a text such as `\"8/255\"`, kept as it is written, \
            or a number, in pixels of images in [0, 1].\n";
    components(&mut out, "Attacks", abouts(&registry.attacks));
    components(&mut out, "Objectives of attacks", abouts(&registry.objectives));
    components(&mut out, "Models", abouts(&registry.models));
    components(&mut out, "Optimisers", Optimiser::SPECS.iter().map(About::from));
    components(&mut out, "Schedules", Schedule::SPECS.iter().map(About::from));
    components(&mut out, "Augmentations", Augmentation::SPECS.iter().map(About::from));
    rows(&mut out, abouts(&registry.augmentations));
    components(&mut out, "Perturbations", Perturb::SPECS.iter().map(About::from));
    out
}

/// Of manifests.
pub(crate) fn dataset() -> String {
    let mut out = String::new();
    sections(&mut out, "Top level", MANIFEST, "");
    out
}

/// A table of keys, then those of the tables in it.
fn sections(out: &mut String, title: &str, keys: &[KeyDoc], path: &str) {
    let _ = writeln!(out, "\n### {title}\n");
    let _ = writeln!(out, "| key | type | default | unit | example | |\n| :-- | :-- | :-- | :-- | :-- | :-- |");
    for k in keys {
        let default = match k.omitted {
            Omitted::Refused => "**required**".to_string(),
            Omitted::Is(value) => format!("`{value}`"),
            Omitted::Means(words) => words.to_string(),
        };
        let example = if k.example.is_empty() { String::new() } else { format!("`{}`", k.example) };
        let cells = [&*format!("`{}`", k.name), &*of(k.form), &*default, k.unit, &*example, k.doc].map(cell);
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
    let at = |name: &str| if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
    for k in keys {
        match k.form {
            // The two splits have the same keys.
            // A row's are those of all.
            Form::Table(_) if k.name == "train" && path == "row" => {}
            Form::Table(_) if k.name == "test" && keys.iter().any(|k| k.name == "train") => {}
            Form::Table(inner) if k.name == "train" && keys.iter().any(|k| k.name == "test") => {
                sections(out, "`[train]` and `[test]`", inner, "train");
            }
            Form::Table(inner) => sections(out, &format!("`[{}]`", at(k.name)), inner, &at(k.name)),
            Form::Tables(inner) => sections(out, &format!("`[[{}]]`", at(k.name)), inner, &at(k.name)),
            Form::OneKey(inner) => sections(out, &format!("`[{}]`", at(k.name)), inner, &at(k.name)),
            _ => {}
        }
    }
}

/// What a value must be, in words.
fn of(form: Form) -> String {
    match form {
        Form::Text => "text".into(),
        Form::Flag => "true or false".into(),
        Form::Whole(least) => format!("whole number from {least}"),
        Form::Number => "number".into(),
        Form::Positive => "number above 0".into(),
        Form::Length => "length".into(),
        Form::Just(value) => format!("`{value}`"),
        Form::OneOf(texts) => texts.iter().map(|t| format!("`\"{t}\"`")).collect::<Vec<_>>().join(", "),
        Form::Component(part) => {
            let (name, list) = match part {
                Part::Model => ("model", "#models"),
                Part::Recipe => ("recipe", "recipes.md"),
                Part::Base => ("base recipe", "recipes.md"),
                Part::Penalty => ("penalty", "recipes.md"),
                Part::Optimiser => ("optimiser", "#optimisers"),
                Part::Schedule => ("schedule", "#schedules"),
                Part::Augmentation => ("augmentation", "#augmentations"),
                Part::Perturbation => ("perturbation of the weights", "#perturbations"),
            };
            format!("[{name}]({list}): a name, or a table with a `name` and parameters")
        }
        Form::AttackName => "[attack](#attacks)".into(),
        Form::List(item) => format!("list of: {}", of(*item)),
        Form::OneOrMany(item) => format!("{}, or a list of such", of(*item)),
        Form::Exactly(n, item) => format!("{n} times: {}", of(*item)),
        Form::Table(_) => "table".into(),
        Form::Tables(_) => "tables".into(),
        Form::OneKey(_) => "table with one of its keys".into(),
    }
}

/// What is known of the components of a table.
fn abouts<T: ?Sized, C>(table: &Table<T, C>) -> impl Iterator<Item = About> {
    table.iter().map(|entry| entry.about().clone())
}

/// A table of all parameters of some components.
fn components(out: &mut String, title: &str, specs: impl Iterator<Item = About>) {
    let _ = writeln!(out, "\n### {title}\n");
    let _ = writeln!(out, "| name | parameter | type | default | unit | |\n| :-- | :-- | :-- | :-- | :-- | :-- |");
    rows(out, specs);
}

/// The rows of such a table.
fn rows(out: &mut String, specs: impl Iterator<Item = About>) {
    for s in specs.filter(|s| s.origin == "built-in") {
        let _ = writeln!(out, "| **`{}`** | | | | | {} |", s.name, cell(&s.summary));
        for Param { name, kind, default, unit, doc } in &s.params {
            let default = match default.as_str() {
                "" => "**required**".to_string(),
                "null" => "none".to_string(),
                value => format!("`{value}`"),
            };
            let cells = [&*format!("`{name}`"), &*kind.to_string(), &*default, unit, doc].map(cell);
            let _ = writeln!(out, "| | {} |", cells.join(" | "));
        }
    }
}

/// A bar would end the cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
