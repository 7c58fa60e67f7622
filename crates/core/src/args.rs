//! Arguments of a component: checked against its parameters, with every default filled in.

use crate::about::{About, Param};
use crate::param_kind::ParamKind;
use crate::spec::ParamDoc;
use crate::{Error, Result};
use gauntlet_records::Eps;
use serde_json::{Map, Value};

/// The parameter that every penalty has, whether it lists it or not.
pub const RAMP: ParamDoc = ParamDoc {
    name: "ramp",
    kind: ParamKind::WEIGHT,
    default: "0.0",
    unit: "epochs",
    doc: "epochs over which the penalty's weight grows from 0",
};

/// Arguments of a component, every one of the kind and in the range that its parameter says.
#[derive(Debug, Clone)]
pub struct Args {
    owner: String,
    values: Map<String, Value>,
}

impl Args {
    /// Checks `given` (keys other than `name`) against the component's parameters and fills in defaults, in their order.
    ///
    /// # Errors
    /// A key that is no parameter, with the nearest one; a value of another kind or outside its range; a required one that is
    /// missing.
    pub fn new(about: &About, given: &Map<String, Value>) -> Result<Self> {
        for key in given.keys().filter(|k| *k != "name") {
            if about.param(key).is_none() {
                let known = about.params.iter().map(|p| p.name.as_str());
                return Err(Error::unknown(&format!("parameter of {}", about.name), key, known));
            }
        }
        let mut values = Map::new();
        for p in &about.params {
            let what = format!("{}.{}", about.name, p.name);
            let value = match given.get(&p.name) {
                Some(value) => {
                    p.kind.check(&what, value)?;
                    value.clone()
                }
                None => match p.usual(&what)? {
                    Some(value) => value,
                    None if p.default.is_empty() => {
                        return Err(Error::value(what, format!("is required: {}", p.doc)));
                    }
                    // Left out, so that such a parameter can be added without moving the keys of what is stored.
                    None => continue,
                },
            };
            values.insert(p.name.clone(), value);
        }
        Ok(Args { owner: about.name.clone(), values })
    }
    /// Like [`Args::new`]; a penalty also takes [`RAMP`], epochs over which its weights grow from 0, whether it lists it or
    /// not (where it does not and none is given, it is no part of the canonical arguments).
    ///
    /// # Errors
    /// As [`Args::new`].
    pub fn of_penalty(about: &About, given: &Map<String, Value>) -> Result<Self> {
        if about.param(RAMP.name).is_some() || !given.contains_key(RAMP.name) {
            return Self::new(about, given);
        }
        let mut ramped = about.clone();
        ramped.params.push(Param::from(&RAMP));
        Self::new(&ramped, given)
    }
    /// The component's name.
    pub fn owner(&self) -> &str {
        &self.owner
    }
    /// All values with defaults, in order: part of the store's keys.
    pub fn canonical(&self) -> &Map<String, Value> {
        &self.values
    }
    /// Whether a parameter whose default is `null` (none) was given.
    pub fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }
    /// A value as JSON.
    ///
    /// # Errors
    /// No such parameter, or one that is none unless given.
    pub fn value(&self, name: &str) -> Result<&Value> {
        self.values.get(name).ok_or_else(|| Error::Message(format!("{} has no parameter {name:?}", self.owner)))
    }
    /// A value that the parameter's kind allows to be read so; the kind was checked before, so that only a builder that asks
    /// for something else than it declares hears of it here.
    fn read<'a, T>(&'a self, name: &str, want: &str, read: impl FnOnce(&'a Value) -> Option<T>) -> Result<T> {
        let value = self.value(name)?;
        read(value)
            .ok_or_else(|| Error::value(format!("{}.{name}", self.owner), format!("must be {want}, got {value}")))
    }
    /// A number.
    ///
    /// # Errors
    /// As [`Args::value`]; a parameter that is no number.
    pub fn f64(&self, name: &str) -> Result<f64> {
        self.read(name, "a number", Value::as_f64)
    }
    /// A whole number.
    ///
    /// # Errors
    /// As [`Args::value`]; a parameter that is no whole number from 0.
    pub fn usize(&self, name: &str) -> Result<usize> {
        self.read(name, "a whole number", |v| v.as_u64().and_then(|n| usize::try_from(n).ok()))
    }
    /// A whole number that counts something.
    ///
    /// # Errors
    /// As [`Args::usize`]; one above 2³² − 1.
    pub fn u32(&self, name: &str) -> Result<u32> {
        self.read(name, "a whole number below 2³²", |v| v.as_u64().and_then(|n| u32::try_from(n).ok()))
    }
    /// true or false.
    ///
    /// # Errors
    /// As [`Args::value`]; a parameter that is neither.
    pub fn bool(&self, name: &str) -> Result<bool> {
        self.read(name, "true or false", Value::as_bool)
    }
    /// A text, e.g. the chosen one of a [`ParamKind::Choice`].
    ///
    /// # Errors
    /// As [`Args::value`]; a parameter that is no text.
    pub fn str(&self, name: &str) -> Result<&str> {
        self.read(name, "a text", Value::as_str)
    }
    /// The numbers of a list.
    ///
    /// # Errors
    /// As [`Args::value`]; a parameter that is no such list.
    pub fn f64s(&self, name: &str) -> Result<Vec<f64>> {
        self.read(name, "a list of numbers", |v| v.as_array()?.iter().map(Value::as_f64).collect())
    }
    /// The whole numbers of a list.
    ///
    /// # Errors
    /// As [`Args::value`]; a parameter that is no such list.
    pub fn usizes(&self, name: &str) -> Result<Vec<usize>> {
        let one = |v: &Value| v.as_u64().and_then(|n| usize::try_from(n).ok());
        self.read(name, "a list of whole numbers", |v| v.as_array()?.iter().map(one).collect())
    }
    /// The texts of a list.
    ///
    /// # Errors
    /// As [`Args::value`]; a parameter that is no such list.
    pub fn strs(&self, name: &str) -> Result<Vec<&str>> {
        self.read(name, "a list of texts", |v| v.as_array()?.iter().map(Value::as_str).collect())
    }
    /// A budget or length in pixels: `"8/255"`, `"0.3"` or a plain number.
    ///
    /// # Errors
    /// As [`Args::value`]; what cannot be read as a length.
    pub fn eps(&self, name: &str) -> Result<Eps> {
        match self.value(name)? {
            Value::String(s) => Ok(s.parse()?),
            Value::Number(n) => Ok(n.to_string().parse()?),
            _ => self.read(name, "a length in pixels such as \"8/255\" or \"0.3\"", |_| None),
        }
    }
    /// The nested arguments of a component named inside this one, e.g. `attack = { name = "pgd", steps = 10 }`.
    ///
    /// # Errors
    /// As [`Args::value`]; neither a name nor a table.
    pub fn table(&self, name: &str) -> Result<Map<String, Value>> {
        given(&format!("{}.{name}", self.owner), self.value(name)?)
    }
}

