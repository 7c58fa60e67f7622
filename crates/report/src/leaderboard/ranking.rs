//! Which entries of a board can be told apart.

use super::protocol::Trained;
use super::ranked::Ranked;
use crate::student;
use gauntlet_records::statistics::{mcnemar, mean_sd, student_t, wilson};

/// Shares of the images that each training gets right, or whose rightness is proved, in percent.
pub(super) fn percents(trained: &[Trained<'_>], by_proof: bool) -> Vec<f64> {
    let percent = |t: &Trained<'_>| {
        let right = answers(t, by_proof);
        100.0 * right.iter().filter(|r| **r).count() as f64 / right.len().max(1) as f64
    };
    trained.iter().map(percent).collect()
}

/// Mean, deviation over seeds and a 95 % interval, in percent: of the mean over training seeds (Student's t), or of the images
/// (Wilson's at the mean), whichever reaches farther; of one training, the images' alone.
pub(super) fn interval(percents: &[f64], n: u64) -> (f64, f64, f64, f64) {
    let (mean, sd) = mean_sd(percents).unwrap_or((0.0, 0.0));
    let (low, high) = wilson((mean / 100.0 * n as f64).round() as u64, n, 1.96);
    let seeds = percents.len() as f64;
    let half = if percents.len() > 1 { student_t(percents.len() as u64 - 1) * sd / seeds.sqrt() } else { 0.0 };
    (mean, sd, (100.0 * low).min(mean - half).max(0.0), (100.0 * high).max(mean + half).min(100.0))
}

/// Of each image, whether the training gets it right; with `by_proof` whether that is proved.
fn answers<'t>(t: &'t Trained<'_>, by_proof: bool) -> &'t [bool] {
    t.proved.as_deref().filter(|_| by_proof).unwrap_or(&t.right)
}

/// Whether two entries differ at 5 %, by what the images say and, where either has several trainings, by what the seeds say.
///
/// The images: McNemar's exact test of one training each; of several, the differences of their shares of right answers, image by
/// image, against their own deviation (a paired t-test). The seeds: [`student::differ`].
fn differ(a: &[Trained<'_>], b: &[Trained<'_>], by_proof: bool) -> bool {
    let images = match (a, b) {
        ([a], [b]) => {
            let only = |x: &[bool], y: &[bool]| x.iter().zip(y).filter(|(x, y)| **x && !**y).count() as u64;
            mcnemar(only(answers(a, by_proof), answers(b, by_proof)), only(answers(b, by_proof), answers(a, by_proof)))
                <= 0.05
        }
        _ => {
            let share = |trained: &[Trained<'_>], i: usize| {
                trained.iter().filter(|t| answers(t, by_proof)[i]).count() as f64 / trained.len() as f64
            };
            let n = a.first().map_or(0, |t| t.right.len());
            let differences: Vec<f64> = (0..n).map(|i| share(a, i) - share(b, i)).collect();
            let (mean, sd) = mean_sd(&differences).unwrap_or((0.0, 0.0));
            mean != 0.0 && mean.abs() >= student_t((n as u64 - 1).max(1)) * sd / (n as f64).sqrt()
        }
    };
    images && student::differ(&percents(a, by_proof), &percents(b, by_proof)).unwrap_or(true)
}

/// Orders entries by accuracy, `by_proof` by what is proved, those at chance last, and ranks them: one more than the number of entries above that differ, and
/// never less than the entry above has. So a row with few seeds that scatter shares the rank of what it cannot be told from,
/// and stands no higher than its mean. Entries at chance have no rank.
pub(super) fn rank(entries: &mut [(Ranked, Vec<Trained<'_>>)], by_proof: bool) {
    let proved = |s: &Ranked| s.certified.unwrap_or(0.0);
    entries.sort_by(|(a, _), (b, _)| {
        (a.at_chance.cmp(&b.at_chance))
            .then(if by_proof { proved(b).total_cmp(&proved(a)) } else { std::cmp::Ordering::Equal })
            .then(b.robust.total_cmp(&a.robust))
            .then(b.clean.total_cmp(&a.clean))
            .then_with(|| (&a.suite, &a.row).cmp(&(&b.suite, &b.row)))
    });
    let mut above = 1;
    for i in 0..entries.len() {
        let (before, rest) = entries.split_at_mut(i);
        let (standing, trained) = &mut rest[0];
        if !standing.at_chance {
            above = above.max(1 + before.iter().filter(|(_, other)| differ(other, trained, by_proof)).count());
            standing.rank = Some(above);
        }
    }
}
