//! By what every example was decided: proved by which method, broken by an attack or by the search for a proof, or left open.

use super::palette::{PALE, REST, SERIES};
use super::plot::{Plot, Subject, one, parts, slug};
use super::{bars, strictest};
use crate::{Column, Report, Result};
use gauntlet_records::{Attacked, Certified, Fate, ProofFate, Record};
use std::collections::HashSet;

/// Rows of one picture.
const MOST: usize = 30;

/// A picture for every certification at every ε.
pub(super) fn plots(report: &Report, records: &[Record]) -> Result<Vec<Plot>> {
    let mut plots = Vec::new();
    for column in &report.columns {
        let Column::Certified { certify, norm, eps } = column else { continue };
        let cell = |r: &'_ Record| -> Option<usize> {
            let same = |c: &Certified| (&c.certify, c.norm, &c.eps) == (certify, *norm, eps) && !c.proofs.is_empty();
            r.result.certified.iter().position(same)
        };
        let mut methods: Vec<String> = Vec::new();
        for (r, k) in records.iter().filter_map(|r| Some((r, cell(r)?))) {
            for p in r.result.certified[k].proofs.iter().filter(|p| p.fate == ProofFate::Certified) {
                if !methods.contains(&p.method) {
                    methods.push(p.method.clone());
                }
            }
        }
        methods.sort_by_key(|m| (["ibp", "kw", "crown", "bab"].iter().position(|known| known == m), m.clone()));
        let mut labels = vec![(PALE, "wrong without any attack".to_string())];
        labels.extend(methods.iter().enumerate().map(|(k, m)| (SERIES[k.min(4)], format!("proved by {m}"))));
        labels.push((REST, "open".to_string()));
        labels.push((SERIES[5], "broken by the search".to_string()));
        labels.push((SERIES[6], "broken by an attack".to_string()));
        let shares = |row: &String| -> Option<Vec<f64>> {
            let mut counts = vec![0u64; labels.len()];
            for (r, k) in records.iter().filter(|r| r.row == *row).filter_map(|r| Some((r, cell(r)?))) {
                let proved = &r.result.certified[k];
                let broken = broken(r.result.complete().filter(|a| (a.norm, &a.eps) == (*norm, eps)));
                for p in &proved.proofs {
                    let open = methods.len() + 1;
                    let place = match p.fate {
                        ProofFate::Wrong => 0,
                        _ if broken.contains(&p.id) => open + 2,
                        ProofFate::Certified => 1 + methods.iter().position(|m| *m == p.method).unwrap_or(0),
                        ProofFate::Open => open,
                        ProofFate::Broken => open + 1,
                    };
                    counts[place] += 1;
                }
            }
            let all: u64 = counts.iter().sum();
            (all > 0).then(|| counts.iter().map(|c| 100.0 * *c as f64 / all as f64).collect())
        };
        for (range, file, of) in parts(report.rows.len(), MOST) {
            let rows = &report.rows[range];
            let bars: Vec<(String, Vec<f64>)> = rows.iter().filter_map(|r| Some((r.clone(), shares(r)?))).collect();
            if bars.is_empty() {
                continue;
            }
            let title = format!("Decided by, {certify} at {}{of}", strictest::budget(*norm, eps));
            let mut header = vec!["recipe".to_string()];
            header.extend(labels.iter().map(|(_, l)| format!("{l}, %")));
            let line = |(row, shares): &(String, Vec<f64>)| {
                std::iter::once(row.clone()).chain(shares.iter().map(|s| one(*s))).collect()
            };
            let told = bars.iter().map(|(row, shares)| {
                let named = labels.iter().zip(shares).filter(|(_, s)| **s > 0.0);
                format!(
                    "{row}: {}",
                    named.map(|((_, l), s)| format!("{l} {} %", one(*s))).collect::<Vec<_>>().join(", ")
                )
            });
            plots.push(Plot {
                name: format!("decided-{}{file}", slug(&format!("{certify}-{norm}-{eps}"))),
                subject: Subject::Culprits,
                leads: false,
                description: format!(
                    "A bar for each row, of all examples that were to be proved. {}.",
                    told.collect::<Vec<_>>().join("; ")
                ),
                drawing: bars::draw(&title, &labels, &bars)?,
                header,
                lines: bars.iter().map(line).collect(),
                title,
            });
        }
    }
    Ok(plots)
}

/// What any of these attacks broke.
fn broken<'a>(cells: impl Iterator<Item = &'a Attacked>) -> HashSet<u64> {
    let fell = |v: &&gauntlet_records::Verdict| matches!(v.fate, Fate::Broken | Fate::Carried);
    cells.flat_map(|c| c.verdicts.iter().filter(fell).map(|v| v.id)).collect()
}
