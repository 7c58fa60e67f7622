//! A verdict as a line of a table: the same columns in a record, the store, a journal and what `attack` writes.

use crate::{Fate, Verdict};
use std::str::FromStr;

/// Where a table keeps the columns of a verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerdictLine {
    places: [Option<usize>; VerdictLine::COLUMNS.len()],
}

/// Columns that a table of version 0.1 may lack, or that are empty where nothing is to be said.
const OPTIONAL: [&str; 5] = ["margin", "broken_by", "blind", "rounded", "fooled"];

impl VerdictLine {
    /// The columns, in the order of [`VerdictLine::fields`].
    pub const COLUMNS: [&str; 12] = [
        "id",
        "fate",
        "restart",
        "steps",
        "size",
        "margin",
        "forwards",
        "backwards",
        "broken_by",
        "blind",
        "rounded",
        "fooled",
    ];

    /// The fields of a verdict. A float is the shortest decimal that reads as the same one.
    pub fn fields(v: &Verdict) -> [String; VerdictLine::COLUMNS.len()] {
        let or_nothing = |x: Option<String>| x.unwrap_or_default();
        [
            v.id.to_string(),
            v.fate.to_string(),
            v.restart.to_string(),
            v.steps.to_string(),
            format!("{:?}", v.size),
            or_nothing(v.margin.map(|m| format!("{m:?}"))),
            v.forwards.to_string(),
            v.backwards.to_string(),
            v.broken_by.clone(),
            v.blind.to_string(),
            v.rounded.to_string(),
            or_nothing(v.fooled.map(|k| k.to_string())),
        ]
    }

    /// Finds the columns in a table's first line.
    ///
    /// # Errors
    /// A column is missing, in words.
    pub fn of<'a>(header: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let header: Vec<&str> = header.into_iter().collect();
        let places = Self::COLUMNS.map(|column| header.iter().position(|h| *h == column));
        let lacks = |(column, place): (&&str, &Option<usize>)| place.is_none() && !OPTIONAL.contains(column);
        match Self::COLUMNS.iter().zip(&places).find(|(c, p)| lacks((c, p))) {
            Some((column, _)) => Err(format!("it lacks the column {column}")),
            None => Ok(VerdictLine { places }),
        }
    }

    /// The verdict of a line; `id`: the row where the line leaves it out.
    ///
    /// # Errors
    /// A field that is missing or is none of its kind, in words.
    pub fn read<'a>(&self, field: impl Fn(usize) -> Option<&'a str>, id: Option<u64>) -> Result<Verdict, String> {
        let text = |k: usize| self.places[k].and_then(&field).unwrap_or_default();
        let fate: Fate = parsed(text(1), "fate")?;
        let margin: Option<f64> = optional(text(5), "margin")?;
        Ok(Verdict {
            id: match (text(0), id) {
                ("", Some(id)) => id,
                (text, _) => parsed(text, "id")?,
            },
            fate,
            restart: parsed(text(2), "restart")?,
            steps: parsed(text(3), "steps")?,
            size: parsed(text(4), "size")?,
            // Tables of format 1 hold all digits, of every example.
            margin: margin.and_then(|m| Verdict::margin(fate, m)),
            forwards: parsed(text(6), "forwards")?,
            backwards: parsed(text(7), "backwards")?,
            broken_by: text(8).to_string(),
            blind: optional(text(9), "blind")?.unwrap_or_default(),
            rounded: optional(text(10), "rounded")?.unwrap_or_default(),
            fooled: optional(text(11), "fooled")?,
        })
    }
}

/// A field as what it should be. `Err`: which column holds something else.
pub(crate) fn parsed<T: FromStr>(text: &str, column: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("its column {column} holds {text:?}"))
}

/// Likewise of a field that may be empty.
pub(crate) fn optional<T: FromStr>(text: &str, column: &str) -> Result<Option<T>, String> {
    if text.is_empty() { Ok(None) } else { parsed(text, column).map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict() -> Verdict {
        Verdict {
            id: 17,
            fate: Fate::Robust,
            restart: 1,
            steps: 40,
            size: 0.1 + 0.2,
            margin: Some(4.1),
            forwards: 41,
            backwards: 40,
            broken_by: "square".into(),
            blind: 3,
            rounded: true,
            fooled: Some(9),
        }
    }

    fn read(header: &[&str], line: &[&str]) -> Result<Verdict, String> {
        VerdictLine::of(header.iter().copied())?.read(|k| line.get(k).copied(), None)
    }

    #[test]
    fn a_verdict_comes_back_from_its_fields() {
        let fields = VerdictLine::fields(&verdict());
        let line: Vec<&str> = fields.iter().map(String::as_str).collect();
        assert_eq!(read(&VerdictLine::COLUMNS, &line).unwrap(), verdict());
        // Wherever the columns stand.
        let (mut header, mut turned) = (VerdictLine::COLUMNS, line.clone());
        header.reverse();
        turned.reverse();
        assert_eq!(read(&header, &turned).unwrap(), verdict());
        for (margin, fate) in [(Some(f64::NAN), Fate::Robust), (None, Fate::Broken)] {
            let odd = Verdict { margin, fate, fooled: None, size: 1e-300, ..verdict() };
            let fields = VerdictLine::fields(&odd);
            let line: Vec<&str> = fields.iter().map(String::as_str).collect();
            assert_eq!(format!("{:?}", read(&VerdictLine::COLUMNS, &line).unwrap()), format!("{odd:?}"));
        }
    }

    #[test]
    fn a_table_of_version_0_1_has_all_digits_and_fewer_columns() {
        let header = ["id", "fate", "restart", "steps", "size", "margin", "forwards", "backwards"];
        let robust = read(&header, &["3", "robust", "0", "40", "0.1", "4.063893556594849", "41", "40"]).unwrap();
        assert_eq!((robust.margin, robust.blind, robust.rounded), (Some(4.1), 0, false));
        let broken = read(&header, &["3", "broken", "0", "2", "0.1", "-4.063893556594849", "3", "2"]).unwrap();
        assert_eq!((broken.margin, broken.fooled), (None, None));
    }

    #[test]
    fn what_is_no_verdict_is_named() {
        let missing = VerdictLine::of(["id", "fate"]).unwrap_err();
        assert_eq!(missing, "it lacks the column restart");
        let fields = VerdictLine::fields(&verdict());
        for (k, text, column) in [(0, "", "id"), (1, "Robust", "fate"), (4, "much", "size"), (10, "maybe", "rounded")] {
            let mut line: Vec<&str> = fields.iter().map(String::as_str).collect();
            line[k] = text;
            assert_eq!(read(&VerdictLine::COLUMNS, &line).unwrap_err(), format!("its column {column} holds {text:?}"));
        }
    }
}
