//! What the report says beside its table: which rows can be told apart, which classes and attacks matter.

use crate::broken::{Fallen, Share, fallen};
use crate::digits::range;
use crate::pairs::MANY_ROWS;
use crate::{Column, Power, Report, WorstClass};
use gauntlet_records::{Norm, statistics::FEWEST_DISCORDANT};

/// A table under a sentence.
pub(crate) struct Section {
    pub(crate) caption: String,
    /// One letter per column: l(eft) or r(ight).
    pub(crate) align: &'static str,
    pub(crate) header: Vec<String>,
    pub(crate) lines: Vec<Vec<String>>,
}

impl Report {
    /// What the marks of the table mean, and what they cannot mean; nothing where no two rows were compared.
    pub(crate) fn legend(&self) -> Vec<String> {
        let columns = || 0..self.columns.len();
        if !columns().any(|k| self.standings.compares(k)) {
            return Vec::new();
        }
        let examples = range(self.pairs.iter().map(|p| p.n));
        let mut seeds: Vec<u64> = self.pairs.iter().map(|p| p.seed).collect();
        seeds.sort_unstable();
        seeds.dedup();
        let largest = if seeds.len() > 1 { ", the largest p of the seeds" } else { "" };
        let test = format!(
            "McNemar's exact test at 5 %, paired on the same {examples} images{largest}, Holm's correction over the rows of a \
             column: the level holds within a column, not for the table as a whole"
        );
        let level: Vec<String> = columns()
            .filter(|k| self.standings.compares(*k) && !self.standings.tells_apart(*k) && self.holds(*k))
            .map(|k| self.columns[k].to_string())
            .collect();
        let mut text = if columns().any(|k| self.standings.tells_apart(k)) {
            let mut text = format!("Bold: the best of its column; ≈: cannot be told apart from it ({test}).");
            if !level.is_empty() {
                text += &format!(" In {} no row can be told apart from the best.", level.join(", "));
            }
            text
        } else {
            format!("In no column can a row be told apart from the best ({test}).")
        };
        text += " The test compares trained models; it does not say that training again would rank them the same.";
        let unpaired: Vec<&str> = self.standings.unpaired().into_iter().map(|r| self.rows[r].as_str()).collect();
        if !unpaired.is_empty() {
            text += &format!(" Not compared, for want of a common seed or images: {}.", unpaired.join(", "));
        }
        let mut sentences = vec![text];
        sentences.extend(self.power_sentence());
        sentences
    }

    /// Whether any row is above zero in the k-th column.
    fn holds(&self, k: usize) -> bool {
        (0..self.rows.len()).filter_map(|r| self.summary.value(r, k)).any(|v| v.mean > 0.0)
    }

    /// The smallest difference that the pairs can tell apart, column by column.
    fn power_sentence(&self) -> Option<String> {
        let n = self.power.iter().map(|p| p.n).min()?;
        let same = self.power.iter().all(|p| p.n == n);
        let own = |k: u64| if same { String::new() } else { format!(", n = {k}") };
        let column = |p: &Power| {
            let points = p.detectable.map_or("none".into(), |d| format!("{d:.1}"));
            format!("{}: {points} (ψ = {:.1} %{})", self.columns[p.column], 100.0 * p.discordance, own(p.n))
        };
        let columns: Vec<String> = self.power.iter().map(column).collect();
        let which = if self.rows.len() > MANY_ROWS { "every row beside the best" } else { "every pair of rows" };
        Some(format!(
            "Smallest difference in points that the test finds between two rows alone with 80 % power{}, by column; ψ, the median \
             over pairs of rows, is the share of images that only one of the two gets right: {}. Below {:.1} points \
             ({FEWEST_DISCORDANT} images, all one way) no two rows can be told apart. pairs.csv has {which}, seed by seed.",
            if same { format!(", n = {n}") } else { String::new() },
            columns.join("; "),
            100.0 * FEWEST_DISCORDANT as f64 / n as f64
        ))
    }

