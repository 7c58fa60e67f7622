//! Which test rows are attacked.

use gauntlet_core::{Key, Purpose};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Which rows of the test split are attacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Selection {
    /// All.
    All,
    /// The first n, as in many papers.
    Take(usize),
    /// n of them, drawn with the attack seed: of every class its share, by largest remainders.
    #[serde(rename = "stratified")]
    Sample(usize),
    /// n of them, drawn whatever their class. Older records hold such; no suite asks for it any more.
    #[serde(rename = "sample")]
    Unstratified(usize),
}

impl Selection {
    /// The rows of a split with these labels, ascending.
    pub fn indices(self, labels: &[u32], seed: u64) -> Vec<usize> {
        let n = labels.len();
        match self {
            Selection::All => (0..n).collect(),
            Selection::Take(k) => (0..n.min(k)).collect(),
            Selection::Sample(k) => {
                let rows = labels.iter().enumerate().map(|(row, label)| (row as u64, *label));
                stratified(rows, k, seed).into_iter().map(|row| row as usize).collect()
            }
            Selection::Unstratified(k) => {
                let mut all: Vec<usize> = (0..n).collect();
                Key::new(seed, Purpose::Sample).stream(0, 0, 0).shuffle(&mut all);
                all.truncate(k);
                all.sort_unstable();
                all
            }
        }
    }

    /// What several selections come to: those that no other of them contains by its kind, sorted.
    pub fn union(several: impl IntoIterator<Item = Selection>) -> Vec<Selection> {
        let several: BTreeSet<Selection> = several.into_iter().collect();
        if several.contains(&Selection::All) {
            return vec![Selection::All];
        }
        let most = several.iter().filter_map(|s| if let Selection::Take(n) = s { Some(*n) } else { None }).max();
        several.into_iter().filter(|s| !matches!(s, Selection::Take(n) if Some(*n) != most)).collect()
    }

    /// The rows of all of them, ascending.
    pub fn all_indices(several: &[Selection], labels: &[u32], seed: u64) -> Vec<usize> {
        let rows: BTreeSet<usize> = several.iter().flat_map(|s| s.indices(labels, seed)).collect();
        rows.into_iter().collect()
    }

    /// As descriptions have them: one by itself, several as a list.
    pub fn describe(several: &[Selection]) -> Value {
        match several {
            [one] => json!(one),
            several => json!(several),
        }
    }
}

