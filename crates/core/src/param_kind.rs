//! What the value of a parameter must be.

use crate::range::Range;
use crate::{Error, Result};
use gauntlet_records::Eps;
use serde_json::Value;
use std::borrow::Cow;
use std::fmt::{Display, Formatter};

/// The type of a parameter, with the values that it may have.
///
/// ```
/// use gauntlet_core::ParamKind;
/// use serde_json::json;
/// let said = |kind: ParamKind, value| kind.owned().check("mine.steps", &value).unwrap_err().to_string();
/// assert_eq!(said(ParamKind::COUNT, json!(0)), "bad value for mine.steps: must be at least 1, got 0");
/// assert_eq!(said(ParamKind::Bool, json!(1)), "bad value for mine.steps: must be true or false, got 1");
/// ```
///
/// `L` holds the texts of a choice: constants where a component is declared, [`OwnedKind`] where it is registered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ParamKind<L = &'static [&'static str]> {
    /// A finite number.
    Float(Range),
    /// A whole number.
    Int(Range),
    /// true or false.
    Bool,
    /// A text.
    Text,
    /// One of a few texts.
    Choice(L),
    /// A budget in pixels, above 0: `"8/255"`, `"0.3"` or a number.
    Eps,
    /// A length in pixels: as a budget, or relative to one where the component reads it so, `"eps/4"`.
    Length,
    /// true, false or a length.
    BoolOrLength,
    /// A number, or a length in pixels that stands for it.
    FloatOrLength,
    /// A list of finite numbers.
    Floats(Range),
    /// A list of whole numbers.
    Ints(Range),
    /// A list of texts.
    Texts,
    /// An attack: its name, or a table with its name and arguments.
    Attack,
    /// A list of attacks.
    Attacks,
    /// An objective of attacks.
    Objective,
    /// The id of a suite's row.
    Row,
}

/// A kind whose texts a running program may have found.
pub type OwnedKind = ParamKind<Vec<String>>;

impl ParamKind {
    /// A finite number.
    pub const FLOAT: ParamKind = ParamKind::Float(Range::ANY);
    /// A number of at least 0.
    pub const WEIGHT: ParamKind = ParamKind::Float(Range::at_least(0.0));
    /// A number above 0.
    pub const POSITIVE: ParamKind = ParamKind::Float(Range::above(0.0));
    /// A number in [0, 1].
    pub const SHARE: ParamKind = ParamKind::Float(Range::at_least(0.0).at_most(1.0));
    /// A whole number of at least 1.
    pub const COUNT: ParamKind = ParamKind::Int(Range::at_least(1.0));

    /// The same, with texts of its own.
    pub fn owned(self) -> OwnedKind {
        match self {
            ParamKind::Float(range) => ParamKind::Float(range),
            ParamKind::Int(range) => ParamKind::Int(range),
            ParamKind::Bool => ParamKind::Bool,
            ParamKind::Text => ParamKind::Text,
            ParamKind::Choice(texts) => ParamKind::Choice(texts.iter().map(|t| t.to_string()).collect()),
            ParamKind::Eps => ParamKind::Eps,
            ParamKind::Length => ParamKind::Length,
            ParamKind::BoolOrLength => ParamKind::BoolOrLength,
            ParamKind::FloatOrLength => ParamKind::FloatOrLength,
            ParamKind::Floats(range) => ParamKind::Floats(range),
            ParamKind::Ints(range) => ParamKind::Ints(range),
            ParamKind::Texts => ParamKind::Texts,
            ParamKind::Attack => ParamKind::Attack,
            ParamKind::Attacks => ParamKind::Attacks,
            ParamKind::Objective => ParamKind::Objective,
            ParamKind::Row => ParamKind::Row,
        }
    }
}

