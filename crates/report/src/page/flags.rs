//! Flags that were raised, with what docs/flags.md says about them.

use gauntlet_records::Record;
use gauntlet_records::norm::for_people;
use serde::Serialize;

/// The documentation is the only place where flags are explained.
const DOCUMENTATION: &str = include_str!("../../../../docs/flags.md");

/// One kind of flag and every place where it was raised.
#[derive(Serialize)]
pub(super) struct Raised {
    pub(super) name: String,
    pub(super) meaning: String,
    /// Whether the table marks its rows.
    pub(super) marks: bool,
    pub(super) places: Vec<Place>,
}

/// One training and what the referee said.
#[derive(Serialize)]
pub(super) struct Place {
    pub(super) row: String,
    pub(super) seed: u64,
    pub(super) detail: String,
}

/// The flags of all records, in order of their first appearance.
pub(super) fn raised(records: &[Record]) -> Vec<Raised> {
    let mut raised: Vec<Raised> = Vec::new();
    for record in records {
        for flag in &record.result.flags {
            let place = Place { row: record.row.clone(), seed: record.seed, detail: for_people(&flag.detail) };
            match raised.iter_mut().find(|r| r.name == flag.name) {
                Some(known) => known.places.push(place),
                None => raised.push(Raised {
                    name: flag.name.clone(),
                    meaning: meaning(&flag.name).unwrap_or_default(),
                    marks: flag.marks(),
                    places: vec![place],
                }),
            }
        }
    }
    raised
}

/// When a flag is raised, and what to do, from the tables of the documentation.
fn meaning(name: &str) -> Option<String> {
    let quoted = format!("`{name}`");
    DOCUMENTATION.lines().find_map(|line| {
        let mut cells = line.strip_prefix("| ")?.trim_end_matches(" |").split(" | ");
        if !cells.next()?.split(", ").any(|n| n == quoted) {
            return None;
        }
        let when = format!("Raised when {}.", cells.next()?);
        Some(match cells.next() {
            Some(advice) => format!("{when} What to do: {advice}."),
            None => when,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_explained_by_the_documentation() {
        assert!(meaning("gradient-vanishes").unwrap().starts_with("Raised when over 1 % of all gradients"));
        assert!(meaning("transfer-beats-gradients").unwrap().contains("without gradients of the model"));
        assert!(meaning("randomised-model").unwrap().contains("What to do: `eot-pgd`"));
        assert_eq!(meaning("flag"), None);
        assert_eq!(meaning("unheard-of"), None);
    }
}
