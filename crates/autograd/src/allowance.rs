//! How many operations somebody else's code may apply.

use crate::{Error, Result};
use std::cell::Cell;

thread_local! {
    /// What is left on this thread, and how much there was. Without a limit more than can ever be spent.
    static LEFT: Cell<(u64, u64)> = const { Cell::new((u64::MAX, u64::MAX)) };
}

/// Gives back what was there before, by a panic too.
struct Before((u64, u64));

impl Drop for Before {
    fn drop(&mut self) {
        LEFT.set(self.0);
    }
}

/// Runs with at most `most` operations on this thread, forward and backward: derivatives of derivatives grow with every order, and
/// nothing in a few lines of text says how far. A limit within a limit is a limit of its own.
pub fn limited<R>(most: u64, run: impl FnOnce() -> R) -> R {
    let _before = Before(LEFT.replace((most, most)));
    run()
}

/// One operation more.
pub(crate) fn spend() -> Result<()> {
    let (left, most) = LEFT.get();
    let Some(left) = left.checked_sub(1) else { return Err(Error::Limit { most }) };
    LEFT.set((left, most));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Graph, Var, grad};
    use candle_core::{Device, Tensor};

    #[test]
    fn operations_are_counted_in_both_directions_and_the_limit_ends_with_its_scope() {
        let x = Var::leaf(Tensor::new(&[1.0f64, 2.0], &Device::Cpu).unwrap());
        let high = |most: u64, order: usize| {
            limited(most, || {
                let mut y = x.tanh()?;
                for _ in 0..order {
                    y = grad(&y, &[&x], Graph::Keep)?.swap_remove(0);
                }
                Ok::<_, Error>(y)
            })
        };
        assert!(high(1, 0).is_ok());
        let error = high(1, 1).unwrap_err().to_string();
        assert!(error.contains("more than 1 operations on tensors, forward and backward"), "{error}");
        // Each order takes several times as many as the one before.
        assert!(high(1000, 4).is_ok() && high(1000, 12).is_err());
        assert!(std::panic::catch_unwind(|| limited(0, || panic!("inside"))).is_err());
        assert!(x.tanh().is_ok());
    }
}