impl OwnedKind {
    /// The kind without its range: `float`, `int`, `one of l2, l1`, `list of floats`.
    pub fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            ParamKind::Float(_) => "float",
            ParamKind::Int(_) => "int",
            ParamKind::Bool => "bool",
            ParamKind::Text => "string",
            ParamKind::Choice(texts) => return format!("one of {}", texts.join(", ")).into(),
            ParamKind::Eps => "eps",
            ParamKind::Length => "length",
            ParamKind::BoolOrLength => "bool or length",
            ParamKind::FloatOrLength => "float or length",
            ParamKind::Floats(_) => "list of floats",
            ParamKind::Ints(_) => "list of ints",
            ParamKind::Texts => "list of strings",
            ParamKind::Attack => "attack",
            ParamKind::Attacks => "attacks",
            ParamKind::Objective => "objective",
            ParamKind::Row => "row",
        })
    }

    /// Where a number, or every number of a list, must lie.
    pub fn range(&self) -> Option<&Range> {
        match self {
            ParamKind::Float(range) | ParamKind::Int(range) | ParamKind::Floats(range) | ParamKind::Ints(range) => {
                Some(range).filter(|range| **range != Range::ANY)
            }
            _ => None,
        }
    }

    /// Whether `value` is of this kind; `what` is called so in errors, e.g. `pgd.steps`. Components inside it are not looked at.
    ///
    /// # Errors
    /// What it must be; a choice with the nearest text.
    pub fn check(&self, what: &str, value: &Value) -> Result<()> {
        let wrong = |want: &str| {
            // TOML's nan and inf, which JSON does not have.
            let got = if value.is_null() { "nan or inf".to_string() } else { value.to_string() };
            Error::value(what, format!("must be {want}, got {got}"))
        };
        let within = |range: &Range, x: f64| range.check(x).map(drop).map_err(|why| Error::value(what, why));
        let items = |kind: OwnedKind, want: &str| {
            let items = value.as_array().ok_or_else(|| wrong(want))?;
            // An item of the wrong type is said of the list, one outside the range of itself.
            items.iter().try_for_each(|item| {
                let plain = match kind {
                    ParamKind::Float(_) => ParamKind::Float(Range::ANY),
                    ParamKind::Int(_) => ParamKind::Int(Range::ANY),
                    _ => kind.clone(),
                };
                plain.check(what, item).map_err(|_| wrong(want))?;
                kind.check(what, item)
            })
        };
        match self {
            ParamKind::Float(range) => {
                let x = value.as_f64().filter(|x| x.is_finite()).ok_or_else(|| wrong("a number"))?;
                within(range, x)
            }
            ParamKind::Int(range) => {
                let whole = value.is_u64() || value.is_i64();
                let x = value.as_f64().filter(|_| whole).ok_or_else(|| wrong("a whole number"))?;
                within(range, x)
            }
            ParamKind::Bool => value.as_bool().map(drop).ok_or_else(|| wrong("true or false")),
            ParamKind::Text | ParamKind::Row => value.as_str().map(drop).ok_or_else(|| wrong("a text")),
            ParamKind::Choice(texts) => {
                let text = value.as_str().ok_or_else(|| wrong("a text"))?;
                match texts.iter().any(|t| t == text) {
                    true => Ok(()),
                    false => Err(Error::unknown(&format!("value of {what}"), text, texts.iter().map(String::as_str))),
                }
            }
            ParamKind::Eps => match value {
                Value::String(text) => Ok(text.parse::<Eps>().map(drop)?),
                Value::Number(number) => Ok(number.to_string().parse::<Eps>().map(drop)?),
                _ => Err(wrong("a length in pixels such as \"8/255\" or \"0.3\"")),
            },
            ParamKind::Length if value.is_string() || value.is_number() => Ok(()),
            ParamKind::Length => Err(wrong("a length in pixels such as \"8/255\" or \"0.3\"")),
            ParamKind::BoolOrLength if value.is_boolean() || value.is_string() || value.is_number() => Ok(()),
            ParamKind::BoolOrLength => Err(wrong("true, false or a length in pixels such as \"0.001\"")),
            ParamKind::FloatOrLength => match value {
                Value::String(text) if text.parse::<Eps>().is_ok() => Ok(()),
                Value::Number(_) => OwnedKind::Float(Range::ANY).check(what, value),
                _ => Err(wrong("a number, or a length in pixels such as \"8/255\"")),
            },
            ParamKind::Floats(range) => items(ParamKind::Float(*range), "a list of numbers"),
            ParamKind::Ints(range) => items(ParamKind::Int(*range), "a list of whole numbers"),
            ParamKind::Texts => items(ParamKind::Text, "a list of texts"),
            ParamKind::Attack | ParamKind::Objective if value.is_string() || value.is_object() => Ok(()),
            ParamKind::Attack | ParamKind::Objective => Err(wrong("a name or a table with a name")),
            ParamKind::Attacks => value.as_array().map(drop).ok_or_else(|| wrong("a list of attacks")),
        }
    }
}

