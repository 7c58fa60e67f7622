//! The name that was probably meant.

/// `did you mean` the nearest of `known`, or nothing.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    match gauntlet_core::registry::unknown("", name, known) {
        gauntlet_core::Error::Unknown { hint: Some(near), .. } => format!(", did you mean `{near}`?"),
        _ => String::new(),
    }
}
