//! Reading the `[[attack]]` tables of a suite file.

use crate::suite::complaint::complaint;
use crate::suite::keys::ATTACK;
use crate::suite::reader::{Reader, Shape, selection};
use crate::suite::section::{Section, json, text_of};
use crate::{Diagnostic, Row};
use gauntlet_core::attack::Open;
use gauntlet_core::{Key, Purpose, ThreatModel, budget};
use gauntlet_evaluate::{AttackEntry, Component, Kind, Selection};
use gauntlet_records::{Eps, Norm};
use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::DeValue;

impl Reader<'_> {
    pub(crate) fn attacks(&mut self, top: &Section<'_>, rows: &[Row], shape: Shape) -> Vec<AttackEntry> {
        let mut attacks: Vec<AttackEntry> = Vec::new();
        for (table, span) in top.tables("attack", "[[attack]]", "give at least one attack", &mut self.complaints) {
            let section = Section::new("[[attack]]", table, span);
            for entry in self.attack(&section, rows, shape).unwrap_or_default() {
                if attacks.iter().any(|a| a.label == entry.label) {
                    let place = if section.get("label").is_some() { "label" } else { "name" };
                    self.complaints.push(
                        Diagnostic::at(section.span_of(place), format!("two attacks are called {:?}", entry.label))
                            .hint("give each a `label` of its own"),
                    );
                }
                attacks.push(entry);
            }
        }
        attacks
    }

    /// One attack; with `surrogates`, one for each of them.
    fn attack(&mut self, section: &Section<'_>, rows: &[Row], shape: Shape) -> Option<Vec<AttackEntry>> {
        let c = &mut self.complaints;
        let name = section.required_str("name", "the attack's registered name", c);
        let label = section.str("label", c).or_else(|| name.clone());
        let norm = match section.str("norm", c) {
            None => Some(Norm::Linf),
            Some(text) => match text.parse::<Norm>() {
                Ok(norm) => Some(norm),
                Err(error) => {
                    c.push(complaint(section.value_span("norm"), &error.into(), ""));
                    None
                }
            },
        };
        let examples = self.own_examples(section);
        let numbers = shape.map(|((c, h, w), _)| c * h * w);
        let eps = self.budgets(section, norm.unwrap_or(Norm::Linf), numbers);
        let mut given: Map<String, Value> = section
            .entries()
            .filter(|(k, _)| !ATTACK.iter().any(|own| own.name == k.get_ref()))
            .map(|(k, v)| (k.get_ref().to_string(), json(v.get_ref())))
            .collect();
        given.insert("name".into(), Value::String(name?));
        let mut entries = if section.get("surrogates").is_some() {
            self.matrix(section, rows, label?, norm?, eps?, given)?
        } else {
            vec![self.single(section, rows, label?, norm?, eps?, &given)?]
        };
        // Of a transfer matrix once for all surrogates.
        if let Some(entry) = entries.first() {
            self.possible(section, entry, shape);
        }
        entries.iter_mut().for_each(|e| e.examples = examples);
        Some(entries)
    }

    /// `take`, `sample` or `all = true`: test rows of this attack alone.
    pub(crate) fn own_examples(&mut self, section: &Section<'_>) -> Option<Selection> {
        let c = &mut self.complaints;
        let some = selection(section, c);
        if section.get("all").is_none() {
            return some;
        }
        if section.bool("all", c) != Some(true)
            || some.is_some()
            || section.get("take").is_some()
            || section.get("sample").is_some()
        {
            let hint = "`all = true`, `take = 1000` or `sample = 1000`, or nothing for the suite's";
            c.push(Diagnostic::at(section.span_of("all"), "`all` is `true` and stands alone").hint(hint));
            return some;
        }
        Some(Selection::All)
    }

    /// `surrogates = "all"` or a list of rows: a column of transferred examples for each.
    fn matrix(
        &mut self,
        section: &Section<'_>,
        rows: &[Row],
        label: String,
        norm: Norm,
        eps: Vec<Eps>,
        mut given: Map<String, Value>,
    ) -> Option<Vec<AttackEntry>> {
        let ids = match section.get("surrogates").map(|(_, v)| json(v.get_ref())) {
            Some(Value::String(all)) if all == "all" => rows.iter().map(|r| r.id.clone()).collect(),
            Some(Value::Array(list)) if list.iter().all(Value::is_string) => {
                list.iter().filter_map(Value::as_str).map(str::to_string).collect::<Vec<_>>()
            }
            _ => {
                self.complaints.push(
                    Diagnostic::at(section.value_span("surrogates"), "must be \"all\" or a list of row ids")
                        .hint("such as `surrogates = [\"ce\", \"pgd-at\"]`"),
                );
                return None;
            }
        };
        let mut entries = Vec::new();
        for id in ids {
            given.insert("surrogate".into(), Value::String(id.clone()));
            entries.push(self.single(section, rows, format!("{label} from {id}"), norm, eps.clone(), &given)?);
        }
        Some(entries)
    }

    fn single(
        &mut self,
        section: &Section<'_>,
        rows: &[Row],
        label: String,
        norm: Norm,
        eps: Vec<Eps>,
        given: &Map<String, Value>,
    ) -> Option<AttackEntry> {
        let resolved = Component::resolve(Kind::Attack, self.registry, given)
            .and_then(|component| Ok((self.registry.plan(&component.given())?.0, component)));
        let (plan, component) = match resolved {
            Ok(both) => both,
            Err(error) => {
                let hint = "gauntlet list attacks";
                self.complaints.push(complaint(section.place_of(&error), &error, hint));
                return None;
            }
        };
        if let Some(id) = plan.surrogate()
            && !rows.iter().any(|r| r.id == id)
        {
            let place = if section.get("surrogate").is_some() { "surrogate" } else { "surrogates" };
            let error = gauntlet_core::Error::unknown("row", id, rows.iter().map(|r| r.id.as_str()));
            self.complaints.push(complaint(section.value_span(place), &error, ""));
            return None;
        }
        if !plan.norms().contains(&norm) {
            let known: Vec<String> = plan.norms().iter().map(Norm::to_string).collect();
            self.complaints.push(
                Diagnostic::at(section.value_span("norm"), format!("{} is not defined for {norm}", plan.name()))
                    .hint(format!("it knows {}", known.join(", "))),
            );
            return None;
        }
        Some(AttackEntry { label, attack: component, norm, eps, examples: None })
    }

    /// Whether the attack can get to its budgets, and run on models of this data.
    fn possible(&mut self, section: &Section<'_>, entry: &AttackEntry, shape: Shape) {
        let Ok((plan, _)) = self.registry.plan(&entry.attack.given()) else { return };
        let fits = |eps: &Eps| -> gauntlet_core::Result<()> {
            budget::reachable(&plan, entry.norm, eps)?;
            let Some((input, classes)) = shape else { return Ok(()) };
            let threat = ThreatModel::new(entry.norm, eps.value());
            let key = Key::new(0, Purpose::AttackStart);
            plan.fits(&Open { input, classes, threat, key, lockstep: false, smallest: false, randomised: false })
        };
        if let Some(error) = entry.eps.iter().find_map(|eps| fits(eps).err()) {
            self.complaints.push(complaint(section.place_of(&error), &error, ""));
        }
    }

    pub(crate) fn budgets(&mut self, section: &Section<'_>, norm: Norm, numbers: Option<usize>) -> Option<Vec<Eps>> {
        let Some((_, value)) = section.get("eps") else {
            self.complaints.push(
                Diagnostic::at(section.span(), "an attack needs budgets")
                    .hint("such as `eps = [\"4/255\", \"8/255\"]`, in pixels of images in [0,1]"),
            );
            return None;
        };
        let values: Vec<&Spanned<DeValue<'_>>> = match value.get_ref() {
            DeValue::Array(list) => list.iter().collect(),
            _ => vec![value],
        };
        if values.is_empty() {
            self.complaints.push(
                Diagnostic::at(value.span(), "the list of budgets is empty").hint("such as `eps = [\"0.1\", \"0.3\"]`"),
            );
            return None;
        }
        let (mut eps, count): (Vec<Eps>, usize) = (Vec::new(), values.len());
        for value in values {
            let parsed = self.eps(value, &eps, norm, numbers);
            eps.extend(parsed);
        }
        (eps.len() == count).then_some(eps)
    }

    /// A budget that can be meant, beside those before it.
    pub(crate) fn eps(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        earlier: &[Eps],
        norm: Norm,
        numbers: Option<usize>,
    ) -> Option<Eps> {
        let eps = self.length(value)?;
        match budget::sensible(&eps, earlier, norm, numbers) {
            Ok(()) => Some(eps),
            Err(error) => {
                self.complaints.push(complaint(value.span(), &error, ""));
                None
            }
        }
    }

    /// A length in pixels.
    pub(crate) fn length(&mut self, value: &Spanned<DeValue<'_>>) -> Option<Eps> {
        let Some(text) = text_of(value.get_ref()) else {
            self.complaints.push(Diagnostic::at(
                value.span(),
                format!("must be a length in pixels such as \"8/255\" or 0.3, got {}", value.get_ref().type_str()),
            ));
            return None;
        };
        match text.parse() {
            Ok(eps) => Some(eps),
            Err(error) => {
                self.complaints.push(complaint(value.span(), &error.into(), ""));
                None
            }
        }
    }
}