impl Display for OwnedKind {
    /// With its range: `float ≥ 0`, `int in [1, 30]`.
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name())?;
        self.range().map_or(Ok(()), |range| write!(f, " {range}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_of_another_kind_is_refused_with_what_it_must_be() {
        let half = Range::at_least(0.0).below(1.0);
        for (kind, value, said) in [
            (ParamKind::FLOAT, json!("1"), "must be a number, got \"1\""),
            (ParamKind::FLOAT, json!(null), "must be a number, got nan or inf"),
            (ParamKind::Float(half), json!(1), "must be below 1, got 1"),
            (ParamKind::COUNT, json!(1.5), "must be a whole number, got 1.5"),
            (ParamKind::COUNT, json!(-3), "must be at least 1, got -3"),
            (ParamKind::Bool, json!("yes"), "must be true or false, got \"yes\""),
            (ParamKind::Text, json!(3), "must be a text, got 3"),
            (ParamKind::Choice(&["keep", "cut"]), json!("kep"), "unknown value of it \"kep\" (did you mean \"keep\"?)"),
            (ParamKind::Eps, json!(true), "must be a length in pixels such as"),
            (ParamKind::Eps, json!("8/"), "8/"),
            (ParamKind::Length, json!([1]), "must be a length in pixels such as"),
            (ParamKind::BoolOrLength, json!([]), "must be true, false or a length"),
            (ParamKind::FloatOrLength, json!("much"), "must be a number, or a length in pixels"),
            (ParamKind::Floats(half), json!([0.5, 2]), "must be below 1, got 2"),
            (ParamKind::Floats(half), json!([0.5, "2"]), "must be a list of numbers, got [0.5,\"2\"]"),
            (ParamKind::Ints(Range::ANY), json!([0.5]), "must be a list of whole numbers, got [0.5]"),
            (ParamKind::Texts, json!("a"), "must be a list of texts, got \"a\""),
            (ParamKind::Attack, json!(7), "must be a name or a table with a name, got 7"),
            (ParamKind::Attacks, json!("pgd"), "must be a list of attacks, got \"pgd\""),
            (ParamKind::Row, json!(7), "must be a text, got 7"),
        ] {
            let error = kind.owned().check("it", &value).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn what_is_of_the_kind_is_taken() {
        for (kind, value) in [
            (ParamKind::SHARE, json!(1)),
            (ParamKind::Int(Range::ANY), json!(-3)),
            (ParamKind::Choice(&["keep", "cut"]), json!("cut")),
            (ParamKind::Eps, json!("8/255")),
            (ParamKind::Eps, json!(0.3)),
            (ParamKind::Length, json!("eps/4")),
            (ParamKind::BoolOrLength, json!(false)),
            (ParamKind::FloatOrLength, json!("8/255")),
            (ParamKind::Floats(Range::ANY), json!([])),
            (ParamKind::Texts, json!(["a"])),
            (ParamKind::Objective, json!("ce")),
            (ParamKind::Attacks, json!(["pgd"])),
        ] {
            kind.owned().check("it", &value).unwrap();
        }
    }

    #[test]
    fn it_is_called_by_its_name_and_its_range() {
        assert_eq!(ParamKind::COUNT.owned().to_string(), "int ≥ 1");
        assert_eq!(ParamKind::SHARE.owned().to_string(), "float in [0, 1]");
        assert_eq!(
            (ParamKind::FLOAT.owned().to_string().as_str(), &*ParamKind::SHARE.owned().name()),
            ("float", "float")
        );
        let choice: ParamKind = ParamKind::Choice(&["l2", "l1"]);
        assert_eq!(choice.owned().to_string(), "one of l2, l1");
    }
}