/// `n` of the rows, ascending: class c of N_c rows has ⌊n·N_c/N⌋ or one more, by largest remainders (of equal ones the lower
/// label); of a class those with the smallest draws, which are keyed by row, whatever the order of the rows.
fn stratified(rows: impl IntoIterator<Item = (u64, u32)>, n: usize, seed: u64) -> Vec<u64> {
    let key = Key::new(seed, Purpose::Sample);
    let mut classes: BTreeMap<u32, Vec<([u32; 2], u64)>> = BTreeMap::new();
    for (row, label) in rows {
        let mut stream = key.stream(row, 0, 0);
        classes.entry(label).or_default().push(([stream.next_u32(), stream.next_u32()], row));
    }
    let all: usize = classes.values().map(Vec::len).sum();
    let n = n.min(all);
    let mut shares: BTreeMap<u32, usize> = classes.iter().map(|(c, rows)| (*c, n * rows.len() / all.max(1))).collect();
    let mut by_remainder: Vec<u32> = classes.keys().copied().collect();
    by_remainder.sort_by_key(|c| (Reverse(n * classes[c].len() % all.max(1)), *c));
    let left = n - shares.values().sum::<usize>();
    by_remainder.iter().take(left).for_each(|c| *shares.entry(*c).or_default() += 1);
    let mut chosen = Vec::with_capacity(n);
    for (class, mut rows) in classes {
        rows.sort_unstable();
        chosen.extend(rows.into_iter().take(shares[&class]).map(|(_, row)| row));
    }
    chosen.sort_unstable();
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1,000 rows of three classes: 500, 300 and 200, one after the other.
    fn labels() -> Vec<u32> {
        (0..1000).map(|i| if i < 500 { 0 } else { u32::from(i < 800) * 4 + 3 }).collect()
    }
    fn by_class(rows: &[usize]) -> Vec<usize> {
        [0, 7, 3].map(|c| rows.iter().filter(|r| labels()[**r] == c).count()).to_vec()
    }

    #[test]
    fn a_sample_has_every_class_in_proportion_by_largest_remainders() {
        let drawn = |n| by_class(&Selection::Sample(n).indices(&labels(), 0));
        assert_eq!(drawn(100), [50, 30, 20]);
        assert_eq!(drawn(1), [1, 0, 0]);
        // 5.5, 3.3, 2.2: the largest remainder gets the one that is left.
        assert_eq!(drawn(11), [6, 3, 2]);
        // 3.5, 2.1, 1.4 likewise; 8.5, 5.1, 3.4 too.
        assert_eq!((drawn(7), drawn(17)), (vec![4, 2, 1], vec![9, 5, 3]));
        // 6.5, 3.9, 2.6: two are left.
        assert_eq!(drawn(13), [6, 4, 3]);
        assert_eq!((drawn(1000), drawn(5000)), (vec![500, 300, 200], vec![500, 300, 200]));
        assert!(Selection::Sample(5).indices(&[], 0).is_empty());
    }

    #[test]
    fn a_sample_depends_on_seed_and_rows_and_not_on_their_order() {
        let of = |seed| Selection::Sample(100).indices(&labels(), seed);
        assert_eq!(of(3), of(3));
        assert_ne!(of(3), of(4));
        assert!(of(3).is_sorted());
        let mut rows: Vec<(u64, u32)> = labels().into_iter().enumerate().map(|(i, l)| (i as u64, l)).collect();
        let usual = stratified(rows.clone(), 100, 3);
        assert_eq!(usual, of(3).into_iter().map(|i| i as u64).collect::<Vec<_>>());
        Key::new(9, Purpose::Shuffle).stream(0, 0, 0).shuffle(&mut rows);
        assert_eq!(stratified(rows.clone(), 100, 3), usual);
        // Rows of another class come or go: whoever is chosen among the others stays, their shares being equal.
        rows.retain(|(row, label)| *label != 3 || *row < 900);
        let of_class = |rows: &[u64], c: u32| rows.iter().filter(|r| labels()[**r as usize] == c).count();
        let fewer = stratified(rows, 90, 3);
        assert_eq!([0, 7, 3].map(|c| of_class(&fewer, c)), [50, 30, 10]);
        assert!(fewer.iter().filter(|row| labels()[**row as usize] != 3).all(|row| usual.contains(row)));
        // Not the first of every class, and not a fixed step apart.
        let steps: BTreeSet<usize> = of(3).windows(2).map(|w| w[1] - w[0]).collect();
        assert!(steps.len() > 10, "{steps:?}");
    }

    #[test]
    fn what_records_of_before_drew_is_told_apart_and_drawn_as_then() {
        let old: Selection = serde_json::from_value(json!({ "sample": 20 })).unwrap();
        assert_eq!(old, Selection::Unstratified(20));
        assert_eq!(json!(Selection::Sample(20)), json!({ "stratified": 20 }));
        assert_ne!(old.indices(&labels(), 0), Selection::Sample(20).indices(&labels(), 0));
        assert_eq!(old.indices(&labels(), 0).len(), 20);
    }

    #[test]
    fn a_union_keeps_what_no_other_contains() {
        use Selection::{All, Sample, Take};
        assert_eq!(Selection::union([Take(10), Take(30), Sample(5), Take(10)]), [Take(30), Sample(5)]);
        assert_eq!(Selection::union([Take(10), All, Sample(5)]), [All]);
        assert_eq!(Selection::describe(&[Take(10)]), json!({ "take": 10 }));
        let both = Selection::all_indices(&[Take(3), Sample(10)], &labels(), 0);
        assert!(both.is_sorted() && both.starts_with(&[0, 1, 2]) && (10..=13).contains(&both.len()));
    }
}
