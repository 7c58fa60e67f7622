//! Where, when and with what a result came about. Never compared, never part of a key.

use crate::mathematics;
use gauntlet_records::Provenance;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

/// What a record's `versions` call the platform's mathematical functions: see [`mathematics`].
pub(crate) const MATHEMATICS: &str = "mathematics";

/// The provenance of work that begins now on `threads` threads of the CPU.
pub fn provenance(threads: usize) -> Provenance {
    static COMMIT: OnceLock<String> = OnceLock::new();
    static CPU: OnceLock<String> = OnceLock::new();
    Provenance {
        version: env!("CARGO_PKG_VERSION").to_string(),
        commit: COMMIT.get_or_init(commit).clone(),
        versions: vec![
            ("rustc".to_string(), env!("GAUNTLET_RUSTC").to_string()),
            ("candle".to_string(), env!("GAUNTLET_CANDLE").to_string()),
            ("os".to_string(), format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH)),
            (MATHEMATICS.to_string(), mathematics().to_string()),
        ],
        cpu: CPU.get_or_init(cpu).clone(),
        device: "cpu".to_string(),
        threads,
        started: timestamp(SystemTime::now()),
        ..Provenance::default()
    }
}

/// The commit of the checkout that the working directory lies in, if it is gauntlet's own; else the one that
/// `scripts/cuda/pack.sh` has written beside the program's folder; else `unknown`.
fn commit() -> String {
    let git = |args: &[&str]| {
        let output = Command::new("git").args(args).output().ok().filter(|o| o.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_string())
    };
    let own = git(&["rev-parse", "--show-toplevel"])
        .is_some_and(|top| std::path::Path::new(&top).join("crates/engine/Cargo.toml").exists());
    match git(&["rev-parse", "HEAD"]) {
        Some(head) if own => {
            let clean = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|s| s.is_empty());
            if clean { head } else { format!("{head}-dirty") }
        }
        _ => packed().unwrap_or_else(|| "unknown".to_string()),
    }
}

fn packed() -> Option<String> {
    let text = std::fs::read_to_string(std::env::current_exe().ok()?.parent()?.parent()?.join("commit")).ok()?;
    let commit = text.trim();
    let hash = commit.trim_end_matches("-dirty");
    (hash.len() == 40 && hash.bytes().all(|b| b.is_ascii_hexdigit())).then(|| commit.to_string())
}

fn cpu() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|l| l.strip_prefix("model name")?.split_once(':').map(|(_, m)| m.trim()));
    model.unwrap_or(std::env::consts::ARCH).to_string()
}

/// RFC 3339 in UTC, to the second.
pub fn timestamp(at: SystemTime) -> String {
    let seconds = at.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days to a date in the proleptic Gregorian calendar, counting years from March (Hinnant 2013).
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn dates() {
        let at = |s: u64| timestamp(UNIX_EPOCH + Duration::from_secs(s));
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(at(1_709_251_199), "2024-02-29T23:59:59Z");
        assert_eq!(at(4_107_542_400), "2100-03-01T00:00:00Z");
    }

    #[test]
    fn the_essentials_are_known() {
        let p = provenance(2);
        assert_eq!((p.threads, p.device.as_str()), (2, "cpu"));
        for (name, version) in &p.versions {
            assert!(version.contains('.') || name == "os" || name == MATHEMATICS, "{name} {version}");
        }
        assert!(!p.cpu.is_empty() && !p.version.is_empty() && p.started.ends_with('Z'));
        assert!(p.commit == "unknown" || p.commit.trim_end_matches("-dirty").len() == 40, "{}", p.commit);
    }
}
