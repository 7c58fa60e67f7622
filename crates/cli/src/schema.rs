//! JSON Schemas of suites and manifests, for editors: from the tables of keys and from the registry.

use gauntlet::core::args::RAMP;
use gauntlet::core::key_doc::{Form, KeyDoc, Omitted, Part};
use gauntlet::core::optimiser::Optimiser;
use gauntlet::core::schedule::Schedule;
use gauntlet::core::{About, Param, ParamDoc, ParamKind, Range, Registry, Spec};
use gauntlet::data::manifest_keys::MANIFEST;
use gauntlet::engine::keys::SUITE;
use gauntlet::engine::{Augmentation, Perturb};
use serde_json::{Map, Value, json};

/// The dialect that editors' TOML plug-ins know best.
const DIALECT: &str = "http://json-schema.org/draft-07/schema#";

/// Of suites, with the components of this registry.
pub(crate) fn suite(registry: &Registry) -> Value {
    let mut schema = object(SUITE, registry);
    schema["$schema"] = DIALECT.into();
    schema["title"] = "A suite of gauntlet".into();
    schema["definitions"] = definitions(registry);
    schema
}

/// Of manifests of data sets.
pub(crate) fn dataset(registry: &Registry) -> Value {
    let mut schema = object(MANIFEST, registry);
    schema["$schema"] = DIALECT.into();
    schema["title"] = "A data set's manifest of gauntlet".into();
    schema
}

/// A table with these keys and no others.
fn object(keys: &[KeyDoc], registry: &Registry) -> Value {
    let properties: Map<String, Value> = keys.iter().map(|k| (k.name.to_string(), property(k, registry))).collect();
    let required: Vec<&str> = keys.iter().filter(|k| k.omitted == Omitted::Refused).map(|k| k.name).collect();
    closed(properties, required)
}

fn closed(properties: Map<String, Value>, required: Vec<&str>) -> Value {
    let mut object = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    // An empty list is none in older dialects.
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    object
}

fn property(key: &KeyDoc, registry: &Registry) -> Value {
    let form = match (key.form, key.name) {
        (Form::Tables(keys), "attack") => {
            json!({ "type": "array", "minItems": 1, "items": attack_tables(keys, registry) })
        }
        (form, _) => of_form(form, registry),
    };
    let unit = if key.unit.is_empty() { String::new() } else { format!(" In {}.", key.unit) };
    let omitted = match key.omitted {
        Omitted::Refused => " Required.".to_string(),
        Omitted::Is(value) => format!(" Default: {value}."),
        Omitted::Means(words) => format!(" Without it: {words}."),
    };
    let mut property = described(form, &format!("{}.{unit}{omitted}", sentence(key.doc)));
    if let Omitted::Is(value) = key.omitted
        && let Some(value) = value_of(value)
    {
        property["default"] = value;
    }
    if let Some(value) = value_of(key.example) {
        property["examples"] = json!([value]);
    }
    property
}

/// A schema with a description: beside a `$ref` older dialects ignore what stands there.
fn described(form: Value, description: &str) -> Value {
    let mut form = if form.get("$ref").is_some() { json!({ "allOf": [form] }) } else { form };
    form["description"] = description.into();
    form
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|c| c.to_uppercase().collect::<String>()).unwrap_or_default() + letters.as_str()
}

/// A value written as TOML.
fn value_of(text: &str) -> Option<Value> {
    let table: toml::Table = toml::from_str(&format!("value = {text}")).ok()?;
    serde_json::to_value(table.get("value")?).ok()
}

