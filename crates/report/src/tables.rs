//! The tables as CSV: one line per training and column, and one line per row and column over seeds.

use crate::{Column, Report, Result};
use csv::Writer;

impl Report {
    /// One line per row × seed × attack × ε; accuracies and Wilson's 95 % bounds in percent. A failed training without
    /// any count has one line with its reason.
    ///
    /// # Errors
    /// CSV cannot be written.
    pub fn table_csv(&self) -> Result<Vec<u8>> {
        let mut out = Writer::from_writer(Vec::new());
        out.write_record([
            "suite",
            "row",
            "seed",
            "attack",
            "norm",
            "eps",
            "n",
            "correct",
            "accuracy",
            "wilson_low",
            "wilson_high",
            "failed",
        ])?;
        for count in &self.counts {
            let (norm, eps) = budget(&count.column);
            let (low, high) = count.interval();
            let reason = self.reason(&count.row, count.seed);
            out.write_record([
                &self.suite,
                &count.row,
                &count.seed.to_string(),
                count.column.attack(),
                &norm,
                &eps,
                &count.n.to_string(),
                &count.correct.to_string(),
                &format!("{:.2}", count.percent()),
                &format!("{low:.2}"),
                &format!("{high:.2}"),
                reason,
            ])?;
        }
        for failure in &self.failures {
            if !self.counts.iter().any(|c| c.row == failure.row && c.seed == failure.seed) {
                let seed = failure.seed.to_string();
                out.write_record([&self.suite, &failure.row, &seed, "", "", "", "", "", "", "", "", &failure.reason])?;
            }
        }
        Ok(out.into_inner().map_err(|e| csv::Error::from(e.into_error()))?)
    }

    /// One line per row × attack × ε: mean and sample standard deviation over seeds, in percent, and the envelope of
    /// the seeds' Wilson intervals.
    ///
    /// # Errors
    /// CSV cannot be written.
    pub fn summary_csv(&self) -> Result<Vec<u8>> {
        let mut out = Writer::from_writer(Vec::new());
        out.write_record(["suite", "row", "attack", "norm", "eps", "seeds", "n", "mean", "sd", "low", "high"])?;
        for (r, row) in self.rows.iter().enumerate() {
            for (k, column) in self.columns.iter().enumerate() {
                let Some(v) = self.summary.value(r, k) else { continue };
                let (norm, eps) = budget(column);
                let number = |x: f64| format!("{x:.2}");
                out.write_record([
                    &self.suite,
                    row,
                    column.attack(),
                    &norm,
                    &eps,
                    &v.seeds.to_string(),
                    &v.n.to_string(),
                    &number(v.mean),
                    &number(v.sd),
                    &number(v.low),
                    &number(v.high),
                ])?;
            }
        }
        Ok(out.into_inner().map_err(|e| csv::Error::from(e.into_error()))?)
    }

    fn reason(&self, row: &str, seed: u64) -> &str {
        self.failures.iter().find(|f| f.row == row && f.seed == seed).map_or("", |f| f.reason.as_str())
    }
}

fn budget(column: &Column) -> (String, String) {
    column.budget().map_or_else(Default::default, |(norm, eps)| (norm.to_string(), eps.to_string()))
}
