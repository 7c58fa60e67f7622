//! The report: what tables and pages are made from.

use crate::answers::Answers;
use crate::digits::range;
use crate::images::{self, Images};
use crate::plots::course;
use crate::remarks;
use crate::{
    Broken, ClassCount, Column, Count, Folder, Judged, Judgement, Pair, Power, Result, Standings, Summary, Unbroken,
    WorstClass, broken, classes, expectations, models, pairs, proved_better, provenance, standings, twins, unbroken,
};
use gauntlet_records::Error as RecordError;
use gauntlet_records::{Record, file::write_atomically};
use std::path::{Path, PathBuf};

/// A part of the suite that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Row of the suite.
    pub row: String,
    /// Training seed.
    pub seed: u64,
    /// Why.
    pub reason: String,
}

/// What one training took.
#[derive(Debug, Clone, PartialEq)]
pub struct Cost {
    /// Row of the suite.
    pub row: String,
    /// Training seed.
    pub seed: u64,
    /// Multiplications of a training step ÷ those of one of `ce` on the same batch.
    pub relative_to_ce: f64,
}

/// Everything that a table needs, computed once from a folder of records.
#[derive(Debug, Clone)]
pub struct Report {
    /// Name of the suite.
    pub suite: String,
    /// Row ids in the suite's order.
    pub rows: Vec<String>,
    /// All seeds, ascending.
    pub seeds: Vec<u64>,
    /// Columns: clean, attacks × ε in the suite's order, worst cases.
    pub columns: Vec<Column>,
    /// Counts per row × seed × column, in that order.
    pub counts: Vec<Count>,
    /// Means over seeds.
    pub summary: Summary,
    /// How every row stands to the best of each column.
    pub standings: Standings,
    /// Two rows on the same images, seed by seed, in the columns that speak for their norm and ε.
    pub pairs: Vec<Pair>,
    /// What those pairs can tell apart, column by column.
    pub power: Vec<Power>,
    /// Published numbers and ours, in the suite's order.
    pub expectations: Vec<Judged>,
    /// How this run is a smaller one than the suite's.
    pub shortened: Option<String>,
    /// Counts class by class, clean and in the columns where classes say something.
    pub classes: Vec<ClassCount>,
    /// The class that each row holds worst in those columns.
    pub worst_classes: Vec<WorstClass>,
    /// What searches for the smallest perturbation broke at no size.
    pub unbroken: Vec<Unbroken>,
    /// What each attack broke, and which was first.
    pub broken: Vec<Broken>,
    /// Per row, accuracy in percent under the quick attack after every epoch of its training, mean over seeds; empty for a row
    /// that was not trained.
    pub courses: Vec<Vec<f64>>,
    /// Costs of the trainings whose records know them.
    pub costs: Vec<Cost>,
    /// Failed parts.
    pub failures: Vec<Failure>,
    /// What was wrong with the folder.
    pub problems: Vec<String>,
    /// What readers should know: the suite's notes, then those of its rows.
    pub notes: Vec<String>,
    /// The referee's flags and what the rows say about one another, one sentence each.
    pub remarks: Vec<String>,
    /// The same for a terminal: flags of one kind and row in one line.
    pub told: Vec<String>,
    /// Label and value, one line each.
    pub provenance: Vec<(String, String)>,
    /// Which test images the numbers are about.
    pub(crate) images: Images,
    /// Per column the fewest and the most examples, where columns differ.
    pub(crate) sizes: Vec<(u64, u64)>,
}

