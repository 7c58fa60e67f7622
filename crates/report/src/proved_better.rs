//! Rows that are proved better than others.

use crate::{Column, Count};
use std::collections::BTreeMap;

/// Which rows are proved better than which others: of every training of the first more examples are proved than withstand every
/// attack of the other's training of that seed. One sentence for every column and row that is.
pub(crate) fn proved_better(rows: &[String], columns: &[Column], counts: &[Count]) -> Vec<String> {
    let mut sentences = Vec::new();
    for worst in columns.iter().filter(|c| matches!(c, Column::Worst { .. })) {
        let of = |row: &str, column: &Column| -> BTreeMap<u64, (u64, u64)> {
            let own = counts.iter().filter(|c| c.row == row && c.column == *column);
            own.map(|c| (c.seed, (c.n, c.correct))).collect()
        };
        let certified: Vec<&Column> =
            columns.iter().filter(|c| matches!(c, Column::Certified { .. }) && c.budget() == worst.budget()).collect();
        for row in rows {
            let better = |other: &&String| {
                let theirs = of(other, worst);
                let beats = |column: &&Column| {
                    let ours = of(row, column);
                    let each = |(seed, (n, proved)): (&u64, &(u64, u64))| {
                        theirs.get(seed).is_some_and(|(m, attacked)| n == m && proved > attacked)
                    };
                    !ours.is_empty() && ours.iter().all(each)
                };
                *other != row && certified.iter().any(beats)
            };
            let beaten: Vec<String> = rows.iter().filter(better).map(|r| format!("`{r}`")).collect();
            if let (false, Some((norm, eps))) = (beaten.is_empty(), worst.budget()) {
                let at = format!("{} ε = {eps}", norm.symbol());
                sentences.push(format!(
                    "At {at} `{row}` is proved better than {} on these images: more of them are proved than withstand every attack there",
                    beaten.join(", ")
                ));
            }
        }
    }
    sentences
}
