//! `[quick]`: the smaller version of a suite that `run --quick` runs.

use crate::Quick;
use crate::suite::complaint::complaint;
use crate::suite::keys::QUICK;
use crate::suite::reader::Reader;
use crate::suite::section::Section;
use crate::{Diagnostic, Row, Suite, Teacher};
use gauntlet_evaluate::Selection;
use toml::de::DeValue;

impl Suite {
    /// The smaller version, under the name `<name>-quick`; `None` where the suite has none.
    pub fn quick(&self) -> Option<Suite> {
        let quick = self.quick.as_ref()?;
        let mut suite = self.clone();
        suite.name += "-quick";
        suite.notes.insert(0, format!("A smaller version of the suite: {}.", quick.describe().trim_end_matches('.')));
        if let Some(epochs) = quick.epochs {
            suite.train.epochs = epochs;
            suite.rows.iter_mut().filter_map(|r| r.train.as_mut()).for_each(|train| train.epochs = epochs);
        }
        if let Some(n) = quick.take {
            suite.select(Selection::Take(n));
        }
        if let Some(seeds) = &quick.seeds {
            suite.seeds.clone_from(seeds);
        }
        if let Some(rows) = &quick.rows {
            suite.rows.retain(|r| rows.contains(&r.id));
            // Of a transfer matrix the columns go with their rows.
            let gone = |a: &gauntlet_evaluate::AttackEntry| {
                a.attack.args.get("surrogate").and_then(|s| s.as_str()).is_some_and(|s| !rows.iter().any(|r| r == s))
            };
            suite.attacks.retain(|a| !gone(a));
        }
        let (rows, attacks, epochs) = (&suite.rows, &suite.attacks, suite.train.epochs);
        let certifications = &suite.certify;
        suite.expect.retain(|e| {
            let there = |row: &str, of: &gauntlet_records::Quantity| {
                rows.iter().any(|r| r.id == row)
                    && match of {
                        gauntlet_records::Quantity::Attack { attack, .. } => attacks.iter().any(|a| a.label == *attack),
                        gauntlet_records::Quantity::Certified { certify, .. } => {
                            certifications.iter().any(|c| c.label == *certify)
                        }
                        gauntlet_records::Quantity::Curve { epoch, .. } => *epoch <= epochs,
                        _ => true,
                    }
            };
            there(&e.row, &e.of) && e.minus.as_ref().is_none_or(|m| there(&m.row, &m.of))
        });
        suite.quick = None;
        Some(suite)
    }
}

impl Reader<'_> {
    pub(crate) fn quick(&mut self, top: &Section<'_>, rows: &[Row]) -> Option<Option<Quick>> {
        let Some((_, value)) = top.get("quick") else { return Some(None) };
        let DeValue::Table(table) = value.get_ref() else {
            self.complaints.push(
                Diagnostic::at(value.span(), "`quick` must be a table").hint("such as `[quick]` with `epochs = 2`"),
            );
            return None;
        };
        let section = Section::new("[quick]", table, value.span());
        section.allow(QUICK, &mut self.complaints);
        let c = &mut self.complaints;
        let epochs = section.whole("epochs", 1, c).map(|n| n as u32);
        let take = section.whole("take", 1, c).map(|n| n as usize);
        let seeds = if section.get("seeds").is_some() { Some(section.wholes("seeds", c)?) } else { None };
        let note = section.str("note", c);
        let kept = if section.get("rows").is_some() { Some(section.texts("rows", c)?) } else { None };
        if section.entries().next().is_none() {
            c.push(
                Diagnostic::at(section.span(), "[quick] changes nothing").hint("such as `epochs = 2`, `take = 200`"),
            );
            return None;
        }
        for id in kept.iter().flatten() {
            let Some(row) = rows.iter().find(|r| r.id == *id) else {
                let error = gauntlet_core::Error::unknown("row", id, rows.iter().map(|r| r.id.as_str()));
                self.complaints.push(complaint(section.value_span("rows"), &error, ""));
                return None;
            };
            if let Some(Teacher::Row(teacher)) = &row.teacher
                && !kept.iter().flatten().any(|k| k == teacher)
            {
                let text = format!("{id} is taught by {teacher}, which is not among the rows");
                self.complaints.push(Diagnostic::at(section.value_span("rows"), text).hint("add it"));
                return None;
            }
        }
        Some(Some(Quick { epochs, take, seeds, rows: kept, note }))
    }
}
