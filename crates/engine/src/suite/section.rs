//! One table of a TOML file, with the place of everything in it.

use crate::Diagnostic;
use crate::suite::complaint::complaint;
use gauntlet_core::{Error, KeyDoc, key_doc};
use serde_json::{Number, Value};
use std::borrow::Cow;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

type Key<'a> = Spanned<Cow<'a, str>>;
type Entry<'a> = (&'a Key<'a>, &'a Spanned<DeValue<'a>>);

/// Complaints so far.
#[derive(Default)]
pub(crate) struct Complaints(Vec<Diagnostic>);

impl Complaints {
    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }
    pub(crate) fn take(&mut self) -> Vec<Diagnostic> {
        std::mem::take(&mut self.0)
    }
    /// A complaint about a component written at `value`: at the name or parameter that the error speaks of.
    pub(crate) fn blame(&mut self, value: &Spanned<DeValue<'_>>, error: &Error, list: &str) {
        let place = place_of(value, error).unwrap_or_else(|| value.span());
        self.push(complaint(place, error, list));
    }
}

/// Look-up by name.
pub(crate) trait Table<'a> {
    fn get(&'a self, name: &str) -> Option<Entry<'a>>;
}
impl<'a> Table<'a> for DeTable<'a> {
    fn get(&'a self, name: &str) -> Option<Entry<'a>> {
        self.iter().find(|(k, _)| k.get_ref() == name)
    }
}

/// A table and where it stands.
pub(crate) struct Section<'a> {
    what: &'static str,
    table: &'a DeTable<'a>,
    /// What holds where the table says nothing.
    beneath: Option<&'a DeTable<'a>>,
    span: Range<usize>,
}

