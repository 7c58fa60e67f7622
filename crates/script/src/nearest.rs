//! The name that was probably meant.

/// `did you mean` the nearest of `known`, or nothing.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    gauntlet_records::nearest::nearest(name, known).map(|near| format!(", did you mean `{near}`?")).unwrap_or_default()
}