fn of_form(form: Form, registry: &Registry) -> Value {
    match form {
        Form::Text => json!({ "type": "string" }),
        Form::Flag => json!({ "type": "boolean" }),
        Form::Whole(least) => json!({ "type": "integer", "minimum": least }),
        Form::Number => json!({ "type": "number" }),
        Form::Positive => json!({ "type": "number", "exclusiveMinimum": 0 }),
        Form::Length => json!({ "type": ["string", "number"] }),
        Form::Just(value) => json!({ "enum": [value_of(value)] }),
        Form::OneOf(texts) => json!({ "enum": texts }),
        Form::Component(part) => json!({ "$ref": format!("#/definitions/{}", definition(part)) }),
        Form::AttackName => json!({ "enum": registry.attacks.names() }),
        Form::List(item) => json!({ "type": "array", "items": of_form(*item, registry) }),
        Form::OneOrMany(item) => {
            let item = of_form(*item, registry);
            json!({ "anyOf": [item.clone(), { "type": "array", "items": item }] })
        }
        Form::Exactly(n, item) => {
            json!({ "type": "array", "items": of_form(*item, registry), "minItems": n, "maxItems": n })
        }
        Form::Table(keys) => object(keys, registry),
        Form::Tables(keys) => json!({ "type": "array", "items": object(keys, registry) }),
        Form::OneKey(keys) => {
            let mut object = object(keys, registry);
            object["minProperties"] = 1.into();
            object["maxProperties"] = 1.into();
            object
        }
    }
}

fn definition(part: Part) -> &'static str {
    match part {
        Part::Model => "model",
        Part::Recipe => "recipe",
        Part::Base => "base",
        Part::Penalty => "penalty",
        Part::Optimiser => "optimiser",
        Part::Schedule => "schedule",
        Part::Augmentation => "augmentation",
        Part::Perturbation => "perturbation",
    }
}

/// Everything that can be named, by its kind.
fn definitions(registry: &Registry) -> Value {
    let plain = |about: &About| table(about, &[]);
    let said = |specs: &[Spec<()>]| -> Vec<Value> { specs.iter().map(|s| plain(&About::from(s))).collect() };
    let mut bases: Vec<Value> = registry.recipes.iter().map(|s| plain(&s)).collect();
    let mut penalties: Vec<Value> = registry.penalties.iter().map(|s| table(&s, &[RAMP])).collect();
    // A recipe in Rhai has the parameters that its file names.
    let script = json!({
        "type": "object", "title": "script", "required": ["name"], "properties": { "name": { "pattern": "^script:.+" } },
    });
    let by_file = json!({ "type": "string", "pattern": "^script:.+" });
    // What can be said of a network in a file is the same for every file.
    let onnx = json!({
        "type": "object", "title": "onnx", "required": ["name"], "properties": { "name": { "pattern": "^onnx:.+" } },
    });
    let network = json!({ "type": "string", "pattern": "^onnx:.+" });
    let names = |tables: &[Value]| -> Vec<Value> { tables.iter().map(|t| t["title"].clone()).collect() };
    let component = |tables: &[Value], more: &[Value]| {
        let mut forms = vec![json!({ "enum": names(tables) })];
        forms.extend(more.iter().cloned());
        forms.extend(tables.iter().cloned());
        json!({ "anyOf": forms })
    };
    bases.sort_by_key(|t| t["title"].to_string());
    penalties.sort_by_key(|t| t["title"].to_string());
    let mut both = bases.clone();
    both.extend(penalties.iter().cloned());
    let scripts = [by_file, script];
    let mut augmentations = said(&Augmentation::SPECS);
    augmentations.extend(registry.augmentations.iter().map(|s| plain(&s)));
    json!({
        "model": component(&registry.models.iter().map(|s| plain(&s)).collect::<Vec<_>>(), &[network, onnx]),
        "base": component(&bases, &scripts),
        "penalty": component(&penalties, &[]),
        "recipe": component(&both, &scripts),
        "attack": component(&registry.attacks.iter().map(|s| plain(&s)).collect::<Vec<_>>(), &[]),
        "objective": component(&registry.objectives.iter().map(|s| plain(&s)).collect::<Vec<_>>(), &[]),
        "optimiser": component(&said(&Optimiser::SPECS), &[]),
        "schedule": component(&said(&Schedule::SPECS), &[]),
        "augmentation": component(&augmentations, &[]),
        "perturbation": component(&said(&Perturb::SPECS), &[]),
    })
}

