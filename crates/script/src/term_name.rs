//! Names that a script gives to its terms: they head the columns of logs.

use crate::ran::Ran;

/// Bytes of a term's name.
const MAX_NAME: usize = 128;

/// The name of a term.
pub(crate) fn checked(given: &str) -> Ran<String> {
    if given.is_empty() {
        return Err("a term needs a name".into());
    }
    if given.chars().any(char::is_control) {
        return Err(format!("the name of a term has a control character: {given:?}").into());
    }
    if given.len() > MAX_NAME {
        return Err(format!("the name of a term has at most {MAX_NAME} bytes, this one {}", given.len()).into());
    }
    Ok(given.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_cannot_head_a_column_are_refused() {
        assert_eq!(checked("ce").unwrap(), "ce");
        assert!(checked("").is_err());
        assert!(checked("a\u{1b}").unwrap_err().to_string().contains("a control character: \"a\\u{1b}\""));
        assert!(checked(&"a".repeat(129)).unwrap_err().to_string().contains("at most 128 bytes, this one 129"));
    }
}
