//! How many threads the tensor operations may use.

use crate::exit::Failure;
use std::num::NonZeroUsize;

/// What rayon (our kernels) and candle (its own) read, once, before the first tensor.
const VARIABLES: [&str; 2] = ["RAYON_NUM_THREADS", "CANDLE_NUM_THREADS"];
/// Threads for every core: more only wait for one another.
const PER_CORE: usize = 4;
/// Threads that any machine may be asked for.
const ANYWHERE: usize = 16;

/// Limits the threads of this process to `threads`; first of all, before there is a pool.
///
/// # Errors
/// More than [`PER_CORE`] for each core, by the option or by one of the variables: to start thousands takes minutes and gains nothing.
pub(crate) fn limit(threads: Option<NonZeroUsize>) -> Result<(), Failure> {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let of_variable = |name: &str| std::env::var(name).ok()?.trim().parse::<usize>().ok();
    let asked = match threads {
        Some(threads) => vec![("--threads", threads.get())],
        None => VARIABLES.iter().filter_map(|name| Some((*name, of_variable(name)?))).collect(),
    };
    for (by, threads) in asked {
        allowed(by, threads, cores)?;
    }
    if let Some(threads) = threads {
        set(threads);
    }
    Ok(())
}

fn allowed(by: &str, threads: usize, cores: usize) -> Result<(), Failure> {
    let most = cores.saturating_mul(PER_CORE).max(ANYWHERE);
    if threads > most {
        return Err(Failure::user(format!(
            "{by} {threads}: this machine has {cores} cores, and at most {most} threads are started on it"
        )));
    }
    Ok(())
}

#[expect(unsafe_code, reason = "set_var is unsafe where other threads may read the environment; there are none yet")]
fn set(threads: NonZeroUsize) {
    for variable in VARIABLES {
        // SAFETY: called by `App::run` before anything else, when the process has one thread.
        unsafe { std::env::set_var(variable, threads.to_string()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_of_threads_are_refused_in_words() {
        assert!(allowed("--threads", 16, 2).is_ok() && allowed("--threads", 256, 64).is_ok());
        let said = allowed("--threads", 1000, 2).unwrap_err().message;
        assert_eq!(said, "--threads 1000: this machine has 2 cores, and at most 16 threads are started on it");
        assert!(allowed("RAYON_NUM_THREADS", 257, 64).unwrap_err().message.starts_with("RAYON_NUM_THREADS 257: "));
    }
}
