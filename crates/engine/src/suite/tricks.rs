//! Reading what a training does beside its recipe.

use crate::suite::complaint::complaint;
use crate::suite::keys::{EMA, EXTRA, SWA};
use crate::suite::reader::Reader;
use crate::suite::section::{Section, json};
use crate::{Diagnostic, Evaluated, Extra, Perturb, Tricks};
use gauntlet_core::KeyDoc;
use gauntlet_core::optimiser::Decayed;
use serde::de::DeserializeOwned;
use toml::de::DeValue;

impl Reader<'_> {
    pub(crate) fn tricks(&mut self, section: &Section<'_>, epochs: u32, validation: Option<usize>) -> Option<Tricks> {
        let ema = self.table_of(section, "ema", EMA);
        let swa = self.table_of(section, "swa", SWA);
        let extra = self.table_of::<Extra>(section, "extra", EXTRA);
        if let Some(Some(extra)) = &extra
            && self.catalogue.get(&extra.data).is_err()
        {
            let names = self.catalogue.names();
            let error = gauntlet_core::Error::unknown("data set", &extra.data, names.iter().map(String::as_str));
            self.complaints.push(complaint(section.value_span("extra"), &error, "gauntlet list datasets"));
            return None;
        }
        let evaluate = self.one_of::<Evaluated>(section, "evaluate", &Evaluated::NAMES);
        let decay = self.one_of::<Decayed>(section, "decay", &Decayed::NAMES);
        let perturb = match section.get("perturb") {
            Some(_) => self.tagged(section, "perturb", "{}", Perturb::validate).map(Some),
            None => Some(None),
        };
        let c = &mut self.complaints;
        let smoothing = match section.get("smoothing") {
            Some(_) => section.number("smoothing", c).map(Some),
            None => Some(None),
        };
        let accumulate = match section.get("accumulate") {
            Some(_) => section.whole("accumulate", 1, c).map(Some),
            None => Some(None),
        };
        let images = match section.get("images") {
            Some(_) => section.whole("images", 1, c).map(Some),
            None => Some(None),
        };
        let tricks = Tricks {
            ema: ema?,
            swa: swa?,
            evaluate: evaluate?,
            smoothing: smoothing?.filter(|s| *s != 0.0),
            decay: decay?,
            accumulate: accumulate?.map(|n| n as usize).filter(|n| *n > 1),
            perturb: perturb?,
            augmentations: Vec::new(),
            images: images?.map(|n| n as usize),
            extra: extra?,
        };
        match tricks.validate(validation, epochs) {
            Ok(()) => Some(tricks),
            Err((key, why)) => {
                self.complaints.push(Diagnostic::at(section.span_of(key), format!("{key}: {why}")));
                None
            }
        }
    }

    /// A table of these keys, read by serde; `Some(None)`: there is none.
    fn table_of<T: DeserializeOwned>(
        &mut self,
        section: &Section<'_>,
        key: &'static str,
        known: &[KeyDoc],
    ) -> Option<Option<T>> {
        let Some((_, value)) = section.get(key) else { return Some(None) };
        let DeValue::Table(table) = value.get_ref() else {
            let found = value.get_ref().type_str();
            self.complaints.push(Diagnostic::at(value.span(), format!("`{key}` must be a table, got {found}")));
            return None;
        };
        Section::new(key, table, value.span()).allow(known, &mut self.complaints);
        match serde_json::from_value(json(value.get_ref())) {
            Ok(read) => Some(Some(read)),
            Err(error) => {
                self.complaints.push(Diagnostic::at(value.span(), format!("{key}: {error}")));
                None
            }
        }
    }

    /// One of a few words, the default where it is not there.
    fn one_of<T: DeserializeOwned + Default>(
        &mut self,
        section: &Section<'_>,
        key: &'static str,
        names: &[&'static str],
    ) -> Option<T> {
        if section.get(key).is_none() {
            return Some(T::default());
        }
        let text = section.str(key, &mut self.complaints)?;
        match serde_json::from_value(text.as_str().into()) {
            Ok(read) => Some(read),
            Err(_) => {
                let error = gauntlet_core::Error::unknown(key, &text, names.iter().copied());
                self.complaints.push(complaint(section.value_span(key), &error, &names.join(", ")));
                None
            }
        }
    }
}