/// A table that names a component, with its parameters and some more.
fn table(about: &About, more: &[ParamDoc]) -> Value {
    let mut properties = Map::from_iter([("name".to_string(), json!({ "const": about.name }))]);
    let more = more.iter().map(Param::from).filter(|m| about.param(&m.name).is_none());
    properties.extend(about.params.iter().cloned().chain(more).map(|p| (p.name.clone(), parameter(&p))));
    let needed = about.params.iter().filter(|p| p.default.is_empty()).map(|p| p.name.as_str());
    let mut table = closed(properties, std::iter::once("name").chain(needed).collect());
    table["title"] = about.name.as_str().into();
    table["description"] = about.summary.as_str().into();
    table
}

/// `[[attack]]`: for every attack the common keys and its own parameters.
fn attack_tables(keys: &[KeyDoc], registry: &Registry) -> Value {
    let tables: Vec<Value> = registry
        .attacks
        .iter()
        .map(|spec| {
            let transfers = spec.param("surrogate").is_some();
            let mut properties = Map::new();
            for key in keys.iter().filter(|k| k.name != "surrogates" || transfers) {
                properties.insert(key.name.into(), property(key, registry));
            }
            properties["name"] = json!({ "const": spec.name, "description": spec.summary });
            properties.extend(spec.params.iter().map(|p| (p.name.clone(), parameter(p))));
            let needed = spec.params.iter().filter(|p| p.default.is_empty() && p.name != "surrogate");
            let mut table =
                closed(properties, ["name", "eps"].into_iter().chain(needed.map(|p| p.name.as_str())).collect());
            table["title"] = spec.name.as_str().into();
            if transfers {
                table["oneOf"] = json!([{ "required": ["surrogate"] }, { "required": ["surrogates"] }]);
            }
            table
        })
        .collect();
    json!({ "anyOf": tables })
}

/// A parameter of a component, by its kind.
fn parameter(p: &Param) -> Value {
    let list = |item: Value| json!({ "type": "array", "items": item });
    let within = |kind: &str, range: &Range| {
        let mut form = Map::from_iter([("type".to_string(), json!(kind))]);
        form.extend(range.schema());
        Value::Object(form)
    };
    let form = match &p.kind {
        ParamKind::Float(range) => within("number", range),
        ParamKind::Int(range) => within("integer", range),
        ParamKind::Bool => json!({ "type": "boolean" }),
        ParamKind::Eps | ParamKind::Length | ParamKind::FloatOrLength => json!({ "type": ["string", "number"] }),
        ParamKind::BoolOrLength => json!({ "type": ["boolean", "string", "number"] }),
        ParamKind::Text | ParamKind::Row => json!({ "type": "string" }),
        ParamKind::Choice(texts) => json!({ "enum": texts }),
        ParamKind::Objective => json!({ "$ref": "#/definitions/objective" }),
        ParamKind::Attack => json!({ "$ref": "#/definitions/attack" }),
        ParamKind::Attacks => list(json!({ "$ref": "#/definitions/attack" })),
        ParamKind::Floats(range) => list(within("number", range)),
        ParamKind::Ints(range) => list(within("integer", range)),
        ParamKind::Texts => list(json!({ "type": "string" })),
    };
    let default: Option<Value> = serde_json::from_str(&p.default).ok().filter(|v: &Value| !v.is_null());
    let omitted = match p.default.as_str() {
        "" => " Required.".to_string(),
        "null" => String::new(),
        default => format!(" Default: {default}."),
    };
    let unit = if p.unit.is_empty() { String::new() } else { format!(" In {}.", p.unit) };
    let mut property = described(form, &format!("{}.{unit}{omitted}", sentence(&p.doc)));
    if let Some(default) = default {
        property["default"] = default;
    }
    property
}

/// A schema as it is written into files.
pub(crate) fn text(schema: &Value) -> String {
    format!("{schema:#}\n")
}
