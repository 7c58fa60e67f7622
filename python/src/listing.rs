//! What can be named, with everything that `gauntlet list` knows of it.

use crate::failure::Failure;
use crate::registry;
use gauntlet::core::{About, Registry};
use gauntlet::data::{Catalogue, Source};
use gauntlet::records::{Family, Norm};
use pyo3::prelude::*;
use serde_json::{Map, Value, json};

/// All components of a kind (`attacks`, `recipes`, `penalties`, `models`, `objectives`) as a JSON list.
#[pyfunction]
pub(crate) fn components(kind: &str) -> PyResult<String> {
    let r = registry()?;
    let items: Vec<Value> = match kind {
        "attacks" => r.attacks.iter().map(|s| attack(r, &s)).collect(),
        "recipes" => r.recipes.iter().map(|s| described(&s)).collect(),
        "penalties" => r.penalties.iter().map(|s| described(&s)).collect(),
        "models" => r.models.iter().map(|s| described(&s)).collect(),
        "objectives" => r.objectives.iter().map(|s| described(&s)).collect(),
        other => {
            let kinds = ["attacks", "recipes", "penalties", "models", "objectives"];
            return Err(Failure::from(gauntlet::core::Error::unknown("kind", other, kinds.into_iter())).into());
        }
    };
    Ok(Value::from(items).to_string())
}

fn described(spec: &About) -> Value {
    let params: Vec<Value> = spec
        .params
        .iter()
        .map(|p| {
            let default: Value = serde_json::from_str(&p.default).unwrap_or(Value::Null);
            json!({
                "name": p.name, "type": p.kind.name(), "range": p.kind.range().map(|r| r.to_string()), "default": default, "required": p.default.is_empty(),
                "unset": p.default == "null", "unit": p.unit, "doc": p.doc,
            })
        })
        .collect();
    json!({
        "name": spec.name, "summary": spec.summary, "formula": spec.formula, "paper": spec.paper, "origin": spec.origin,
        "numerics": spec.numerics, "parameters": params,
    })
}

fn attack(registry: &Registry, spec: &About) -> Value {
    let given = Map::from_iter([("name".to_string(), spec.name.as_str().into())]);
    let built = registry.plan(&given).ok();
    let family = built.as_ref().map_or(Family::of_name(&spec.name), |(plan, _)| plan.family());
    let mut all = described(spec);
    all["family"] = json!(family);
    all["norms"] = match &built {
        Some((plan, _)) => plan.norms().iter().map(Norm::to_string).collect::<Vec<_>>().into(),
        None => Value::Null,
    };
    all
}

/// All data sets as a JSON list.
#[pyfunction]
pub(crate) fn datasets() -> PyResult<String> {
    let catalogue = Catalogue::default();
    let mut items = Vec::new();
    for name in catalogue.names() {
        let manifest = catalogue.get(&name).map_err(Failure::from)?;
        let (c, h, w) = manifest.shape;
        let origin = match &manifest.source {
            Source::Hub { id, .. } => format!("hub:{id}"),
            Source::Local { .. } => "local".to_string(),
            Source::Glyphs { .. } => "drawn by gauntlet".to_string(),
        };
        items.push(json!({
            "name": name, "summary": manifest.summary, "shape": [c, h, w], "classes": manifest.labels(), "origin": origin,
        }));
    }
    Ok(Value::from(items).to_string())
}

/// The nearest of some names to one that is none of them; None: none is near.
#[pyfunction]
pub(crate) fn nearest(name: &str, known: Vec<String>) -> Option<String> {
    gauntlet::records::nearest::nearest(name, known.iter().map(String::as_str)).map(|found| found.to_string())
}
