//! The table over seeds as LaTeX, for `\input` into a paper that uses `booktabs`.

use crate::ends::Ends;
use crate::failing::MARK;
use crate::{Column, Report};
use gauntlet_records::Norm;
use std::fmt::Write;

impl Report {
    /// A `tabular` with one heading for neighbouring columns of one attack and ε below it.
    pub fn latex(&self) -> String {
        let mut out =
            format!("% {}: {}\n% Needs \\usepackage{{booktabs}}.\n", comment(&self.suite), comment(&self.caption()));
        let _ = writeln!(out, "\\begin{{tabular}}{{l{}}}\n\\toprule", "r".repeat(self.columns.len()));
        let dagger = |fails: bool| if fails { "^\\ddagger" } else { "" };
        let groups = groups(&self.columns);
        let heads = groups.iter().map(|(head, n)| {
            if *n == 1 {
                format!("\\multicolumn{{1}}{{c}}{{{head}}}")
            } else {
                format!("\\multicolumn{{{n}}}{{c}}{{{head}}}")
            }
        });
        let _ = writeln!(out, " & {} \\\\", heads.collect::<Vec<_>>().join(" & "));
        let mut first = 2;
        for (_, n) in &groups {
            if *n > 1 {
                let _ = write!(out, "\\cmidrule(lr){{{first}-{}}}", first + n - 1);
            }
            first += n;
        }
        let budgets = self.columns.iter().enumerate().map(|(k, c)| match c.budget() {
            None => String::new(),
            Some((_, eps)) => format!("$\\varepsilon = {eps}{}$", dagger(self.fails(k))),
        });
        let _ = writeln!(out, "\nrecipe & {} \\\\", budgets.collect::<Vec<_>>().join(" & "));
        if !self.sizes.is_empty() {
            // Numbers of examples, where columns differ.
            let sizes = (0..self.columns.len()).map(|k| self.size(k).map_or(String::new(), |n| format!("${n}$")));
            let _ = writeln!(out, " & {} \\\\", sizes.collect::<Vec<_>>().join(" & "));
        }
        out.push_str("\\midrule\n");
        for (r, row) in self.rows.iter().enumerate() {
            let failed = self.failed(row);
            let mark = if failed { "$^\\dagger$" } else { "" };
            let cells = (0..self.columns.len()).map(|k| match self.summary.value(r, k) {
                Some(v) => {
                    let mark = dagger(self.failing(r, k).is_some());
                    let sd = if v.seeds > 1 { format!(" \\pm {:.1}", v.sd) } else { String::new() };
                    match self.ends(r, k) {
                        Some(ends) if ends.exact => format!("${:.1}{sd}{mark}$ (exact)", v.mean),
                        Some(Ends { proved, .. }) => {
                            let lower = if v.seeds > 1 { format!(" \\pm {:.1}", proved.sd) } else { String::new() };
                            format!("${:.1}{lower}$--${:.1}{sd}{mark}$", proved.mean, v.mean)
                        }
                        None => format!("${:.1}{sd}{mark}$", v.mean),
                    }
                }
                None if failed => "failed".into(),
                None => "--".into(),
            });
            let _ = writeln!(
                out,
                "{}{mark} & {} \\\\",
                escaped(&self.row_name(row)),
                cells.collect::<Vec<_>>().join(" & ")
            );
        }
        out.push_str("\\bottomrule\n\\end{tabular}\n");
        if let Some(told) = self.failing_sentence() {
            let told = escaped(&told.replace('`', "")).replace(MARK, "$^\\ddagger$");
            let _ = writeln!(out, "\n\\smallskip\n{{\\footnotesize {told}\\par}}");
        }
        out
    }
}

/// Headings and how many neighbouring columns each has.
fn groups(columns: &[Column]) -> Vec<(String, usize)> {
    let mut groups: Vec<(String, usize)> = Vec::new();
    for column in columns {
        let head = match column.budget() {
            Some((Norm::L2, _)) => format!("{} ($\\ell_2$)", escaped(column.attack())),
            Some((Norm::L1, _)) => format!("{} ($\\ell_1$)", escaped(column.attack())),
            _ => escaped(column.attack()),
        };
        match groups.last_mut().filter(|g| g.0 == head) {
            Some(group) => group.1 += 1,
            None => groups.push((head, 1)),
        }
    }
    groups
}

/// A text for a comment: one line, and what an old engine cannot read spelled out.
fn comment(text: &str) -> String {
    text.replace('\n', " ").replace('±', "+-")
}

/// A text whose characters mean themselves.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\textbackslash{}"),
            '~' => out.push_str("\\textasciitilde{}"),
            '^' => out.push_str("\\textasciicircum{}"),
            '#' | '$' | '%' | '&' | '_' | '{' | '}' => {
                out.push('\\');
                out.push(c);
            }
            'ε' => out.push_str("$\\varepsilon$"),
            '∞' => out.push_str("$\\infty$"),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_latex_would_take_for_a_command_is_escaped() {
        assert_eq!(
            super::escaped(r"a_b 5% {x} \y #1 ^ ~ ε"),
            r"a\_b 5\% \{x\} \textbackslash{}y \#1 \textasciicircum{} \textasciitilde{} $\varepsilon$"
        );
    }
}