    /// Per row and column, the class that it holds worst.
    pub(crate) fn class_section(&self) -> Option<Section> {
        let attacked: Vec<&WorstClass> =
            self.worst_classes.iter().filter(|w| self.columns[w.column] != Column::Clean).collect();
        let first = attacked.first()?;
        let mut columns: Vec<String> = attacked.iter().map(|w| self.columns[w.column].to_string()).collect();
        columns.dedup();
        let line = |w: &&WorstClass| {
            let number = match w.seeds {
                1 => format!("{:.1} ({:.1}–{:.1})", w.mean, w.interval.0, w.interval.1),
                seeds => format!("{:.1} ± {:.1} ({seeds} seeds)", w.mean, w.sd),
            };
            let class = match w.ties {
                0 => w.class.clone(),
                ties if ties + 1 == w.classes => "all alike".into(),
                ties => format!("{} and {ties} more", w.class),
            };
            let mut cells = vec![self.rows[w.row].clone()];
            cells.extend((columns.len() > 1).then(|| self.columns[w.column].to_string()));
            cells.extend([class, w.n.to_string(), number, format!("{:.1}", w.all)]);
            cells
        };
        let mut header = vec!["recipe".to_string()];
        header.extend((columns.len() > 1).then(|| "under".to_string()));
        header.extend(["worst class", "n", "accuracy", "mean of classes"].map(String::from));
        Some(Section {
            caption: format!(
                "Accuracy in percent on the class that each row holds worst under {}. Looked at: in each norm the largest ε at which \
                 some row does better than always giving the same answer; rows that do not are left out. n: images of that class. \
                 Of {} classes one is the worst by chance alone; classes.csv has all, with intervals.",
                columns.join(" and "),
                first.classes
            ),
            align: if columns.len() > 1 { "lllrrr" } else { "llrrr" },
            lines: attacked.iter().map(line).collect(),
            header,
        })
    }

    /// Per row and ε, which attack broke how many first. Only where several attacks or stages share an ε.
    pub(crate) fn broken_section(&self) -> Option<Section> {
        let mut fallen = fallen(&self.broken);
        // Where one attack broke all that fell, in one piece, there is no first.
        fallen.retain(|f| f.shares.iter().filter(|s| s.first > 0.0).count() > 1);
        if fallen.is_empty() || self.rows.len() > MANY_ROWS {
            return None;
        }
        let number = |x: f64| if x.fract() == 0.0 { format!("{x:.0}") } else { format!("{x:.1}") };
        let parts = |f: &Fallen, attack: &Share| {
            let stages = f.shares.iter().filter(|s| s.attack == attack.attack && !s.stage.is_empty() && s.first > 0.0);
            let stages: Vec<String> = stages.map(|s| format!("{} {}", s.stage, number(s.first))).collect();
            if stages.is_empty() { String::new() } else { format!(" ({})", stages.join(", ")) }
        };
        let listed = |f: &Fallen, of: fn(&Share) -> f64, parts: &dyn Fn(&Fallen, &Share) -> String| {
            let attacks = f.shares.iter().filter(|s| s.stage.is_empty() && of(s) > 0.0);
            let attacks: Vec<String> =
                attacks.map(|s| format!("{} {}{}", s.attack, number(of(s)), parts(f, s))).collect();
            if attacks.is_empty() { "–".into() } else { attacks.join(", ") }
        };
        let line = |f: &Fallen| {
            vec![
                f.row.clone(),
                if f.norm == Norm::Linf { f.eps.to_string() } else { format!("{} {}", f.norm.symbol(), f.eps) },
                f.n.to_string(),
                number(f.right),
                listed(f, |s| s.first, &parts),
                listed(f, |s| s.alone, &|_, _| String::new()),
                number(f.withstand),
            ]
        };
        let over = if self.seeds.len() > 1 { "Images, means over seeds" } else { "Images" };
        Some(Section {
            caption: format!(
                "{over}: out of n, those right before any attack, those that each attack was the first to break in the suite's \
                 order (in parentheses: the stages of an ensemble), those that it alone broke, those that withstand all. Left out: \
                 where one attack broke all that fell. broken.csv has every seed."
            ),
            align: "lrrrllr",
            header: ["recipe", "ε", "n", "clean", "broken first by", "broken only by", "withstand all"]
                .map(String::from)
                .into(),
            lines: fallen.iter().map(line).collect(),
        })
    }
}
