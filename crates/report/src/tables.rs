//! The tables as CSV: one line per number, and every number with its n.

use crate::digits::significant;
use crate::{Column, Judgement, Report, Result, Unbroken};
use csv::Writer;

impl Report {
    /// One line per row × seed × attack × ε; accuracies and Wilson's 95 % bounds in percent. `unbroken`: of a search for the
    /// smallest perturbation, the correct images that it broke at no size, in percent; over 2 %, it failed. A failed training
    /// without any count has one line with its reason.
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
            "unbroken",
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
                &self.unbroken(&count.row, Some(count.seed), &count.column),
                reason,
            ])?;
        }
        for failure in &self.failures {
            if !self.counts.iter().any(|c| c.row == failure.row && c.seed == failure.seed) {
                let seed = failure.seed.to_string();
                out.write_record([
                    &self.suite,
                    &failure.row,
                    &seed,
                    "",
                    "",
                    "",
                    "",
                    "",
                    "",
                    "",
                    "",
                    "",
                    &failure.reason,
                ])?;
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
        out.write_record([
            "suite", "row", "attack", "norm", "eps", "seeds", "n", "mean", "sd", "low", "high", "unbroken",
        ])?;
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
                    &self.unbroken(row, None, column),
                ])?;
            }
        }
        Ok(out.into_inner().map_err(|e| csv::Error::from(e.into_error()))?)
    }

    /// One line per published number: its error and band, ours and what became of it, in the number's own unit. `None` without any.
    ///
    /// # Errors
    /// CSV cannot be written.
    pub fn expectations_csv(&self) -> Result<Option<Vec<u8>>> {
        let header = [
            "suite",
            "what",
            "published",
            "published_sd",
            "published_n",
            "band_low",
            "band_high",
            "ours",
            "sd",
            "low",
            "high",
            "seeds",
            "n",
            "measured_on",
            "difference",
            "verdict",
            "counted",
            "outside_by",
            "why",
            "others_pass",
            "others",
            "set",
            "set_in",
            "source",
            "published_with",
        ];
        csv(header, &self.expectations, |j| {
            let number = |x: Option<f64>| x.map_or_else(String::new, |x| x.to_string());
            let by = match j.judgement {
                Judgement::Outside { by } => Some(by),
                _ => None,
            };
            [
                self.suite.clone(),
                j.expectation.to_string(),
                number(j.expectation.value),
                number(j.expectation.sd),
                j.expectation.n.map_or_else(String::new, |n| n.to_string()),
                number(j.expectation.band.and_then(|b| b.0)),
                number(j.expectation.band.and_then(|b| b.1)),
                number(j.ours.map(|o| o.0)),
                number(j.ours.map(|o| o.1)),
                number(j.interval.map(|i| i.0)),
                number(j.interval.map(|i| i.1)),
                j.seen.len().to_string(),
                j.sample.and_then(|s| s.n()).map_or_else(String::new, |n| n.to_string()),
                j.sample.map_or_else(String::new, |s| s.to_string()),
                number(j.difference),
                j.judgement.name().into(),
                j.expectation.counts().to_string(),
                number(by),
                j.why.clone().unwrap_or_default(),
                j.others.map_or_else(String::new, |o| o.0.to_string()),
                j.others.map_or_else(String::new, |o| o.1.to_string()),
                j.ours.map_or("", |_| if j.set_in.is_some() { "before" } else { "after" }).into(),
                j.set_in.clone().unwrap_or_default(),
                j.expectation.source.clone().unwrap_or_default(),
                j.expectation.published_with.clone().unwrap_or_default(),
            ]
        })
    }

    /// One line per two rows, column and seed: McNemar's exact test on the same images, and the smallest difference in points
    /// that it would find with 80 % power at that discordance. `None` without any.
    ///
    /// # Errors
    /// CSV cannot be written.
    pub fn pairs_csv(&self) -> Result<Option<Vec<u8>>> {
        let header = [
            "suite",
            "row_a",
            "row_b",
            "attack",
            "norm",
            "eps",
            "seed",
            "n",
            "only_a_right",
            "only_b_right",
            "p",
            "detectable",
        ];
        csv(header, &self.pairs, |p| {
            let (attack, norm, eps) = self.column(p.column);
            [
                self.suite.clone(),
                self.rows[p.a].clone(),
                self.rows[p.b].clone(),
                attack,
                norm,
                eps,
                p.seed.to_string(),
                p.n.to_string(),
                p.only_a.to_string(),
                p.only_b.to_string(),
                significant(p.p),
                p.detectable().map_or_else(String::new, |d| format!("{d:.2}")),
            ]
        })
    }

    /// One line per row × seed × column × class; accuracies and Wilson's 95 % bounds in percent. `None` without any.
    ///
    /// # Errors
    /// CSV cannot be written.
    pub fn classes_csv(&self) -> Result<Option<Vec<u8>>> {
        let header = [
            "suite",
            "row",
            "seed",
            "attack",
            "norm",
            "eps",
            "class",
            "n",
            "correct",
            "accuracy",
            "wilson_low",
            "wilson_high",
        ];
        csv(header, &self.classes, |c| {
            let (attack, norm, eps) = self.column(c.column);
            let (low, high) = c.interval();
            [
                self.suite.clone(),
                self.rows[c.row].clone(),
                c.seed.to_string(),
                attack,
                norm,
                eps,
                c.class.clone(),
                c.n.to_string(),
                c.correct.to_string(),
                format!("{:.2}", c.percent()),
                format!("{low:.2}"),
                format!("{high:.2}"),
            ]
        })
    }

    /// One line per row × seed × ε × attack, and one per stage of an ensemble: examples out of n. `None` without any.
    ///
    /// # Errors
    /// CSV cannot be written.
    pub fn broken_csv(&self) -> Result<Option<Vec<u8>>> {
        let header =
            ["suite", "row", "seed", "norm", "eps", "attack", "stage", "n", "clean_right", "broken", "first", "alone"];
        csv(header, &self.broken, |b| {
            [
                self.suite.clone(),
                b.row.clone(),
                b.seed.to_string(),
                b.norm.to_string(),
                b.eps.to_string(),
                b.attack.clone(),
                b.stage.clone(),
                b.n.to_string(),
                b.right.to_string(),
                b.broken.to_string(),
                b.first.to_string(),
                b.alone.to_string(),
            ]
        })
    }

    /// Share of the correct images that a search for the smallest perturbation broke at no size, in percent, the largest of the
    /// seeds (or of the one given); empty for other columns.
    fn unbroken(&self, row: &str, seed: Option<u64>, column: &Column) -> String {
        let own = |u: &&Unbroken| u.row == row && u.column == *column && seed.is_none_or(|s| s == u.seed);
        let largest = self.unbroken.iter().filter(own).map(|u| u.percent).reduce(f64::max);
        largest.map_or_else(String::new, |percent| format!("{percent:.2}"))
    }

    /// Attack, norm and ε of the k-th column.
    fn column(&self, k: usize) -> (String, String, String) {
        let (norm, eps) = budget(&self.columns[k]);
        (self.columns[k].attack().to_string(), norm, eps)
    }

    fn reason(&self, row: &str, seed: u64) -> &str {
        self.failures.iter().find(|f| f.row == row && f.seed == seed).map_or("", |f| f.reason.as_str())
    }
}

fn budget(column: &Column) -> (String, String) {
    column.budget().map_or_else(Default::default, |(norm, eps)| (norm.to_string(), eps.to_string()))
}

/// A table with one line per item; `None` without items.
fn csv<T, const N: usize>(header: [&str; N], items: &[T], line: impl Fn(&T) -> [String; N]) -> Result<Option<Vec<u8>>> {
    if items.is_empty() {
        return Ok(None);
    }
    let mut out = Writer::from_writer(Vec::new());
    out.write_record(header)?;
    for item in items {
        out.write_record(line(item))?;
    }
    Ok(Some(out.into_inner().map_err(|e| csv::Error::from(e.into_error()))?))
}
