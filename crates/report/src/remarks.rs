//! The referee's flags as sentences: each by itself, or those of one kind in one line.

use gauntlet_records::norm::for_people;
use gauntlet_records::{Eps, Flag, Norm, Record};
use std::collections::BTreeMap;

/// Every flag of every training.
pub(crate) fn each(records: &[Record]) -> Vec<String> {
    let of = |r: &Record| -> Vec<String> {
        r.result.flags.iter().map(|f| format!("`{}`, seed {}: {}.", r.row, r.seed, sentence(f))).collect()
    };
    records.iter().flat_map(of).collect()
}

/// One line per row and flag: seeds, budgets, and what the first one says.
pub(crate) fn by_row(rows: &[String], records: &[Record]) -> Vec<String> {
    let mut lines = Vec::new();
    for row in rows {
        let own: Vec<&Record> = records.iter().filter(|r| r.row == *row).collect();
        let mut names: Vec<&str> = Vec::new();
        for flag in own.iter().flat_map(|r| &r.result.flags) {
            if !names.contains(&flag.name.as_str()) {
                names.push(&flag.name);
            }
        }
        for name in names {
            let raised = |r: &&&Record| r.result.flags.iter().any(|f| f.name == name);
            let seeds: Vec<u64> = own.iter().filter(raised).map(|r| r.seed).collect();
            let flags: Vec<&Flag> = own.iter().flat_map(|r| &r.result.flags).filter(|f| f.name == name).collect();
            lines.push(format!("`{row}`, {}: {}.", listed(&seeds), together(&flags)));
        }
    }
    lines
}

/// Flags of one network, those of one kind in one line.
pub fn folded(flags: &[Flag]) -> Vec<String> {
    let mut names: Vec<&str> = Vec::new();
    for flag in flags {
        if !names.contains(&flag.name.as_str()) {
            names.push(&flag.name);
        }
    }
    let of = |name: &str| flags.iter().filter(|f| f.name == name).collect::<Vec<_>>();
    names.into_iter().map(|name| together(&of(name))).collect()
}

/// `seed 3`, `seeds 0, 2`, `seeds 0 to 4`.
fn listed(seeds: &[u64]) -> String {
    let consecutive = seeds.windows(2).all(|w| w[0] + 1 == w[1]);
    match seeds {
        [seed] => format!("seed {seed}"),
        [first, .., last] if consecutive && seeds.len() > 2 => format!("seeds {first} to {last}"),
        _ => format!("seeds {}", seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")),
    }
}

fn sentence(flag: &Flag) -> String {
    format!("{} ({})", for_people(flag.detail.trim_end_matches('.')), flag.name)
}

/// Flags of one kind: the only one, or how many, at which budgets, and the first.
fn together(flags: &[&Flag]) -> String {
    let Some(first) = flags.first() else { return String::new() };
    if flags.len() == 1 {
        return sentence(first);
    }
    let mut budgets: BTreeMap<Norm, Vec<Eps>> = BTreeMap::new();
    for (norm, eps) in flags.iter().flat_map(|f| named(&f.detail)) {
        budgets.entry(norm).or_default().push(eps);
    }
    let range = |(norm, mut eps): (Norm, Vec<Eps>)| {
        eps.sort();
        eps.dedup();
        match eps.as_slice() {
            [only] => format!("{} {only}", norm.symbol()),
            [least, .., most] => format!("{} {least} to {most}", norm.symbol()),
            [] => String::new(),
        }
    };
    let at: Vec<String> = budgets.into_iter().map(range).collect();
    let at = if at.is_empty() { String::new() } else { format!(", {}", at.join(", ")) };
    let detail = for_people(first.detail.trim_end_matches('.'));
    format!("{} times {}{at}; the first: {detail}", flags.len(), first.name)
}

/// The budgets that a sentence of the referee names: `at linf 0.3`.
fn named(detail: &str) -> Vec<(Norm, Eps)> {
    let words: Vec<&str> = detail.split(' ').collect();
    let pair = |w: &[&str]| Some((w[0].parse().ok()?, w[1].trim_end_matches([':', ',', ';']).parse().ok()?));
    words.windows(2).filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_one_kind_are_one_line_with_their_range() {
        let flag = |name: &str, detail: &str| Flag { name: name.into(), detail: detail.into() };
        let flags = [
            flag("gradient-vanishes", "7.3 % of 948 gradients of fgsm at linf 0.1 are zero"),
            flag("logits-not-finite", "3 logits"),
            flag("gradient-vanishes", "9 % of pgd at linf 0.3: zero"),
            flag("gradient-vanishes", "9 % of pgd at l2 2, zero"),
        ];
        assert_eq!(
            folded(&flags),
            [
                "3 times gradient-vanishes, L∞ 0.1 to 0.3, L2 2; the first: 7.3 % of 948 gradients of fgsm at L∞ 0.1 are zero",
                "3 logits (logits-not-finite)",
            ]
        );
        assert_eq!(listed(&[3]), "seed 3");
        assert_eq!(listed(&[0, 1, 2]), "seeds 0 to 2");
        assert_eq!(listed(&[0, 2, 3]), "seeds 0, 2, 3");
    }
}
