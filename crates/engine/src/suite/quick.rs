//! What the smaller version of a suite changes.

use serde::{Deserialize, Serialize};

/// What a smaller version changes; what it does not say stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quick {
    /// Passes over the training rows.
    pub epochs: Option<u32>,
    /// First test rows.
    pub take: Option<usize>,
    /// Training seeds.
    pub seeds: Option<Vec<u64>>,
    /// Rows, by id.
    pub rows: Option<Vec<String>>,
    /// One sentence on what it shows.
    pub note: Option<String>,
}

impl Quick {
    /// The smaller version in one sentence.
    pub fn describe(&self) -> String {
        let mut parts = Vec::new();
        parts.extend(self.epochs.map(|n| format!("{n} epochs")));
        parts.extend(self.take.map(|n| format!("the first {n} test images")));
        parts.extend(self.seeds.as_ref().map(|s| {
            let seeds: Vec<String> = s.iter().map(u64::to_string).collect();
            format!("seeds {}", seeds.join(", "))
        }));
        parts.extend(self.rows.as_ref().map(|r| format!("rows {}", r.join(", "))));
        let mut text = parts.join("; ");
        if let Some(note) = &self.note {
            text += &format!("; {note}");
        }
        text
    }
}
