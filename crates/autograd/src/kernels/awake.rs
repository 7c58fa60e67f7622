//! Keeping the pool's threads at hand.

use rayon::Yield;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether some call is at it. A thread that loops here cannot go back to what it was in the middle of, so two calls
/// whose threads loop for each other would wait for ever: there is one at a time.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Sets a flag, and frees the place, when it goes out of scope, by a panic too.
struct Raise<'a>(&'a AtomicBool);

impl Drop for Raise<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
        TAKEN.store(false, Ordering::Release);
    }
}

/// Runs `f` while the other threads of the pool look for work without falling asleep in between.
///
/// A step of a small network has dozens of parallel parts of some ten microseconds; to wake a thread for each takes
/// longer than that. Idle threads yield their time to other processes. Outside a pool, and inside another call, this is
/// `f()`.
pub fn awake<R>(f: impl FnOnce() -> R) -> R {
    let Some(here) = rayon::current_thread_index() else { return f() };
    if rayon::current_num_threads() == 1 || TAKEN.swap(true, Ordering::AcqRel) {
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
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    fn work_is_done_whatever_the_pool() {
        let sum = || (0..1000u64).into_par_iter().sum::<u64>();
        assert_eq!(awake(sum), 499_500);
        for threads in 1..5 {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            for _ in 0..20 {
                assert_eq!(pool.install(|| awake(|| awake(sum) + sum())), 999_000);
            }
            let planned = AssertUnwindSafe(|| pool.install(|| awake(|| panic!("as planned"))));
            assert!(catch_unwind(planned).is_err());
        }
    }
}
