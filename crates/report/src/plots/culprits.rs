//! Which attack broke how much: of an ensemble its stages, of separate attacks the first in the suite's order.

use super::palette::{PALE, REST, SERIES};
use super::plot::{Plot, Subject, one, parts, slug};
use super::{bars, strictest};
use crate::{Broken, Report, Result};
use gauntlet_records::Record;
use std::collections::BTreeSet;

/// Rows of one picture.
const MOST: usize = 30;

/// Who is blamed in one picture, and for how many examples of each training.
struct Trial<'a> {
    title: String,
    name: String,
    culprits: Vec<&'a str>,
    blame: Vec<(&'a Broken, &'a str, u64)>,
}

/// A picture for every ensemble, and for all attacks together, at every norm and ε.
pub(super) fn plots(report: &Report, records: &[Record]) -> Result<Vec<Plot>> {
    let mut plots = Vec::new();
    let leading = strictest::leading(report);
    for (k, norm, eps) in strictest::columns(report) {
        let here: Vec<&Broken> = report.broken.iter().filter(|b| (b.norm, &b.eps) == (norm, &eps) && b.n > 0).collect();
        for trial in trials(&here, records) {
            for (range, file, of) in parts(report.rows.len(), MOST) {
                let rows = &report.rows[range];
                let bars: Vec<(String, Vec<f64>)> =
                    rows.iter().filter_map(|row| Some((row.clone(), trial.shares(row)?))).collect();
                if !bars.is_empty() {
                    let leads = Some(k) == leading && plots.iter().all(|p: &Plot| !p.leads);
                    plots.push(Plot { leads, ..plot(&trial, &bars, &file, &of)? });
                }
            }
        }
    }
    Ok(plots)
}

fn plot(trial: &Trial<'_>, bars: &[(String, Vec<f64>)], file: &str, of: &str) -> Result<Plot> {
    let title = format!("{}{of}", trial.title);
    let mut labels = vec![(PALE, "wrong without any attack".to_string())];
    // More culprits than colours share the last one.
    labels.extend(trial.culprits.iter().enumerate().map(|(k, c)| (SERIES[k.min(SERIES.len() - 1)], c.to_string())));
    labels.push((REST, "withstood".to_string()));
    let mut header = vec!["recipe".to_string()];
    header.extend(labels.iter().map(|(_, l)| format!("{l}, %")));
    let lines: Vec<Vec<String>> = bars
        .iter()
        .map(|(row, shares)| std::iter::once(row.clone()).chain(shares.iter().map(|s| one(*s))).collect())
        .collect();
    let told = bars.iter().map(|(row, shares)| {
        let named = labels.iter().zip(shares).filter(|(_, s)| **s > 0.0);
        format!("{row}: {}", named.map(|((_, l), s)| format!("{l} {} %", one(*s))).collect::<Vec<_>>().join(", "))
    });
    Ok(Plot {
        name: format!("{}{file}", trial.name),
        subject: Subject::Culprits,
        leads: false,
        description: format!("A bar for each row, of all its examples. {}.", told.collect::<Vec<_>>().join("; ")),
        drawing: bars::draw(&title, &labels, bars)?,
        header,
        lines,
        title,
    })
}

/// The trials of one norm and ε.
fn trials<'a>(here: &[&'a Broken], records: &[Record]) -> Vec<Trial<'a>> {
    let whole = || here.iter().copied().filter(|b| b.stage.is_empty());
    let Some(place) = here.first() else { return Vec::new() };
    let (at, file) = (strictest::budget(place.norm, &place.eps), format!("{}-{}", place.norm, place.eps));
    let mut attacks: Vec<&str> = Vec::new();
    for b in whole() {
        if !attacks.contains(&b.attack.as_str()) {
            attacks.push(&b.attack);
        }
    }
    let staged = |attack: &&&str| here.iter().any(|b| b.attack == **attack && !b.stage.is_empty());
    let within = |ensemble: &&'a str| {
        let blame = stages(here, ensemble);
        Trial {
            title: format!("What broke first, within {ensemble} at {at}"),
            name: format!("broken-within-{}", slug(&format!("{ensemble}-{file}"))),
            culprits: ordered(&blame, records, ensemble),
            blame,
        }
    };
    let mut trials: Vec<Trial<'a>> = attacks.iter().filter(staged).map(within).collect();
    if attacks.len() > 1 {
        trials.push(Trial {
            title: format!("What broke first, of all attacks at {at}"),
            name: format!("broken-by-{}", slug(&file)),
            blame: whole().map(|b| (b, b.attack.as_str(), b.first)).collect(),
            culprits: attacks,
        });
    }
    trials
}

/// What the stages of an ensemble broke; the ensemble itself where the stage was not kept.
fn stages<'a>(here: &[&'a Broken], ensemble: &str) -> Vec<(&'a Broken, &'a str, u64)> {
    let own: Vec<&'a Broken> = here.iter().copied().filter(|b| b.attack == ensemble).collect();
    let blame = |b: &&'a Broken| {
        if !b.stage.is_empty() {
            return (*b, b.stage.as_str(), b.broken);
        }
        let parts = own.iter().filter(|s| (&s.row, s.seed) == (&b.row, b.seed) && !s.stage.is_empty());
        (*b, b.attack.as_str(), b.broken - parts.map(|s| s.broken).sum::<u64>())
    };
    own.iter().map(blame).collect()
}

/// Who broke anything, in the order of the ensemble where its parameters tell it, else by name: never by chance.
fn ordered<'a>(blame: &[(&'a Broken, &'a str, u64)], records: &[Record], ensemble: &str) -> Vec<&'a str> {
    let names: BTreeSet<&str> = blame.iter().filter(|b| b.2 > 0).map(|b| b.1).collect();
    let mut culprits: Vec<&str> = names.into_iter().collect();
    if let Some(cell) = records.iter().flat_map(|r| &r.result.attacked).find(|c| c.attack == ensemble) {
        let text = cell.parameters.to_string();
        culprits.sort_by_key(|c| text.find(&format!("\"{c}\"")).unwrap_or(usize::MAX));
    }
    culprits
}

impl Trial<'_> {
    /// Shares in percent over all seeds of a row that were attacked: wrong clean, each culprit, withstood.
    fn shares(&self, row: &str) -> Option<Vec<f64>> {
        let mut counts = vec![0u64; self.culprits.len() + 2];
        let (mut all, mut right, mut seeds) = (0, 0, BTreeSet::new());
        for (b, culprit, count) in self.blame.iter().filter(|b| b.0.row == row) {
            if seeds.insert(b.seed) {
                (all, right) = (all + b.n, right + b.right);
            }
            if let Some(place) = self.culprits.iter().position(|c| c == culprit) {
                counts[1 + place] += count;
            }
        }
        let broken: u64 = counts.iter().sum();
        let last = counts.len() - 1;
        (counts[0], counts[last]) = (all - right, right - broken);
        (all > 0).then(|| counts.iter().map(|c| 100.0 * *c as f64 / all as f64).collect())
    }
}
