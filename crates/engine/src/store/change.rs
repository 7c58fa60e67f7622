//! What differs between two descriptions, in words.

use serde_json::Value;

/// Path parts that say nothing to a reader.
const SILENT: [&str; 5] = ["args", "examples", "recipe", "train", "training"];

/// One phrase per difference: `weight of grad-norm was 0.2 and is 0.3`, `numerics of recipe trades rose from 1 to 2`.
/// `whose` is what numerics without a name of their own belong to.
pub(crate) fn changes(old: &Value, new: &Value, whose: &str) -> Vec<String> {
    let mut found = Vec::new();
    walk(&mut Place { whose, owner: None, path: Vec::new() }, old, new, &mut found);
    found
}

struct Place<'a> {
    whose: &'a str,
    /// The innermost component.
    owner: Option<String>,
    path: Vec<String>,
}

impl Place<'_> {
    fn label(&self) -> String {
        let last = self.path.last().map_or("", String::as_str);
        let last = last.strip_suffix("_sha256").map_or(last.to_string(), |what| format!("{what}'s sha256"));
        let last = last.replace('_', " ");
        match &self.owner {
            Some(owner) if *owner != last => format!("{last} of {owner}"),
            Some(_) => last,
            None => match self.path.iter().rev().nth(1) {
                Some(outer) => format!("{last} of {outer}"),
                None => last,
            },
        }
    }
}

fn walk(place: &mut Place<'_>, old: &Value, new: &Value, found: &mut Vec<String>) {
    if old == new {
        return;
    }
    match (old, new) {
        (Value::Object(a), Value::Object(b)) => {
            let name = |v: &Value| v.get("name").and_then(Value::as_str).map(String::from);
            let (was, is) = (name(old), name(new));
            if was != is {
                found.push(format!("{} was {} and is {}", place.label(), plain(old), plain(new)));
                return;
            }
            let outer = place.owner.clone();
            place.owner = is.or(outer.clone());
            for key in b.keys().chain(a.keys().filter(|k| !b.contains_key(*k))) {
                let (was, is) = (a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null));
                if place.path.last().is_some_and(|p| p == "numerics") {
                    // A component that came or went is told by its name.
                    if let (Some(was), Some(is)) = (was.as_u64(), is.as_u64()) {
                        numerics(key, was, is, found);
                    }
                    continue;
                }
                if let ("numerics", Some(was), Some(is)) = (key.as_str(), was.as_u64(), is.as_u64()) {
                    numerics(place.whose, was, is, found);
                    continue;
                }
                let silent = SILENT.contains(&key.as_str());
                if !silent {
                    place.path.push(key.clone());
                }
                walk(place, was, is, found);
                if !silent {
                    place.path.pop();
                }
            }
            place.owner = outer;
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).for_each(|(was, is)| walk(place, was, is, found));
        }
        _ => found.push(format!("{} was {} and is {}", place.label(), plain(old), plain(new))),
    }
}

fn numerics(of: &str, was: u64, is: u64, found: &mut Vec<String>) {
    if was != is {
        let moved = if is > was { "rose" } else { "fell" };
        found.push(format!("numerics of {of} {moved} from {was} to {is}"));
    }
}

/// A value as one would write it in a suite; a component by its name, a sum by its beginning.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "not set".into(),
        Value::String(text) => match text.strip_prefix("sha256:") {
            Some(sum) => format!("{}…", sum.chars().take(12).collect::<String>()),
            None => text.clone(),
        },
        Value::Array(items) if items.is_empty() => "none".into(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(map) => match map.get("name").and_then(Value::as_str) {
            Some(name) => name.to_string(),
            None => map.iter().map(|(k, v)| format!("{k} {}", plain(v))).collect::<Vec<_>>().join(", "),
        },
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn training() -> Value {
        let grad_norm = json!({ "name": "grad-norm", "args": { "weight": 0.2, "norm": "l2sq" },
                                "numerics": { "penalty grad-norm": 1 } });
        json!({
            "data_sha256": "sha256:00112233445566778899",
            "model": { "name": "lenet-small", "args": { "activation": "relu" }, "numerics": { "model lenet-small": 1 } },
            "recipe": { "base": { "name": "ce", "args": {}, "numerics": { "recipe ce": 1 } }, "penalties": [grad_norm] },
            "train": { "epochs": 2, "monitor": { "eps": "0.1" }, "optimiser": { "name": "adam", "lr": 0.001 } },
            "numerics": 2,
        })
    }

    #[test]
    fn every_kind_of_change_is_told() {
        let told = |edit: &dyn Fn(&mut Value)| {
            let mut new = training();
            edit(&mut new);
            changes(&training(), &new, "the trainer").join("; ")
        };
        assert_eq!(told(&|_| {}), "");
        let penalty = |v: &mut Value| v["recipe"]["penalties"][0].clone();
        assert_eq!(
            told(&|v| v["recipe"]["penalties"][0]["args"]["weight"] = 0.3.into()),
            "weight of grad-norm was 0.2 and is 0.3"
        );
        assert_eq!(
            told(&|v| v["recipe"]["base"]["numerics"]["recipe ce"] = 2.into()),
            "numerics of recipe ce rose from 1 to 2"
        );
        assert_eq!(told(&|v| v["numerics"] = 1.into()), "numerics of the trainer fell from 2 to 1");
        assert_eq!(told(&|v| v["train"]["optimiser"]["lr"] = 0.002.into()), "lr of adam was 0.001 and is 0.002");
        assert_eq!(told(&|v| v["train"]["epochs"] = 3.into()), "epochs was 2 and is 3");
        assert_eq!(told(&|v| v["train"]["monitor"]["eps"] = "0.2".into()), "eps of monitor was 0.1 and is 0.2");
        assert_eq!(
            told(&|v| v["data_sha256"] = "sha256:ffeeddccbbaa998877".into()),
            "data's sha256 was 001122334455… and is ffeeddccbbaa…"
        );
        assert_eq!(told(&|v| v["recipe"]["base"] = json!({ "name": "trades" })), "base was ce and is trades");
        assert_eq!(
            told(&|v| v["recipe"]["penalties"] = json!([penalty(v), { "name": "cure" }])),
            "penalties was grad-norm and is grad-norm, cure"
        );
        assert_eq!(told(&|v| v["recipe"]["penalties"] = json!([])), "penalties was grad-norm and is none");
        assert_eq!(
            told(&|v| v["teacher"] = json!({ "checkpoint_sha256": "sha256:0011223344556677" })),
            "teacher was not set and is checkpoint_sha256 001122334455…"
        );
        let several = told(&|v| {
            v["train"]["epochs"] = 3.into();
            v["model"]["args"]["activation"] = "gelu".into();
        });
        assert_eq!(several, "activation of lenet-small was relu and is gelu; epochs was 2 and is 3");
    }
}