impl Report {
    /// Computes the report of a folder.
    ///
    /// # Errors
    /// An aggregation fails.
    pub fn new(folder: &Folder) -> Result<Report> {
        let records = &folder.records;
        let mut rows: Vec<String> = Vec::new();
        let mut seeds: Vec<u64> = Vec::new();
        for record in records {
            if !rows.contains(&record.row) {
                rows.push(record.row.clone());
            }
            seeds.push(record.seed);
        }
        seeds.sort_unstable();
        seeds.dedup();
        let answers: Vec<Answers<'_>> = records.iter().map(Answers::of).collect();
        let counts: Vec<Count> = answers.iter().flat_map(Answers::counts).collect();
        let columns = columns(&counts);
        let summary = Summary::new(&rows, &columns, &counts)?;
        let manifest = &folder.manifest;
        let expectations = expectations::judged(&manifest.expect, &answers, manifest.shortened.is_some());
        let by_row = standings::by_row(&rows, answers);
        let unbroken: Vec<Unbroken> = records.iter().flat_map(unbroken::of).collect();
        let fails: Vec<bool> = columns.iter().map(|c| unbroken::fails(&unbroken, c)).collect();
        let standings = Standings::new(&by_row, &columns, &summary, &fails);
        let pairs = pairs::of(&by_row, &columns, &standings, &fails);
        let classes = classes::counts(&by_row, &columns, &summary, &fails);
        let failures = records
            .iter()
            .filter_map(|r| Some(Failure { row: r.row.clone(), seed: r.seed, reason: r.failed.clone()? }))
            .collect();
        let cost = |r: &Record| {
            let relative_to_ce = r.provenance.cost_relative_to_ce?;
            Some(Cost { row: r.row.clone(), seed: r.seed, relative_to_ce })
        };
        let costs = records.iter().filter_map(cost).collect();
        let mut problems = folder.problems.clone();
        problems.extend(mixtures(records));
        let mut notes = folder.manifest.notes.clone();
        for row in &rows {
            let said = |key: &str| {
                records.iter().filter(|r| r.row == *row).find_map(|r| r.result.configuration.get(key)?.as_str())
            };
            notes.extend(said("note").map(|note| format!("`{row}`: {note}")));
            notes.extend(
                said("checkpoint").map(|source| format!("`{row}`: not trained here, its weights are {source}")),
            );
            notes.extend(said("teacher").map(|teacher| format!("`{row}`: taught by {teacher}")));
        }
        notes.extend(models::sentences(&rows, records));
        notes.extend(proved_better::proved_better(&rows, &columns, &counts));
        let mut remarks = twins::sentences(records);
        let mut told = remarks.clone();
        told.extend(remarks::by_row(&rows, records));
        remarks.extend(remarks::each(records));
        Ok(Report {
            suite: folder.manifest.suite.clone(),
            courses: rows.iter().map(|row| course::course(row, records)).collect(),
            provenance: provenance::lines(&folder.manifest, records, &seeds),
            images: Images::of(records),
            sizes: images::sizes(&columns, &counts),
            rows,
            seeds,
            columns,
            counts,
            power: pairs::power(&pairs),
            pairs,
            expectations,
            shortened: manifest.shortened.clone(),
            worst_classes: classes::worst(&classes, &by_row, &summary),
            classes,
            unbroken,
            broken: records.iter().flat_map(broken::of).collect(),
            summary,
            standings,
            costs,
            failures,
            problems,
            notes,
            remarks,
            told,
        })
    }

    /// The count of one training in one column.
    pub fn count(&self, row: &str, seed: u64, column: &Column) -> Option<&Count> {
        self.counts.iter().find(|c| c.row == row && c.seed == seed && c.column == *column)
    }

    /// What the k-th column is called: where columns have different numbers of examples, with its own.
    pub fn heading(&self, k: usize) -> String {
        match self.size(k) {
            Some(n) => format!("{} ({n})", self.columns[k]),
            None => self.columns[k].to_string(),
        }
    }

    /// `n = 1000`, where columns have different numbers of examples.
    pub(crate) fn size(&self, k: usize) -> Option<String> {
        let (few, many) = *self.sizes.get(k)?;
        Some(format!("n = {}", range([few, many].into_iter())))
    }

    /// What a row is called: where rows of one column were run on different numbers of examples, with its own.
    pub fn row_name(&self, row: &str) -> String {
        let of = |c: &&Count| c.row == row;
        let mixed = self.columns.iter().any(|column| {
            let own = self.counts.iter().filter(|c| c.column == *column);
            own.clone().map(|c| c.n).min() != own.map(|c| c.n).max()
        });
        match self.counts.iter().any(|c| of(&c)) && mixed {
            true => format!("{row} (n = {})", range(self.counts.iter().filter(of).map(|c| c.n))),
            false => row.to_string(),
        }
    }

    /// Whether any part of that row failed.
    pub fn failed(&self, row: &str) -> bool {
        self.failures.iter().any(|f| f.row == row)
    }

    /// How many expectations were judged and are outside.
    pub fn unmet(&self) -> usize {
        self.expectations.iter().filter(|e| matches!(e.judgement, Judgement::Outside { .. })).count()
    }

