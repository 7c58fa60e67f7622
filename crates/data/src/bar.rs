//! The progress of a download.

use crate::LoadOptions;
use hf_hub::progress::{DownloadEvent, ProgressEvent, ProgressHandler};
use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How often a download is told of where there are no bars.
const PATIENCE: Duration = Duration::from_secs(10);

/// The progress of one download on stderr: a bar, or lines, or nothing.
pub(crate) struct Bar {
    bar: ProgressBar,
    whence: String,
    /// Lines: when the download began and when it was told of last.
    told: Option<Mutex<(Instant, Instant)>>,
}

impl Bar {
    pub(crate) fn new(whence: &str, options: &LoadOptions) -> Self {
        let hidden = options.quiet || options.lines;
        let target = if hidden { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr_with_hz(8) };
        let bar = ProgressBar::with_draw_target(Some(0), target).with_message(whence.to_string());
        let template = "{msg}: {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left {wide_bar}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        let now = Instant::now();
        let told = (options.lines && !options.quiet).then(|| Mutex::new((now, now)));
        Bar { bar, whence: whence.to_string(), told }
    }

    /// The size is known.
    pub(crate) fn begin(&self, bytes: u64) {
        self.bar.set_length(bytes);
        self.bar.enable_steady_tick(Duration::from_millis(250));
        if let Some(told) = &self.told {
            eprintln!("downloading {}: {}", self.whence, HumanBytes(bytes));
            if let Ok(mut told) = told.lock() {
                *told = (Instant::now(), Instant::now());
            }
        }
    }

    /// So much is there.
    pub(crate) fn at(&self, bytes: u64) {
        self.bar.set_position(bytes);
        let Some(Ok(mut told)) = self.told.as_ref().map(Mutex::lock) else { return };
        if told.1.elapsed() >= PATIENCE {
            told.1 = Instant::now();
            eprintln!("{}", line(&self.whence, bytes, self.bar.length().unwrap_or(0), told.0.elapsed()));
        }
    }
}

/// `train.parquet of a/b: 12.00 MiB of 60.00 MiB, 1.20 MiB/s`.
fn line(whence: &str, done: u64, of: u64, since: Duration) -> String {
    let rate = (done as f64 / since.as_secs_f64().max(1e-3)) as u64;
    format!("{whence}: {} of {}, {}/s", HumanBytes(done), HumanBytes(of), HumanBytes(rate))
}

impl ProgressHandler for Bar {
    fn on_progress(&self, event: &ProgressEvent) {
        match event {
            ProgressEvent::Download(DownloadEvent::Start { total_bytes, .. }) => self.begin(*total_bytes),
            ProgressEvent::Download(DownloadEvent::Progress { files }) => {
                if let Some(f) = files.last() {
                    self.at(f.bytes_completed);
                }
            }
            ProgressEvent::Download(DownloadEvent::AggregateProgress { bytes_completed, .. }) => {
                self.at(*bytes_completed);
            }
            ProgressEvent::Download(DownloadEvent::Complete) => self.bar.finish_and_clear(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_download_tells_size_and_rate() {
        let told = line("t.parquet of a/b", 12 << 20, 60 << 20, Duration::from_secs(10));
        assert_eq!(told, "t.parquet of a/b: 12.00 MiB of 60.00 MiB, 1.20 MiB/s");
    }
}
