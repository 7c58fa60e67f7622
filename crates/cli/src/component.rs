//! A component on the command line: a name, or a table as in a suite file.

use crate::exit::Failure;
use serde_json::{Map, Value};

/// `pgd`, or `{ name = "pgd", steps = 10 }`, as the registry takes it.
pub(crate) fn parse(flag: &str, text: &str) -> Result<Map<String, Value>, Failure> {
    let text = text.trim();
    if !text.starts_with('{') {
        return Ok(Map::from_iter([("name".to_string(), text.into())]));
    }
    let wrong =
        |why: String| Failure::user(format!("--{flag}: {why}; write a name or a table such as '{{ name = \"...\" }}'"));
    let table: toml::Table = toml::from_str(&format!("it = {text}")).map_err(|e| wrong(e.message().to_string()))?;
    let Some(Value::Object(map)) = table.get("it").and_then(|t| serde_json::to_value(t).ok()) else {
        return Err(wrong("is not a table".into()));
    };
    if !map.contains_key("name") {
        return Err(wrong("has no `name`".into()));
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_tables() {
        assert_eq!(parse("attack", "pgd").unwrap()["name"], "pgd");
        let map = parse("attack", "{ name = \"pgd\", steps = 10, alpha = \"2/255\" }").unwrap();
        assert_eq!((map["steps"].as_u64(), map["alpha"].as_str()), (Some(10), Some("2/255")));
        for bad in ["{", "{ steps = 1 }"] {
            assert!(parse("attack", bad).unwrap_err().message.starts_with("--attack: "));
        }
    }
}
