//! Reading the `[[row]]` tables of a suite file.

use crate::suite::complaint::complaint;
use crate::suite::keys::ROW;
use crate::suite::lineage;
use crate::suite::reader::{Reader, Shape, plain_name};
use crate::suite::section::Section;
use crate::{CheckpointSource, Diagnostic, Row, Teacher};
use gauntlet_core::Answers;
use gauntlet_evaluate::{Component, Kind};
use std::collections::HashSet;
use std::ops::Range;
use std::path::PathBuf;
use toml::Spanned;
use toml::de::DeValue;

/// Keys that say how a row is trained.
const TRAINED: [&str; 5] = ["recipe", "base", "penalties", "teacher", "train"];
const EXAMPLE: &str = "such as \"runs/net.safetensors\", relative to this file or to the working directory, or \
                       \"hf:owner/repo/model.safetensors@revision\"";

impl Reader<'_> {
    /// `common`: the model of rows that name none.
    pub(crate) fn rows(&mut self, top: &Section<'_>, shape: Shape, common: Option<&Component>) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::new();
        let mut teachers: Vec<(usize, Range<usize>)> = Vec::new();
        let mut ids: HashSet<String> = HashSet::new();
        for (table, span) in top.tables("row", "[[row]]", "give at least one recipe to train", &mut self.complaints) {
            let section = Section::new("[[row]]", table, span);
            if let Some(row) = self.row(&section, shape, common) {
                if !ids.insert(row.id.clone()) {
                    let place = if section.get("id").is_some() { "id" } else { "recipe" };
                    self.complaints.push(
                        Diagnostic::at(section.span_of(place), format!("two rows are called {:?}", row.id))
                            .hint("give each row an `id` of its own"),
                    );
                }
                if row.teacher.is_some() {
                    teachers.push((rows.len(), section.value_span("teacher")));
                }
                rows.push(row);
            }
        }
        for (i, span) in &teachers {
            self.teacher(&rows, *i, span.clone());
        }
        rows
    }

    /// A teacher that is a row must be another one of the suite, and learn from its pupil neither itself nor by others.
    fn teacher(&mut self, rows: &[Row], i: usize, span: Range<usize>) {
        let Some(Teacher::Row(id)) = &rows[i].teacher else { return };
        if !rows.iter().any(|r| r.id == *id) {
            let error = gauntlet_core::Error::unknown("row", id, rows.iter().map(|r| r.id.as_str()));
            self.complaints.push(complaint(span, &error, &format!("or a checkpoint, {EXAMPLE}")));
            return;
        }
        let chain = lineage::lineage(rows, i);
        // A circle is told once, at its first row.
        if lineage::is_circle(&chain) && chain.iter().all(|k| *k >= i) {
            let text = format!("{} in a circle", lineage::circle(rows, &chain));
            self.complaints.push(Diagnostic::at(span, text).hint("one of them must be trained first"));
        }
    }

    fn row(&mut self, section: &Section<'_>, shape: Shape, common: Option<&Component>) -> Option<Row> {
        section.allow(ROW, &mut self.complaints);
        let note = section.str("note", &mut self.complaints);
        let id = section.str("id", &mut self.complaints);
        let model = match section.get("model") {
            Some((_, value)) => Some(self.architecture(value, shape)?),
            None => None,
        };
        let row = match section.get("checkpoint") {
            Some((_, value)) => self.checkpoint(section, value, id)?,
            None if !TRAINED.iter().any(|key| section.get(key).is_some())
                && let Some(name) = self.untrained(model.as_ref().or(common), shape) =>
            {
                Row { id: id.or(Some(plain_name(&name)))?, checkpoint: Some(CheckpointSource::Own), ..Row::default() }
            }
            None => {
                for (word, hint) in [
                    ("optional", "it says that the file is the user's to bring; a recipe needs none"),
                    ("names", "it lists the names of the file's tensors; a recipe has none"),
                ] {
                    if let Some((key, _)) = section.get(word) {
                        let text = format!("`{word}` goes with `checkpoint`");
                        self.complaints.push(Diagnostic::at(key.span(), text).hint(hint));
                    }
                }
                if self.tells_no_gradients(model.as_ref().or(common), shape) {
                    let span = section.span_of("recipe");
                    self.complaints.push(
                        Diagnostic::at(span, "the row's model tells no gradients, so no recipe can train it")
                            .hint("leave the recipe out: the model is attacked as it is"),
                    );
                }
                let row = self.trained(section)?;
                let teacher = match section.get("teacher") {
                    Some((_, value)) => Some(self.teacher_of(value)?),
                    None => None,
                };
                let name = row.components().last().map(|c| plain_name(&c.name));
                Row { id: id.or(name)?, teacher, ..row }
            }
        };
        if let Err(error) = gauntlet_records::record_file::stem(&row.id, 0) {
            self.complaints.push(Diagnostic::at(section.span_of("id"), error.to_string()));
        }
        Some(Row { note, model, ..row })
    }

    /// The name of a model that can be attacked as it is, since it brings its weights along.
    fn untrained(&self, model: Option<&Component>, shape: Shape) -> Option<String> {
        let (model, (input, classes)) = (model?, shape?);
        let (network, _) = self.registry.model(&model.given(), input, classes).ok()?;
        network.own_weights().map(|_| model.name.clone())
    }

    /// Whether it is a model that can be asked and nothing else.
    fn tells_no_gradients(&self, model: Option<&Component>, shape: Shape) -> bool {
        let (Some(model), Some((input, classes))) = (model, shape) else { return false };
        let built = self.registry.model(&model.given(), input, classes);
        built.is_ok_and(|(network, _)| network.answers() != Answers::Gradients)
    }

    /// A row that is not trained here.
    fn checkpoint(&mut self, section: &Section<'_>, value: &Spanned<DeValue<'_>>, id: Option<String>) -> Option<Row> {
        for (key, _) in TRAINED.iter().filter_map(|name| section.get(name)) {
            self.complaints.push(
                Diagnostic::at(key.span(), format!("`{}` and `checkpoint` exclude each other", key.get_ref()))
                    .hint("a checkpoint is not trained; remove one of the two"),
            );
        }
        let optional = section.bool("optional", &mut self.complaints).unwrap_or_default();
        let source = match value.get_ref().as_str().map(str::parse) {
            // Whether it is there shows when the row is run; until then the suite can be read and checked.
            Some(Ok(CheckpointSource::File(path))) if optional && !self.folder.join(&path).is_file() => {
                Some(CheckpointSource::File(path))
            }
            _ => self.source(value, "checkpoint"),
        };
        if id.is_none() && section.get("id").is_none() {
            self.complaints.push(
                Diagnostic::at(section.span(), "a row with a checkpoint needs an id").hint("such as `id = \"theirs\"`"),
            );
        }
        let names = match section.get("names") {
            Some((_, value)) => Some(self.list_of_names(value)?),
            None => None,
        };
        Some(Row { id: id?, checkpoint: Some(source?), names, ..Row::default() })
    }

    /// A row's recipe, in short or in full.
    fn trained(&mut self, section: &Section<'_>) -> Option<Row> {
        match (section.get("recipe"), section.get("base")) {
            (Some(_), Some((key, _))) => {
                self.complaints.push(
                    Diagnostic::at(key.span(), "`recipe` and `base` exclude each other")
                        .hint("`recipe` is short for a base alone, or for `ce` and one penalty"),
                );
                None
            }
            (None, None) => {
                self.complaints.push(
                    Diagnostic::at(section.span(), "a row needs a recipe").hint(
                        "such as `recipe = \"ce\"`, or `base = \"ce\"` with `penalties = [...]`, or a `checkpoint`",
                    ),
                );
                None
            }
            (Some((_, value)), None) => {
                if let Some((key, _)) = section.get("penalties") {
                    self.complaints.push(
                        Diagnostic::at(key.span(), "`penalties` go with `base`, not with `recipe`")
                            .hint("write `base = \"ce\"`"),
                    );
                }
                let given = self.named(value, "a recipe")?;
                let short = Row::short("", self.registry, &given).and_then(|row| row.build(self.registry).map(|_| row));
                short.map_err(|e| self.complaints.blame(value, &e, "gauntlet list recipes")).ok()
            }
            (None, Some((_, value))) => {
                let given = self.named(value, "a recipe")?;
                let base = self.resolve(Kind::Recipe, value, &given);
                let mut penalties = Vec::new();
                for value in section.list("penalties", &mut self.complaints) {
                    let given = self.named(value, "a penalty");
                    penalties.push(given.and_then(|g| self.resolve(Kind::Penalty, value, &g)));
                }
                let penalties: Option<Vec<Component>> = penalties.into_iter().collect();
                Some(Row { base: Some(base?), penalties: penalties?, ..Row::default() })
            }
        }
    }

    /// A checkpoint's file or reference to the hub, or the id of a row.
    fn teacher_of(&mut self, value: &Spanned<DeValue<'_>>) -> Option<Teacher> {
        let file = |text: &str| {
            text.starts_with("hf:")
                || text.contains(std::path::is_separator)
                || [".safetensors", ".pt", ".pth"].iter().any(|end| text.ends_with(end))
        };
        match value.get_ref().as_str() {
            Some(text) if !file(text) => Some(Teacher::Row(text.to_string())),
            _ => self.source(value, "teacher").map(Teacher::Checkpoint),
        }
    }

    /// A file with names that is there: in the suite's folder or in the working directory.
    fn list_of_names(&mut self, value: &Spanned<DeValue<'_>>) -> Option<PathBuf> {
        let given = value.get_ref().as_str().map(PathBuf::from);
        let found =
            given.as_ref().and_then(|path| [self.folder.join(path), path.clone()].into_iter().find(|p| p.is_file()));
        if found.is_none() {
            let text = match given {
                Some(path) => format!("there is no file {}", path.display()),
                None => format!("`names` must be a text, got {}", value.get_ref().type_str()),
            };
            self.complaints.push(
                Diagnostic::at(value.span(), text)
                    .hint("a file with the names of the checkpoint's tensors, one a line, beside this file or in the working directory"),
            );
        }
        found
    }

    /// A checkpoint that is there: in the suite's folder, in the working directory, or on the hub.
    fn source(&mut self, value: &Spanned<DeValue<'_>>, what: &str) -> Option<CheckpointSource> {
        let wrong = |text: String| Diagnostic::at(value.span(), text).hint(EXAMPLE);
        let complaint = match value.get_ref().as_str().map(str::parse) {
            None => wrong(format!("`{what}` must be a text, got {}", value.get_ref().type_str())),
            Some(Err(error)) => wrong(error.to_string()),
            Some(Ok(CheckpointSource::File(path))) => {
                let beside = self.folder.join(&path);
                match [beside, path.clone()].into_iter().find(|p| p.is_file()) {
                    Some(found) => return Some(CheckpointSource::File(found)),
                    None => wrong(format!("there is no file {}", path.display())),
                }
            }
            Some(Ok(hub)) => return Some(hub),
        };
        self.complaints.push(complaint);
        None
    }
}
