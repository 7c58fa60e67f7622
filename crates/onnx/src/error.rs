//! What keeps a file from becoming a network.

use std::fmt;

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file as a whole.
    #[error("{path}: {why}")]
    File {
        /// The file.
        path: String,
        /// What is wrong with it, and the way out.
        why: String,
    },
    /// Nodes that have no counterpart here: all that were found.
    #[error("{path}: {}", listed(problems))]
    Unsupported {
        /// The file.
        path: String,
        /// What was found, in the order of the file.
        problems: Vec<Problem>,
    },
}

/// Result with [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A node that cannot be imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Its name, or that of its first output.
    pub node: String,
    /// Its operator, e.g. `Conv`.
    pub operator: String,
    /// What is not possible, and the way out.
    pub why: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {:?} ({}): {}", self.node, self.operator, self.why)
    }
}

/// More are counted, not listed.
const MOST: usize = 20;

fn listed(problems: &[Problem]) -> String {
    if let [one] = problems {
        return one.to_string();
    }
    let mut text = format!("{} nodes cannot be imported:", problems.len());
    for problem in problems.iter().take(MOST) {
        text += &format!("\n  {problem}");
    }
    if problems.len() > MOST {
        text += &format!("\n  and {} more", problems.len() - MOST);
    }
    text
}

impl From<Error> for gauntlet_core::Error {
    fn from(error: Error) -> Self {
        gauntlet_core::Error::Message(error.to_string())
    }
}
