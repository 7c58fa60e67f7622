//! The budget ε, kept as the user wrote it.

use crate::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// A length in pixels (of images in `[0, 1]`) that prints as it was written: `8/255`, `0.3`.
///
/// ```
/// let eps: gauntlet_records::Eps = "8/255".parse()?;
/// assert_eq!((eps.to_string().as_str(), eps.value()), ("8/255", 8.0 / 255.0));
/// assert!("-1".parse::<gauntlet_records::Eps>().is_err());
/// # Ok::<(), gauntlet_records::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Eps {
    text: String,
    value: f64,
}

impl Eps {
    /// The length.
    pub fn value(&self) -> f64 {
        self.value
    }
}

impl FromStr for Eps {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        let bad = |why: &str| {
            Error::value(
                "eps",
                format!("{why}, got {text:?}; write pixels of images in [0,1] such as \"0.3\" or \"8/255\""),
            )
        };
        let number = |s: &str| s.trim().parse::<f64>().map_err(|_| bad("must be a number or a fraction"));
        let value = match text.split_once('/') {
            None => number(text)?,
            Some((a, b)) => {
                let below = number(b)?;
                if below <= 0.0 {
                    return Err(bad("has a denominator that is not positive"));
                }
                number(a)? / below
            }
        };
        if !value.is_finite() {
            return Err(bad("must be finite"));
        }
        if value < 0.0 {
            return Err(bad("must be at least 0"));
        }
        Ok(Eps { text: text.to_string(), value })
    }
}

impl fmt::Display for Eps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl Ord for Eps {
    fn cmp(&self, other: &Self) -> Ordering {
        self.value.total_cmp(&other.value)
    }
}
impl PartialOrd for Eps {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Eps {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Eps {}
impl std::hash::Hash for Eps {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.value.to_bits().hash(state);
    }
}

impl Serialize for Eps {
    fn serialize<S: Serializer>(&self, s: S) -> std::result::Result<S::Ok, S::Error> {
        s.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Eps {
    fn deserialize<D: Deserializer<'de>>(d: D) -> std::result::Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Eps;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a length in pixels such as \"8/255\" or 0.3")
            }
            fn visit_str<E: serde::de::Error>(self, s: &str) -> std::result::Result<Eps, E> {
                s.parse().map_err(E::custom)
            }
            fn visit_f64<E: serde::de::Error>(self, x: f64) -> std::result::Result<Eps, E> {
                x.to_string().parse().map_err(E::custom)
            }
            fn visit_i64<E: serde::de::Error>(self, x: i64) -> std::result::Result<Eps, E> {
                x.to_string().parse().map_err(E::custom)
            }
            fn visit_u64<E: serde::de::Error>(self, x: u64) -> std::result::Result<Eps, E> {
                x.to_string().parse().map_err(E::custom)
            }
        }
        d.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_written_and_orders_by_value() {
        for text in ["8/255", "0.3", "0.30", "0", "1e-3"] {
            assert_eq!(text.parse::<Eps>().unwrap().to_string(), text);
            let json = serde_json::to_string(&text.parse::<Eps>().unwrap()).unwrap();
            assert_eq!(serde_json::from_str::<Eps>(&json).unwrap().to_string(), text);
        }
        assert!("8/255".parse::<Eps>().unwrap() < "0.1".parse::<Eps>().unwrap());
        assert_eq!(serde_json::from_str::<Eps>("0.3").unwrap().value(), 0.3);
    }

    #[test]
    fn what_is_no_budget_is_refused_with_its_text() {
        for text in ["-1", "nan", "inf", "1/0", "8/-255", "", "a", "1/2/3"] {
            let message = text.parse::<Eps>().unwrap_err().to_string();
            assert!(message.contains(&format!("{text:?}")), "{message}");
        }
    }
}
