//! Which test images the numbers are about, in words.

use crate::{Column, Count};
use gauntlet_records::{Attacked, Record};
use serde_json::Value;

/// One choice of images, and how many it came to.
struct Choice<'a> {
    record: &'a Record,
    selection: &'a Value,
    n: usize,
}

impl Choice<'_> {
    /// Whether these are the first rows of a data set whose rows are known to be in no random order, and not all of them.
    fn no_sample(&self) -> bool {
        self.selection.get("take").is_some() && self.order().is_some() && self.rows().is_some_and(|all| self.n < all)
    }
    fn order(&self) -> Option<&str> {
        self.record.result.configuration.pointer("/test/order")?.as_str()
    }
    /// Test images in all; older records do not say.
    fn rows(&self) -> Option<usize> {
        Some(self.record.result.configuration.pointer("/test/rows")?.as_u64()? as usize)
    }
    fn words(&self) -> String {
        let (n, all) = (grouped(self.n), self.rows());
        let of = all.map_or_else(String::new, |all| format!(" of {}", grouped(all)));
        let seed = self.record.result.configuration.pointer("/evaluation/attack_seed").and_then(Value::as_u64);
        let keyed = seed.map_or_else(|| "keyed".to_string(), |seed| format!("keyed, seed {seed}"));
        match self.selection {
            Value::Array(_) => format!("{n} test images, all that some attack was run on"),
            _ if self.selection == "all" || all == Some(self.n) => format!("all {n} test images"),
            s if s.get("stratified").is_some() => format!("a class-stratified sample of {n}{of} test images ({keyed})"),
            s if s.get("sample").is_some() => format!("a sample of {n}{of} test images ({keyed})"),
            _ => match self.order().filter(|_| self.no_sample()) {
                Some(order) => {
                    format!("the first {n} test images, which are no sample of the test set ({order})")
                }
                None => format!("the first {n}{of} test images"),
            },
        }
    }
}

/// What a report says about its images.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Images {
    /// Sentences for the caption; empty where the records do not say.
    pub(crate) told: String,
    /// Whether an interval of some column is of its images alone and says nothing about the test set.
    pub(crate) alone: bool,
}

impl Images {
    pub(crate) fn of(records: &[Record]) -> Images {
        let measured = || records.iter().filter(|r| !r.result.clean.is_empty());
        let Some(record) = measured().find(|r| r.failed.is_none()).or_else(|| measured().next()) else {
            return Images::default();
        };
        let Some(whole) = record.result.configuration.pointer("/evaluation/examples") else { return Images::default() };
        let whole = Choice { record, selection: whole, n: record.result.clean.len() };
        let mut told = format!("Images: {}", whole.words());
        let mut alone = whole.no_sample();
        for (attack, own) in own(record) {
            told += &format!("; {attack}: {}", own.words());
            alone |= own.no_sample();
        }
        told.push('.');
        if alone {
            told += " Intervals are of these images: they serve the comparison between rows and say nothing about the test set.";
        }
        Images { told, alone }
    }
}

/// How the `n` images that all these attacks (labels of the suite) of a record share were chosen.
pub(crate) fn chosen(record: &Record, attacks: &[&str], n: usize) -> String {
    let Some(selection) = record.result.configuration.pointer("/evaluation/examples") else { return n.to_string() };
    let whole = Choice { record, selection, n: record.result.clean.len() };
    let own = own(record);
    let words = |attack: &&str| own.iter().find(|(label, _)| label == attack).map_or(&whole, |(_, c)| c).words();
    let mut ways: Vec<String> = attacks.iter().map(words).collect();
    ways.dedup();
    match ways.as_slice() {
        [one] => one.clone(),
        several => format!("{} test images, shared by {}", grouped(n), several.join(" and ")),
    }
}

/// The attacks that have images of their own, by label.
fn own(record: &Record) -> Vec<(&str, Choice<'_>)> {
    let mut cells = record.result.attacked.iter();
    let mut list = Vec::new();
    for described in record.result.configuration["attacks"].as_array().into_iter().flatten() {
        let budgets = described["eps"].as_array().map_or(0, Vec::len);
        let cells: Vec<&Attacked> = cells.by_ref().take(budgets).collect();
        if let (Some(selection), Some(cell)) = (described.get("examples"), cells.first()) {
            list.push((cell.attack.as_str(), Choice { record, selection, n: cell.verdicts.len() }));
        }
    }
    list
}

/// Per column the fewest and the most examples of its trainings; empty where that is the same for all columns.
pub(crate) fn sizes(columns: &[Column], counts: &[Count]) -> Vec<(u64, u64)> {
    let of = |column: &Column| {
        let own = counts.iter().filter(|c| c.column == *column).map(|c| c.n);
        own.fold((u64::MAX, 0), |(few, many), n| (few.min(n), many.max(n)))
    };
    let sizes: Vec<(u64, u64)> = columns.iter().map(of).collect();
    if sizes.windows(2).all(|w| w[0] == w[1]) { Vec::new() } else { sizes }
}

/// `10,000`.
fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_have_their_thousands_apart() {
        assert_eq!([0, 999, 1000, 60000, 1234567].map(super::grouped), ["0", "999", "1,000", "60,000", "1,234,567"]);
    }
}
