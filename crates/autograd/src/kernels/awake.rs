//! Keeping the pool's threads at hand.

use rayon::Yield;
use std::sync::atomic::{AtomicBool, Ordering};

/// Sets a flag when it goes out of scope, by a panic too.
struct Raise<'a>(&'a AtomicBool);

impl Drop for Raise<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Runs `f` while the other threads of the pool look for work without falling asleep in between.
///
/// A step of a small network has dozens of parallel parts of some ten microseconds; to wake a thread for each takes
/// longer than that. Idle threads yield their time to other processes. Outside a pool this is `f()`.
pub fn awake<R>(f: impl FnOnce() -> R) -> R {
    let Some(here) = rayon::current_thread_index() else { return f() };
    if rayon::current_num_threads() == 1 {
        return f();
    }
    let done = AtomicBool::new(false);
    rayon::in_place_scope(|scope| {
        let raise = Raise(&done);
        scope.spawn_broadcast(|_, context| {
            // This thread has `f` to run: looping here would wait for itself.
            while context.index() != here && !done.load(Ordering::Acquire) {
                if rayon::yield_now() != Some(Yield::Executed) {
                    std::thread::yield_now();
                }
            }
        });
        let result = f();
        drop(raise);
        result
    })
}

#[cfg(test)]
mod tests {
    use super::awake;
    use rayon::prelude::*;

    #[test]
    fn work_is_done_whatever_the_pool() {
        let sum = || (0..1000u64).into_par_iter().sum::<u64>();
        assert_eq!(awake(sum), 499_500);
        for threads in 1..5 {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            for _ in 0..20 {
                assert_eq!(pool.install(|| awake(|| awake(sum) + sum())), 999_000);
            }
            let panicked = std::panic::catch_unwind(|| pool.install(|| awake(|| panic!("as planned"))));
            assert!(panicked.is_err());
        }
    }
}
