//! Wall and CPU time of this process.

use std::time::Instant;

/// Started at some moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    begun: Instant,
    cpu: Option<f64>,
}

impl Clock {
    pub(crate) fn start() -> Clock {
        Clock { begun: Instant::now(), cpu: cpu_seconds() }
    }
    /// Wall seconds since then.
    pub(crate) fn seconds(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }
    /// CPU seconds of all threads since then, user and system; `None` where the system does not tell.
    pub(crate) fn cpu_seconds(&self) -> Option<f64> {
        Some(cpu_seconds()? - self.cpu?)
    }
}

/// The sum, if both are known.
pub(crate) fn sum(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    Some(a? + b?)
}

/// User and system time of this process so far, its children not counted. proc(5) gives them as the 14th and 15th field in
/// ticks, of which Linux shows user space 100 a second.
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in parentheses, which may hold blanks.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn work_takes_cpu_time_and_sleep_does_not() {
        let clock = Clock::start();
        std::thread::sleep(std::time::Duration::from_millis(100));
        let asleep = clock.cpu_seconds().unwrap();
        let mut x = 1.0f64;
        while clock.cpu_seconds().unwrap() < asleep + 0.05 {
            (0..1000).for_each(|_| x = std::hint::black_box(x).sqrt());
        }
        assert!(clock.seconds() >= 0.1 && asleep >= 0.0);
        assert_eq!((sum(Some(1.0), Some(2.0)), sum(None, Some(2.0))), (Some(3.0), None));
    }
}
