//! The known name that a misspelt one was meant to be, and the choices.

/// The nearest of the known names, if one is near enough to be meant: `WEIGHT` and `weight` are near.
///
/// ```
/// use gauntlet_records::nearest::nearest;
/// assert_eq!(nearest("linff", ["linf", "l2"].into_iter()).as_deref(), Some("linf"));
/// assert_eq!(nearest("cosine", ["linf", "l2"].into_iter()), None);
/// ```
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let folded = name.to_lowercase();
    known
        .map(|k| (strsim::damerau_levenshtein(&k.to_lowercase(), &folded), k))
        .min()
        .filter(|(distance, k)| *distance <= 1 + k.len().max(name.len()) / 3)
        .map(|(_, k)| k.to_string())
}

/// More names than these are listed only where none of them is near.
const FEW: usize = 12;
/// More than these are not.
const MANY: usize = 40;

/// `it is one of ce, margin, dlr`: the few that there are, or all where none is near.
pub fn choices(known: &[String], near: bool) -> Option<String> {
    (!known.is_empty() && known.len() <= if near { FEW } else { MANY })
        .then(|| format!("it is one of {}", known.join(", ")))
}