    /// Writes `table.md`, `table.csv`, `summary.csv` and, where there is anything to put into them, `expectations.csv`,
    /// `pairs.csv`, `classes.csv` and `broken.csv` into `folder`; where there is not, a file of that name from before is
    /// removed. Returns the paths written.
    ///
    /// # Errors
    /// A file cannot be written or removed.
    pub fn write(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        let files = [
            ("table.md", Some(self.markdown().into_bytes())),
            ("table.csv", Some(self.table_csv()?)),
            ("summary.csv", Some(self.summary_csv()?)),
            ("expectations.csv", self.expectations_csv()?),
            ("pairs.csv", self.pairs_csv()?),
            ("classes.csv", self.classes_csv()?),
            ("broken.csv", self.broken_csv()?),
        ];
        let mut written = Vec::new();
        for (name, bytes) in files {
            let path = folder.join(name);
            match bytes {
                Some(bytes) => {
                    write_atomically(&path, &bytes)?;
                    written.push(path);
                }
                None => remove(&path)?,
            }
        }
        Ok(written)
    }
}

/// Removes a file that may not be there.
fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(RecordError::Io { action: "remove", path: path.display().to_string(), source }.into())
        }
        _ => Ok(()),
    }
}

/// A flag's sentence without its full stop: one is put behind it.
/// Clean, then attacks in order of first appearance, then worst cases by norm and ε, then certifications likewise.
fn columns(counts: &[Count]) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::new();
    for count in counts {
        if !columns.contains(&count.column) {
            columns.push(count.column.clone());
        }
    }
    columns.sort_by_key(|c| match c {
        Column::Clean => (0, None),
        Column::Attack { .. } => (1, None),
        Column::Worst { norm, eps } => (2, Some((*norm, eps.clone()))),
        Column::Certified { norm, eps, .. } => (3, Some((*norm, eps.clone()))),
    });
    columns
}

/// Records that should not stand in one table: another data set, other examples, another attack under the same label.
fn mixtures(records: &[Record]) -> Vec<String> {
    let mut problems = Vec::new();
    let measured: Vec<&Record> = records.iter().filter(|r| !r.result.clean.is_empty()).collect();
    let Some(first) = measured.first() else { return problems };
    let name = |r: &Record| format!("`{}`, seed {}", r.row, r.seed);
    for r in &measured[1..] {
        if r.result.data_sha256 != first.result.data_sha256 {
            problems.push(format!(
                "{} and {} were trained on different data; do not compare them",
                name(r),
                name(first)
            ));
        }
        // What a suite sets for a row, for all that it trains, for all: a difference means that records of two versions
        // of it have met.
        let given = |r: &Record| r.result.configuration.get("checkpoint").is_some();
        let same_row = measured.iter().find(|o| o.row == r.row);
        let trained = measured.iter().find(|o| !given(o) && !given(r));
        let parts = [
            ("/training/model", "have different models", same_row),
            ("/training/train", "were trained with different settings", trained),
            ("/evaluation", "were attacked under different conditions (images, seed or draws)", Some(first)),
        ];
        for (pointer, what, other) in parts {
            if let Some(other) = other
                && r.result.configuration.pointer(pointer) != other.result.configuration.pointer(pointer)
            {
                problems.push(format!("{} and {} {what}; run the suite again for the older one", name(r), name(other)));
            }
        }
        if !r.result.clean.iter().map(|v| v.id).eq(first.result.clean.iter().map(|v| v.id)) {
            problems.push(format!("{} and {} were attacked on different examples", name(r), name(first)));
        }
        for cell in &r.result.attacked {
            let same =
                |c: &&gauntlet_records::Attacked| (&c.attack, c.norm, &c.eps) == (&cell.attack, cell.norm, &cell.eps);
            let ids = |c: &gauntlet_records::Attacked| c.verdicts.iter().map(|v| v.id).collect::<Vec<_>>();
            if let Some(other) = first.result.attacked.iter().find(same)
                && cell.examples.or(other.examples).is_some()
                && ids(cell) != ids(other)
            {
                let (attack, eps) = (&cell.attack, &cell.eps);
                problems.push(format!(
                    "{attack} at ε = {eps} was run on different examples for {} and {}; only those of both are paired",
                    name(r),
                    name(first)
                ));
            }
            if let Some(other) = first.result.attacked.iter().find(same)
                && other.parameters != cell.parameters
            {
                problems.push(format!(
                    "{} at ε = {} has other parameters for {} than for {}",
                    cell.attack,
                    cell.eps,
                    name(r),
                    name(first)
                ));
            }
        }
    }
    problems
}
