//! From where to where a number may go.

use serde_json::{Map, Value, json};
use std::fmt::{Display, Formatter};

/// An interval of numbers, whose ends may be open, closed or missing: `Range::at_least(0.0).below(1.0)`.
///
/// What lies outside is refused in one wording, [`Range::check`]'s, wherever a number is given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    low: Option<(f64, Ends)>,
    high: Option<(f64, Ends)>,
}

/// Whether an end belongs to its interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    In,
    Out,
}

impl Range {
    /// Every finite number.
    pub const ANY: Range = Range { low: None, high: None };
    /// x ≥ 0.
    pub const NOT_NEGATIVE: Range = Range::at_least(0.0);
    /// x > 0.
    pub const POSITIVE: Range = Range::above(0.0);
    /// 0 ≤ x < 1.
    pub const FRACTION: Range = Range::at_least(0.0).below(1.0);

    /// x ≥ `low`.
    pub const fn at_least(low: f64) -> Self {
        Range { low: Some((low, Ends::In)), high: None }
    }
    /// x > `low`.
    pub const fn above(low: f64) -> Self {
        Range { low: Some((low, Ends::Out)), high: None }
    }
    /// Of these, x ≤ `high`.
    pub const fn at_most(self, high: f64) -> Self {
        Range { high: Some((high, Ends::In)), ..self }
    }
    /// Of these, x < `high`.
    pub const fn below(self, high: f64) -> Self {
        Range { high: Some((high, Ends::Out)), ..self }
    }

    /// `x` where it lies inside.
    ///
    /// # Errors
    /// The end that it lies beyond: `must be at least 0, got -1`, and in the same way `above`, `at most`, `below`; no finite number.
    pub fn check(&self, x: f64) -> Result<f64, String> {
        let refuse = |what: &str, end: f64| Err(format!("must be {what} {end}, got {x}"));
        if !x.is_finite() {
            return Err(format!("must be a finite number, got {x}"));
        }
        if let Some((low, end)) = self.low {
            match end {
                Ends::In if x < low => return refuse("at least", low),
                Ends::Out if x <= low => return refuse("above", low),
                Ends::In | Ends::Out => {}
            }
        }
        match self.high {
            Some((high, Ends::In)) if x > high => refuse("at most", high),
            Some((high, Ends::Out)) if x >= high => refuse("below", high),
            _ => Ok(x),
        }
    }

    /// [`Range::check`] of what is called `what`: `lr must be above 0, got 0`.
    ///
    /// # Errors
    /// As [`Range::check`].
    pub fn check_named(&self, what: &str, x: f64) -> Result<(), String> {
        self.check(x).map(drop).map_err(|why| format!("{what} {why}"))
    }

    /// `wish` where it lies inside, else a number that does.
    pub fn some(&self, wish: f64) -> f64 {
        if self.check(wish).is_ok() {
            return wish;
        }
        match (self.low, self.high) {
            (Some((low, Ends::In)), _) => low,
            (_, Some((high, Ends::In))) => high,
            (Some((low, _)), Some((high, _))) => 0.5 * (low + high),
            (Some((low, _)), None) => low + 1.0,
            (None, Some((high, _))) => high - 1.0,
            (None, None) => wish,
        }
    }

    /// The ends as JSON Schema has them: `minimum`, `exclusiveMinimum`, `maximum`, `exclusiveMaximum`.
    pub fn schema(&self) -> Map<String, Value> {
        let low = self.low.map(|(x, end)| (if end == Ends::In { "minimum" } else { "exclusiveMinimum" }, x));
        let high = self.high.map(|(x, end)| (if end == Ends::In { "maximum" } else { "exclusiveMaximum" }, x));
        let whole = |x: f64| if x.fract() == 0.0 && x.abs() < 1e15 { json!(x as i64) } else { json!(x) };
        low.into_iter().chain(high).map(|(key, x)| (key.to_string(), whole(x))).collect()
    }
}

impl Display for Range {
    /// ``, `≥ 0`, `> 0`, `< 1`, `in [0, 1)`.
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match (self.low, self.high) {
            (None, None) => Ok(()),
            (Some((x, Ends::In)), None) => write!(f, "≥ {x}"),
            (Some((x, Ends::Out)), None) => write!(f, "> {x}"),
            (None, Some((x, Ends::In))) => write!(f, "≤ {x}"),
            (None, Some((x, Ends::Out))) => write!(f, "< {x}"),
            (Some((low, l)), Some((high, h))) => {
                let (open, close) = (if l == Ends::In { '[' } else { '(' }, if h == Ends::In { ']' } else { ')' });
                write!(f, "in {open}{low}, {high}{close}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_outside_is_refused_in_one_wording() {
        for (range, x, said) in [
            (Range::at_least(0.0), -1.0, "must be at least 0, got -1"),
            (Range::above(0.0), 0.0, "must be above 0, got 0"),
            (Range::at_least(0.0).at_most(1.0), 1.5, "must be at most 1, got 1.5"),
            (Range::above(0.0).below(1.0), 1.0, "must be below 1, got 1"),
            (Range::ANY.below(0.5), 0.5, "must be below 0.5, got 0.5"),
            (Range::at_least(0.0), f64::NAN, "must be a finite number, got NaN"),
            (Range::ANY, f64::INFINITY, "must be a finite number, got inf"),
        ] {
            assert_eq!(range.check(x).unwrap_err(), said);
        }
        let half = Range::at_least(0.0).below(1.0);
        assert_eq!([0.0, 0.999].map(|x| half.check(x)), [Ok(0.0), Ok(0.999)]);
        assert_eq!(Range::ANY.check(-1e300), Ok(-1e300));
    }

    #[test]
    fn it_is_written_as_mathematics_and_as_a_schema() {
        for (range, text, schema) in [
            (Range::ANY, "", json!({})),
            (Range::at_least(1.0), "≥ 1", json!({ "minimum": 1 })),
            (Range::above(0.0), "> 0", json!({ "exclusiveMinimum": 0 })),
            (Range::ANY.at_most(0.5), "≤ 0.5", json!({ "maximum": 0.5 })),
            (Range::at_least(0.0).below(1.0), "in [0, 1)", json!({ "minimum": 0, "exclusiveMaximum": 1 })),
            (Range::above(1.0).at_most(2.0), "in (1, 2]", json!({ "exclusiveMinimum": 1, "maximum": 2 })),
        ] {
            assert_eq!((range.to_string().as_str(), Value::Object(range.schema())), (text, schema));
        }
    }

    #[test]
    fn some_number_inside_is_found() {
        let all = [
            Range::ANY,
            Range::at_least(2.0),
            Range::above(1.0),
            Range::ANY.at_most(0.0),
            Range::ANY.below(0.0),
            Range::above(0.0).below(1.0),
            Range::above(0.0).at_most(0.5),
        ];
        assert!(all.iter().all(|range| range.check(range.some(1.0)).is_ok()));
        assert_eq!(Range::above(0.0).some(1.0), 1.0);
    }
}
