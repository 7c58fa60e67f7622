//! How much memory there is for what is about to be made.

/// Bytes that this process can still take: the least of what the machine, the control group and `ulimit -v` leave. `None` where
/// nobody says.
pub fn available() -> Option<u64> {
    [machine(), group(), limit()].into_iter().flatten().min()
}

/// Whether there is room for `bytes`, which `what` takes (`"the weights"`).
///
/// # Errors
/// In words, with both figures.
pub fn room(bytes: u64, what: &str) -> Result<(), String> {
    room_in(available(), bytes, what)
}

fn room_in(available: Option<u64>, bytes: u64, what: &str) -> Result<(), String> {
    match available.filter(|available| bytes > *available) {
        Some(available) => Err(format!("{what} would take {}, and {} are left here", size(bytes), size(available))),
        None => Ok(()),
    }
}

/// A size in words: `17.2 GB`.
pub fn size(bytes: u64) -> String {
    match bytes as f64 {
        n if n >= 1e9 => format!("{:.1} GB", n / 1e9),
        n if n >= 1e6 => format!("{:.1} MB", n / 1e6),
        _ => format!("{bytes} bytes"),
    }
}

/// The number behind `key` in one of the kernel's tables.
fn entry(path: &str, key: &str) -> Option<u64> {
    let table = std::fs::read_to_string(path).ok()?;
    table.lines().find_map(|l| l.strip_prefix(key))?.split_whitespace().next()?.parse().ok()
}

fn machine() -> Option<u64> {
    entry("/proc/meminfo", "MemAvailable:").map(|kilobytes| kilobytes.saturating_mul(1024))
}

fn group() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let group = groups.lines().find_map(|l| l.strip_prefix("0::"))?;
    let number = |file: &str| -> Option<u64> {
        std::fs::read_to_string(format!("/sys/fs/cgroup{group}/{file}")).ok()?.trim().parse().ok()
    };
    // Pages of files count as used, and are given back when somebody needs them.
    let cached = entry(&format!("/sys/fs/cgroup{group}/memory.stat"), "file ").unwrap_or(0);
    Some(number("memory.max")?.saturating_sub(number("memory.current")?.saturating_sub(cached)))
}

/// What `ulimit -v` leaves. Addresses that are taken and not used yet are no loss: the allocator has them.
fn limit() -> Option<u64> {
    let most = entry("/proc/self/limits", "Max address space")?;
    let used = entry("/proc/self/status", "VmRSS:")?.saturating_mul(1024);
    Some(most.saturating_sub(used))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_told_with_both_figures() {
        assert!(room_in(Some(10), 10, "it").is_ok() && room_in(None, u64::MAX, "it").is_ok());
        let error = room_in(Some(3_100_000_000), 17_179_869_184, "training").unwrap_err();
        assert_eq!(error, "training would take 17.2 GB, and 3.1 GB are left here");
        assert_eq!((size(999), size(2_500_000)), ("999 bytes".to_string(), "2.5 MB".to_string()));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_machine_says_how_much_it_has() {
        let left = available().unwrap();
        assert!((1 << 20..1 << 50).contains(&left), "{left}");
        assert!(room(u64::MAX, "everything").unwrap_err().starts_with("everything would take 18446744073.7 GB, and "));
    }
}
