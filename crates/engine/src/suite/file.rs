//! Reading a suite file: every complaint carries its place.

use crate::suite::complaint::complaint;
use crate::suite::expectations::Known;
use crate::suite::keys::{SUITE, TRAIN};
use crate::suite::reader::{Reader, Shape, selection};
use crate::suite::section::{Complaints, Section, Table};
use crate::{Diagnostic, Monitor, Row, Suite, TrainConfig, Tricks};
use gauntlet_core::Registry;
use gauntlet_core::optimiser::Optimiser;
use gauntlet_core::schedule::Schedule;
use gauntlet_data::Catalogue;
use gauntlet_evaluate::{AttackEntry, Component, Kind, Selection};
use gauntlet_records::Norm;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::ops::Range;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Bytes of a suite's name.
const LONGEST: usize = 128;

/// Complains about texts that no page, picture or terminal can show.
fn control_characters(table: &DeTable<'_>, complaints: &mut Complaints) {
    for (key, value) in table {
        unprintable(key.get_ref(), key.span(), complaints);
        in_value(value, complaints);
    }
}

fn in_value(value: &Spanned<DeValue<'_>>, complaints: &mut Complaints) {
    match value.get_ref() {
        DeValue::String(text) => unprintable(text, value.span(), complaints),
        DeValue::Array(items) => items.iter().for_each(|item| in_value(item, complaints)),
        DeValue::Table(table) => control_characters(table, complaints),
        _ => {}
    }
}

fn unprintable(text: &str, span: Range<usize>, complaints: &mut Complaints) {
    if let Some(found) = text.chars().find(|c| c.is_control() && !"\n\r\t".contains(*c)) {
        let message = format!("this text has the control character {found:?}, which no page or picture can show");
        complaints.push(Diagnostic::at(span, message).hint("remove it"));
    }
}

impl Suite {
    /// Parses and resolves a suite file.
    ///
    /// `path` gives the suite its default name (its stem), and checkpoints are looked for in its folder first.
    ///
    /// # Errors
    /// Every complaint, each with its place in `text`: syntax, unknown names and keys (with the nearest known one),
    /// wrong types, values outside their domain, empty lists, ids that are given twice.
    pub fn load(text: &str, path: &str, registry: &Registry, catalogue: &Catalogue) -> Result<Suite, Vec<Diagnostic>> {
        let table = parsed(text)?;
        let folder = Path::new(path).parent().unwrap_or(Path::new("")).to_path_buf();
        let mut reader = Reader { registry, catalogue, folder, complaints: Complaints::default() };
        let suite = reader.suite(&Section::top(table.get_ref()), path);
        unless_complained(suite, reader)
    }
}

impl TrainConfig {
    /// What stands in a suite's `[train]`, from a text of its keys alone.
    ///
    /// # Errors
    /// As of [`Suite::load`].
    pub fn load(text: &str, registry: &Registry, catalogue: &Catalogue) -> Result<TrainConfig, Vec<Diagnostic>> {
        let table = parsed(text)?;
        let mut reader = Reader { registry, catalogue, folder: "".into(), complaints: Complaints::default() };
        let section = Section::new("train", table.get_ref(), table.span());
        section.allow(TRAIN, &mut reader.complaints);
        let config = reader.config(&section, &[], None);
        unless_complained(config, reader)
    }
}

fn parsed(text: &str) -> Result<Spanned<DeTable<'_>>, Vec<Diagnostic>> {
    let table = DeTable::parse(text).map_err(|e| {
        let message = e.message().trim().replace('\n', ", ");
        vec![match e.span() {
            Some(span) => Diagnostic::at(span, message),
            None => Diagnostic::whole(message),
        }]
    })?;
    let mut unprintable = Complaints::default();
    control_characters(table.get_ref(), &mut unprintable);
    let unprintable = unprintable.take();
    if unprintable.is_empty() { Ok(table) } else { Err(unprintable) }
}

fn unless_complained<T>(read: Option<T>, mut reader: Reader<'_>) -> Result<T, Vec<Diagnostic>> {
    match (read, reader.complaints.take()) {
        (Some(read), complaints) if complaints.is_empty() => Ok(read),
        (_, mut complaints) => {
            complaints.sort_by_key(|d| d.span.as_ref().map_or(0, |s| s.start));
            Err(complaints)
        }
    }
}

