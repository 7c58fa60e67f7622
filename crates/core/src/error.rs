//! The error type of this crate and of everything that implements its traits.

use gauntlet_records::nearest::{choices, nearest};

/// What can go wrong between the floors.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A tensor operation failed (shape, dtype, device).
    #[error("tensor operation failed: {0}")]
    Tensor(#[from] candle_core::Error),
    /// Differentiation failed.
    #[error(transparent)]
    Autograd(#[from] gauntlet_autograd::Error),
    /// A file could not be read or written.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was attempted, as a verb ("read", "write", "rename").
        action: &'static str,
        /// The file or folder.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// A name that no registry holds.
    #[error("unknown {kind} {name:?}{}{}", hint.as_ref().map(|h| format!(" (did you mean {h:?}?)")).unwrap_or_default(),
        choices(known, hint.is_some()).map(|c| format!("; {c}")).unwrap_or_default())]
    Unknown {
        /// "recipe", "attack", "model", "data set", "parameter of pgd", ...
        kind: String,
        /// What the user wrote.
        name: String,
        /// The nearest known name.
        hint: Option<String>,
        /// All known names.
        known: Vec<String>,
    },
    /// A value outside its domain.
    #[error("{}", value(what, why))]
    Value {
        /// The parameter.
        what: String,
        /// What is wrong with it and what would be right.
        why: String,
    },
    /// A checkpoint that does not fit the model.
    #[error("checkpoint {path}: {why}")]
    Checkpoint {
        /// The file.
        path: String,
        /// What does not fit, and the way out.
        why: String,
    },
    /// A loss, weight or logit that is not finite.
    #[error("{what} is not finite: {why}")]
    NotFinite {
        /// What was not finite.
        what: String,
        /// Where, with the values nearby and a hint.
        why: String,
    },
    /// An attack proposed a point that its threat model forbids (a bug of the attack).
    #[error("attack {attack} proposed an invalid point for example {example}: {why}")]
    Proposal {
        /// The attack.
        attack: String,
        /// Data set row.
        example: u64,
        /// Which constraint was broken, with the numbers.
        why: String,
    },
    /// A record's file that is not what it should be.
    #[error("record {path}: {why}")]
    Record {
        /// The file.
        path: String,
        /// What is wrong with it, and the way out.
        why: String,
    },
    /// Anything a component wants to say in its own words.
    #[error("{0}")]
    Message(String),
}

/// Result with [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An unknown name, with the nearest of the known ones.
    pub fn unknown<'a>(kind: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Self {
        let known: Vec<String> = known.map(str::to_string).collect();
        let hint = nearest(name, known.iter().map(String::as_str));
        Error::Unknown { kind: kind.to_string(), name: name.to_string(), hint, known }
    }
    /// A bad value: `Error::value("eps", "must be at least 0, got -1")`.
    pub fn value(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Value { what: what.into(), why: why.into() }
    }
}

impl From<gauntlet_records::Error> for Error {
    fn from(error: gauntlet_records::Error) -> Self {
        use gauntlet_records::Error as Of;
        match error {
            Of::Io { action, path, source } => Error::Io { action, path, source },
            Of::Unknown { kind, name, hint, known } => Error::Unknown { kind, name, hint, known },
            Of::Value { what, why } => Error::Value { what, why },
            Of::Record { path, why } => Error::Record { path, why },
            other => Error::Message(other.to_string()),
        }
    }
}

fn value(what: &str, why: &str) -> String {
    if why.starts_with("is required") { format!("{what} {why}") } else { format!("bad value for {what}: {why}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_listed_and_what_is_missing_is_a_sentence() {
        let unknown = |name: &str, known: &[&str]| crate::Error::unknown("objective", name, known.iter().copied());
        assert_eq!(
            unknown("cee", &["ce", "dlr"]).to_string(),
            "unknown objective \"cee\" (did you mean \"ce\"?); it is one of ce, dlr"
        );
        let many: Vec<String> = (0..20).map(|i| format!("name-{i}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(!unknown("name-3x", &many).to_string().contains("one of"));
        assert!(unknown("foo", &many).to_string().ends_with("name-18, name-19"));
        assert_eq!(Error::value("pgd-at.eps", "is required: budget").to_string(), "pgd-at.eps is required: budget");
    }
}
