//! `gauntlet list`: what suite files can name.

mod family;
mod page;

use crate::arguments::{List, What};
use crate::exit::{Code, Failure};
use crate::session::Session;
use crate::suites;
use gauntlet::core::optimiser::Optimiser;
use gauntlet::core::schedule::Schedule;
use gauntlet::core::{About, Error, Param, Registry, Spec};
use gauntlet::data::Source;
use gauntlet::engine::{Augmentation, Perturb};
use gauntlet::graph::{Cost, Graph, Row};
use gauntlet::records::Family;
use serde_json::{Map, Value, json};
use std::fmt::Write;

/// One line of a list.
struct Item {
    name: String,
    /// `recipe`, `penalty`, ...: what kind of thing it is, where a list holds several.
    kind: &'static str,
    /// Of an attack.
    family: Option<Family>,
    summary: String,
    paper: String,
    origin: String,
    /// Label and text, for `--verbose`.
    details: Vec<(&'static str, String)>,
    params: Vec<Param>,
    /// Of a built-in model, with its defaults, on the images of its paper.
    graph: Option<Graph>,
}

pub(crate) fn list(session: &Session, arguments: &List) -> Result<Code, Failure> {
    let r = &session.registry;
    if arguments.markdown {
        let page = match arguments.what {
            What::Recipes => page::recipes(r)?,
            What::Attacks => page::attacks(r),
            _ => return Err(Failure::user("--markdown is for recipes and attacks: gauntlet list attacks --markdown")),
        };
        session.result(|| json!({ "markdown": page }), || page.clone())?;
        return Ok(Code::Done);
    }
    let mut items: Vec<Item> = match arguments.what {
        What::Recipes => {
            let penalties = r.penalties.iter().map(|s| component("penalty", &s));
            r.recipes.iter().map(|s| component("recipe", &s)).chain(penalties).collect()
        }
        What::Attacks => r.attacks.iter().map(|s| attack(r, &s)).collect(),
        What::Models => r.models.iter().map(|s| model(&s)).collect(),
        What::Optimisers => said("optimiser", &Optimiser::SPECS).collect(),
        What::Schedules => said("schedule", &Schedule::SPECS).collect(),
        What::Augmentations => {
            let more = r.augmentations.iter().map(|s| component("augmentation", &s));
            said("augmentation", &Augmentation::SPECS).chain(more).collect()
        }
        What::Perturbations => said("perturbation", &Perturb::SPECS).collect(),
        What::Datasets => datasets(session)?,
        What::Suites => suites::all().into_iter().map(suite).collect(),
    };
    for name in &arguments.names {
        if !items.iter().any(|i| i.name == *name) {
            let kind = items.first().map_or("name", |i| i.kind);
            let known: Vec<&str> = items.iter().map(|i| i.name.as_str()).collect();
            return Err(Failure::user(Error::unknown(kind, name, known.into_iter()).to_string()));
        }
    }
    let chosen = !arguments.names.is_empty();
    items.retain(|i| !chosen || arguments.names.contains(&i.name));
    session.result(|| items.iter().map(object).collect(), || text(&items, arguments.verbose || chosen))?;
    Ok(Code::Done)
}

fn component(kind: &'static str, spec: &About) -> Item {
    Item {
        name: spec.name.to_string(),
        kind,
        family: None,
        summary: spec.summary.to_string(),
        paper: spec.paper.to_string(),
        origin: spec.origin.to_string(),
        details: vec![("formula", spec.formula.to_string()), ("numerics", spec.numerics.to_string())],
        params: spec.params.clone(),
        graph: None,
    }
}

fn said(kind: &'static str, specs: &[Spec<()>]) -> impl Iterator<Item = Item> {
    specs.iter().map(move |s| component(kind, &About::from(s)))
}

fn attack(registry: &Registry, spec: &About) -> Item {
    Item { family: family::of(registry, spec), ..component("attack", spec) }
}

/// Classes of a model that is listed.
const CLASSES: usize = 10;

fn model(spec: &About) -> Item {
    let given = Map::from_iter([("name".to_string(), spec.name.as_str().into())]);
    // A plug-in's has no graph here.
    Item { graph: gauntlet::models::graph(&given, None, CLASSES).ok(), ..component("model", spec) }
}

fn datasets(session: &Session) -> Result<Vec<Item>, Failure> {
    let mut items = Vec::new();
    for name in session.catalogue.names() {
        let manifest = match session.catalogue.get(&name) {
            Ok(manifest) => manifest,
            // One broken manifest must not hide the others.
            Err(error) => {
                session.say(format!("warning: {error}"));
                continue;
            }
        };
        let (origin, revision) = match &manifest.source {
            Source::Hub { id, revision, .. } => (format!("hub:{id}"), revision.clone()),
            Source::Local { folder: Some(folder), .. } => (format!("local: {}", folder.display()), String::new()),
            Source::Local { folder: None, .. } => ("local: --data-dir or GAUNTLET_DATA".to_string(), String::new()),
            Source::Glyphs { .. } => ("drawn by gauntlet".to_string(), String::new()),
        };
        let (c, h, w) = manifest.shape;
        let mut details = vec![
            ("shape", format!("{c} × {h} × {w}")),
            ("classes", manifest.labels().join(", ")),
            (
                "licence",
                manifest.licence.clone().unwrap_or_else(|| "not stated; ask before you publish with it".into()),
            ),
        ];
        if !revision.is_empty() {
            details.push(("revision", revision));
        }
        let summary = manifest.summary;
        items.push(Item {
            name,
            kind: "data set",
            family: None,
            summary,
            paper: String::new(),
            origin,
            details,
            params: Vec::new(),
            graph: None,
        });
    }
    Ok(items)
}

fn suite((name, found): (String, suites::Found)) -> Item {
    Item {
        name,
        kind: "suite",
        family: None,
        summary: suites::summary(&found.text),
        paper: String::new(),
        origin: found.path,
        details: Vec::new(),
        params: Vec::new(),
        graph: None,
    }
}

fn object(item: &Item) -> Value {
    let params: Vec<Value> = item
        .params
        .iter()
        .map(|p| {
            let default: Value = serde_json::from_str(&p.default).unwrap_or(Value::Null);
            json!({
                "name": p.name, "type": p.kind.name(), "range": p.kind.range().map(|r| r.to_string()), "default": default, "required": p.default.is_empty(),
                "unit": p.unit, "doc": p.doc,
            })
        })
        .collect();
    let mut object = json!({
        "name": item.name, "kind": item.kind, "summary": item.summary, "paper": item.paper, "origin": item.origin,
        "parameters": params,
    });
    if let Some(family) = item.family {
        object["family"] = json!(family);
    }
    for (label, text) in &item.details {
        object[*label] = text.as_str().into();
    }
    if let Some(graph) = &item.graph {
        let summary = graph.summary();
        let row = |r: &Row| {
            json!({
                "name": r.name, "layer": r.layer, "shape": r.shape,
                "parameters": r.cost.parameters, "multiply_adds": r.cost.multiply_adds,
            })
        };
        let Cost { parameters, multiply_adds } = summary.total;
        object["input"] = json!(graph.interface().input);
        object["layers"] = summary.rows.iter().map(row).collect();
        object["total"] = json!({ "parameters": parameters, "multiply_adds": multiply_adds });
    }
    object
}

fn text(items: &[Item], verbose: bool) -> String {
    let width = |f: &dyn Fn(&Item) -> usize| items.iter().map(f).max().unwrap_or(0);
    let mixed = items.iter().any(|i| i.kind != items[0].kind);
    let sort = |i: &Item| i.family.map_or_else(|| if mixed { i.kind.into() } else { String::new() }, |f| f.to_string());
    let (name, kind) = (width(&|i| i.name.chars().count()), width(&|i| sort(i).len()));
    let mut out = String::new();
    for item in items {
        let _ = write!(out, "{:name$}  ", item.name);
        if kind > 0 {
            let _ = write!(out, "{:kind$}  ", sort(item));
        }
        let source = [item.paper.as_str(), &item.origin].into_iter().filter(|s| !["", "-"].contains(s));
        let source: Vec<&str> = source.collect();
        let _ = writeln!(out, "{} ({})", item.summary, source.join("; "));
        if verbose {
            for (label, text) in &item.details {
                let label = if *label == "numerics" { "version of its numbers" } else { label };
                let _ = writeln!(out, "    {label}: {text}");
            }
            for p in &item.params {
                let default = match p.default.as_str() {
                    "" => "(required)".to_string(),
                    "null" => "(none unless given)".to_string(),
                    json => {
                        format!("= {}", serde_json::from_str(json).map_or_else(|_| json.to_string(), |v| toml_of(&v)))
                    }
                };
                let unit = if p.unit.is_empty() { String::new() } else { format!(", {}", p.unit) };
                let _ = writeln!(out, "    {} {default} ({}{unit}): {}", p.name, p.kind, p.doc);
            }
            if let Some(graph) = &item.graph {
                let (c, h, w) = graph.interface().input;
                let _ = writeln!(out, "    layers, for images {c}×{h}×{w} and {CLASSES} classes:");
                for line in graph.summary().to_string().lines() {
                    let _ = writeln!(out, "      {line}");
                }
            }
        }
    }
    out
}

/// A value as suite files write it: `{ name = "pgd", steps = 10 }`.
fn toml_of(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let fields: Vec<String> = fields.iter().map(|(k, v)| format!("{k} = {}", toml_of(v))).collect();
            if fields.is_empty() { "{}".into() } else { format!("{{ {} }}", fields.join(", ")) }
        }
        Value::Array(items) => format!("[{}]", items.iter().map(toml_of).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}
