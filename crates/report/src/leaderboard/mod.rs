//! Rows of any number of reports, one board for every protocol: the attacks with their parameters, the norm, the budget and the
//! images.
//!
//! AutoAttack ranks by itself, and its boards come first. Where a suite had none, everything that it attacked with makes the
//! protocol, and the board says that it is not AutoAttack.

mod forms;
mod protocol;
mod ranked;
mod ranking;
mod terminal;

pub use ranked::Ranked;

use crate::{Folder, Report, Result};
use gauntlet_records::{
    Eps, Norm, Record,
    record::constant_answer,
    statistics::{mean_sd, wilson},
};
use protocol::{Protocol, Trained};
use serde::Serialize;
use serde_json::Value;

/// Entries that went through the same protocol, the best first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Board {
    /// Data set.
    pub data: String,
    /// Norm of the budget.
    pub norm: Norm,
    /// Budget.
    pub eps: Eps,
    /// Ranked by AutoAttack; else by weaker attacks, whose accuracies are upper bounds.
    pub autoattack: bool,
    /// Registered names of the attacks.
    pub names: Vec<String>,
    /// The attacks with their parameters.
    pub attacks: Vec<String>,
    /// Images.
    pub n: u64,
    /// How they were chosen from the test set.
    pub examples: String,
    /// Accuracy in percent of one class for all images.
    pub chance: f64,
    /// Ranked by what is proved, since every entry has that.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub by_proof: bool,
    /// In order of rank, then of accuracy; at chance last.
    pub standings: Vec<Ranked>,
}

/// Every board that some reports give.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Leaderboard {
    /// AutoAttack first, then by data set, norm and budget, most images first.
    pub boards: Vec<Board>,
    /// What is wrong with the folders, and which rows were left out, one sentence each.
    pub problems: Vec<String>,
}

/// A row, and what it shares trainings with.
struct Entry<'a> {
    /// Which of the reports.
    report: usize,
    reports: Vec<String>,
    suite: String,
    row: String,
    also: Vec<(String, String)>,
    trained: Vec<Trained<'a>>,
}

impl Leaderboard {
    /// Ranks the rows of these folders.
    ///
    /// # Errors
    /// An aggregation fails.
    pub fn new(folders: &[Folder]) -> Result<Leaderboard> {
        Self::of(&folders.iter().map(|f| (String::new(), f)).collect::<Vec<_>>())
    }