impl<'a> Section<'a> {
    pub(crate) fn new(what: &'static str, table: &'a DeTable<'a>, span: Range<usize>) -> Self {
        Section { what, table, beneath: None, span }
    }
    /// The same over another table: keys that it does not have are looked up there.
    pub(crate) fn over(self, beneath: Option<&'a DeTable<'a>>) -> Self {
        Section { beneath, ..self }
    }
    pub(crate) fn top(table: &'a DeTable<'a>) -> Self {
        Section { what: "a suite", table, beneath: None, span: 0..0 }
    }
    pub(crate) fn span(&self) -> Range<usize> {
        self.span.clone()
    }
    pub(crate) fn get(&self, name: &str) -> Option<Entry<'a>> {
        Table::get(self.table, name).or_else(|| Table::get(self.beneath?, name))
    }
    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry<'a>> {
        self.table.iter()
    }
    /// Where `name = value` begins, or the section itself.
    pub(crate) fn span_of(&self, name: &str) -> Range<usize> {
        self.get(name).map_or_else(|| self.span(), |(k, v)| k.span().start..v.span().end)
    }
    pub(crate) fn value_span(&self, name: &str) -> Range<usize> {
        self.get(name).map_or_else(|| self.span(), |(_, v)| v.span())
    }
    /// The name or parameter of this table that an error speaks of.
    pub(crate) fn place_of(&self, error: &Error) -> Range<usize> {
        place_in(self.table, error).unwrap_or_else(|| self.span())
    }

    /// Complains about keys that are not among `known`.
    pub(crate) fn allow(&self, known: &[KeyDoc], c: &mut Complaints) {
        let known = key_doc::names(known);
        for (key, _) in self.table.iter().filter(|(k, _)| !known.contains(&k.get_ref().as_ref())) {
            let kind = format!("key of {}", self.what);
            let error = Error::unknown(&kind, key.get_ref(), known.iter().copied());
            c.push(complaint(key.span(), &error, &format!("known: {}", known.join(", "))));
        }
    }

    fn wrong(&self, name: &str, want: &str, value: &Spanned<DeValue<'_>>, c: &mut Complaints) {
        let got = match text_of(value.get_ref()) {
            Some(text) if !value.get_ref().is_str() => text,
            _ => value.get_ref().type_str().to_string(),
        };
        c.push(Diagnostic::at(value.span(), format!("`{name}` must be {want}, got {got}")));
    }

    pub(crate) fn str(&self, name: &str, c: &mut Complaints) -> Option<String> {
        let (_, value) = self.get(name)?;
        let text = value.get_ref().as_str().map(str::to_string);
        if text.is_none() {
            self.wrong(name, "a text", value, c);
        }
        text
    }
    pub(crate) fn required_str(&self, name: &str, what: &str, c: &mut Complaints) -> Option<String> {
        if self.get(name).is_none() {
            let text = format!("`{name}` is missing");
            let missing =
                if self.span.is_empty() { Diagnostic::whole(text) } else { Diagnostic::at(self.span(), text) };
            c.push(missing.hint(format!("it is {what}")));
        }
        self.str(name, c)
    }
    pub(crate) fn bool(&self, name: &str, c: &mut Complaints) -> Option<bool> {
        let (_, value) = self.get(name)?;
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            self.wrong(name, "true or false", value, c);
        }
        flag
    }
    pub(crate) fn whole(&self, name: &str, least: u64, c: &mut Complaints) -> Option<u64> {
        let (_, value) = self.get(name)?;
        let number = json(value.get_ref()).as_u64().filter(|n| *n >= least && *n <= u64::from(u32::MAX));
        if number.is_none() {
            self.wrong(name, &format!("a whole number of at least {least}"), value, c);
        }
        number
    }
    pub(crate) fn number(&self, name: &str, c: &mut Complaints) -> Option<f64> {
        let (_, value) = self.get(name)?;
        let number = json(value.get_ref()).as_f64();
        if number.is_none() {
            self.wrong(name, "a number", value, c);
        }
        number
    }
    pub(crate) fn positive(&self, name: &str, c: &mut Complaints) -> Option<f64> {
        let (_, value) = self.get(name)?;
        let number = json(value.get_ref()).as_f64().filter(|x| *x > 0.0);
        if number.is_none() {
            self.wrong(name, "a number above 0", value, c);
        }
        number
    }
    /// The entries of a list; complains about anything else.
    pub(crate) fn list(&self, name: &str, c: &mut Complaints) -> Vec<&'a Spanned<DeValue<'a>>> {
        match self.get(name) {
            None => vec![],
            Some((_, value)) => match value.get_ref() {
                DeValue::Array(list) => list.iter().collect(),
                _ => {
                    self.wrong(name, "a list", value, c);
                    vec![]
                }
            },
        }
    }
    /// A non-empty list of distinct whole numbers.
    pub(crate) fn wholes(&self, name: &str, c: &mut Complaints) -> Option<Vec<u64>> {
        let mut found = Vec::new();
        let list = self.list(name, c);
        for value in &list {
            match json(value.get_ref()).as_u64() {
                Some(n) if found.contains(&n) => {
                    c.push(Diagnostic::at(value.span(), format!("{n} is listed twice in `{name}`")).hint("remove one"));
                }
                Some(n) => found.push(n),
                None => self.wrong(name, "a list of whole numbers", value, c),
            }
        }
        if list.is_empty() {
            c.push(
                Diagnostic::at(self.span_of(name), format!("`{name}` is empty"))
                    .hint(format!("such as `{name} = [0, 1]`")),
            );
        }
        (!found.is_empty() && found.len() == list.len()).then_some(found)
    }
    /// A text or a list of texts.
    pub(crate) fn texts(&self, name: &str, c: &mut Complaints) -> Option<Vec<String>> {
        if let Some((_, value)) = self.get(name)
            && let Some(text) = value.get_ref().as_str()
        {
            return Some(vec![text.to_string()]);
        }
        let mut found = Vec::new();
        for value in self.list(name, c) {
            match value.get_ref().as_str() {
                Some(text) => found.push(text.to_string()),
                None => self.wrong(name, "a text or a list of texts", value, c),
            }
        }
        Some(found)
    }
    /// The tables of `[[name]]`.
    pub(crate) fn tables(
        &self,
        name: &str,
        heading: &str,
        hint: &str,
        c: &mut Complaints,
    ) -> Vec<(&'a DeTable<'a>, Range<usize>)> {
        let list = self.list(name, c);
        if list.is_empty() {
            c.push(match self.get(name) {
                None => Diagnostic::whole(format!("there is no {heading}")).hint(hint),
                Some(_) => Diagnostic::at(self.span_of(name), format!("`{name}` is empty")).hint(hint),
            });
        }
        let mut found = Vec::new();
        for value in list {
            match value.get_ref() {
                DeValue::Table(table) => found.push((table, value.span())),
                _ => self.wrong(name, "a table", value, c),
            }
        }
        found
    }
}

