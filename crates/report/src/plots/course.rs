//! How a measure goes over the epochs of a training.

use super::panel::Point;
use gauntlet_records::{Record, record::Epoch, statistics::mean_sd};

/// The curves of a row's trainings.
pub(super) fn trainings<'a>(row: &str, records: &'a [Record]) -> Vec<&'a [Epoch]> {
    let trained = records.iter().filter(|r| r.row == row && !r.result.curve.is_empty());
    trained.map(|r| r.result.curve.as_slice()).collect()
}

/// A row's accuracy in percent under the quick attack, epoch by epoch.
pub(crate) fn course(row: &str, records: &[Record]) -> Vec<f64> {
    over_seeds(&trainings(row, records), 100.0, &|e| Some(e.robust_accuracy)).into_iter().map(|p| p.y).collect()
}

/// Mean and standard deviation over seeds, epoch by epoch, where all that got there were measured.
pub(super) fn over_seeds(trainings: &[&[Epoch]], scale: f64, of: &dyn Fn(&Epoch) -> Option<f64>) -> Vec<Point> {
    let longest = trainings.iter().map(|t| t.len()).max().unwrap_or(0);
    let point = |i: usize| {
        let epochs: Vec<&Epoch> = trainings.iter().filter_map(|t| t.get(i)).collect();
        let values: Vec<f64> = epochs.iter().filter_map(|e| of(e)).map(|v| v * scale).collect();
        let (mean, sd) = mean_sd(&values)?;
        Some(Point { x: f64::from(epochs.first()?.epoch), y: mean, low: mean - sd, high: mean + sd })
    };
    (0..longest).filter_map(point).collect()
}
