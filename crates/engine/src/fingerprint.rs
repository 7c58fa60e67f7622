//! Canonical JSON and the keys made of it.

use gauntlet_records::file::hex;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// The same value with the keys of every object sorted, as one line of text.
pub fn canonical(value: &Value) -> String {
    sorted(value).to_string()
}

/// sha256 of the canonical text, in hexadecimal: a key of the store.
pub fn fingerprint(value: &Value) -> String {
    hex(&Sha256::digest(canonical(value).as_bytes()))
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<(&String, &Value)> = map.iter().collect();
            entries.sort_by_key(|(k, _)| *k);
            Value::Object(Map::from_iter(entries.into_iter().map(|(k, v)| (k.clone(), sorted(v)))))
        }
        Value::Array(list) => list.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_order_of_keys_does_not_matter_and_everything_else_does() {
        let a = json!({"b": {"y": 1, "x": [1, 2]}, "a": 0.1});
        let b = json!({"a": 0.1, "b": {"x": [1, 2], "y": 1}});
        assert_eq!(canonical(&a), r#"{"a":0.1,"b":{"x":[1,2],"y":1}}"#);
        assert_eq!(fingerprint(&a), fingerprint(&b));
        for other in [json!({"a": 0.1, "b": {"x": [2, 1], "y": 1}}), json!({"a": 0.2, "b": {"x": [1, 2], "y": 1}})] {
            assert_ne!(fingerprint(&a), fingerprint(&other));
        }
    }
}