/// The same value as JSON; a number that JSON cannot hold becomes its text.
pub(crate) fn json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(s) => Value::String(s.to_string()),
        DeValue::Integer(i) => match i64::from_str_radix(i.as_str(), i.radix()) {
            Ok(n) => n.into(),
            Err(_) => u64::from_str_radix(i.as_str(), i.radix()).map_or_else(|_| i.to_string().into(), Value::from),
        },
        DeValue::Float(f) => {
            let number = f.as_str().parse().ok().and_then(Number::from_f64);
            number.map_or_else(|| Value::String(f.to_string()), Value::Number)
        }
        DeValue::Boolean(b) => Value::Bool(*b),
        DeValue::Datetime(d) => Value::String(d.to_string()),
        DeValue::Array(list) => list.iter().map(|v| json(v.get_ref())).collect(),
        DeValue::Table(table) => {
            Value::Object(table.iter().map(|(k, v)| (k.get_ref().to_string(), json(v.get_ref()))).collect())
        }
    }
}

/// A text or a number as it was written.
pub(crate) fn text_of(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(s) => Some(s.to_string()),
        DeValue::Integer(i) => Some(i.as_str().to_string()),
        DeValue::Float(f) => Some(f.as_str().to_string()),
        _ => None,
    }
}

/// Where `word` stands in `value`: as a key, or as a text.
pub(crate) fn find(value: &Spanned<DeValue<'_>>, word: &str) -> Option<Range<usize>> {
    match value.get_ref() {
        DeValue::String(s) => (s == word).then(|| value.span()),
        DeValue::Array(list) => list.iter().find_map(|v| find(v, word)),
        DeValue::Table(table) => find_in(table, word),
        _ => None,
    }
}

fn find_in(table: &DeTable<'_>, word: &str) -> Option<Range<usize>> {
    table.iter().find_map(|(k, v)| if k.get_ref() == word { Some(k.span()) } else { find(v, word) })
}

/// Where the value of `key` stands in `value`.
pub(crate) fn value_of(value: &Spanned<DeValue<'_>>, key: &str) -> Option<Range<usize>> {
    match value.get_ref() {
        DeValue::Array(list) => list.iter().find_map(|v| value_of(v, key)),
        DeValue::Table(table) => value_in(table, key),
        _ => None,
    }
}

fn value_in(table: &DeTable<'_>, key: &str) -> Option<Range<usize>> {
    table.iter().find_map(|(k, v)| if k.get_ref() == key { Some(v.span()) } else { value_of(v, key) })
}

fn place_of(value: &Spanned<DeValue<'_>>, error: &Error) -> Option<Range<usize>> {
    match error {
        Error::Unknown { name, .. } => find(value, name),
        Error::Value { what, .. } => value_of(value, what.rsplit('.').next().unwrap_or(what)),
        _ => None,
    }
}

fn place_in(table: &DeTable<'_>, error: &Error) -> Option<Range<usize>> {
    match error {
        Error::Unknown { name, .. } => find_in(table, name),
        Error::Value { what, .. } => value_in(table, what.rsplit('.').next().unwrap_or(what)),
        _ => None,
    }
}