    /// The same of folders with their names.
    ///
    /// # Errors
    /// See [`Leaderboard::new`].
    pub fn of(folders: &[(String, &Folder)]) -> Result<Leaderboard> {
        let mut problems = Vec::new();
        let mut drafts: Vec<(Protocol, Vec<Entry<'_>>)> = Vec::new();
        for (at, (path, folder)) in folders.iter().enumerate() {
            let report = Report::new(folder)?;
            let suite = &report.suite;
            problems.extend(report.problems.iter().map(|p| format!("{suite}: {p}")));
            for failure in &report.failures {
                problems.push(format!(
                    "{suite}: `{}` is left out, seed {} of it failed: {}",
                    failure.row, failure.seed, failure.reason
                ));
            }
            for record in folder.records.iter().filter(|r| !report.failed(&r.row)) {
                for found in protocol::of(record) {
                    match found {
                        Ok((protocol, trained)) => enter(&mut drafts, protocol, (at, path, suite), trained),
                        Err((norm, eps)) => problems.push(format!(
                            "{suite}: `{}`, seed {}, is left out at {} ε = {eps}: the search for the smallest perturbation \
                             failed there, and nothing else was tried",
                            record.row,
                            record.seed,
                            norm.symbol()
                        )),
                    }
                }
            }
        }
        let mut boards: Vec<Board> = drafts.into_iter().map(|(protocol, entries)| board(&protocol, entries)).collect();
        boards.sort_by(|a, b| {
            (b.autoattack.cmp(&a.autoattack))
                .then_with(|| (&a.data, a.norm, &a.eps).cmp(&(&b.data, b.norm, &b.eps)))
                .then_with(|| b.n.cmp(&a.n).then_with(|| a.attacks.cmp(&b.attacks)))
        });
        Ok(Leaderboard { boards, problems })
    }
}

fn enter<'a>(
    drafts: &mut Vec<(Protocol, Vec<Entry<'a>>)>,
    protocol: Protocol,
    (report, path, suite): (usize, &str, &str),
    trained: Trained<'a>,
) {
    let at = match drafts.iter().position(|d| d.0 == protocol) {
        Some(at) => at,
        None => {
            drafts.push((protocol, Vec::new()));
            drafts.len() - 1
        }
    };
    let entries = &mut drafts[at].1;
    let row = &trained.record.row;
    match entries.iter_mut().find(|e| e.report == report && e.row == *row) {
        Some(entry) => entry.trained.push(trained),
        None => {
            let (suite, row) = (suite.to_string(), row.clone());
            let reports = Some(path.to_string()).filter(|p| !p.is_empty()).into_iter().collect();
            entries.push(Entry { report, reports, suite, row, also: Vec::new(), trained: vec![trained] });
        }
    }
}

fn board(protocol: &Protocol, entries: Vec<Entry<'_>>) -> Board {
    let examples = entries.first().and_then(|e| e.trained.first()).map(|t| t.examples.clone());
    let (n, chance) = (protocol.images.len() as u64, protocol.chance());
    let mut ranked: Vec<(Ranked, Vec<Trained<'_>>)> =
        joined(entries).into_iter().map(|entry| ranked(entry, n, chance)).collect();
    let by_proof = !ranked.is_empty() && ranked.iter().all(|(s, _)| s.certified.is_some());
    ranking::rank(&mut ranked, by_proof);
    Board {
        data: protocol.data.clone(),
        norm: protocol.norm,
        eps: protocol.eps.clone(),
        autoattack: protocol.autoattack,
        names: protocol.names(),
        attacks: protocol.attacks(),
        n,
        examples: examples.unwrap_or_default(),
        chance,
        by_proof,
        standings: ranked.into_iter().map(|r| r.0).collect(),
    }
}

/// Entries that share a training are one recipe: the first of them gets the others' trainings, each once.
fn joined(entries: Vec<Entry<'_>>) -> Vec<Entry<'_>> {
    let weights = |t: &Trained<'_>| t.record.result.checkpoint_sha256.clone();
    let mut kept: Vec<Entry<'_>> = Vec::new();
    for entry in entries {
        let own: Vec<String> = entry.trained.iter().map(weights).filter(|sha256| !sha256.is_empty()).collect();
        let shares = |e: &Entry<'_>| e.trained.iter().any(|t| own.contains(&weights(t)));
        let (same, apart): (Vec<Entry<'_>>, Vec<Entry<'_>>) = kept.into_iter().partition(shares);
        kept = apart;
        let mut all = same.into_iter().chain([entry]);
        let Some(mut first) = all.next() else { continue };
        for mut other in all {
            other.reports.retain(|r| !first.reports.contains(r));
            first.reports.append(&mut other.reports);
            first.also.push((other.suite, other.row));
            first.also.append(&mut other.also);
            first.trained.append(&mut other.trained);
        }
        let mut seen: Vec<String> = Vec::new();
        first.trained.retain(|t| {
            let sha256 = weights(t);
            let new = sha256.is_empty() || !seen.contains(&sha256);
            seen.push(sha256);
            new
        });
        kept.push(first);
    }
    kept
}

fn ranked(entry: Entry<'_>, n: u64, chance: f64) -> (Ranked, Vec<Trained<'_>>) {
    let (trained, mut also) = (entry.trained, entry.also);
    also.sort_unstable();
    also.dedup();
    also.retain(|(suite, row)| *suite != entry.suite || *row != entry.row);
    let records: Vec<&Record> = trained.iter().map(|t| t.record).collect();
    let mean = |of: &dyn Fn(&Trained<'_>) -> u64| {
        let percents: Vec<f64> = trained.iter().map(|t| 100.0 * of(t) as f64 / n.max(1) as f64).collect();
        mean_sd(&percents).map_or(0.0, |m| m.0)
    };
    let clean = mean(&|t| t.clean);
    let (robust, sd, low, high) = ranking::interval(&ranking::percents(&trained, false), n);
    let proved = trained.iter().all(|t| t.proved.is_some());
    let constant = |r: &&Record| constant_answer(&r.result.clean).is_some();
    let beyond_doubt = 100.0 * wilson((clean / 100.0 * n as f64).round() as u64, n, 1.96).0;
    let mut flags = flags(&records);
    let mut raise = |name: &str, when: bool| {
        if when && flags.iter().all(|f| f != name) {
            flags.push(name.to_string());
        }
    };
    // Records of before these flags have the verdicts that they are raised by.
    raise("constant-answer", records.iter().any(constant));
    raise("minimal-attack-fails", trained.iter().any(|t| t.fails));
    let standing = Ranked {
        rank: None,
        model: setting(&records, "/training/model/name"),
        clean,
        robust,
        certified: proved.then(|| mean(&|t| t.proved.iter().flatten().filter(|p| **p).count() as u64)),
        under_all: mean(&|t| t.under_all),
        sd,
        low,
        high,
        seeds: trained.len() as u32,
        at_chance: beyond_doubt <= chance || records.iter().all(constant),
        flags,
        also: also.into_iter().map(|(suite, row)| format!("{suite}: {row}")).collect(),
        row: entry.row,
        suite: entry.suite,
        reports: entry.reports,
    };
    (standing, trained)
}

fn setting(records: &[&Record], pointer: &str) -> String {
    let value = records.iter().find_map(|r| r.result.configuration.pointer(pointer)).and_then(Value::as_str);
    value.unwrap_or("unknown").to_string()
}

fn flags(records: &[&Record]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for flag in records.iter().flat_map(|r| &r.result.flags).filter(|f| f.marks()) {
        if !found.contains(&flag.name) {
            found.push(flag.name.clone());
        }
    }
    found
}
