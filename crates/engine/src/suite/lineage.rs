//! Rows that teach rows.

use crate::{Error, Result, Row, Teacher};

/// The row `start`, the row that teaches it, the row that teaches that one and so on, up to one that no row teaches or
/// that was there already.
pub(crate) fn lineage(rows: &[Row], start: usize) -> Vec<usize> {
    let mut chain = vec![start];
    let mut at = &rows[start];
    while let Some(Teacher::Row(id)) = &at.teacher {
        let Some(next) = rows.iter().position(|r| r.id == *id) else { break };
        let again = chain.contains(&next);
        chain.push(next);
        if again {
            break;
        }
        at = &rows[next];
    }
    chain
}

/// Whether such a line ends where it began.
pub(crate) fn is_circle(chain: &[usize]) -> bool {
    chain.len() > 1 && chain.first() == chain.last()
}

/// `a learns from b learns from a`.
pub(crate) fn circle(rows: &[Row], chain: &[usize]) -> String {
    chain.iter().map(|i| rows[*i].id.as_str()).collect::<Vec<_>>().join(" learns from ")
}

/// For suites that no file was read for.
///
/// # Errors
/// A teacher that is no row; rows that teach each other in a circle.
pub(crate) fn check(rows: &[Row]) -> Result<()> {
    for (i, row) in rows.iter().enumerate() {
        if let Some(Teacher::Row(id)) = &row.teacher
            && !rows.iter().any(|r| r.id == *id)
        {
            return Err(gauntlet_core::Error::unknown("row", id, rows.iter().map(|r| r.id.as_str())).into());
        }
        let chain = lineage(rows, i);
        if is_circle(&chain) {
            return Err(Error::message(format!("{} in a circle: none can be trained first", circle(rows, &chain))));
        }
    }
    Ok(())
}