impl Reader<'_> {
    fn suite(&mut self, top: &Section<'_>, path: &str) -> Option<Suite> {
        top.allow(SUITE, &mut self.complaints);
        let c = &mut self.complaints;
        match top.whole("format", 1, c) {
            None if top.get("format").is_none() => {
                c.push(Diagnostic::whole("`format` is missing").hint("start the file with `format = 1`"));
            }
            Some(1) | None => {}
            Some(n) => c.push(
                Diagnostic::at(top.span_of("format"), format!("format {n} is not known"))
                    .hint("this version reads format 1"),
            ),
        }
        let stem = Path::new(path).file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        let name = if top.get("name").is_some() { top.str("name", c) } else { Some(stem) };
        if let Some(name) = &name {
            let fine = |ch: char| ch.is_ascii_alphanumeric() || "-_.".contains(ch);
            if name.is_empty() || name.starts_with('.') || name.len() > LONGEST || !name.chars().all(fine) {
                c.push(
                    Diagnostic::at(top.span_of("name"), format!("{name:?} cannot name a folder"))
                        .hint("use letters, digits, `-`, `_` and `.`, 128 at most"),
                );
            }
        }
        let notes = if top.get("notes").is_some() { top.texts("notes", c) } else { Some(vec![]) };
        let data = top.required_str("data", "the name of a data set", c);
        let seeds = if top.get("seeds").is_some() { top.wholes("seeds", c) } else { Some(vec![0]) };
        let examples = selection(top, c).unwrap_or(Selection::All);
        let attack_seed = top.whole("attack_seed", 0, c).unwrap_or(0);
        let carry = top.bool("carry", c).unwrap_or(false);
        let draws = top.whole("draws", 1, c).unwrap_or(1) as u32;
        let shape = data.as_deref().and_then(|name| self.data(name, top));
        let model = self.model(top, shape);
        let rows = self.rows(top, shape, model.as_ref());
        let attacks = self.attacks(top, &rows, shape);
        let certify = self.certifications(top, &attacks, shape);
        let train = self.train(top, &attacks, shape);
        let rows = self.trained_otherwise(top, rows, &attacks, shape);
        let each = rows.iter().filter_map(|r| r.train.as_ref()).chain(&train).map(|t| t.epochs);
        let epochs = each.max().unwrap_or(u32::MAX);
        let expect = self.expectations(top, &Known { rows: &rows, attacks: &attacks, certify: &certify, epochs });
        let quick = self.quick(top, &rows);
        Some(Suite {
            format: 1,
            name: name?,
            notes: notes?,
            data: data?,
            model: model?,
            seeds: seeds?,
            train: train?,
            examples,
            attack_seed,
            carry,
            draws,
            rows,
            attacks,
            certify,
            expect: expect?,
            quick: quick?,
        })
    }

    fn model(&mut self, top: &Section<'_>, shape: Shape) -> Option<Component> {
        let Some((_, value)) = top.get("model") else {
            self.complaints.push(
                Diagnostic::whole("`model` is missing").hint("such as `model = \"lenet-small\"`; gauntlet list models"),
            );
            return None;
        };
        self.architecture(value, shape)
    }

    /// A model that can be built for the data.
    pub(crate) fn architecture(&mut self, value: &Spanned<DeValue<'_>>, shape: Shape) -> Option<Component> {
        let given = self.named(value, "a model")?;
        let component = self.resolve(Kind::Model, value, &given)?;
        if let Some((input, classes)) = shape {
            let built = self.registry.model(&component.given(), input, classes);
            if let Err(error) = built {
                self.complaints.blame(value, &error, "gauntlet list models");
                return None;
            }
        }
        Some(component)
    }

    fn train(&mut self, top: &Section<'_>, attacks: &[AttackEntry], shape: Shape) -> Option<TrainConfig> {
        let empty = DeTable::new();
        let section = match top.get("train") {
            None => Section::new("train", &empty, top.span()),
            Some((_, value)) => match value.get_ref() {
                DeValue::Table(table) => Section::new("train", table, value.span()),
                other => {
                    let found = other.type_str();
                    self.complaints.push(Diagnostic::at(value.span(), format!("`train` must be a table, got {found}")));
                    return None;
                }
            },
        };
        section.allow(TRAIN, &mut self.complaints);
        self.config(&section, attacks, shape)
    }

    /// The rows, those that say so with a training of their own: what they leave out is the suite's.
    fn trained_otherwise(
        &mut self,
        top: &Section<'_>,
        mut rows: Vec<Row>,
        attacks: &[AttackEntry],
        shape: Shape,
    ) -> Vec<Row> {
        let Some(DeValue::Array(tables)) = top.get("row").map(|(_, v)| v.get_ref()) else { return rows };
        let beneath = top.get("train").and_then(|(_, v)| v.get_ref().as_table());
        if tables.len() != rows.len() {
            // One of them is wrong, and the suite with it.
            return rows;
        }
        for (row, table) in rows.iter_mut().zip(tables.iter()) {
            let Some((_, value)) = table.get_ref().as_table().and_then(|t| Table::get(t, "train")) else { continue };
            let DeValue::Table(own) = value.get_ref() else {
                let found = value.get_ref().type_str();
                self.complaints.push(Diagnostic::at(value.span(), format!("`train` must be a table, got {found}")));
                continue;
            };
            let section = Section::new("[[row]]'s train", own, value.span());
            section.allow(TRAIN, &mut self.complaints);
            row.train = self.config(&section.over(beneath), attacks, shape);
        }
        rows
    }

    fn config(&mut self, section: &Section<'_>, attacks: &[AttackEntry], shape: Shape) -> Option<TrainConfig> {
        let c = &mut self.complaints;
        let epochs = if section.get("epochs").is_some() { section.whole("epochs", 1, c) } else { Some(5) };
        let batch = if section.get("batch").is_some() { section.whole("batch", 1, c) } else { Some(128) };
        let validation = match section.get("validation") {
            Some(_) => section.whole("validation", 0, c).map(Some),
            None => Some(None),
        };
        let clip = section.positive("clip", c);
        let shown = self.augmentations(section);
        let optimiser: Option<Optimiser> =
            self.tagged(section, "optimiser", r#"{"name":"adam","lr":0.001}"#, Optimiser::validate);
        let schedule: Option<Schedule> = self.tagged(section, "schedule", r#"{"name":"constant"}"#, Schedule::validate);
        let monitor_eps = match section.get("monitor_eps") {
            Some((_, value)) => Some(self.eps(value, &[], Norm::Linf, shape.map(|((c, h, w), _)| c * h * w))?),
            None => None,
        };
        let tricks = self.tricks(section, epochs.unwrap_or(1) as u32, validation.flatten().map(|n| n as usize));
        let (augmentation, augmentations) = shown?;
        Some(TrainConfig {
            epochs: epochs? as u32,
            batch: batch? as usize,
            optimiser: optimiser?,
            schedule: schedule?,
            augmentation,
            validation: validation?.map(|n| n as usize),
            clip,
            monitor: Monitor::of_suite(self.registry, attacks, monitor_eps)?,
            tricks: Tricks { augmentations, ..tricks? },
        })
    }

    /// An optimiser or a schedule: a name, or a table with a name, read by serde.
    pub(crate) fn tagged<T: DeserializeOwned>(
        &mut self,
        section: &Section<'_>,
        key: &'static str,
        default: &str,
        validate: fn(&T) -> Result<(), String>,
    ) -> Option<T> {
        let value = section.get(key).map(|(_, v)| v);
        let given = match value {
            None => serde_json::from_str(default).unwrap_or_default(),
            Some(value) => Value::Object(self.named(value, key)?),
        };
        let span = value.map_or_else(|| section.span(), |v| v.span());
        let parsed: T = match serde_json::from_value(given) {
            Ok(parsed) => parsed,
            Err(error) => {
                let said = error.to_string();
                let quoted: Vec<&str> = said.split('`').skip(1).step_by(2).collect();
                let unknown = said.starts_with("unknown");
                let place = match (value, quoted.first()) {
                    (Some(value), Some(word)) if unknown => crate::suite::section::find(value, word),
                    _ => None,
                };
                let mut diagnostic = Diagnostic::at(place.unwrap_or(span), format!("{key}: {said}"));
                if unknown && quoted.len() > 1 {
                    let near = gauntlet_core::Error::unknown(key, quoted[0], quoted[1..].iter().copied());
                    if let gauntlet_core::Error::Unknown { hint: Some(hint), .. } = near {
                        diagnostic = diagnostic.hint(format!("did you mean {hint:?}?"));
                    }
                }
                self.complaints.push(diagnostic);
                return None;
            }
        };
        if let Err(why) = validate(&parsed) {
            let word = why.split(' ').next().unwrap_or_default().to_string();
            let place = value.and_then(|v| crate::suite::section::value_of(v, &word)).unwrap_or(span);
            self.complaints.push(Diagnostic::at(place, format!("{key}: {why}")));
            return None;
        }
        Some(parsed)
    }
}

impl Reader<'_> {
    fn data(&mut self, name: &str, top: &Section<'_>) -> Shape {
        let span = top.value_span("data");
        match self.catalogue.get(name) {
            Ok(manifest) => Some((manifest.shape, manifest.labels().len())),
            Err(_) if !self.catalogue.names().iter().any(|n| n == name) => {
                let names = self.catalogue.names();
                let error = gauntlet_core::Error::unknown("data set", name, names.iter().map(String::as_str));
                self.complaints.push(complaint(span, &error, "gauntlet list datasets"));
                None
            }
            Err(other) => {
                self.complaints.push(Diagnostic::at(span, other.to_string()));
                None
            }
        }
    }
}