/// A component named by a text or a table.
///
/// # Errors
/// Neither of both.
pub fn given(what: &str, value: &Value) -> Result<Map<String, Value>> {
    match value {
        Value::Object(m) => Ok(m.clone()),
        Value::String(s) => Ok(Map::from_iter([("name".to_string(), Value::String(s.clone()))])),
        v => Err(Error::value(what, format!("must be a name or a table with a name, got {v}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Range;
    use serde_json::json;

    fn about() -> About {
        let param = |name: &str, kind: ParamKind, default: &str| Param {
            name: name.into(),
            kind: kind.owned(),
            default: default.into(),
            unit: String::new(),
            doc: format!("what {name} is"),
        };
        let params = vec![
            param("steps", ParamKind::COUNT, "5"),
            param("share", ParamKind::Float(Range::at_least(0.0).below(1.0)), ""),
            param("norm", ParamKind::Choice(&["l2", "l1"]), "\"l2\""),
            param("tiles", ParamKind::COUNT, "null"),
            param("widths", ParamKind::Ints(Range::at_least(1.0)), "[3, 4]"),
        ];
        About { name: "mine".into(), params, ..About::default() }
    }

    fn args(value: Value) -> Result<Args> {
        Args::new(&about(), value.as_object().unwrap())
    }

    #[test]
    fn defaults_are_filled_in_in_order_and_what_is_none_is_left_out() {
        let args = args(json!({ "name": "mine", "share": 0.5 })).unwrap();
        let all = json!({ "steps": 5, "share": 0.5, "norm": "l2", "widths": [3, 4] });
        assert_eq!(Value::Object(args.canonical().clone()).to_string(), all.to_string());
        assert_eq!((args.u32("steps").unwrap(), args.f64("share").unwrap()), (5, 0.5));
        assert_eq!((args.str("norm").unwrap(), args.usizes("widths").unwrap()), ("l2", vec![3, 4]));
        assert!(!args.has("tiles") && args.usize("tiles").is_err() && args.f64("norm").is_err());
    }

    #[test]
    fn what_is_wrong_with_an_argument_is_said_under_its_name() {
        for (given, said) in [
            (json!({}), "mine.share is required: what share is"),
            (json!({ "share": 1.0 }), "bad value for mine.share: must be below 1, got 1"),
            (json!({ "share": 0.5, "steps": 0 }), "bad value for mine.steps: must be at least 1, got 0"),
            (json!({ "share": 0.5, "widths": [3, 0] }), "bad value for mine.widths: must be at least 1, got 0"),
            (json!({ "share": 0.5, "norm": "l3" }), "unknown value of mine.norm \"l3\""),
            (json!({ "share": 0.5, "stepz": 3 }), "unknown parameter of mine \"stepz\" (did you mean \"steps\"?)"),
            (json!({ "share": 0.5, "ramp": 2 }), "unknown parameter of mine \"ramp\""),
        ] {
            let error = args(given).unwrap_err().to_string();
            assert!(error.starts_with(said), "{error}");
        }
    }

    #[test]
    fn a_penalty_takes_a_ramp() {
        let of = |value: Value| Args::of_penalty(&about(), value.as_object().unwrap());
        assert!(!of(json!({ "share": 0.5 })).unwrap().has("ramp"));
        assert_eq!(of(json!({ "share": 0.5, "ramp": 2 })).unwrap().f64("ramp").unwrap(), 2.0);
        let error = of(json!({ "share": 0.5, "ramp": -2 })).unwrap_err();
        assert_eq!(error.to_string(), "bad value for mine.ramp: must be at least 0, got -2");
    }
}
