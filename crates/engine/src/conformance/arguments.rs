//! Arguments to try a recipe with, from what its `Spec` documents.

use crate::Result;
use gauntlet_core::{Error, Param, ParamKind, Registry};
use gauntlet_evaluate::Kind;
use serde_json::{Map, Value, json};

/// What the short form (`--recipe NAME`, `recipe = "NAME"`) means by a name: a recipe, else a penalty.
///
/// # Errors
/// A name that is neither, with the nearest known one.
pub fn short_kind(registry: &Registry, name: &str) -> Result<Kind> {
    if registry.recipes.contains(name) {
        return Ok(Kind::Recipe);
    }
    if registry.penalties.contains(name) {
        return Ok(Kind::Penalty);
    }
    let known: Vec<String> = registry.recipes.names().into_iter().chain(registry.penalties.names()).collect();
    Err(Error::unknown("recipe", name, known.iter().map(String::as_str)).into())
}

/// The documented parameters of a recipe or penalty.
pub(super) fn params(registry: &Registry, kind: Kind, name: &str) -> Result<Vec<Param>> {
    match kind {
        Kind::Recipe => Ok(registry.recipes.get(name)?.params.clone()),
        Kind::Penalty => Ok(registry.penalties.get(name)?.params.clone()),
        other => Err(crate::Error::message(format!("recipes and penalties have promises to keep, not {other:?}s"))),
    }
}

/// `given` with a probe value for every required argument that it leaves out, and the list of those: ε 0.1, numbers 1,
/// the first of several choices.
///
/// # Errors
/// An unknown name; a required argument of a kind that has no probe value.
pub fn completed(
    registry: &Registry,
    kind: Kind,
    given: &Map<String, Value>,
) -> Result<(Map<String, Value>, Vec<String>)> {
    let name = given.get("name").and_then(Value::as_str).unwrap_or_default().to_string();
    let mut given = given.clone();
    let mut probed = Vec::new();
    for p in params(registry, kind, &name)? {
        if !p.default.is_empty() || given.contains_key(&p.name) {
            continue;
        }
        let value = match &p.kind {
            ParamKind::Eps => json!("0.1"),
            ParamKind::Float(range) => json!(range.some(1.0)),
            ParamKind::Int(range) => json!(range.some(1.0).round() as i64),
            ParamKind::Bool => json!(false),
            ParamKind::Choice(texts) if !texts.is_empty() => json!(texts[0]),
            kind => {
                let why = format!("is required, and nothing can be guessed for a {kind}: {}", p.doc);
                return Err(Error::value(format!("{name}.{}", p.name), why).into());
            }
        };
        probed.push(format!("{} = {value}", p.name));
        given.insert(p.name, value);
    }
    Ok((given, probed))
}

/// The recipe or penalty `name` with probe values, then once more for every other value of a documented choice (texts
/// and booleans), one changed at a time.
///
/// # Errors
/// As [`completed`].
pub fn documented_choices(registry: &Registry, kind: Kind, name: &str) -> Result<Vec<Map<String, Value>>> {
    let (plain, _) = completed(registry, kind, &Map::from_iter([("name".to_string(), name.into())]))?;
    let mut all = vec![plain.clone()];
    for p in params(registry, kind, name)? {
        let values: Vec<Value> = match &p.kind {
            ParamKind::Bool => vec![json!(false), json!(true)],
            ParamKind::Choice(texts) => texts.iter().map(|t| json!(t)).collect(),
            _ => continue,
        };
        let usual = plain.get(&p.name).cloned().or_else(|| serde_json::from_str(&p.default).ok());
        for value in values.into_iter().filter(|v| Some(v) != usual.as_ref()) {
            let mut given = plain.clone();
            given.insert(p.name.clone(), value);
            all.push(given);
        }
    }
    Ok(all)
}
