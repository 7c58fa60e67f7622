//! Reading the `[[expect]]` tables of a suite file: published numbers with their errors, and where ours are compatible.

use crate::suite::certification::CertifyEntry;
use crate::suite::complaint::complaint;
use crate::suite::keys::{EXPECT, MINUS, OR};
use crate::suite::reader::Reader;
use crate::suite::section::{Section, json};
use crate::{Diagnostic, Row};
use gauntlet_evaluate::AttackEntry;
use gauntlet_records::{Alternative, Band, Expectation, Norm, Operand, Quantity, expectation::CURVE};
use toml::Spanned;
use toml::de::DeValue;

/// Labels of numbers that no attack has.
const CLEAN: &str = "clean";
const WORST: &str = "worst case";

/// What expectations can speak of.
pub(crate) struct Known<'a> {
    pub(crate) rows: &'a [Row],
    pub(crate) attacks: &'a [AttackEntry],
    pub(crate) certify: &'a [CertifyEntry],
    pub(crate) epochs: u32,
}

impl Reader<'_> {
    pub(crate) fn expectations(&mut self, top: &Section<'_>, known: &Known<'_>) -> Option<Vec<Expectation>> {
        if top.get("expect").is_none() {
            return Some(Vec::new());
        }
        let tables = top.tables("expect", "[[expect]]", "remove it, or add a published number", &mut self.complaints);
        let read: Vec<Option<Expectation>> = tables
            .into_iter()
            .map(|(table, span)| self.expectation(&Section::new("[[expect]]", table, span), known))
            .collect();
        read.into_iter().collect()
    }

    fn expectation(&mut self, section: &Section<'_>, known: &Known<'_>) -> Option<Expectation> {
        section.allow(EXPECT, &mut self.complaints);
        let row = self.expected_row(section, known, None);
        let of = self.quantity(section, known, None);
        let c = &mut self.complaints;
        let value = section.number("value", c);
        let source = match value {
            Some(_) => section.required_str("source", "where the number was published", c),
            None => section.str("source", c),
        };
        let published_with = section.str("published_with", c);
        let sd = section.positive("sd", c);
        let n = section.whole("n", 1, c);
        let band = self.band(section);
        let c = &mut self.complaints;
        if section.get("value").is_none() && band == Some(None) {
            c.push(
                Diagnostic::at(section.span(), "it has neither a published `value` nor a band")
                    .hint("such as `value = 88.5` with `n = 10000`, or `at_least = 0` for an ordering"),
            );
            return None;
        }
        for (name, said) in [("value", value.is_some()), ("sd", sd.is_some()), ("n", n.is_some())] {
            if section.get(name).is_some() && !said {
                return None;
            }
            if said && value.is_none() {
                let text = format!("`{name}` is the error of a published `value`, and there is none");
                c.push(Diagnostic::at(section.value_span(name), text));
                return None;
            }
        }
        if section.get("source").is_some() {
            source.as_ref()?;
        }
        let (row, of) = (row?, of?);
        let minus = match section.get("minus") {
            None => None,
            Some((_, value)) => Some(self.operand(value, known, (&row, &of))?),
        };
        let or = match section.get("or") {
            None => None,
            Some((_, value)) => Some(self.alternative(value)?),
        };
        let accuracy = minus.is_none() && !matches!(of, Quantity::Curve { .. });
        let share = |v: f64| (0.0..=100.0).contains(&v);
        if n.is_some() && !(accuracy && value.is_some_and(share)) {
            self.complaints.push(
                Diagnostic::at(section.value_span("n"), "`n` gives the error of an accuracy in percent")
                    .hint("state the error of any other number, a difference included, as `sd`"),
            );
            return None;
        }
        if value.is_some() && source.is_none() {
            return None;
        }
        Some(Expectation { row, of, minus, value, sd, n, band: band?, or, source, published_with })
    }

    fn expected_row(&mut self, section: &Section<'_>, known: &Known<'_>, default: Option<&str>) -> Option<String> {
        let id = match (section.get("row"), default) {
            (None, Some(row)) => return Some(row.to_string()),
            _ => section.required_str("row", "the id of a row of this suite", &mut self.complaints)?,
        };
        if !known.rows.iter().any(|r| r.id == id) {
            let error = gauntlet_core::Error::unknown("row", &id, known.rows.iter().map(|r| r.id.as_str()));
            self.complaints.push(complaint(section.value_span("row"), &error, ""));
            return None;
        }
        Some(id)
    }

    /// What is compared; of the other number of a difference what is not said is as in `default`.
    fn quantity(&mut self, section: &Section<'_>, known: &Known<'_>, default: Option<&Quantity>) -> Option<Quantity> {
        let said = |names: &[&str]| names.iter().any(|n| section.get(n).is_some());
        if let Some(default) = default
            && !said(&["attack", "norm", "eps", "curve", "epoch", "scale"])
        {
            return Some(default.clone());
        }
        if section.get("curve").is_some() {
            return self.of_curve(section, known);
        }
        if let (Some(Quantity::Curve { curve, scale, .. }), true) = (default, said(&["epoch"])) {
            let epoch = self.epoch(section, known)?;
            return Some(Quantity::Curve { curve: curve.clone(), epoch, scale: *scale });
        }
        let label = match (section.str("attack", &mut self.complaints), default) {
            (Some(label), _) => label,
            (None, Some(Quantity::Attack { attack, .. })) => attack.clone(),
            (None, Some(Quantity::Certified { certify, .. })) => certify.clone(),
            (None, Some(Quantity::Worst { .. })) => WORST.to_string(),
            (None, _) => {
                self.complaints.push(Diagnostic::at(section.span(), "it does not say which number").hint(
                    "`attack = \"pgd\"` with `eps`, `attack = \"clean\"`, or `curve = \"alignment\"` with `epoch`",
                ));
                return None;
            }
        };
        if label == CLEAN {
            return Some(Quantity::Clean);
        }
        let eps = match (section.get("eps"), default) {
            (Some((_, value)), _) => self.length(value)?,
            (
                None,
                Some(Quantity::Attack { eps, .. } | Quantity::Worst { eps, .. } | Quantity::Certified { eps, .. }),
            ) => eps.clone(),
            (None, _) => {
                self.complaints.push(
                    Diagnostic::at(section.span(), format!("{label} needs a budget")).hint("such as `eps = \"0.1\"`"),
                );
                return None;
            }
        };
        let place = if section.get("eps").is_some() { "eps" } else { "attack" };
        if label == WORST {
            let norm = match section.str("norm", &mut self.complaints).map(|n| n.parse::<Norm>()) {
                None => Norm::Linf,
                Some(Ok(norm)) => norm,
                Some(Err(error)) => {
                    self.complaints.push(complaint(section.value_span("norm"), &error.into(), ""));
                    return None;
                }
            };
            let shared = known.attacks.iter().filter(|a| a.norm == norm && a.eps.contains(&eps)).count();
            let proved = known.certify.iter().any(|c| c.norm == norm && c.eps.contains(&eps));
            if shared + usize::from(proved) < 2 {
                let text =
                    format!("{shared} attacks of this suite have {norm} ε = {eps}; a worst case has at least two");
                self.complaints.push(Diagnostic::at(section.value_span(place), text));
                return None;
            }
            return Some(Quantity::Worst { norm, eps });
        }
        let proved = known.certify.iter().find(|c| c.label == label);
        let attack = known.attacks.iter().find(|a| a.label == label);
        let found = attack.map(|a| (a.norm, &a.eps)).or(proved.map(|c| (c.norm, &c.eps)));
        let Some((norm, all)) = found else {
            let labels = known.attacks.iter().map(|a| a.label.as_str());
            let labels = labels.chain(known.certify.iter().map(|c| c.label.as_str())).chain([CLEAN, WORST]);
            let error = gauntlet_core::Error::unknown("attack", &label, labels);
            self.complaints.push(complaint(
                section.value_span("attack"),
                &error,
                "the label of an attack of this suite",
            ));
            return None;
        };
        let Some(eps) = all.iter().find(|e| **e == eps).cloned() else {
            let budgets = all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            self.complaints.push(
                Diagnostic::at(section.value_span(place), format!("{label} is not run at ε = {eps}"))
                    .hint(format!("it is run at {budgets}")),
            );
            return None;
        };
        Some(match proved {
            Some(_) => Quantity::Certified { certify: label, norm, eps },
            None => Quantity::Attack { attack: label, norm, eps },
        })
    }

    fn of_curve(&mut self, section: &Section<'_>, known: &Known<'_>) -> Option<Quantity> {
        let c = &mut self.complaints;
        let curve = section.str("curve", c)?;
        if let Some((key, _)) = ["attack", "eps", "norm"].iter().find_map(|n| section.get(n)) {
            c.push(
                Diagnostic::at(key.span(), format!("`{}` and `curve` exclude each other", key.get_ref()))
                    .hint("a point of the training curve has a `curve` and an `epoch`"),
            );
            return None;
        }
        let scale = if section.get("scale").is_some() { section.number("scale", c)? } else { 1.0 };
        let epoch = self.epoch(section, known)?;
        // The terms of a recipe are known when it runs; a name close to a measure is a slip.
        if !CURVE.contains(&curve.as_str())
            && let gauntlet_core::Error::Unknown { hint: Some(near), .. } =
                gauntlet_core::Error::unknown("measure", &curve, CURVE.into_iter())
        {
            self.complaints.push(
                Diagnostic::at(section.value_span("curve"), format!("unknown measure {curve:?}"))
                    .hint(format!("did you mean {near:?}? terms of the recipe are known by their names too")),
            );
            return None;
        }
        Some(Quantity::Curve { curve, epoch, scale })
    }

    fn epoch(&mut self, section: &Section<'_>, known: &Known<'_>) -> Option<u32> {
        if section.get("epoch").is_none() {
            self.complaints.push(
                Diagnostic::at(section.span(), "a point of the training curve needs an `epoch`")
                    .hint("epochs done: 1 after the first"),
            );
        }
        let epoch = section.whole("epoch", 1, &mut self.complaints)? as u32;
        if epoch > known.epochs {
            let text = format!("epoch {epoch} is past the last of {}", known.epochs);
            self.complaints.push(Diagnostic::at(section.value_span("epoch"), text));
            return None;
        }
        Some(epoch)
    }

    /// `minus = { row = "plain" }`: what it does not say is as in the expectation itself.
    fn operand(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        known: &Known<'_>,
        (row, of): (&str, &Quantity),
    ) -> Option<Operand> {
        let DeValue::Table(table) = value.get_ref() else {
            self.complaints.push(
                Diagnostic::at(value.span(), "`minus` must be a table")
                    .hint("such as `minus = { row = \"ce\" }`: the same number of another row"),
            );
            return None;
        };
        let section = Section::new("`minus`", table, value.span());
        section.allow(MINUS, &mut self.complaints);
        let row = self.expected_row(&section, known, Some(row));
        let of = self.quantity(&section, known, Some(of));
        Some(Operand { row: row?, of: of? })
    }

    fn alternative(&mut self, value: &Spanned<DeValue<'_>>) -> Option<Alternative> {
        let DeValue::Table(table) = value.get_ref() else {
            self.complaints.push(
                Diagnostic::at(value.span(), "`or` must be a table")
                    .hint("such as `or = { band = [0, 5], flag = \"catastrophic-overfitting\" }`"),
            );
            return None;
        };
        let section = Section::new("`or`", table, value.span());
        section.allow(OR, &mut self.complaints);
        let flag = section.str("flag", &mut self.complaints);
        let Some(band) = self.band(&section)? else {
            self.complaints.push(
                Diagnostic::at(section.span(), "`or` needs the band of the second outcome")
                    .hint("`at_least`, `at_most`, or both ends as `band`"),
            );
            return None;
        };
        Some(Alternative { band, flag })
    }

    /// `band = [82, 93]`, or one end that is open: `at_least = 82`, `at_most = 93`. The inner `None`: none is given.
    fn band(&mut self, section: &Section<'_>) -> Option<Option<Band>> {
        let ends = ["at_least", "at_most"];
        let c = &mut self.complaints;
        if section.get("band").is_none() {
            let [low, high] = ends.map(|end| section.number(end, c));
            if ends.iter().zip([low, high]).any(|(end, read)| section.get(end).is_some() && read.is_none()) {
                return None;
            }
            if let (Some(low), Some(high)) = (low, high)
                && low > high
            {
                c.push(Diagnostic::at(section.value_span("at_least"), format!("{low} is above `at_most`, {high}")));
                return None;
            }
            return Some((low.is_some() || high.is_some()).then_some(Band(low, high)));
        }
        if let Some((key, _)) = ends.iter().find_map(|end| section.get(end)) {
            c.push(
                Diagnostic::at(key.span(), format!("`{}` and `band` exclude each other", key.get_ref()))
                    .hint("a band has both ends"),
            );
            return None;
        }
        let place = section.value_span("band");
        let pair = section.get("band").and_then(|(_, v)| match json(v.get_ref()).as_array()?.as_slice() {
            [low, high] => Some((low.as_f64()?, high.as_f64()?)),
            _ => None,
        });
        match pair {
            Some((low, high)) if low <= high => Some(Some(Band(Some(low), Some(high)))),
            Some((low, high)) => {
                c.push(Diagnostic::at(place, format!("{low} is above {high}; write the lower end first")));
                None
            }
            None => {
                c.push(
                    Diagnostic::at(place, "`band` must be the lowest and the highest value that are compatible")
                        .hint("such as `band = [82, 93]`; `at_least` or `at_most` leave one end open"),
                );
                None
            }
        }
    }
}
