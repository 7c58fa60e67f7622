//! Aggregation over seeds: one frame of counts, grouped, then pivoted into rows × columns.

use crate::{Column, Count, Result};
use polars::prelude::*;

/// One number of the table, over the seeds of its row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Value {
    /// Trainings behind it.
    pub seeds: u32,
    /// Examples of each training (the smallest number, should they differ).
    pub n: u64,
    /// Mean accuracy in percent.
    pub mean: f64,
    /// Sample standard deviation over seeds, in percentage points (0 for one seed).
    pub sd: f64,
    /// Lowest lower end of the seeds' Wilson intervals, in percent.
    pub low: f64,
    /// Highest upper end of the seeds' Wilson intervals, in percent.
    pub high: f64,
}

/// Rows × columns of values over seeds.
#[derive(Debug, Clone)]
pub struct Summary {
    wide: DataFrame,
}

/// The measures of a cell, as suffixes of the wide frame's columns.
const MEASURES: [&str; 6] = ["seeds", "n", "mean", "sd", "low", "high"];

impl Summary {
    /// Groups the counts over seeds and pivots them.
    ///
    /// # Errors
    /// An aggregation fails.
    pub fn new(rows: &[String], columns: &[Column], counts: &[Count]) -> Result<Self> {
        let place = |c: &Count| {
            let row = rows.iter().position(|r| *r == c.row)?;
            Some((row as u32, columns.iter().position(|k| *k == c.column)? as u32))
        };
        let placed: Vec<(u32, u32, &Count)> =
            counts.iter().filter_map(|c| place(c).map(|(row, column)| (row, column, c))).collect();
        let index = df!("row" => (0..rows.len() as u32).collect::<Vec<_>>())?;
        if placed.is_empty() {
            return Ok(Summary { wide: index });
        }
        let tidy = df!(
            "row" => placed.iter().map(|p| p.0).collect::<Vec<_>>(),
            "column" => placed.iter().map(|p| p.1).collect::<Vec<_>>(),
            "n" => placed.iter().map(|p| p.2.n).collect::<Vec<_>>(),
            "percent" => placed.iter().map(|p| p.2.percent()).collect::<Vec<_>>(),
            "low" => placed.iter().map(|p| p.2.interval().0).collect::<Vec<_>>(),
            "high" => placed.iter().map(|p| p.2.interval().1).collect::<Vec<_>>(),
        )?;
        let long = tidy.group_by_stable(["row", "column"])?.apply(|group| {
            let percent = group.column("percent")?.f64()?;
            df!(
                "row" => [group.column("row")?.u32()?.first()],
                "column" => [group.column("column")?.u32()?.first()],
                "seeds" => [group.height() as u32],
                "n" => [group.column("n")?.u64()?.min()],
                "mean" => [percent.mean()],
                "sd" => [if group.height() > 1 { percent.std(1) } else { Some(0.0) }],
                "low" => [group.column("low")?.f64()?.min()],
                "high" => [group.column("high")?.f64()?.max()],
            )
        })?;
        let mut wide = index;
        for k in 0..columns.len() as u32 {
            let mut part = long.filter(&long.column("column")?.u32()?.equal(k))?.drop("column")?;
            for measure in MEASURES {
                part.rename(measure, format!("{measure} {k}").into())?;
            }
            wide = wide.left_join(&part, ["row"], ["row"])?;
        }
        Ok(Summary { wide })
    }

    /// The value of the r-th row in the k-th column; `None` where nothing was counted.
    pub fn value(&self, r: usize, k: usize) -> Option<Value> {
        let column = |measure: &str| self.wide.column(&format!("{measure} {k}")).ok();
        let real = |measure: &str| column(measure)?.f64().ok()?.get(r);
        Some(Value {
            seeds: column("seeds")?.u32().ok()?.get(r)?,
            n: column("n")?.u64().ok()?.get(r)?,
            mean: real("mean")?,
            sd: real("sd")?,
            low: real("low")?,
            high: real("high")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_averaged_and_gaps_stay_gaps() {
        let rows = vec!["a".to_string(), "b".to_string()];
        let worst = Column::Worst { norm: gauntlet_records::Norm::Linf, eps: "0.1".parse().unwrap() };
        let columns = vec![Column::Clean, worst.clone()];
        let count = |row: &str, seed, column: &Column, correct| Count {
            row: row.into(),
            seed,
            column: column.clone(),
            n: 10,
            correct,
        };
        let counts = [
            count("b", 0, &columns[0], 8),
            count("a", 0, &columns[0], 9),
            count("a", 1, &columns[0], 7),
            count("b", 0, &worst, 1),
        ];
        let summary = Summary::new(&rows, &columns, &counts).unwrap();
        let a = summary.value(0, 0).unwrap();
        assert_eq!((a.seeds, a.n, a.mean), (2, 10, 80.0));
        assert!((a.sd - 200f64.sqrt()).abs() < 1e-9, "{}", a.sd);
        assert_eq!((a.low, a.high), (counts[2].interval().0, counts[1].interval().1));
        assert_eq!(summary.value(0, 1), None);
        assert_eq!(summary.value(1, 1).map(|v| (v.mean, v.sd)), Some((10.0, 0.0)));
        assert!(Summary::new(&rows, &columns, &[]).unwrap().value(0, 0).is_none());
    }
}
